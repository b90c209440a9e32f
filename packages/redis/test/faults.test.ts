import { createServer, type Server } from 'node:net';
import type { Backplane, TrackRef } from '@replyx/core';
import { BackplaneUnavailable } from '@replyx/core';
import { freePort, type RedisServer, startProxy, startRedis, type TcpProxy, until } from '@replyx/testkit';
import { appended, freshId, patiently, publication, Recorder } from '@replyx/testkit/contract';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { BackplaneUnsupported, type NoticeEvent, openRedisBackplane } from '../src/index.js';
import { makeRedisWorld, type RedisWorld } from './redis-world.js';

const QUICK = {
  commandDeadlineMs: 300,
  probeIntervalMs: 100,
  subscriberSilenceMs: 500,
  openDeadlineMs: 2_000,
} as const;

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.kill());

const healthy = (node: Backplane): Promise<boolean> =>
  until(() => node.health().ok, { what: `health, not ${node.health().reasons.join()}` });

describe('a connection that breaks', () => {
  let world: RedisWorld;
  let proxy: TcpProxy;
  let node: Backplane;
  let peer: Backplane;
  let recorder: Recorder;
  let ref: TrackRef;
  const notices: NoticeEvent[] = [];

  beforeEach(async () => {
    world = makeRedisWorld(server, QUICK);
    proxy = await startProxy({ port: server.port });
    notices.length = 0;
    const url = `redis://${proxy.address}`;
    node = await world.open({ url, onNotice: (event) => notices.push(event) });
    peer = await world.open();
    recorder = new Recorder(node);
    ref = { dialogId: freshId(), track: 'main' };
    await node.fanout.subscribe([ref]);
  });
  afterEach(async () => {
    await world.close();
    await proxy.close();
  });

  test('is restored with its subscriptions, and says which were interrupted', async () => {
    const more = Array.from({ length: 450 }, (): TrackRef => ({ dialogId: freshId(), track: 'internal' }));
    await node.fanout.subscribe(more);
    for (let round = 1; round <= 3; round++) {
      recorder.clear();
      proxy.cut();
      await until(() => recorder.restored.length > 0, { what: 'onRestored' });
      expect(recorder.restored).toHaveLength(451);
      expect(recorder.restored).toContainEqual(ref);
      // Confirmed when told: what is published now arrives.
      await peer.fanout.emit(more[449] as TrackRef, 'all', 'x');
      await recorder.atLeast('ephemeral', 1);
      await healthy(node);
    }
    expect(notices).toContain('subscriptions_restored');
  });

  test('gives calls an outage, at once or by the deadline, and the same call passes later', async () => {
    proxy.refuse();
    proxy.cut();
    await until(() => !node.health().ok, { what: 'bad health' });
    expect(node.health().reasons).toEqual(expect.arrayContaining(['redis_unreachable', 'subscriber_away']));
    const request = publication(ref.dialogId);
    await expect(node.log.publish(request)).rejects.toBeInstanceOf(BackplaneUnavailable);
    await expect(node.fanout.emit(ref, 'all', 'x')).rejects.toBeInstanceOf(BackplaneUnavailable);
    await expect(node.fanout.subscribe([{ ...ref, track: 'internal' }])).rejects.toBeInstanceOf(BackplaneUnavailable);
    await expect(node.directory.dialog(ref.dialogId)).rejects.toBeInstanceOf(BackplaneUnavailable);
    await expect(node.roster.connections(ref.dialogId)).rejects.toBeInstanceOf(BackplaneUnavailable);
    await proxy.accept();
    expect((await patiently(() => node.log.publish(request))).status).toBe('appended');
    await healthy(node);
  });

  test('that lost an answer leaves one append, found by the retry', async () => {
    for (let round = 0; round < 5; round++) {
      const request = publication(ref.dialogId);
      const dropped = proxy.dropReplies((chunk) => chunk.includes('appended'));
      await expect(node.log.publish(request)).rejects.toBeInstanceOf(BackplaneUnavailable);
      expect(dropped()).toBe(1);
      proxy.heal();
      expect(await patiently(() => node.log.publish(request))).toMatchObject({
        status: 'duplicate',
        offset: round + 1,
      });
    }
  });

  test('that is a black hole is found by deadlines and probes, and heals', async () => {
    proxy.blackhole();
    const started = performance.now();
    await expect(node.log.publish(publication(ref.dialogId))).rejects.toBeInstanceOf(BackplaneUnavailable);
    expect(performance.now() - started).toBeLessThan(2_000);
    await until(() => !node.health().ok, { what: 'bad health' });
    await until(() => notices.includes('redis_lost'), { what: 'the connection to be given up' });
    // What was held reaches the new connections only: the old ones are gone.
    proxy.heal();
    await healthy(node);
    appended(await patiently(() => peer.log.publish(publication(ref.dialogId))));
    await recorder.atLeast('publication', 1);
  });

  test('on the side of the server is known by the probe', async () => {
    await server.cli('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await until(() => recorder.restored.length > 0, { what: 'onRestored' });
    await healthy(node);
  });

  test('while a subscribe is under way keeps what was asked for', async () => {
    const refs = Array.from({ length: 50 }, (): TrackRef => ({ dialogId: freshId(), track: 'main' }));
    const asked = refs.map((each) => patiently(() => node.fanout.subscribe([each])));
    proxy.cut();
    await Promise.all(asked);
    await Promise.all(refs.map((each) => patiently(() => peer.fanout.emit(each, 'all', each.dialogId))));
    await until(() => recorder.of('ephemeral').length >= refs.length, { what: 'all frames' });
  });

  test('does not bring back what was unsubscribed meanwhile', async () => {
    proxy.refuse();
    proxy.cut();
    await until(() => !node.health().ok, { what: 'bad health' });
    node.fanout.unsubscribe([ref]);
    await proxy.accept();
    await healthy(node);
    expect(recorder.restored).toEqual([]);
    expect(await server.cli('PUBSUB', 'CHANNELS', `${world.prefix}:*:ch`)).toEqual([]);
  });

  test('survives scripts that the server has forgotten', async () => {
    await server.cli('SCRIPT', 'FLUSH');
    const results = await Promise.all(Array.from({ length: 20 }, () => node.log.publish(publication(ref.dialogId))));
    expect(results.map((result) => appended(result).offset)).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 1),
    );
  });

  test('a Redis that hangs gives outages by the deadline, and the node heals with it', async () => {
    await server.pause();
    try {
      await expect(peer.log.publish(publication(ref.dialogId))).rejects.toBeInstanceOf(BackplaneUnavailable);
      await until(() => peer.health().reasons.includes('redis_unreachable'), { what: 'bad health' });
    } finally {
      await server.resume();
    }
    await healthy(peer);
    expect((await patiently(() => peer.log.publish(publication(ref.dialogId)))).status).toBe('appended');
  });
});

describe('a process that stood still', () => {
  let own: RedisServer;
  let world: RedisWorld;
  let node: Backplane;
  let lost: number;

  beforeEach(async () => {
    own = await startRedis();
    // No probe comes between.
    world = makeRedisWorld(own, { ...QUICK, probeIntervalMs: 60_000 });
    lost = 0;
    node = await world.open({
      onNotice: (event) => {
        if (event === 'redis_lost') lost += 1;
      },
    });
  });
  afterEach(async () => {
    await own.resume();
    await world.close();
    await own.kill();
  });

  /** Commands leave within two milliseconds: what is set later, and for longer, runs after that. */
  const written = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 10));

  test('takes the answers that came meanwhile, and keeps its connection', async () => {
    await own.pause();
    const calls = Array.from({ length: 10 }, () => node.log.publish(publication(freshId())));
    await written();
    // From here timers come before sockets, as after a stop of the whole process.
    await new Promise((resolve) => setImmediate(resolve));
    const resumed = own.resume();
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2 * QUICK.commandDeadlineMs);
    await resumed;
    for (const result of await Promise.all(calls)) expect(appended(result).offset).toBe(1);
    expect([lost, node.health().ok]).toEqual([0, true]);
  });

  test('counts what is late together once, and is told of a dead connection once', async () => {
    await own.pause();
    const together = async (): Promise<void> => {
      const calls = Array.from({ length: 20 }, () => node.log.publish(publication(freshId())));
      for (const { status } of await Promise.allSettled(calls)) expect(status).toBe('rejected');
    };
    await together();
    expect(lost).toBe(0);
    await own.resume();
    await patiently(() => node.log.publish(publication(freshId())));
    await own.pause();
    await until(
      async () => {
        await together();
        return lost > 0;
      },
      { what: 'the connection to be cut' },
    );
    await own.resume();
    await healthy(node);
    // That it is given up, and that it is closed.
    expect(lost).toBe(2);
  });
});

describe('opening', () => {
  const open = (url: string) =>
    openRedisBackplane({
      url,
      incarnation: 'node.boot',
      nodeId: 'node',
      historySize: 10,
      historyTtlMs: 1_000,
      idempotencyTtlMs: 1_000,
      nodeTtlMs: 1_000,
      leaseTtlMs: 60_000,
      ...QUICK,
      openDeadlineMs: 500,
    });
  const refusal = async (url: string): Promise<Error> => {
    try {
      await (await open(url)).close();
    } catch (error) {
      return error as Error;
    }
    throw new Error('it opened');
  };

  /** A server that answers every command with what `answer` says. */
  const fake = async (answer: (command: string) => string): Promise<{ url: string; server: Server }> => {
    const port = await freePort();
    const fakeServer = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (data) => {
        for (const command of String(data)
          .split(/\*\d+\r\n/)
          .slice(1))
          socket.write(answer(command.toUpperCase()));
      });
    });
    await new Promise<void>((resolve) => fakeServer.listen(port, '127.0.0.1', resolve));
    return { url: `redis://user:secret@127.0.0.1:${port}`, server: fakeServer };
  };

  test.each([
    ['redis_version:6.2.14\r\n', 'Redis 6.2.14 is too old: 7.0 or newer is needed'],
    ['redis_version:7.2.4\r\nvalkey_version:7.1.0\r\n', 'Valkey 7.1.0 is too old: 7.2 or newer is needed'],
    ['nothing:1\r\n', 'Redis of unknown version is too old: 7.0 or newer is needed'],
  ])('refuses a server that says %j', async (info, message) => {
    const { url, server: old } = await fake((command) =>
      command.includes('INFO') ? `$${info.length}\r\n${info}\r\n` : command.includes('HELLO') ? '%0\r\n' : '+OK\r\n',
    );
    const error = await refusal(url);
    expect(error).toBeInstanceOf(BackplaneUnsupported);
    expect(error.message).toBe(message);
    old.close();
  });

  test('says in one line that nobody is there', async () => {
    const port = await freePort();
    const error = await refusal(`redis://user:secret@127.0.0.1:${port}`);
    expect(error).toBeInstanceOf(BackplaneUnavailable);
    expect(error.message).toMatch(new RegExp(`^Redis at 127\\.0\\.0\\.1:${port} can't be reached: .*ECONNREFUSED.*$`));
  });

  test.each(['redis+cluster', 'redis+sentinel'])('says so for %s too', async (scheme) => {
    const port = await freePort();
    const path = scheme === 'redis+sentinel' ? '/mymaster' : '';
    const error = await refusal(`${scheme}://user:secret@127.0.0.1:${port}${path}`);
    expect(error).toBeInstanceOf(BackplaneUnavailable);
    expect(error.message).toContain(`127.0.0.1:${port}`);
    expect(error.message).not.toMatch(/secret|\n/);
  });

  test('says that the password is wrong, and not which', async () => {
    const locked = await startRedis({ password: 'right' });
    try {
      const error = await refusal(`redis://:secret@127.0.0.1:${locked.port}`);
      expect(error).toBeInstanceOf(BackplaneUnavailable);
      expect(error.message).toMatch(/WRONGPASS/);
      expect(error.message).not.toContain('secret');
      const opened = await open(locked.url);
      expect(opened.address).toBe(`127.0.0.1:${locked.port}`);
      await opened.close();
    } finally {
      await locked.kill();
    }
  });

  test('gives up on a server that never answers', async () => {
    const { url, server: mute } = await fake(() => '');
    const started = performance.now();
    expect(await refusal(url)).toBeInstanceOf(BackplaneUnavailable);
    expect(performance.now() - started).toBeLessThan(3_000);
    mute.close();
  });

  test.each(['a:b', 'a b', 'a\n', ''])('refuses the incarnation %j', async (incarnation) => {
    await expect(
      openRedisBackplane({
        url: server.url,
        incarnation,
        nodeId: 'n',
        historySize: 1,
        historyTtlMs: 1,
        idempotencyTtlMs: 1,
        nodeTtlMs: 1,
        leaseTtlMs: 60_000,
      }),
    ).rejects.toThrow(TypeError);
  });
});
