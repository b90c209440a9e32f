import { readFileSync } from 'node:fs';
import {
  GatewayProcess,
  type RedisServer,
  startGateway,
  startProxy,
  startRedis,
  type TestClient,
  until,
} from '@replyx/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { childrenOf, isAlive } from './processes.js';
import { inParallel, joinVisitor, makeDialog, nodeOfProcess, type World } from './world.js';

const WORKERS = ['--workers', '2'];
const SOCKETS = 20;
const SERVICE_RESTART = 1012;

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  await redis?.kill();
});

const eventsOf = (parent: GatewayProcess, name: string): Record<string, unknown>[] =>
  parent.logEntries().filter(({ event }) => event === name);

/** A connection of its own, so that each of them may reach another worker. */
const get = (parent: GatewayProcess, path: string): Promise<Response> =>
  fetch(`${parent.internalUrl}${path}`, { headers: { Connection: 'close' } });

interface Port {
  readonly parent: GatewayProcess;
  readonly pids: readonly number[];
  readonly clients: readonly TestClient[];
}

const startPort = async (name: string, env: Record<string, number>): Promise<Port> => {
  const limits = { WS_RATE_LIMIT_PER_IP: 0, WS_MAX_CONNECTIONS_PER_IP: 0, WS_MAX_CONNECTIONS_PER_USER: 0 };
  const parent = await startGateway({ REDIS_URL: redis.url, NODE_ID: name, ...limits, ...env }, WORKERS);
  const world: World = { nodes: [nodeOfProcess(parent)], processes: [parent], redis, close: async () => {} };
  await makeDialog(world, name);
  const clients: TestClient[] = [];
  await inParallel(Array.from({ length: SOCKETS }), 10, async () => {
    clients.push(await joinVisitor(nodeOfProcess(parent), name));
  });
  return { parent, pids: childrenOf(parent.pid), clients };
};

const endPort = async ({ parent, pids, clients }: Port): Promise<void> => {
  parent.resume();
  await Promise.all(clients.map((client) => client.close()));
  for (const pid of pids.filter(isAlive)) process.kill(pid, 'SIGKILL');
  await parent.kill();
};

/** What one scrape tells of the sockets: those of all workers, where the parent answers. */
const scrapedSockets = async (parent: GatewayProcess): Promise<number> => {
  const text = await (await get(parent, '/metrics')).text();
  return [...text.matchAll(/^replyx_connections\{.*\} (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
};

describe('workers whose parent is killed', () => {
  it('leave in order, whatever they are asked meanwhile', async () => {
    const port = await startPort('orphans', {
      WS_NODE_TTL_SECONDS: 3,
      WS_DRAIN_WAIT_SECONDS: 5,
      WS_DRAIN_SPREAD_SECONDS: 0,
    });
    const { parent, pids, clients } = port;
    try {
      process.kill(parent.pid, 'SIGKILL');
      await until(() => eventsOf(parent, 'draining').length === pids.length, { what: 'both to leave' });
      expect(eventsOf(parent, 'draining').map(({ reason }) => reason)).toEqual(['parent_gone', 'parent_gone']);
      for (let look = 0; look < 8; look += 1) {
        const ready = await get(parent, '/readyz');
        expect([ready.status, await ready.json()]).toEqual([503, { status: 'not_ready', reasons: ['draining'] }]);
        expect((await get(parent, '/metrics')).status).toBe(200);
      }
      const closes = await Promise.all(clients.map((client) => client.closed));
      expect(new Set(closes.map(({ code }) => code))).toEqual(new Set([SERVICE_RESTART]));
      await until(() => !pids.some(isAlive), { what: 'both to have ended' });
      expect(eventsOf(parent, 'stopped')).toHaveLength(pids.length);
    } finally {
      await endPort(port);
    }
  });

  it('leave, too, where it was killed before they had started', async () => {
    const proxy = await startProxy(redis);
    const env = { REDIS_URL: `redis://${proxy.address}`, NODE_ID: 'unborn', PORT: 0, INTERNAL_PORT: 0 };
    const parent = new GatewayProcess({ ...env, WS_DRAIN_WAIT_SECONDS: 0, WS_DRAIN_SPREAD_SECONDS: 0 }, WORKERS);
    proxy.blackhole();
    const started = parent.start();
    started.catch(() => {});
    let pids: number[] = [];
    try {
      await until(() => proxy.accepted > 0, { what: 'a worker to ask for Redis' });
      pids = childrenOf(parent.pid);
      expect(pids).toHaveLength(1);
      process.kill(parent.pid, 'SIGKILL');
      await until(() => childrenOf(parent.pid).length === 0, { what: 'the parent to have ended' });
      proxy.heal();
      await until(() => !pids.some(isAlive), { what: 'the worker to have ended' });
      expect(eventsOf(parent, 'draining').map(({ reason }) => reason)).toEqual(['parent_gone']);
      await expect(started).rejects.toThrow('SIGKILL');
    } finally {
      for (const pid of pids.filter(isAlive)) process.kill(pid, 'SIGKILL');
      await parent.kill();
      await proxy.close();
    }
  });
});

describe('workers whose parent is frozen', () => {
  it('answer for themselves, and all live when it goes on', async () => {
    const port = await startPort('frozen', { WS_NODE_TTL_SECONDS: 3 });
    const { parent, pids, clients } = port;
    try {
      parent.pause();
      // Each answer comes when the worker has waited 2 s for the parent: together longer than a worker may be silent.
      for (let look = 0; look < 8; look += 1) expect((await get(parent, '/readyz')).status).toBe(200);
      parent.resume();
      await until(async () => (await scrapedSockets(parent)) === SOCKETS, { what: 'the parent to answer for both' });
      expect(eventsOf(parent, 'worker_stuck')).toEqual([]);
      expect(childrenOf(parent.pid).sort()).toEqual([...pids].sort());
      expect(clients.filter(({ isOpen }) => !isOpen)).toEqual([]);
    } finally {
      await endPort(port);
    }
  });

  it('that die meanwhile do not take it along', async () => {
    const port = await startPort('asked', { WS_NODE_TTL_SECONDS: 3 });
    const { parent, pids } = port;
    try {
      parent.pause();
      // What they ask the parent lies unread, and makes it ask the one that is dead.
      await Promise.all(Array.from({ length: 16 }, () => get(parent, '/readyz').then((ready) => ready.json())));
      const [victim, other] = pids as [number, number];
      process.kill(victim, 'SIGKILL');
      await until(() => /\) Z /.test(readFileSync(`/proc/${victim}/stat`, 'utf8')), { what: 'it to have ended' });
      parent.resume();
      const isAnother = () => eventsOf(parent, 'listening').length > pids.length;
      await until(isAnother, { what: 'another worker in its place' });
      expect(parent.running).toBe(true);
      expect(isAlive(other)).toBe(true);
      expect(eventsOf(parent, 'worker_ended').map(({ line }) => line)).toEqual([
        expect.stringContaining('ended by itself (SIGKILL)'),
      ]);
    } finally {
      await endPort(port);
    }
  });
});

describe('workers that are asked to stop while they start', () => {
  it('end at once, and the parent in order', async () => {
    const proxy = await startProxy(redis);
    const env = { REDIS_URL: `redis://${proxy.address}`, NODE_ID: 'early', PORT: 0, INTERNAL_PORT: 0 };
    const parent = new GatewayProcess(env, WORKERS);
    proxy.blackhole();
    const started = parent.start();
    started.catch(() => {});
    try {
      await until(() => proxy.accepted > 0, { what: 'a worker to ask for Redis' });
      const pids = childrenOf(parent.pid);
      expect(pids).toHaveLength(1);
      expect(await parent.stop()).toEqual({ code: 0, signal: null });
      expect(pids.filter(isAlive)).toEqual([]);
      expect(eventsOf(parent, 'workers_draining').map(({ reason }) => reason)).toEqual(['SIGTERM']);
      expect(eventsOf(parent, 'workers_stopped')).toHaveLength(1);
      await expect(started).rejects.toThrow('code 0');
    } finally {
      await parent.kill();
      await proxy.close();
    }
  });
});
