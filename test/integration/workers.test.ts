import { createServer } from 'node:net';
import {
  type GatewayProcess,
  type RedisServer,
  runReplyx,
  startGateway,
  startRedis,
  TEST_API_KEY,
  TEST_SECRET_KEY,
  TEST_SITE_SECRET,
  type TestClient,
  until,
} from '@replyx/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { childrenOf, isAlive } from './processes.js';
import { at, inParallel, joinOperator, joinVisitor, makeDialog, nodeOfProcess, type World } from './world.js';

const WORKERS = 2;
const SOCKETS = 60;

let redis: RedisServer;
let process_: GatewayProcess;
let world: World;

beforeAll(async () => {
  redis = await startRedis();
  process_ = await startGateway(
    {
      REDIS_URL: redis.url,
      NODE_ID: 'port',
      WS_NODE_TTL_SECONDS: 3,
      WS_DRAIN_WAIT_SECONDS: 1,
      WS_RATE_LIMIT_PER_IP: 0,
      WS_MAX_CONNECTIONS_PER_IP: 0,
      WS_MAX_CONNECTIONS_PER_USER: 0,
      WS_MAX_CONNECTIONS_PER_DIALOG: 0,
    },
    ['--workers', String(WORKERS)],
  );
  world = { nodes: [nodeOfProcess(process_)], processes: [process_], redis, close: async () => {} };
  await makeDialog(world, 'd');
});
afterAll(async () => {
  await process_?.kill();
  await redis?.kill();
});

interface ClusterNode {
  readonly id: string;
  readonly connections: number;
}

const clusterNodes = async (): Promise<ClusterNode[]> =>
  ((await at(world.nodes, 0).api.get('/v1/cluster')).body as { nodes: ClusterNode[] }).nodes;

/** The sum over the labels of one metric, as one scrape tells it. */
const scraped = async (name: string): Promise<number[]> => {
  const text = await (await fetch(`${process_.internalUrl}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    .map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)));
};
const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

describe('workers of one port', () => {
  const clients: TestClient[] = [];
  afterAll(async () => {
    await Promise.all(clients.map((client) => client.close()));
  });

  it('are nodes of one cluster, and share a dialog', async () => {
    const node = at(world.nodes, 0);
    await inParallel(Array.from({ length: SOCKETS }), 10, async () => {
      clients.push(await joinVisitor(node, 'd'));
    });
    const operator = await joinOperator(node, 'd');
    await operator.publish('to all of them');
    await Promise.all(clients.map((client) => client.waitFor((frame) => frame['text'] === 'to all of them')));
    clients.push(operator);

    // Each worker has its own view, as old as its last heartbeat.
    let nodes: ClusterNode[] = [];
    const isTold = async () => {
      nodes = await clusterNodes();
      return total(nodes.map(({ connections }) => connections)) === clients.length;
    };
    await until(isTold, { what: 'the heartbeats to tell of every socket' });
    expect(nodes.map(({ id }) => id).sort()).toEqual(['port-1', 'port-2']);
    // The kernel spreads by a hash of the addresses: none of them is left out.
    for (const { connections } of nodes) expect(connections).toBeGreaterThan(SOCKETS / 10);
  });

  it('are told together by one scrape and one probe, whichever of them answers', async () => {
    for (let look = 0; look < 6; look += 1) {
      expect(total(await scraped('replyx_connections'))).toBe(clients.length);
      expect(await scraped('replyx_ready')).toEqual([1]);
      const ready = await fetch(`${process_.internalUrl}/readyz`, { headers: { Connection: 'close' } });
      expect([ready.status, await ready.json()]).toEqual([200, { status: 'ready', reasons: [] }]);
    }
  });

  it('do not miss one that is killed: its sockets come back, the others stay, and it is started again', async () => {
    const before = childrenOf(process_.pid);
    expect(before).toHaveLength(WORKERS);
    const [victim] = before as [number];
    const counted = total(await scraped('replyx_joins_total'));
    expect(counted).toBeGreaterThanOrEqual(clients.length);
    process.kill(victim, 'SIGKILL');
    let cut = 0;
    for (const client of clients) void client.closed.then(() => (cut += 1));
    const isListening = () => process_.logEntries().filter(({ event }) => event === 'listening').length > WORKERS;
    await until(isListening, { what: 'another worker in its place' });
    expect(isAlive(victim)).toBe(false);
    expect(childrenOf(process_.pid)).toHaveLength(WORKERS);
    expect(cut).toBeGreaterThan(0);
    expect(cut).toBeLessThan(clients.length);
    await until(async () => total(await scraped('replyx_connections')) === clients.length - cut, {
      what: 'a scrape of both',
    });
    expect(process_.logEntries().filter(({ event }) => event === 'worker_ended')).toHaveLength(1);
    // A sum that fell would be counted again from nothing by whoever scrapes.
    expect(total(await scraped('replyx_joins_total'))).toBe(counted);
  });

  it('do not keep one that is stuck: the port is not ready, until it is ended and started again', async () => {
    const [victim] = childrenOf(process_.pid) as [number];
    const times = (name: string) => process_.logEntries().filter(({ event }) => event === name).length;
    const listened = times('listening');
    const stuck = times('worker_stuck');
    const readiness = async (): Promise<unknown> => {
      const options = { headers: { Connection: 'close' }, signal: AbortSignal.timeout(5_000) };
      return (await fetch(`${process_.internalUrl}/readyz`, options)).json().catch(() => undefined);
    };
    const SILENT = JSON.stringify({ status: 'not_ready', reasons: ['worker_silent'] });
    process.kill(victim, 'SIGSTOP');
    // The kernel gives half of the probes to the one that is stuck, where they time out: of one after the other, all could.
    const probes = Array.from({ length: 16 }, () => readiness().catch(() => undefined));
    expect((await Promise.all(probes)).map((body) => JSON.stringify(body))).toContain(SILENT);
    await until(() => times('listening') > listened, { what: 'another worker in its place', hangGuardMs: 60_000 });
    expect(times('worker_stuck')).toBe(stuck + 1);
    expect(isAlive(victim)).toBe(false);
    await until(async () => JSON.stringify(await readiness()) === JSON.stringify({ status: 'ready', reasons: [] }), {
      what: 'the port to be ready',
    });
  });

  it('drain together, and the parent ends in order with the last', async () => {
    const pids = childrenOf(process_.pid);
    // As a service manager does, which signals every process of a service: none of them is hurried by that.
    for (const pid of pids) process.kill(pid, 'SIGTERM');
    const exit = await process_.stop();
    expect(exit).toEqual({ code: 0, signal: null });
    expect(pids.filter(isAlive)).toEqual([]);
    const open = clients.filter((client) => client.isOpen);
    expect(open).toEqual([]);
    const times = (name: string) =>
      process_.logEntries().flatMap(({ event, time }) => (event === name ? [Date.parse(String(time))] : []));
    expect(Math.min(...times('stopped')) - Math.min(...times('draining'))).toBeGreaterThanOrEqual(1_000);
    const events = process_.logEntries().map(({ event }) => event);
    expect(events.filter((event) => event === 'stopped' || event === 'workers_stopped')).toEqual([
      'stopped',
      'stopped',
      'workers_stopped',
    ]);
  });
});

describe('workers that do not leave', () => {
  it('are killed when the grace is over, and the parent says so by its exit code', async () => {
    const own = await startRedis();
    const grace = { WS_DRAIN_WAIT_SECONDS: 0, WS_DRAIN_SPREAD_SECONDS: 0, WS_DRAIN_GRACE_SECONDS: 4 };
    const parent = await startGateway({ REDIS_URL: own.url, NODE_ID: 'late', ...grace }, ['--workers', '2']);
    try {
      const pids = childrenOf(parent.pid);
      const [stuck] = pids as [number];
      process.kill(stuck, 'SIGSTOP');
      expect(await parent.stop()).toEqual({ code: 1, signal: null });
      expect(pids.filter(isAlive)).toEqual([]);
      expect(parent.logEntries().map(({ event }) => event)).toContain('drain_deadline_missed');
    } finally {
      await parent.kill();
      await own.kill();
    }
  });
});

describe('workers that cannot be', () => {
  const env = {
    ENVIRONMENT: 'test',
    SECRET_KEY: TEST_SECRET_KEY,
    SITE_SECRET: TEST_SITE_SECRET,
    API_KEYS: TEST_API_KEY,
    INTERNAL_PORT: 0,
  };

  it.each<[string, string[], Record<string, string | number>, RegExp, number]>([
    ['no Redis to share', ['--workers', '2'], { PORT: 0 }, /^replyx: --workers needs REDIS_URL[^\n]*\n$/, 1],
    ['a number that is none', ['--workers', '0'], { PORT: 0 }, /^replyx: --workers takes 1 to 99, or auto[^\n]*\n/, 2],
    [
      'a bad setting',
      ['--workers', '2'],
      { PORT: 'x', REDIS_URL: 'redis://127.0.0.1:1' },
      /^replyx: [^\n]*PORT[^\n]*\n$/,
      1,
    ],
  ])('say so in one line: %s', async (_, args, given, line, code) => {
    const result = await runReplyx(['serve', ...args], { ...env, ...given });
    expect(result.stderr).toMatch(line);
    expect(result.code).toBe(code);
  });

  it('say so in one line: a port that somebody else has', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await until(() => other.listening, { what: 'the other to listen' });
    const { port } = other.address() as { port: number };
    const own = await startRedis();
    try {
      const result = await runReplyx(['serve', '--workers', '2'], {
        ...env,
        HOST: '127.0.0.1',
        PORT: port,
        REDIS_URL: own.url,
      });
      expect(result.stderr).toMatch(/^replyx: cannot listen on 127\.0\.0\.1:\d+: [^\n]*\n$/);
      expect(result.code).toBe(1);
    } finally {
      other.close();
      await own.kill();
    }
  });
});
