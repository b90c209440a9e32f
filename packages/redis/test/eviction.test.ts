import { type RedisServer, startRedis, until } from '@replyx/testkit';
import { afterEach, expect, test } from 'vitest';
import type { NoticeDetails, NoticeEvent } from '../src/index.js';
import { makeRedisWorld, type RedisWorld } from './redis-world.js';

let server: RedisServer;
let world: RedisWorld;
afterEach(async () => {
  await world.close();
  await server.kill();
});

/** A node on a server of that configuration, and what it noticed of evictions. */
const watched = async (config: readonly string[]) => {
  server = await startRedis({ config });
  world = makeRedisWorld(server, { probeIntervalMs: 50 });
  const noticed: (readonly [NoticeEvent, NoticeDetails])[] = [];
  await world.open({
    onNotice: (event, details) => {
      if (event === 'redis_may_evict' || event === 'redis_evicted') noticed.push([event, details]);
    },
  });
  return noticed;
};

test('a Redis that drops keys when it is full is noticed at once, and when it does', async () => {
  const noticed = await watched(['maxmemory 20mb', 'maxmemory-policy allkeys-lru']);
  expect(noticed).toMatchObject([['redis_may_evict', { policy: 'allkeys-lru' }]]);
  for (let key = 0; key < 30; key += 1) await server.cli('SET', `big:${key}`, 'x'.repeat(1_000_000));
  await until(() => noticed.some(([event]) => event === 'redis_evicted'), { what: 'the eviction to be noticed' });
  const told = noticed.filter(([event]) => event === 'redis_evicted').map(([, { keys }]) => Number(keys));
  expect(Math.min(...told)).toBeGreaterThan(0);
});

test('a policy that is set later is noticed, once', async () => {
  const noticed = await watched(['maxmemory 100mb', 'maxmemory-policy noeviction']);
  expect(noticed).toEqual([]);
  await server.cli('CONFIG', 'SET', 'maxmemory-policy', 'volatile-ttl');
  await until(() => noticed.length > 0, { what: 'the policy to be noticed' });
  await server.cli('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-random');
  await until(() => noticed.length > 1, { what: 'the next to be noticed' });
  expect(noticed.map(([, { policy }]) => policy)).toEqual(['volatile-ttl', 'allkeys-random']);
});

test.each([
  ['has no bound', ['maxmemory 0', 'maxmemory-policy allkeys-lru']],
  ['refuses writes when it is full', ['maxmemory 100mb', 'maxmemory-policy noeviction']],
])('one that %s is not', async (_, config) => {
  expect(await watched(config)).toEqual([]);
});
