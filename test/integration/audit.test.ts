import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import {
  type CommandResult,
  freePort,
  type GatewayProcess,
  type ProcessEnv,
  type RedisServer,
  runReplyx,
  startGateway,
  startRedis,
  until,
} from '@replyx/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ProductionReference, productionReference, redisPassword } from './production-reference.js';

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly subject: string;
  readonly detail: string;
}

let redis: RedisServer;
let reference: ProductionReference;
let node: GatewayProcess;
/** Everything that any audit here wrote. */
const written: string[] = [];

const audit = async (args: readonly string[], env: ProcessEnv = {}): Promise<CommandResult> => {
  const result = await runReplyx(['audit', ...args], env);
  written.push(result.stdout, result.stderr);
  return result;
};

const findingsOf = async (args: readonly string[], env: ProcessEnv = {}): Promise<Finding[]> => {
  const { code, stdout, stderr } = await audit([...args, '--format', 'json'], env);
  expect(stderr).toBe('');
  const { findings } = JSON.parse(stdout) as { findings: Finding[] };
  expect(code).toBe(findings.some(({ severity }) => severity === 'high') ? 1 : 0);
  return findings;
};

/** Ids of what is above info. */
const faultsOf = async (args: readonly string[], env: ProcessEnv = {}): Promise<string[]> =>
  [...new Set((await findingsOf(args, env)).flatMap(({ id, severity }) => (severity === 'info' ? [] : id)))].sort();

const asReference = (): string[] => ['--env-file', reference.envFile()];

beforeAll(async () => {
  redis = await startRedis({ password: redisPassword, appendonly: true });
  reference = await productionReference(redis);
  const absent = { SECRET_KEY: undefined, SITE_SECRET: undefined, API_KEYS: undefined };
  node = await startGateway({ ...absent, ...reference.env });
});

afterAll(async () => {
  await node.kill();
  await redis.kill();
});

describe('the reference configuration, its Redis and its node', () => {
  it('have no finding above info', async () => {
    const addresses = ['--url', node.httpUrl, '--internal-url', node.internalUrl];
    const findings = await findingsOf([...asReference(), ...addresses]);
    expect(findings.filter(({ severity }) => severity !== 'info')).toEqual([]);
    const promise = findings.find(({ id }) => id === 'RX707');
    expect(promise?.detail).toContain('loses up to two seconds');
  });

  it('have none in text either, and the promise of syncing always is told', async () => {
    await redis.cli('CONFIG', 'SET', 'appendfsync', 'always');
    const { code, stdout } = await audit([...asReference(), '--url', node.wsUrl, '--internal-url', node.internalUrl]);
    await redis.cli('CONFIG', 'SET', 'appendfsync', 'everysec');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^0 high, 0 medium, 0 low, \d+ info\.$/m);
    expect(stdout).toContain(`Redis 127.0.0.1:${redis.port} syncs always`);
    expect(stdout).toContain(`Looked at the configuration, Redis 127.0.0.1:${redis.port}, node ${node.internalUrl}`);
  });

  it('are known by the internal address alone', async () => {
    expect(await faultsOf([...asReference(), '--url', node.internalUrl])).toEqual([]);
  });
});

describe('a fault in the configuration is found, and nothing else', () => {
  type Changes = Readonly<Record<string, string | undefined>>;
  const rows: readonly (readonly [string, string, () => Changes])[] = [
    ['RX001', 'a number out of range', () => ({ PORT: '99999' })],
    ['RX001', 'a secret file that is not there', () => ({ SECRET_KEY_FILE: '/nowhere' })],
    ['RX002', 'not production', () => ({ ENVIRONMENT: 'staging', WS_ALLOW_QUERY_TOKEN: 'false' })],
    ['RX003', 'an unknown name', () => ({ WS_WARP_FACTOR: '9' })],
    ['RX101', 'no API keys', () => ({ API_KEYS_FILE: undefined })],
    [
      'RX102',
      'a secret in the environment',
      () => ({ SITE_SECRET_FILE: undefined, SITE_SECRET: reference.secrets[1] }),
    ],
    ['RX103', 'one secret for two', () => ({ SITE_SECRET_FILE: reference.env['SECRET_KEY_FILE'] })],
    ['RX104', 'a short secret', () => ({ SECRET_KEY_FILE: reference.secretFile('q3Vn8dTzWc5LrYpG') })],
    ['RX105', 'an example', () => ({ SECRET_KEY_FILE: reference.secretFile('please-change-me-please-change-me') })],
    ['RX106', 'a repetition', () => ({ SECRET_KEY_FILE: reference.secretFile('k3Vn8dTz'.repeat(5)) })],
    ['RX201', 'tokens in the query', () => ({ WS_ALLOW_QUERY_TOKEN: 'true' })],
    ['RX202', 'no origins', () => ({ CORS_ORIGINS: undefined })],
    ['RX203', 'an http origin', () => ({ CORS_ORIGINS: 'http://app.example.com' })],
    ['RX204', 'an http page', () => ({ WS_WIDGET_ORIGINS: 'http://widget.example.com' })],
    ['RX206', 'an open directory', () => ({ WS_DIRECTORY: 'open' })],
    ['RX209', 'tokens of ten years', () => ({ WS_TOKEN_MAX_LIFE_SECONDS: '315360000' })],
    ['RX301', 'a dry run', () => ({ WS_RATE_LIMIT_DRY_RUN: 'true' })],
    ['RX302', 'no limit of connects', () => ({ WS_RATE_LIMIT_PER_IP: '0' })],
    ['RX303', 'no limit of messages', () => ({ WS_RATE_LIMIT_MESSAGES: '0' })],
    ['RX304', 'no bans', () => ({ WS_BAN_SCORE: '0' })],
    ['RX401', 'everybody trusted', () => ({ WS_TRUSTED_PROXIES: '0.0.0.0/0' })],
    ['RX403', 'a public internal listener', () => ({ INTERNAL_HOST: '203.0.113.9' })],
    ['RX404', 'an internal listener everywhere', () => ({ INTERNAL_HOST: '0.0.0.0' })],
    ['RX501', 'debug logs', () => ({ LOG_LEVEL: 'debug' })],
    ['RX503', 'a long drain', () => ({ WS_DRAIN_GRACE_SECONDS: '60' })],
    ['RX505', 'more sockets than descriptors', () => ({ WS_MAX_TOTAL_CONNECTIONS: '4000000' })],
    ['RX601', 'no Redis', () => ({ REDIS_URL_FILE: undefined })],
    [
      'RX607',
      'two lock masters',
      () => ({ WS_LOCK_REDIS_URLS_FILE: reference.secretFile(lockUrls('127.0.0.1', 'localhost')) }),
    ],
    ['RX701', 'a login that is wrong', () => ({ REDIS_URL_FILE: reference.secretFile(redis.url.replace('@', 'x@')) })],
  ];
  const lockUrls = (...hosts: string[]): string => hosts.map((host) => redis.url.replace('127.0.0.1', host)).join(',');

  it.each(rows)('%s: %s', async (id, _what, changes) => {
    expect(await faultsOf(['--env-file', reference.envFile(changes())])).toEqual([id]);
  });
});

describe('a fault of the Redis is found, and nothing else', () => {
  const rows: readonly (readonly [string, string, string, string])[] = [
    ['RX703', 'maxmemory-policy', 'allkeys-lru', 'noeviction'],
    ['RX704', 'appendonly', 'no', 'yes'],
    ['RX708', 'appendfsync', 'no', 'everysec'],
    ['RX710', 'no-appendfsync-on-rewrite', 'yes', 'no'],
  ];
  it.each(rows)('%s: %s %s', async (id, setting, bad, good) => {
    await redis.cli('CONFIG', 'SET', setting, bad);
    const faults = await faultsOf(asReference());
    await redis.cli('CONFIG', 'SET', setting, good);
    expect(faults).toEqual([id]);
  });

  it('RX706: no login is asked for', async () => {
    const open = await startRedis({ appendonly: true });
    const url = reference.secretFile(open.url.replace('redis://', `redis://:${redisPassword}@`));
    expect(await faultsOf(['--env-file', reference.envFile({ REDIS_URL_FILE: url })])).toEqual(['RX706']);
    await open.kill();
  });

  it('RX701: nobody answers, in one line', async () => {
    const url = reference.secretFile(`redis://:${redisPassword}@127.0.0.1:${await freePort()}`);
    const { code, stdout, stderr } = await audit(['--env-file', reference.envFile({ REDIS_URL_FILE: url })]);
    expect([code, stderr]).toEqual([1, '']);
    expect(stdout).toMatch(
      /^high {4}RX701 {2}Redis does not tell what it is: Redis 127\.0\.0\.1:\d+ connection refused$/m,
    );
  });
});

/** An edge in front of the node's public port, which may change what passes. */
const startEdge = async (changes: Readonly<Record<string, string | undefined>>): Promise<Server> => {
  const edge = createServer((incoming, outgoing) => {
    const { method, url, headers } = incoming;
    const passed = request(`${node.httpUrl}${url}`, { method, headers }, (answer) => {
      const all = Object.entries({ ...answer.headers, ...changes }).filter(([, value]) => value !== undefined);
      outgoing.writeHead(answer.statusCode ?? 502, Object.fromEntries(all));
      answer.pipe(outgoing);
    });
    passed.on('error', () => outgoing.destroy());
    incoming.pipe(passed);
  });
  edge.listen(0, '127.0.0.1');
  await once(edge, 'listening');
  return edge;
};

describe('a fault of the node or the edge is found, and nothing else', () => {
  it('RX805: it takes another key', async () => {
    const args = [...asReference(), '--internal-url', node.internalUrl];
    expect(await faultsOf(args, { REPLYX_API_KEY: 'Jd8mQz4TnXw6RkPvLcYb2HsGfUeA9oIq' })).toEqual(['RX805']);
    expect(await faultsOf(args, { REPLYX_API_KEY: reference.apiKey })).toEqual([]);
  });

  it('RX801 and RX901: nobody is there', async () => {
    const nowhere = `http://127.0.0.1:${await freePort()}`;
    expect(await faultsOf([...asReference(), '--internal-url', nowhere])).toEqual(['RX801']);
    expect(await faultsOf([...asReference(), '--url', nowhere])).toEqual(['RX901']);
  });

  it('RX902 and RX903: the edge leads to the internal listener', async () => {
    const addresses = ['--url', node.internalUrl, '--internal-url', node.internalUrl];
    expect(await faultsOf([...asReference(), ...addresses])).toEqual(['RX902', 'RX903']);
  });

  it('RX505: the node itself says how many descriptors it has', async () => {
    const env = reference.envFile({ WS_MAX_TOTAL_CONNECTIONS: '4000000' });
    const findings = await findingsOf(['--env-file', env, '--internal-url', node.internalUrl]);
    const above = findings.filter(({ severity }) => severity !== 'info');
    expect(above).toMatchObject([{ id: 'RX505', subject: node.internalUrl }]);
  });

  const rows: readonly (readonly [string, string, Record<string, string | undefined>, Record<string, string>])[] = [
    ['RX904', 'an edge that takes the header away', { via: '1.1 edge', 'x-content-type-options': undefined }, {}],
    ['RX908', 'an edge that is not trusted', { via: '1.1 edge' }, { WS_TRUSTED_PROXIES: '' }],
    [
      'RX910',
      'an edge that lets every origin in',
      { 'access-control-allow-origin': '*', 'access-control-allow-credentials': 'true' },
      {},
    ],
  ];
  it.each(rows)('%s: %s', async (id, _what, headers, changes) => {
    const edge = await startEdge(headers);
    const { port } = edge.address() as { port: number };
    const args = ['--env-file', reference.envFile(changes), '--url', `http://127.0.0.1:${port}`];
    expect(await faultsOf([...args, '--internal-url', node.internalUrl])).toEqual([id]);
    edge.close();
  });

  it('RX802: it is draining', async () => {
    const second = await startGateway({
      SECRET_KEY: undefined,
      SITE_SECRET: undefined,
      API_KEYS: undefined,
      ...reference.env,
      NODE_ID: 'second',
      PORT: await freePort(),
      INTERNAL_PORT: await freePort(),
      WS_DRAIN_WAIT_SECONDS: 600,
      WS_DRAIN_GRACE_SECONDS: 700,
    });
    // It takes signals from the moment at which it answers.
    await fetch(`${second.internalUrl}/livez`);
    process.kill(second.pid, 'SIGTERM');
    const isUnready = async () => (await fetch(`${second.internalUrl}/readyz`)).status === 503;
    await until(isUnready, { what: 'the node to say that it drains' });
    const findings = await findingsOf([...asReference(), '--internal-url', second.internalUrl]);
    await second.kill();
    expect(findings.filter(({ severity }) => severity !== 'info')).toMatchObject([
      { id: 'RX802', subject: second.internalUrl, detail: 'says draining' },
    ]);
  });
});

it('no audit has shown a secret', () => {
  expect(written.length).toBeGreaterThan(0);
  const all = written.join('\n');
  for (const secret of reference.secrets) expect(all).not.toContain(secret);
  expect(node.logs().join('\n')).not.toContain(reference.apiKey);
});
