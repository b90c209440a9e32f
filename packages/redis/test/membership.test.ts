import type { Backplane } from '@replyx/core';
import { type RedisServer, startProxy, startRedis, type TcpProxy, until } from '@replyx/testkit';
import { nodeInfo, patiently } from '@replyx/testkit/contract';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeRedisWorld, type RedisWorld } from './redis-world.js';

let server: RedisServer;
let proxy: TcpProxy;
let world: RedisWorld;
let node: Backplane;

beforeEach(async () => {
  server = await startRedis();
  proxy = await startProxy({ port: server.port });
  world = makeRedisWorld(server, { url: `redis://${proxy.address}` });
  node = await world.open();
});
afterEach(async () => {
  await world.close();
  await proxy.close();
  await server.kill();
});

const beat = () => node.membership.beat(nodeInfo(world.incarnationOf(node)));

test('a node hears of its lapse also when the first answer that said so was lost', async () => {
  await beat();
  await server.flushAll();
  proxy.dropReplies((chunk) => chunk.includes('"incarnation"'));
  await expect(beat()).rejects.toThrow('Redis');
  proxy.heal();
  await until(() => node.health().ok, { what: 'health' });
  expect((await patiently(beat)).lapsed).toBe(true);
  expect((await beat()).lapsed).toBe(false);
});

test('a clock that was set back is no lapse', async () => {
  const own = world.incarnationOf(node);
  await beat();
  const key = `${world.prefix}:{nodes}:beats`;
  // As it looks after the clock went back: the store's time of the last heartbeat lies ahead.
  await server.cli('ZADD', key, Date.now() + 60_000, own);
  for (let count = 0; count < 5; count++) expect(await beat()).toMatchObject({ lapsed: false, dead: [] });
  expect(Number(await server.cli('ZSCORE', key, own))).toBeLessThanOrEqual(Date.now() + 1_000);
});
