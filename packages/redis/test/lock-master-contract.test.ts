import type { LockMaster } from '@replyx/core';
import { type RedisServer, type RespValue, startRedis, until } from '@replyx/testkit';
import { describeLockMasterContract, freshId, type LockMasterWorld } from '@replyx/testkit/contract';
import { afterAll, beforeAll, describe } from 'vitest';
import { openLockMasters } from '../src/index.js';

const makeWorld = (server: RedisServer): LockMasterWorld => {
  const keyPrefix = freshId('rx');
  const opened: LockMaster[] = [];
  const nowMs = async (): Promise<number> => {
    const [seconds, micros] = (await server.cli('TIME')) as RespValue[];
    return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
  };
  return {
    async open() {
      const masters = await openLockMasters([server.url], { nodeId: 'node', keyPrefix });
      opened.push(...masters);
      return masters[0] as LockMaster;
    },
    async pass(ms) {
      const end = (await nowMs()) + ms;
      await until(async () => (await nowMs()) > end, { what: `${ms} ms of Redis time`, everyMs: Math.min(ms, 5) });
    },
    nowMs,
    flush: () => server.flushAll(),
    close: async () => {
      await Promise.all(opened.map((master) => master.close()));
    },
  };
};

describe.each([
  ['Redis', false],
  ['a one-node Redis Cluster', true],
] as const)('on %s', (name, cluster) => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis({ cluster });
  });
  afterAll(() => server.kill());

  describeLockMasterContract(name, async () => makeWorld(server));
});
