import type { Ban } from '@replyx/core';
import { type RedisServer, startRedis, until } from '@replyx/testkit';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { encodeEntry } from '../src/control-codec.js';
import { type ControlKeys, Keys } from '../src/keys.js';
import { SCRIPTS } from '../src/scripts.js';
import { makeRedisWorld, type RedisWorld } from './redis-world.js';

let server: RedisServer;
let world: RedisWorld;
let keys: ControlKeys;
beforeAll(async () => {
  server = await startRedis();
});
afterEach(() => world.close());
afterAll(() => server.kill());

const ban = (id: string, expiresMs: number): Ban => ({
  kind: 'ban',
  id,
  network: '198.51.100.7',
  source: 'score',
  createdMs: 1,
  expiresMs,
});

/** The script as a node calls it, with bounds of the test's own. */
const write = (entries: readonly Ban[], mostOfLog: number, most: number) =>
  server.cli(
    ...['EVAL', SCRIPTS.controlWrite.text, SCRIPTS.controlWrite.keys],
    ...[keys.epoch, keys.log, keys.bans, keys.bansExpiries],
    ...['name', 'lineage', 1, mostOfLog, most, 'write'],
    ...entries.flatMap((entry) => [entry.id, encodeEntry(entry)]),
  );

const open = async () => {
  world = makeRedisWorld(server);
  keys = new Keys(world.prefix, 128).control;
  return { node: await world.open(), nowMs: await world.nowMs() };
};

test('a write removes what has expired, and keeps both keys of a family alike', async () => {
  const { node, nowMs } = await open();
  await node.control.write(ban('soon', nowMs + 50));
  await node.control.write(ban('later', nowMs + 60_000));
  expect(await server.cli('HLEN', keys.bans)).toBe(2);
  await world.pass(60);
  await node.control.write(ban('new', nowMs + 60_000));
  expect(((await server.cli('HKEYS', keys.bans)) as string[]).sort()).toEqual(['later', 'new']);
  expect(await server.cli('ZCARD', keys.bansExpiries)).toBe(2);
});

test('of too many bans those that would be over first give way', async () => {
  const { node, nowMs } = await open();
  const many = [3, 1, 5, 4, 2].map((n) => ban(`b${n}`, nowMs + n * 60_000));
  await write(many, 100, 3);
  expect((await node.control.snapshot()).entries.map(({ id }) => id).sort()).toEqual(['b3', 'b4', 'b5']);
  expect(await server.cli('ZCARD', keys.bansExpiries)).toBe(3);
});

test('the stream is bounded, and a reader who falls behind its start is told', async () => {
  const { node, nowMs } = await open();
  const { cursor } = await node.control.snapshot();
  const batch = Array.from({ length: 500 }, (_, n) => ban(`b${n}`, nowMs + 60_000));
  await until(
    async () => {
      await write(batch, 100, 0);
      return (await node.control.tail(cursor)).status === 'lost';
    },
    { what: 'the stream to be trimmed past the place' },
  );
  // Trimmed by whole blocks of the stream.
  expect(await server.cli('XLEN', keys.log)).toBeLessThan(300);
});

test('an entry of a later version is passed over', async () => {
  const { node, nowMs } = await open();
  const { cursor } = await node.control.snapshot();
  await server.cli('XADD', keys.log, '*', 'e', 'z|1|2|3|\n{}');
  await server.cli('HSET', keys.bans, 'z', 'z|1|2|3|\n{}');
  const kept = await node.control.write(ban('b', nowMs + 60_000));
  const result = await node.control.tail(cursor);
  expect(result).toMatchObject({ status: 'entries', entries: [kept] });
  if (result.status === 'entries') expect(await node.control.tail(result.cursor)).toMatchObject({ entries: [] });
  expect((await node.control.snapshot()).entries).toEqual([kept]);
});

test('the directory lies in the control plane', async () => {
  const { node } = await open();
  await node.directory.putAssistant('bot', {
    tenant: 't',
    active: true,
    allowedDomains: [],
    widgetVersion: 0,
    inbox: false,
  });
  expect((await server.cli('HKEYS', keys.assistants)) as string[]).toEqual(['bot']);
  expect(await server.cli('XLEN', keys.log)).toBe(1);
});
