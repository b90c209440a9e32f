import {
  assertDelivery,
  connect,
  type DeliveryEntry,
  type Position,
  type ReaderLog,
  seededRandom,
  type TestClient,
  until,
} from '@replyx/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  asVisitor,
  at,
  inParallel,
  joinOperator,
  joinVisitor,
  keyOf,
  makeDialog,
  startWorld,
  type World,
} from './world.js';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(async () => {
  await world?.close();
});

/** Publishes at a steady rate until told to stop; resolves what was acknowledged. */
const steadyLoad = (senders: readonly TestClient[], perSecond: number) => {
  const acknowledged = new Map<string, number>();
  const unanswered = new Set<Promise<void>>();
  let sent = 0;
  let running = true;
  const turn = async () => {
    const started = performance.now();
    while (running) {
      const due = Math.floor(((performance.now() - started) * perSecond) / 1000);
      for (; sent < due && unanswered.size < 500; sent += 1) {
        const id = `load-${sent}`;
        const work: Promise<void> = at(senders, sent)
          .publish(`text ${sent}`, { id })
          .then((answer) => {
            expect(answer.type).toBe('ack');
            acknowledged.set(id, answer.offset ?? 0);
          })
          .finally(() => unanswered.delete(work));
        unanswered.add(work);
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await Promise.all(unanswered);
  };
  const done = turn();
  return {
    acknowledged,
    get sent() {
      return sent;
    },
    stop: async () => {
      running = false;
      await done;
      return sent;
    },
  };
};

describe('joining while messages flow', () => {
  it('gives 1,000 joins at 2,000 messages a second no gap and no duplicate', async () => {
    const dialogs = Array.from({ length: 4 }, (_, i) => `flow-${i}`);
    for (const id of dialogs) await makeDialog(world, id);
    const senders = await Promise.all(dialogs.map((id, i) => joinVisitor(at(world.nodes, i), id)));
    const watchers = await Promise.all(dialogs.map((id, i) => joinOperator(at(world.nodes, i + 1), id)));
    const load = steadyLoad(senders, 2_000);
    const joins = Array.from({ length: 1_000 }, (_, n) => n);
    await inParallel(joins, 20, async (n) => {
      const index = n % dialogs.length;
      const watcher = at(watchers, index);
      // Half come fresh, half resume from a little behind.
      const base = n % 2 === 0 ? undefined : watcher.position;
      const position = base === undefined ? undefined : { ...base, offset: Math.max(0, base.offset - 20) };
      const client = await joinVisitor(at(world.nodes, n), at(dialogs, index), {
        clientId: `join-${n}`,
        ...(position === undefined ? {} : { position }),
      });
      const connected = await client.waitFor('connected');
      expect(connected['recovered']).toBe(position !== undefined);
      await until(() => client.messages().length >= 30, { what: 'thirty messages after the join' });
      const offsets = client.messages().map((frame) => frame.offset ?? 0);
      expect(offsets[0]).toBe((connected.offset ?? 0) + 1);
      expect(offsets).toEqual(offsets.map((_, i) => (offsets[0] ?? 0) + i));
      await client.close();
    });
    await load.stop();
    for (const client of [...senders, ...watchers]) await client.close();
  });
});

describe('resuming on another node', () => {
  it('recovers whole or says that it does not: 500 cuts at random moments under load', async () => {
    const seed = 20_240_917;
    const random = seededRandom(seed);
    const dialogId = 'cuts';
    await makeDialog(world, dialogId);
    const senders = await Promise.all(
      [0, 1, 2].map((n) => joinVisitor(at(world.nodes, n), dialogId, { clientId: `s${n}` })),
    );
    const load = steadyLoad(senders, 400);
    const logs: ReaderLog[] = [];
    await inParallel(
      Array.from({ length: 10 }, (_, reader) => reader),
      10,
      async (reader) => {
        const entries: DeliveryEntry[] = [];
        let position: Position | undefined;
        for (let cut = 0; cut < 50; cut += 1) {
          const client = await joinVisitor(at(world.nodes, cut + reader), dialogId, {
            clientId: `reader-${reader}`,
            ...(position === undefined ? {} : { position }),
          });
          const wanted = Math.floor(random.float() * 40);
          await until(() => client.messages().length >= wanted, { what: 'some messages before the cut', everyMs: 1 });
          await client.terminate();
          position = client.position;
          entries.push(...client.deliveries());
        }
        logs.push({ reader: `reader ${reader} (seed ${seed})`, entries });
      },
    );
    await load.stop();
    const acknowledged = [...load.acknowledged].map(([id, offset]) => ({ key: `user/visitor-1/${id}`, offset }));
    for (const log of logs) expect(log.entries.filter((entry) => entry.kind === 'start')).toHaveLength(1);
    assertDelivery({ readers: logs, acknowledged, complete: false });
    for (const client of senders) await client.close();
  });

  it('lets a client that is 900 behind and drains slowly recover in order', async () => {
    const dialogId = 'behind';
    await makeDialog(world, dialogId);
    const sender = await joinVisitor(at(world.nodes, 0), dialogId);
    const start = sender.position;
    const text = 'x'.repeat(9_000);
    await inParallel(
      Array.from({ length: 900 }, (_, n) => n),
      30,
      async (n) => {
        expect((await sender.publish(`${n} ${text}`, { id: `b${n}` })).type).toBe('ack');
      },
    );
    const before = at(world.processes, 1).rssBytes();
    let mostRss = before;
    const reader = await joinVisitor(at(world.nodes, 1), dialogId, {
      clientId: 'slow',
      ...(start === undefined ? {} : { position: start }),
    });
    expect((await reader.waitFor('connected'))['recovered']).toBe(true);
    // Reads in sips: a few frames, then a pause that lets the server's buffer fill.
    while (reader.messages().length < 900) {
      const had = reader.messages().length;
      reader.resumeReading();
      await until(() => reader.messages().length > had, { what: 'more of what was missed', everyMs: 1 });
      reader.pauseReading();
      mostRss = Math.max(mostRss, at(world.processes, 1).rssBytes());
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    reader.resumeReading();
    expect(reader.messages().map((frame) => frame.offset)).toEqual(Array.from({ length: 900 }, (_, i) => i + 1));
    // 8 MB were missed; what the node may hold for one reader is a small part of it.
    console.log(
      `900 behind: the node grew by ${Math.round((mostRss - before) / 1024)} KiB while one client drained 8 MB`,
    );
    const live = await sender.publish('live again', { id: 'live' });
    await reader.waitFor((frame) => frame.id === 'live' && frame.offset === live.offset);
    await reader.close();
    await sender.close();
  });

  const positions: readonly [string, Record<string, string>, boolean][] = [
    ['no position', {}, false],
    ['another epoch', { epoch: 'nonsense', offset: '1' }, false],
    ['an offset beyond the head', { offset: '999999' }, false],
    ['an epoch without an offset', { offset: '' }, false],
    ['a malformed offset', { offset: '1e3' }, false],
    ['a negative offset', { offset: '-1' }, false],
    ['the head', {}, true],
  ];
  it.each(positions)('starts at the head for %s', async (what, query, recovered) => {
    const dialogId = 'positions';
    await makeDialog(world, dialogId);
    const first = await joinVisitor(at(world.nodes, 0), dialogId);
    await first.publish('hello');
    const { epoch, offset } = await until(() => first.position, { what: 'a position' });
    const full: Record<string, string> = what === 'no position' ? {} : { epoch, offset: String(offset), ...query };
    const client = await joinVisitor(at(world.nodes, 1), dialogId, { clientId: 'c', extra: { query: full } });
    expect(await client.waitFor('connected')).toMatchObject({ recovered, epoch });
    const next = await first.publish('next');
    const got = await client.waitFor('message');
    expect(got.offset).toBe(next.offset);
    await client.close();
    await first.close();
  });
});

describe('idempotent ids', () => {
  it('acknowledges a retry on another node with the first offset and appends nothing', async () => {
    await makeDialog(world, 'idem');
    const one = await joinVisitor(at(world.nodes, 0), 'idem');
    const first = await one.publish('the text', { id: 'same', meta: { a: 1 } });
    await one.terminate();
    const two = await joinVisitor(at(world.nodes, 1), 'idem');
    const again = await two.publish('the text', { id: 'same', meta: { a: 1 } });
    expect(again).toMatchObject({ type: 'ack', offset: first.offset, duplicate: true });
    expect(await two.publish('another text', { id: 'same', meta: { a: 1 } })).toMatchObject({
      type: 'error',
      code: 'conflict',
    });
    expect(await two.publish('the text', { id: 'same', meta: { a: 2 } })).toMatchObject({
      type: 'error',
      code: 'conflict',
    });
    const operator = await joinOperator(at(world.nodes, 2), 'idem');
    const other = await operator.publish('the text', { id: 'same', meta: { a: 1 } });
    expect(other).toMatchObject({ type: 'ack', offset: (first.offset ?? 0) + 1 });
    expect(other['duplicate']).toBeUndefined();
    const { body } = await at(world.nodes, 0).api.get('/v1/dialogs/idem/messages');
    expect(body.messages.map((frame: { offset: number }) => frame.offset)).toEqual([1, 2]);
    await two.close();
    await operator.close();
  });

  it('appends one message for a hundred attempts with one id from all nodes at once', async () => {
    await makeDialog(world, 'rush');
    const clients = await Promise.all(
      [0, 1, 2].map((n) => joinVisitor(at(world.nodes, n), 'rush', { clientId: `c${n}` })),
    );
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, n) => {
        const client = at(clients, n);
        // Answers of one socket carry the same id, so they are counted there rather than matched.
        client.send({ type: 'message', id: 'one', text: 'the same' });
        return n;
      }),
    );
    for (const [index, client] of clients.entries()) {
      const due = answers.filter((n) => n % clients.length === index).length;
      await until(() => client.frames.filter((frame) => frame.type === 'ack').length === due, { what: 'every answer' });
      expect(new Set(client.frames.filter((frame) => frame.type === 'ack').map((frame) => frame.offset))).toEqual(
        new Set([1]),
      );
      expect(client.messages().map(keyOf)).toEqual(['user/visitor-1/one']);
      await client.close();
    }
  });
});

describe('a position that is not of this dialog', () => {
  it('is answered without the other dialog being touched', async () => {
    await makeDialog(world, 'mine');
    const options = asVisitor(at(world.nodes, 0), 'mine', { position: { epoch: 'foreign', offset: 7 } });
    const client = await connect(options);
    expect(await client.waitFor('connected')).toMatchObject({ recovered: false, offset: 0 });
    await client.close();
  });
});
