import type { Backplane } from '@replyx/core';
import { type RedisServer, startProxy, startRedis, type TcpProxy, until } from '@replyx/testkit';
import { freshId } from '@replyx/testkit/contract';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { makeRedisWorld, type RedisWorld } from './redis-world.js';

/** What many newcomers ask of one node at the same moment: windows, places and registrations of many slots. */
const newcomers = async (node: Backplane): Promise<string[]> => {
  const one = async (n: number): Promise<string> => {
    const [connectionId, dialogId, address] = [freshId('c'), freshId('d'), `192.0.2.${n}`];
    const windows = [{ name: 'connects', limit: 5, windowMs: 60_000, cost: 1 }];
    const taken = await node.limiter.take({ kind: 'ip', key: address }, windows);
    const leased = await node.leases.acquire({
      connectionId,
      user: 'tenant:user:u',
      scopes: [
        { kind: 'user', key: freshId('u'), limit: 5 },
        { kind: 'address', key: address, limit: 5 },
        { kind: 'cluster', key: '', limit: 1_000 },
      ],
      atLimit: 'refuse',
    });
    const registered = await node.roster.register({
      dialogId,
      connectionId,
      member: { role: 'user', id: `u${n}`, publicId: `u${n}` },
      claim: { tenant: 'tenant', assistantId: 'assistant', directory: 'open' },
    });
    return [taken.status, leased.status, registered.status].join(' ');
  };
  return Promise.all(Array.from({ length: 20 }, (_, n) => one(n)));
};

const ALL_IN = Array.from({ length: 20 }, () => 'taken leased registered');

describe('a server in cluster mode that is named as a single one', () => {
  let server: RedisServer;
  let world: RedisWorld;
  let proxy: TcpProxy | undefined;
  beforeAll(async () => {
    server = await startRedis({ cluster: true });
    world = makeRedisWorld(server);
  });
  afterEach(async () => {
    await proxy?.close();
  });
  afterAll(async () => {
    await world.close();
    await server.kill();
  });

  test('takes no script of several slots, and is not asked for one', async () => {
    const node = await world.open({ url: `redis://127.0.0.1:${server.port}` });
    expect(await newcomers(node)).toEqual(ALL_IN);
  });

  test('where it does not tell, the first refusal is an outage, and from then on each slot has its own', async () => {
    const TOLD = 'cluster_enabled:';
    proxy = await startProxy({ port: server.port });
    proxy.editReplies((chunk) => {
      const at = chunk.indexOf(`${TOLD}1`);
      if (at !== -1) chunk.write('0', at + TOLD.length);
    });
    const node = await world.open({ url: `redis://127.0.0.1:${proxy.port}` });
    await expect(newcomers(node)).rejects.toThrow(/^Redis: CROSSSLOT/);
    await until(async () => (await newcomers(node)).every((told) => told === ALL_IN[0]), {
      what: 'everybody to be in',
    });
  });
});
