import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import type { Backplane } from '@replyx/core';
import { type RedisServer, startRedis, until } from '@replyx/testkit';
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
  const closers: (() => void)[] = [];
  beforeAll(async () => {
    server = await startRedis({ cluster: true });
    world = makeRedisWorld(server);
  });
  afterEach(async () => {
    for (const close of closers.splice(0)) close();
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
    const liar = await veiled(server.port);
    closers.push(liar.close);
    const node = await world.open({ url: `redis://127.0.0.1:${liar.port}` });
    await expect(newcomers(node)).rejects.toThrow(/^Redis: CROSSSLOT/);
    await until(async () => (await newcomers(node)).every((told) => told === ALL_IN[0]), {
      what: 'everybody to be in',
    });
  });
});

/** The same server behind another port, which says that it is in no cluster. */
const veiled = async (port: number): Promise<{ readonly port: number; readonly close: () => void }> => {
  const sockets = new Set<Socket>();
  const server: Server = createServer((client) => {
    const upstream = dial(port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        client.destroy();
        upstream.destroy();
      });
    }
    client.pipe(upstream);
    upstream.on('data', (bytes) => {
      client.write(bytes.toString('latin1').replace('cluster_enabled:1', 'cluster_enabled:0'), 'latin1');
    });
  }).listen(0, '127.0.0.1');
  await until(() => server.listening, { what: 'the other port' });
  return {
    port: (server.address() as { port: number }).port,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
};
