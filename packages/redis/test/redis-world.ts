import type { Backplane } from '@replyx/core';
import { type RedisServer, type RespValue, until } from '@replyx/testkit';
import { CONTRACT_OPTIONS, freshId, type World } from '@replyx/testkit/contract';
import { openRedisBackplane, type RedisBackplaneOptions } from '../src/index.js';

export interface RedisWorld extends World {
  readonly prefix: string;
  open(overrides?: Partial<RedisBackplaneOptions>): Promise<Backplane>;
}

/** End of the keys that hold a copy. */
const SAVED = '~saved';

/** A cluster of nodes on a server that the test owns; each world has a key prefix of its own. */
export const makeRedisWorld = (server: RedisServer, defaults: Partial<RedisBackplaneOptions> = {}): RedisWorld => {
  const prefix = freshId('rx');
  const incarnations = new Map<Backplane, string>();
  const keysOf = async (pattern: string): Promise<string[]> =>
    ((await server.cli('KEYS', `${prefix}:${pattern}`)) as RespValue[]).map(String);
  const silently = async (): Promise<string[]> =>
    [...(await keysOf('{p*')), ...(await keysOf('{ctl}*'))].filter((key) => !key.endsWith(SAVED));
  const deleteKeys = async (keys: readonly string[]): Promise<void> => {
    for (const key of keys) await server.cli('DEL', key);
  };
  const time = async (): Promise<number> => {
    const [seconds, micros] = (await server.cli('TIME')) as RespValue[];
    return Number(seconds) * 1_000 + Number(micros) / 1_000;
  };
  return {
    prefix,
    async open(overrides = {}) {
      const incarnation = `node.${freshId('boot')}`;
      const backplane = await openRedisBackplane({
        ...CONTRACT_OPTIONS,
        url: server.url,
        keyPrefix: prefix,
        incarnation,
        nodeId: 'node',
        ...defaults,
        ...overrides,
      });
      incarnations.set(backplane, overrides.incarnation ?? incarnation);
      return backplane;
    },
    incarnationOf: (backplane) => incarnations.get(backplane) ?? 'unknown',
    // Closing writes nothing to Redis, so that it is the same as dying.
    kill: (backplane) => backplane.close(),
    flush: () => server.flushAll(),
    async saveForRollback() {
      const copy = await server.saveCopy();
      return () => server.restoreCopy(copy);
    },
    async saveForSilentRollback() {
      const keys = await silently();
      for (const key of keys) await server.cli('COPY', key, `${key}${SAVED}`, 'REPLACE');
      return async () => {
        await deleteKeys(await silently());
        for (const key of keys) await server.cli('COPY', `${key}${SAVED}`, key, 'REPLACE');
      };
    },
    async expire(dialogId, what, track) {
      const keys = await keysOf(`{p*}:d:${dialogId}:*`);
      const wanted = what === 'all' ? '' : what === 'meta' ? ':meta' : track === undefined ? ':log' : `:${track}:log`;
      await deleteKeys(keys.filter((key) => key.endsWith(wanted)));
    },
    trimControl: async () => void (await server.cli('XTRIM', `${prefix}:{ctl}:log`, 'MAXLEN', 0)),
    async pass(ms) {
      const end = (await time()) + ms;
      await until(async () => (await time()) > end, { what: `${ms} ms of Redis time`, everyMs: Math.min(ms, 5) });
    },
    nowMs: async () => Math.floor(await time()),
    async close() {
      await Promise.all([...incarnations.keys()].map((backplane) => backplane.close()));
    },
  };
};
