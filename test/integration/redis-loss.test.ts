import { dial, type RedisServer, startGateway, type TestClient, until } from '@replyx/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import { asVisitor, at, joinOperator, joinVisitor, makeDialog, startWorld, type World } from './world.js';

let world: World;
afterEach(async () => {
  await world?.close();
});

const redisOf = (running: World): RedisServer => {
  if (running.redis === undefined) throw new Error('this world has a Redis');
  return running.redis;
};

const publishMany = async (client: TestClient, from: number, to: number): Promise<void> => {
  for (let n = from; n <= to; n += 1) {
    const answer = await client.publish(`text ${n}`, { id: `m${n}` });
    expect(answer).toMatchObject({ type: 'ack' });
  }
};

const allReady = (running: World): Promise<unknown> =>
  until(
    async () =>
      (await Promise.all(running.nodes.map((node) => node.api.get('/readyz')))).every(({ status }) => status === 200),
    { what: 'all nodes to be ready' },
  );

/** Publishes until it is acknowledged, as a client does that keeps what it could not send. */
const publishSurely = (client: TestClient, id: string) =>
  until(
    async () => {
      const answer = await client.publish('after the trouble', { id });
      return answer.type === 'ack' ? answer : undefined;
    },
    { what: `the acknowledgement of ${id}`, everyMs: 100 },
  );

/** Joins as a client does that is told to try again: a node may not have found its Redis again yet. */
const joinSurely = (running: World, node: number): Promise<TestClient> =>
  until(() => joinVisitor(at(running.nodes, node), 'd', { clientId: 'again' }), { what: 'a join', everyMs: 100 });

/** No offset of one epoch stands for two messages, over everything that any client has seen. */
const assertNoReuse = (clients: readonly TestClient[]): void => {
  const names = new Map<string, string>();
  for (const client of clients) {
    for (const entry of client.deliveries()) {
      if (entry.kind !== 'publication') continue;
      const place = `${entry.epoch}:${entry.offset}`;
      expect(names.get(place) ?? entry.key).toBe(entry.key);
      names.set(place, entry.key);
    }
  }
};

describe('a Redis that was emptied', () => {
  it('is announced by a new epoch: reset for those connected, no recovery for those that come back', async () => {
    world = await startWorld();
    await makeDialog(world, 'd');
    const clients = await Promise.all(
      [0, 1, 2].map((n) => joinVisitor(at(world.nodes, n), 'd', { clientId: `c${n}` })),
    );
    const [first] = clients as [TestClient, TestClient, TestClient];
    await publishMany(first, 1, 5);
    const old = await until(() => (first.position?.offset === 5 ? first.position : undefined), {
      what: 'five messages',
    });
    await redisOf(world).flushAll();
    const ack = await publishSurely(first, 'after');
    expect(ack.offset).toBe(1);
    for (const client of clients) {
      expect(await client.waitFor('reset')).toMatchObject({ track: 'main', reason: 'new_epoch' });
      // What was published in the new epoch reached everybody, live or before the position that the reset names.
      await until(() => client.position?.offset === 1, { what: 'the new position' });
      expect(client.position?.epoch).not.toBe(old.epoch);
    }
    await makeDialog(world, 'd');
    const back = await joinVisitor(at(world.nodes, 1), 'd', { clientId: 'back', position: old });
    expect(await back.waitFor('connected')).toMatchObject({ recovered: false, offset: 1 });
    assertNoReuse([...clients, back]);
  });
});

describe('a Redis that was rolled back', () => {
  const cases: readonly [string, (running: World) => Promise<TestClient>][] = [
    ['a node that held the dialog', (running) => joinSurely(running, 0)],
    ['a node that did not', (running) => joinSurely(running, 2)],
    [
      'nodes restarted too',
      async (running) => {
        await Promise.all(running.processes.map((process) => process.restart('kill')));
        return joinSurely(running, 0);
      },
    ],
  ];
  it.each(cases)('mints a new epoch, keeps what is left and never reuses an offset: %s', async (_name, comeBack) => {
    world = await startWorld();
    const redis = redisOf(world);
    await makeDialog(world, 'd');
    const writer = await joinVisitor(at(world.nodes, 0), 'd', { clientId: 'w' });
    const reader = await joinVisitor(at(world.nodes, 1), 'd', { clientId: 'r' });
    await publishMany(writer, 1, 5);
    const copy = await redis.saveCopy();
    await publishMany(writer, 6, 9);
    await until(() => reader.position?.offset === 9, { what: 'nine messages' });
    const old = reader.position;
    if (old === undefined) throw new Error('there is a position');
    await redis.kill();
    await redis.restoreCopy(copy);
    await allReady(world);
    // A node that has just found its Redis again may send newcomers elsewhere for a moment.
    const client = await until(() => comeBack(world), { what: 'a join', everyMs: 50 });
    const connected = await client.waitFor('connected');
    expect(connected.epoch).not.toBe(old.epoch);
    expect(connected).toMatchObject({ recovered: false, offset: 5 });
    const ack = await publishSurely(client, 'new-6');
    expect(ack.offset).toBe(6);
    // This node may find its Redis again later than the one that was joined.
    const { body } = await until(
      async () => {
        const answer = await at(world.nodes, 1).api.get('/v1/dialogs/d/messages');
        return answer.status === 200 ? answer : undefined;
      },
      { what: 'the other node to read its Redis' },
    );
    expect(body.messages.map((frame: { id: string; offset: number }) => [frame.offset, frame.id])).toEqual([
      [1, 'm1'],
      [2, 'm2'],
      [3, 'm3'],
      [4, 'm4'],
      [5, 'm5'],
      [6, 'new-6'],
    ]);
    // Whoever stayed connected, or comes back with the old position, is told.
    if (reader.isOpen) await reader.waitFor('reset');
    const resumed = await joinVisitor(at(world.nodes, 1), 'd', { clientId: 'old', position: old });
    expect(await resumed.waitFor('connected')).toMatchObject({ recovered: false, offset: 6 });
    assertNoReuse([writer, reader, client, resumed]);
  });
});

describe('a Redis that was restarted with AOF always', () => {
  it('goes on in the same epoch with nothing lost', async () => {
    world = await startWorld({ redis: { appendonly: true, appendfsync: 'always' } });
    const redis = redisOf(world);
    await makeDialog(world, 'd');
    const writer = await joinVisitor(at(world.nodes, 0), 'd', { clientId: 'w' });
    const reader = await joinOperator(at(world.nodes, 1), 'd');
    await publishMany(writer, 1, 7);
    await until(() => reader.position?.offset === 7, { what: 'seven messages' });
    const { epoch } = reader.position ?? { epoch: '' };
    await redis.kill();
    await redis.start();
    await allReady(world);
    const ack = await publishSurely(writer, 'm8');
    expect(ack.offset).toBe(8);
    await until(() => reader.position?.offset === 8, { what: 'the eighth message' });
    expect(reader.position?.epoch).toBe(epoch);
    for (const client of [writer, reader]) expect(client.frames.some((frame) => frame.type === 'reset')).toBe(false);
    const behind = await joinVisitor(at(world.nodes, 2), 'd', { clientId: 'b', position: { epoch, offset: 2 } });
    expect((await behind.waitFor('connected'))['recovered']).toBe(true);
    await until(() => behind.messages().length === 6, { what: 'what it missed' });
  });
});

describe('while Redis is away', () => {
  it('keeps sockets, answers sends with a temporary error, turns not ready, and heals without a restart', async () => {
    world = await startWorld({ redis: { appendonly: true, appendfsync: 'always' } });
    const redis = redisOf(world);
    await makeDialog(world, 'd');
    const client = await joinVisitor(at(world.nodes, 0), 'd');
    await publishMany(client, 1, 1);
    await redis.kill();
    const refused = await client.publish('in vain', { id: 'kept' });
    expect(refused).toMatchObject({ type: 'error', code: 'unavailable', temporary: true });
    await until(async () => (await at(world.nodes, 0).api.get('/readyz')).status === 503, { what: 'not ready' });
    expect((await at(world.nodes, 0).api.get('/livez')).status).toBe(200);
    expect(client.isOpen).toBe(true);
    const newcomer = dial(asVisitor(at(world.nodes, 1), 'd', { clientId: 'new' }));
    expect((await newcomer.closed).code).toBe(1013);
    await redis.start();
    await allReady(world);
    expect(await publishSurely(client, 'kept')).toMatchObject({ type: 'ack', offset: 2 });
  });
});

describe('keys that are gone', () => {
  /** Deletes the keys of a dialog that match, as expiry would. */
  const drop = async (redis: RedisServer, pattern: string): Promise<number> => {
    const keys = (await redis.cli('KEYS', pattern)) as string[];
    for (const key of keys) await redis.cli('DEL', String(key));
    return keys.length;
  };

  it('without the log: the epoch stays, offsets go on, history is empty, and an id is still known', async () => {
    world = await startWorld({ nodes: 2 });
    await makeDialog(world, 'd');
    const client = await joinVisitor(at(world.nodes, 0), 'd');
    await publishMany(client, 1, 3);
    const { epoch } = client.position ?? { epoch: '' };
    expect(await drop(redisOf(world), '*:d:d:main:log')).toBe(1);
    expect(await client.publish('text 2', { id: 'm2' })).toMatchObject({ type: 'ack', offset: 2, duplicate: true });
    expect(await client.publish('text 4', { id: 'm4' })).toMatchObject({ type: 'ack', offset: 4 });
    const behind = await joinVisitor(at(world.nodes, 1), 'd', { clientId: 'b', position: { epoch, offset: 1 } });
    expect(await behind.waitFor('connected')).toMatchObject({ epoch, recovered: false, offset: 4 });
    const atHead = await joinVisitor(at(world.nodes, 1), 'd', { clientId: 'h', position: { epoch, offset: 4 } });
    expect(await atHead.waitFor('connected')).toMatchObject({ epoch, recovered: true });
  });

  it('without the meta: the log goes too, a new epoch starts, and an old id is not known', async () => {
    world = await startWorld({ nodes: 2 });
    await makeDialog(world, 'd');
    const client = await joinVisitor(at(world.nodes, 0), 'd');
    await publishMany(client, 1, 3);
    const old = client.position;
    expect(await drop(redisOf(world), '*:d:d:meta')).toBe(1);
    expect(await client.publish('text 2', { id: 'm2' })).toMatchObject({ type: 'ack', offset: 1 });
    await client.waitFor('reset');
    await until(() => client.position?.offset === 1, { what: 'the new position' });
    expect(client.position?.epoch).not.toBe(old?.epoch);
    await makeDialog(world, 'd');
    const { body } = await at(world.nodes, 1).api.get('/v1/dialogs/d/messages');
    expect(body.messages.map((frame: { id: string }) => frame.id)).toEqual(['m2']);
  });

  it('without anything: as a dialog that was never written', async () => {
    world = await startWorld({ nodes: 2 });
    await makeDialog(world, 'd');
    const client = await joinVisitor(at(world.nodes, 0), 'd');
    await publishMany(client, 1, 3);
    expect(await drop(redisOf(world), '*:d:d:*')).toBeGreaterThan(2);
    expect(await client.publish('text 1', { id: 'm1' })).toMatchObject({ type: 'ack', offset: 1 });
    await client.waitFor('reset');
  });
});

describe('a node whose heartbeat was gone', () => {
  it('registers its sockets again after a pause, and is listed again', async () => {
    world = await startWorld({ nodes: 2 });
    await makeDialog(world, 'd');
    const client = await joinVisitor(at(world.nodes, 0), 'd');
    const count = async () => (await at(world.nodes, 1).api.get('/v1/dialogs/d/presence')).body.count;
    expect(await count()).toBe(1);
    at(world.processes, 0).pause();
    await until(async () => (await count()) === 0, { what: 'the stopped node to count as dead' });
    at(world.processes, 0).resume();
    await until(async () => (await count()) === 1, { what: 'its socket to be registered again' });
    expect(await client.publish('still here')).toMatchObject({ type: 'ack' });
  });

  it('leaves no presence behind when it was killed', async () => {
    world = await startWorld({ nodes: 2 });
    await makeDialog(world, 'd');
    const watcher = await joinOperator(at(world.nodes, 1), 'd');
    await joinVisitor(at(world.nodes, 0), 'd');
    const joined = await watcher.waitFor((frame) => frame.type === 'presence' && frame['state'] === 'join');
    expect(joined['users']).toEqual([{ role: 'user', id: 'visitor-1' }]);
    await at(world.processes, 0).kill();
    await watcher.waitFor((frame) => frame.type === 'presence' && frame['state'] === 'leave');
    const { body } = await at(world.nodes, 1).api.get('/v1/cluster');
    expect(body.nodes).toHaveLength(1);
  });
});

describe('starting', () => {
  it('waits until its heartbeat has been seen where others live, and not where it is alone', async () => {
    world = await startWorld({ nodes: 1 });
    const second = await startGateway({ REDIS_URL: redisOf(world).url, NODE_ID: 'late', WS_NODE_TTL_SECONDS: 3 });
    const { body } = await at(world.nodes, 0).api.get('/v1/cluster');
    expect(body.nodes.map((node: { id: string }) => node.id).sort()).toEqual(['late', 'node-1']);
    await second.kill();
  });
});
