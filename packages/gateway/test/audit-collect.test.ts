import { describe, expect, it } from 'vitest';
import { type AddressKind, addressKind } from '../src/audit/address-kind.js';
import { audit } from '../src/audit/checks.js';
import { collect } from '../src/audit/collect.js';
import type { AuditFacts } from '../src/audit/facts.js';
import { isGuessable } from '../src/audit/secret-facts.js';
import type { Fetch } from '../src/auth/jwks.js';
import { systemRandom } from '../src/system-clock.js';
import { collected, dateHeader } from './audit-fixtures.js';
import { ManualClock } from './auth-fixtures.js';
import { API_KEY } from './config-fixtures.js';

const NODE = 'http://10.0.0.1:9090';
const EDGE = 'https://chat.example.com';
const METRICS = '# HELP replyx_ready Whether it is ready\nreplyx_ready 1\nprocess_max_fds 4096\n';
const NODES = { nodes: [{ id: 'a', version: '1.2.3', lag_ms: 3.5 }, null] };

type Reply = (init: RequestInit) => Response;
type World = Readonly<Record<string, Reply>>;

const json = (status: number, body: unknown, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(body), { status, headers });
const problem = (status: number, code: string): Response =>
  json(status, { code }, { 'content-type': 'application/problem+json', 'x-content-type-options': 'nosniff' });
const headerOf = (init: RequestInit, name: string): string | null => new Headers(init.headers).get(name);

/** A node's internal listener. */
const node: World = {
  '/livez': () => json(200, { status: 'alive' }, { date: dateHeader() }),
  '/readyz': () => json(200, { status: 'ready', reasons: [] }),
  '/metrics': () => new Response(METRICS),
  '/v1/cluster': (init) =>
    headerOf(init, 'authorization') === `Bearer ${API_KEY}` ? json(200, NODES) : problem(401, 'unauthorized'),
  '/v1/openapi.json': () => problem(401, 'unauthorized'),
};
/** Its public one, which has no route that is asked here. */
const open: World = {};

const fetchOf =
  (worlds: Readonly<Record<string, World>>, asked: string[] = []): Fetch =>
  async (url, init) => {
    asked.push(`${init.method} ${url}`);
    const { origin, pathname } = new URL(url);
    const world = worlds[origin];
    if (world === undefined) throw new TypeError('fetch failed', { cause: { code: 'ECONNREFUSED', name: 'Error' } });
    return world[pathname]?.(init) ?? problem(404, 'not_found');
  };

const look = (
  worlds: Readonly<Record<string, World>>,
  urls: readonly string[],
  internalUrls: readonly string[] = [],
  key?: string,
): Promise<AuditFacts> => collected({}, { fetch: fetchOf(worlds), urls, internalUrls, key });

const found = async (facts: Promise<AuditFacts>): Promise<string[]> =>
  audit(await facts).flatMap(({ id, severity }) => (severity !== 'info' && /^RX[89]/.test(id) ? id : []));

describe('a node at its internal address', () => {
  it('is asked with a key of the configuration, and told in facts', async () => {
    const facts = await look({ [NODE]: node }, [], [NODE]);
    expect(facts.edges).toEqual([]);
    expect(facts.nodes).toEqual([
      {
        url: NODE,
        reached: true,
        place: 'private',
        unready: [],
        metrics: true,
        descriptors: 4096,
        openToAll: false,
        acceptsKey: true,
        cluster: [{ id: 'a', version: '1.2.3', lagMs: 3.5 }],
        clock: { offsetMs: 500, errorMs: 500 },
      },
    ]);
  });

  it('is known without --internal-url where the address is private', async () => {
    const facts = await look({ [NODE]: node }, [NODE]);
    expect([facts.nodes.length, facts.edges.length]).toEqual([1, 0]);
  });

  const faults: readonly (readonly [string, string[], World])[] = [
    ['not ready', ['RX802'], { ...node, '/readyz': () => json(503, { reasons: ['draining'] }) }],
    ['no metrics', ['RX803'], { ...node, '/metrics': () => new Response('hello') }],
    ['takes any key', ['RX804'], { ...node, '/v1/cluster': () => json(200, NODES) }],
    ['takes another key', ['RX805'], { ...node, '/v1/cluster': () => problem(401, 'unauthorized') }],
    [
      'a clock that is a minute behind',
      ['RX809'],
      { ...node, '/livez': () => json(200, { status: 'alive' }, { date: dateHeader(-60_000) }) },
    ],
    ['no clock', [], { ...node, '/livez': () => json(200, { status: 'alive' }, { date: 'today' }) }],
    ['another service', ['RX801'], { '/livez': () => new Response('<html>') }],
  ];
  it.each(faults)('%s', async (_name, ids, world) => {
    expect(await found(look({ [NODE]: world }, [], [NODE]))).toEqual(ids);
  });

  it('that is away is one finding in one line', async () => {
    const findings = audit(await look({}, [], [NODE])).filter(({ id }) => id.startsWith('RX8'));
    expect(findings).toMatchObject([{ id: 'RX801', detail: "can't be reached (the connection failed)" }]);
  });
});

describe('the public address', () => {
  it('shows nothing of the internal listener, and is asked without a key', async () => {
    const asked: string[] = [];
    const fetch: Fetch = async (url, init) => {
      expect(headerOf(init, 'authorization')).toBeNull();
      expect(init.redirect).toBe('manual');
      return fetchOf({ [EDGE]: open }, asked)(url, init);
    };
    const facts = await collected({}, { fetch, urls: [EDGE], internalUrls: [] });
    expect(facts.nodes).toEqual([]);
    expect(facts.edges).toMatchObject([
      { reached: true, https: true, metrics: false, internalPaths: [], nosniff: true },
    ]);
    expect(asked.length).toBeLessThanOrEqual(6);
  });

  const faults: readonly (readonly [string, string[], World])[] = [
    ['the internal listener behind it', ['RX902', 'RX903'], { ...node }],
    ['metrics', ['RX902'], { '/metrics': () => new Response(METRICS) }],
    ['a page for everything is no metrics', [], { '/metrics': () => new Response('<html>metrics</html>') }],
    ['answers of its own without the header', ['RX904'], { '/': () => new Response('hello') }],
    [
      'credentials for every origin',
      ['RX910'],
      {
        '/api/site/sessions': (init) =>
          new Response(null, {
            status: 204,
            headers: {
              'access-control-allow-origin': String(headerOf(init, 'origin')),
              'access-control-allow-credentials': 'true',
            },
          }),
      },
    ],
  ];
  it.each(faults)('%s', async (_name, ids, world) => {
    // A public address never counts as internal, whatever answers there.
    expect(await found(look({ [EDGE]: world }, [EDGE]))).toEqual([...ids, 'RX905']);
  });

  it('is public where --internal-url is given, even if the internal listener answers there', async () => {
    expect(await found(look({ [NODE]: node }, [NODE], [NODE]))).toEqual(['RX902', 'RX903', 'RX912']);
  });

  it.each(['via', 'server', 'cf-ray'])('shows a proxy by the header %s', async (name) => {
    const url = 'http://127.0.0.1:8080';
    const world: World = { '/': () => new Response('', { headers: { [name]: 'x' } }) };
    const facts = await look({ [url]: world }, [url], [NODE]);
    expect(facts.edges).toMatchObject([{ proxy: `it sends the header ${name}`, https: false, place: 'loopback' }]);
  });

  it('that is away is one finding in one line', async () => {
    expect(await found(look({}, [EDGE]))).toEqual(['RX901']);
  });
});

it('an answer without end is not read to its end', async () => {
  let pulled = 0;
  const endless = new ReadableStream({
    pull: (controller) => {
      pulled += 1;
      controller.enqueue(new Uint8Array(1_048_576));
    },
  });
  const world: World = { '/': () => new Response(endless) };
  await look({ [EDGE]: world }, [EDGE]);
  expect(pulled).toBeLessThan(10);
});

it('the limit of open files is read from the system', async () => {
  const facts = await collected({
    files: {
      '/proc/self/limits':
        'Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 20000                files     \n',
    },
  });
  expect(facts.descriptors).toBe(1024);
  expect((await collected({})).descriptors).toBeUndefined();
});

describe('who can reach an address', () => {
  const rows: readonly (readonly [string, AddressKind])[] = [
    ['127.0.0.1', 'loopback'],
    ['127.8.8.8', 'loopback'],
    ['[::1]', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['localhost', 'loopback'],
    ['a.localhost', 'loopback'],
    ['0.0.0.0', 'wildcard'],
    ['::', 'wildcard'],
    ['10.1.2.3', 'private'],
    ['172.31.0.1', 'private'],
    ['172.32.0.1', 'public'],
    ['100.64.0.1', 'private'],
    ['169.254.1.1', 'private'],
    ['fd00::1', 'private'],
    ['redis', 'private'],
    ['redis.prod.svc.cluster.local', 'private'],
    ['8.8.8.8', 'public'],
    ['[2001:4860:4860::8888]', 'public'],
    ['203.0.113.1', 'public'],
    ['chat.example.com', 'name'],
    ['localhost.example.com', 'name'],
  ];
  it.each(rows)('%s is %s', (host, kind) => {
    expect(addressKind(host)).toBe(kind);
  });
});

it('a random value is never taken for a guessable one', () => {
  for (let count = 0; count < 2_000; count++) {
    const bytes = Buffer.from(systemRandom.bytes(32));
    for (const encoding of ['base64', 'base64url', 'hex'] as const)
      expect(isGuessable(bytes.toString(encoding))).toBe(false);
  }
});

it('everything is collected without a throw from an environment that is wrong in every way', async () => {
  const env = {
    ENVIRONMENT: 'prod',
    REDIS_URL: 'redis://:p@h1,h2',
    SECRET_KEY: ',',
    API_KEYS: ',,',
    PORT: 'x',
    WS_X: '',
  };
  const facts = await collect({
    env,
    readFile: () => {
      throw new Error('no files');
    },
    clock: new ManualClock(),
    fetch: async () => json(200, {}),
    urls: [EDGE],
    internalUrls: [],
  });
  expect(facts.problems.map(({ name }) => name)).toContain('REDIS_URL');
  expect(
    audit(facts)
      .filter(({ subject }) => subject === 'REDIS_URL')
      .map(({ id }) => id),
  ).not.toContain('RX601');
});
