import { InboxDispatcher, type InboxEntry, type InboxReply } from '@replyx/core';
import { type RedisServer, type RespValue, startRedis, until } from '@replyx/testkit';
import { freshId, publication } from '@replyx/testkit/contract';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Keys } from '../src/keys.js';
import { systemClock, systemRandom } from '../src/system.js';
import { makeRedisWorld, type RedisWorld } from './redis-world.js';

let server: RedisServer;
let world: RedisWorld;
beforeAll(async () => {
  server = await startRedis();
});
afterEach(() => world.close());
afterAll(() => server.kill());

const TTL_MS = 30_000;

/** One dialog's partition, as its dispatcher serves it. */
const serving = async () => {
  world = makeRedisWorld(server);
  const node = await world.open();
  const dialogId = freshId();
  const keys = new Keys(world.prefix, 128);
  const partition = keys.partitionOf(dialogId);
  const { stream, counts, retained } = keys.inbox(partition);
  let token: string | undefined;
  const exchange = async (overrides: Partial<Parameters<typeof node.inbox.exchange>[0]> = {}) => {
    const reply: InboxReply = await node.inbox.exchange({
      partition,
      token,
      leaseTtlMs: TTL_MS,
      outcomes: [],
      after: '',
      limit: 50,
      parkedLimit: 10,
      claimMs: 1,
      readAfter: '',
      ...overrides,
    });
    if (reply.status !== 'served') throw new Error(reply.status);
    token = reply.token;
    return reply;
  };
  const write = async (count: number) => {
    for (let i = 0; i < count; i += 1) await node.log.publish(publication(dialogId, { inbox: 'bot' }));
  };
  const readAs = async (group: string, count: number): Promise<string[]> => {
    const reply = (await server.cli(
      ...['XREADGROUP', 'GROUP', group, 'worker', 'COUNT', count, 'STREAMS', stream, '>'],
    )) as [[string, [string, string[]][]]];
    return reply[0][1].map(([id]) => id);
  };
  const total = async () => Number((await server.cli('HGET', counts, '~all')) ?? 0);
  return { node, exchange, write, readAs, total, stream, retained };
};

const done = (entry: InboxEntry) => ({ kind: 'done', from: 'stream', entry }) as const;

test('what was delivered stays for the consumer groups until each has acknowledged it, and is not delivered again', async () => {
  const { exchange, write, readAs, total, stream, retained } = await serving();
  await write(4);
  await server.cli('XGROUP', 'CREATE', stream, 'one', '0');
  await server.cli('XGROUP', 'CREATE', stream, 'two', '0');
  const { entries } = await exchange();
  const after = await exchange({ outcomes: entries.slice(0, 3).map(done) });
  expect(after.entries.map(({ id }) => id)).toEqual([entries[3]?.id]);
  expect(after.read).toEqual([]);
  expect(await server.cli('XLEN', stream)).toBe(4);
  const ids = await readAs('one', 10);
  await server.cli('XACK', stream, 'one', ...ids);
  expect((await exchange()).read).toEqual([]);
  await readAs('two', 2);
  await server.cli('XACK', stream, 'two', ids[1] ?? '');
  // The first is still pending.
  expect((await exchange()).read).toEqual([]);
  await server.cli('XACK', stream, 'two', ids[0] ?? '');
  const { read } = await exchange();
  expect(read.map(({ id, isServed }) => [id, isServed])).toEqual([
    [ids[0], true],
    [ids[1], true],
  ]);
  const outcomes = read.map((entry) => ({ kind: 'read', entry }) as const);
  await exchange({ outcomes: [...outcomes, ...outcomes] });
  expect(await server.cli('XLEN', stream)).toBe(2);
  expect(await total()).toBe(2);
  // A group that nobody reads any more holds nothing once it is gone.
  await server.cli('XGROUP', 'DESTROY', stream, 'two');
  await server.cli('XGROUP', 'DESTROY', stream, 'one');
  const left = await exchange();
  expect(left.read.map(({ id, isServed }) => [id, isServed])).toEqual([
    [ids[2], true],
    [ids[3], false],
  ]);
  await exchange({ outcomes: [{ kind: 'read', entry: left.read[0]! }, done(left.entries[0]!)] });
  expect([await server.cli('XLEN', stream), await total(), await server.cli('EXISTS', retained)]).toEqual([0, 0, 0]);
});

test('an entry that is parked while a group reads counts in both places, and in none in the end', async () => {
  const { exchange, write, readAs, total, stream } = await serving();
  await write(2);
  await server.cli('XGROUP', 'CREATE', stream, 'one', '0');
  const { entries } = await exchange();
  const parked = entries.map((entry) => ({ kind: 'parked', from: 'stream', entry, dueInMs: 0 }) as const);
  await exchange({ outcomes: [...parked, ...parked], parkedLimit: 0 });
  expect(await total()).toBe(4);
  await server.cli('XACK', stream, 'one', ...(await readAs('one', 10)));
  const { read } = await exchange({ parkedLimit: 0 });
  expect(read.map(({ isServed }) => isServed)).toEqual([true, true]);
  await exchange({ outcomes: read.map((entry) => ({ kind: 'read', entry })), parkedLimit: 0 });
  expect([await server.cli('XLEN', stream), await total()]).toEqual([0, 2]);
  for (let i = 0; i < 2; i += 1) {
    const [entry] = (await exchange({ limit: 0 })).parked;
    expect(entry?.id).toBe(entries[i]?.id);
    await exchange({ outcomes: [{ kind: 'done', from: 'parked', entry: entry as InboxEntry }], parkedLimit: 0 });
  }
  expect(await total()).toBe(0);
  expect(await server.cli('KEYS', `${world.prefix}:*inbox:parked*`)).toEqual([]);
});

test('entries that are looked at by a group before they are acknowledged are not dropped', async () => {
  const { exchange, write, readAs, stream } = await serving();
  await write(2);
  await server.cli('XGROUP', 'CREATE', stream, 'one', '0');
  await readAs('one', 1);
  const { entries } = await exchange();
  await exchange({ outcomes: [{ kind: 'read', entry: entries[0]! }] });
  expect(await server.cli('XLEN', stream)).toBe(2);
});

test('an idle inbox costs one small script a partition in a third of its lease', async () => {
  world = makeRedisWorld(server);
  const node = await world.open();
  const incarnation = world.incarnationOf(node);
  const leaseTtlMs = 1_500;
  const dispatcher = new InboxDispatcher({
    inbox: node.inbox,
    incarnation,
    nodes: () => [{ incarnation, draining: false }],
    clock: systemClock,
    random: systemRandom,
    leaseTtlMs,
    routeOf: () => 'webhook',
    confirmRoute: async () => 'webhook',
    deliver: async () => 'delivered',
    onNotice: () => {},
    onBug: (error) => {
      throw error;
    },
  });
  const calls = async (): Promise<{ calls: number; usec: number }> => {
    const stats = String((await server.cli('INFO', 'commandstats')) as RespValue);
    const [, count, usec] = /cmdstat_evalsha:calls=(\d+),usec=(\d+)/.exec(stats) ?? [];
    return { calls: Number(count ?? 0), usec: Number(usec ?? 0) };
  };
  dispatcher.start();
  await until(() => dispatcher.partitions.length === 128, { what: 'all partitions' });
  await world.pass(leaseTtlMs);
  const before = await calls();
  await world.pass(3_000);
  const after = await calls();
  await dispatcher.stop(1_000);
  const perPartition = (after.calls - before.calls) / 128;
  const micros = (after.usec - before.usec) / (after.calls - before.calls);
  console.log(
    `${perPartition.toFixed(1)} looks a partition in 6 thirds of a lease, ${micros.toFixed(0)} us of Redis each`,
  );
  expect(perPartition).toBeLessThan(8);
});
