import { type RedisServer, startRedis } from '@replyx/testkit';
import { describeBackplaneContract } from '@replyx/testkit/contract';
import { afterAll, beforeAll, describe } from 'vitest';
import { makeRedisWorld } from './redis-world.js';

describe.each([
  ['Redis', false],
  ['a one-node Redis Cluster with sharded pub/sub', true],
] as const)('on %s', (name, cluster) => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis({ cluster });
  });
  afterAll(() => server.kill());

  describeBackplaneContract(name, async () => makeRedisWorld(server));
});
