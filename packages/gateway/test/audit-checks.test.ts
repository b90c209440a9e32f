import { describe, expect, it } from 'vitest';
import { audit, CHECKS } from '../src/audit/checks.js';
import { envFile } from '../src/config/env-file.js';
import { systemRandom } from '../src/system-clock.js';
import { type Change, collected, REFERENCE_ENV, referenceFacts, SECRET_FILES } from './audit-fixtures.js';
import { KEY_A, KEY_B } from './config-fixtures.js';

/** What is enforced changes from version to version; it has a test of its own. */
const NOT_ENFORCED = 'RX004';

const idsOf = async (change: Change = {}): Promise<string[]> =>
  [...new Set(audit(await referenceFacts(change)).map(({ id }) => id))].filter((id) => id !== NOT_ENFORCED).sort();

const KEY_FILE = '/run/secrets/secret-key';
const REDIS_FILE = '/run/secrets/redis-url';
const PASSWORD = 'u8RkVwNyCx1MvBhSj8GdLf';
const redisAt = (url: string): Change => ({ files: { [REDIS_FILE]: url } });
const locks = (...hosts: string[]): Change => ({
  env: { WS_LOCK_REDIS_URLS_FILE: '/locks' },
  files: { '/locks': hosts.map((host) => `rediss://:${PASSWORD}@${host}`).join(',') },
});

/** Change one thing of the reference, and exactly this is found that was not found before. */
const FAULTS: readonly (readonly [id: string, what: string, change: Change])[] = [
  ['RX001', 'a value out of range', { env: { PORT: '99999' } }],
  ['RX001', 'a near miss of a name', { env: { WS_RATE_LIMIT_MESAGES: '5' } }],
  ['RX001', 'a secret file that is not there', { env: { SITE_SECRET_FILE: '/nowhere' } }],
  ['RX001', 'an empty secret file', { files: { [KEY_FILE]: '\n' } }],
  ['RX001', 'a key id twice', { files: { [KEY_FILE]: `k:${KEY_A},k:${KEY_A.slice(1)}x` } }],
  ['RX002', 'another environment', { env: { ENVIRONMENT: 'staging', WS_ALLOW_QUERY_TOKEN: 'false' } }],
  ['RX003', 'an unknown name', { env: { WS_SPEED_OF_LIGHT: 'fast' } }],
  ['RX101', 'no operator secret', { env: { SECRET_KEY_FILE: undefined } }],
  ['RX101', 'no site secret', { env: { SITE_SECRET_FILE: undefined } }],
  ['RX101', 'no API keys', { env: { API_KEYS_FILE: undefined } }],
  ['RX102', 'a secret in the environment', { env: { SECRET_KEY_FILE: undefined, SECRET_KEY: KEY_A } }],
  [
    'RX102',
    'the password of Redis in the environment',
    { env: { REDIS_URL_FILE: undefined, REDIS_URL: (SECRET_FILES[REDIS_FILE] ?? '').trim() } },
  ],
  ['RX103', 'one secret for operators and sites', { files: { [KEY_FILE]: KEY_B } }],
  ['RX103', 'a second key that is the first of another', { files: { [KEY_FILE]: `a:${KEY_A},b:${KEY_B}` } }],
  ['RX103', 'one value twice', { files: { [KEY_FILE]: `a:${KEY_A},b:${KEY_A}` } }],
  ['RX104', 'a short secret', { files: { [KEY_FILE]: KEY_A.slice(0, 20) } }],
  ['RX104', 'a short second key', { files: { [KEY_FILE]: `a:${KEY_A},b:${KEY_A.slice(0, 20)}` } }],
  ['RX105', 'a placeholder', { files: { [KEY_FILE]: 'change-me-change-me-change-me-change-me' } }],
  ['RX105', 'the example of a token debugger', { files: { [KEY_FILE]: 'a-string-secret-at-least-256-bits-long' } }],
  ['RX106', 'a repetition', { files: { [KEY_FILE]: 'k3Vn8dTzWc'.repeat(4) } }],
  ['RX106', 'one character', { files: { [KEY_FILE]: 'x'.repeat(40) } }],
  ['RX106', 'words', { files: { [KEY_FILE]: 'correct horse battery staple and seven more' } }],
  ['RX106', 'the word secret', { files: { [KEY_FILE]: 'our-secret-of-2019-K3jd82Hs7Qp1Zx9wV' } }],
  ['RX201', 'tokens in the query', { env: { WS_ALLOW_QUERY_TOKEN: 'true' } }],
  ['RX202', 'no origins', { env: { CORS_ORIGINS: undefined } }],
  ['RX203', 'an http origin', { env: { CORS_ORIGINS: 'https://app.example.com,http://app.example.com' } }],
  ['RX204', 'an http origin of the page', { env: { WS_WIDGET_ORIGINS: 'http://widget.example.com' } }],
  ['RX205', 'no origin of the page', { env: { WS_WIDGET_ORIGINS: '' } }],
  ['RX206', 'an open directory', { env: { WS_DIRECTORY: 'open' } }],
  [
    'RX207',
    'keys by http',
    { env: { WS_JWKS_URL: 'http://id.example.com/jwks', WS_TOKEN_ISSUER: 'i', WS_TOKEN_AUDIENCE: 'a' } },
  ],
  ['RX208', 'a large tolerance', { env: { WS_TOKEN_CLOCK_TOLERANCE_SECONDS: '300' } }],
  ['RX209', 'tokens of a year', { env: { WS_TOKEN_MAX_LIFE_SECONDS: '31536000' } }],
  ['RX210', 'connections of a month', { env: { WS_CONNECTION_MAX_AGE_SECONDS: '2592000' } }],
  ['RX301', 'a dry run', { env: { WS_RATE_LIMIT_DRY_RUN: 'true' } }],
  ...['WS_RATE_LIMIT_PER_IP', 'WS_RATE_LIMIT_AUTH_FAILURES', 'WS_RATE_LIMIT_FRAMES', 'WS_MAX_TOTAL_CONNECTIONS'].map(
    (name) => ['RX302', `${name} off`, { env: { [name]: '0' } }] as const,
  ),
  ...[
    'WS_RATE_LIMIT_MESSAGES',
    'WS_RATE_LIMIT_SESSIONS',
    'WS_RATE_LIMIT_ASSISTANT_SESSIONS',
    'WS_RATE_LIMIT_HTTP',
    'WS_MAX_CONNECTIONS_PER_DIALOG',
    'WS_MAX_CONNECTIONS_PER_USER',
    'WS_MAX_CONNECTIONS_PER_IP',
  ].map((name) => ['RX303', `${name} off`, { env: { [name]: '0' } }] as const),
  ['RX304', 'no bans', { env: { WS_BAN_SCORE: '0' } }],
  ['RX305', 'everybody exempt', { env: { WS_BAN_ALLOW: '::/0' } }],
  ['RX306', 'a limit beyond sense', { env: { WS_RATE_LIMIT_PER_IP: '1000000' } }],
  ['RX401', 'everybody trusted', { env: { WS_TRUSTED_PROXIES: '10.0.0.0/8,0.0.0.0/0' } }],
  ['RX401', 'everybody trusted in halves', { env: { WS_TRUSTED_PROXIES: '0.0.0.0/1,128.0.0.0/1' } }],
  ['RX402', 'a wide public network trusted', { env: { WS_TRUSTED_PROXIES: '52.0.0.0/8' } }],
  ['RX403', 'the internal listener on a public address', { env: { INTERNAL_HOST: '203.0.113.7' } }],
  ['RX404', 'the internal listener on every address', { env: { INTERNAL_HOST: '0.0.0.0' } }],
  ['RX404', 'the internal listener on every IPv6 address', { env: { INTERNAL_HOST: '::' } }],
  ['RX405', 'the public listener on a public address', { env: { HOST: '2001:4860:4860::8888' } }],
  ['RX406', 'a random port', { env: { PORT: '0' } }],
  ['RX501', 'debug logs', { env: { LOG_LEVEL: 'debug' } }],
  ['RX502', 'no logs', { env: { LOG_LEVEL: 'silent' } }],
  ['RX503', 'a long drain', { env: { WS_DRAIN_GRACE_SECONDS: '60' } }],
  ['RX504', 'no wait', { env: { WS_DRAIN_WAIT_SECONDS: '0' } }],
  ['RX505', 'few descriptors of the node', { node: { descriptors: 1024 } }],
  ['RX505', 'few descriptors here', { node: { descriptors: undefined }, descriptors: 1024 }],
  ['RX506', 'a long heartbeat', { env: { WS_NODE_TTL_SECONDS: '120' } }],
  ['RX601', 'no Redis', { env: { REDIS_URL_FILE: undefined }, redis: 'not asked' }],
  ['RX602', 'Redis without a password', { ...redisAt('rediss://redis.example.com'), redis: 'not asked' }],
  ['RX603', 'Redis here without a password', { ...redisAt('redis://127.0.0.1'), redis: 'not asked' }],
  ['RX604', 'Redis without TLS', redisAt(`redis://:${PASSWORD}@redis.example.com`)],
  ['RX605', 'a short password', redisAt('rediss://:hunter2hunter@redis.example.com')],
  ['RX605', 'a made-up password', redisAt('rediss://:password-of-our-redis-2024@redis.example.com')],
  ['RX607', 'an even number of lock masters', locks('a', 'b')],
  ['RX608', 'a lock master twice', locks('a', 'a:6379', 'b')],
  ['RX701', 'a Redis that is away', { redis: 'failed' }],
  ['RX702', 'an old Redis', { redis: { tooOld: 'Redis 6.2.6 is too old: 7.0 or newer is needed' } }],
  ['RX703', 'eviction', { redis: { evictionPolicy: 'allkeys-lru' } }],
  ['RX704', 'no append-only file', { redis: { appendOnly: false } }],
  ['RX705', 'no login', { redis: { openToAll: true } }],
  ['RX706', 'no login here', { ...redisAt('redis://localhost'), redis: { openToAll: true } }],
  ['RX708', 'no syncing', { redis: { appendFsync: 'no' } }],
  ['RX709', 'CONFIG refused', { redis: { appendFsync: undefined, unsyncedOnRewrite: undefined } }],
  ['RX710', 'no syncing on rewrite', { redis: { unsyncedOnRewrite: true } }],
  ['RX711', 'Redis ahead', { redis: { clockOffsetMs: 6_000, clockErrorMs: 500 } }],
  ['RX711', 'Redis behind', { redis: { clockOffsetMs: -90_000 } }],
  ['RX713', 'a full disk', { redis: { persistenceFails: true } }],
  ['RX714', 'full memory', { redis: { usedBytes: 90_000_000 } }],
  ['RX715', 'a replica', { redis: { role: 'replica' } }],
  ['RX801', 'a node that is away', { node: 'away' }],
  ['RX802', 'a node that is not ready', { node: { unready: ['redis_unreachable'] } }],
  ['RX803', 'no metrics', { node: { metrics: false } }],
  ['RX804', 'any key', { node: { openToAll: true } }],
  ['RX805', 'another key', { node: { acceptsKey: false } }],
  [
    'RX806',
    'two versions',
    {
      node: {
        cluster: [
          { id: 'a', version: '1.0.0', lagMs: 0 },
          { id: 'b', version: '1.1.0', lagMs: 0 },
        ],
      },
    },
  ],
  ['RX807', 'a late node', { node: { cluster: [{ id: 'a', version: '1.0.0', lagMs: 1_900 }] } }],
  [
    'RX808',
    'one name twice',
    {
      node: {
        cluster: [
          { id: 'a', version: '1.0.0', lagMs: 0 },
          { id: 'a', version: '1.0.0', lagMs: 0 },
        ],
      },
    },
  ],
  ['RX809', 'a node ahead', { node: { clock: { offsetMs: 30_000, errorMs: 510 } } }],
  ['RX810', 'a node in public', { node: { url: 'https://203.0.113.7:9090', place: 'public' } }],
  ['RX811', 'a node by a name without TLS', { node: { url: 'http://node.example.com:9090', place: 'name' } }],
  ['RX812', 'only the edge', { node: 'not asked' }],
  ['RX901', 'an edge that is away', { edge: 'away' }],
  ['RX902', 'public metrics', { edge: { metrics: true } }],
  ['RX903', 'a public API', { edge: { internalPaths: ['/v1/cluster'] } }],
  ['RX904', 'no nosniff', { edge: { nosniff: false } }],
  ['RX905', 'no HSTS', { edge: { hsts: false } }],
  ['RX906', 'no TLS', { edge: { url: 'http://chat.example.com', https: false, hsts: false, proxy: 'header via' } }],
  ['RX907', 'past the edge', { edge: { url: 'http://localhost:8080', https: false, hsts: false, place: 'loopback' } }],
  ['RX908', 'a proxy that is not trusted', { env: { WS_TRUSTED_PROXIES: '' } }],
  ['RX909', 'trusted proxies that do not show', { edge: { proxy: undefined } }],
  ['RX910', 'every origin', { edge: { anyOrigin: true } }],
  ['RX911', 'only nodes', { edge: 'not asked' }],
  ['RX912', 'a private address', { edge: { url: 'http://10.0.0.1', https: false, hsts: false, place: 'private' } }],
];

/** Of the reference, and of any deployment that is set up well. */
const ALWAYS = ['RX307', 'RX606', 'RX707', 'RX712'];
/** What is no longer said because what it speaks of is gone or no longer known. */
const SILENCED: Readonly<Record<string, readonly string[]>> = {
  RX601: ['RX606', 'RX707', 'RX712'],
  RX602: ['RX707', 'RX712'],
  RX603: ['RX707', 'RX712'],
  RX701: ['RX707', 'RX712'],
  RX704: ['RX707'],
  RX708: ['RX707'],
  RX709: ['RX707'],
  RX715: ['RX712'],
};

describe('the audit of the reference', () => {
  it('finds nothing above info', async () => {
    const findings = audit(await referenceFacts());
    expect(findings.filter(({ severity }) => severity !== 'info')).toEqual([]);
    expect(await idsOf()).toEqual(ALWAYS);
  });

  it.each(FAULTS)('%s: %s', async (id, _what, change) => {
    const silenced = SILENCED[id] ?? [];
    const expected = [...ALWAYS.filter((always) => !silenced.includes(always)), id];
    expect(await idsOf(change)).toEqual(expected.sort());
  });

  it(`${NOT_ENFORCED}: a setting that is not enforced`, async () => {
    const facts = await referenceFacts();
    const warnings = [{ kind: 'not_enforced', name: 'WS_X', message: 'is not enforced yet' }] as const;
    const found = audit({ ...facts, warnings }).filter(({ id }) => id === NOT_ENFORCED);
    expect(found).toMatchObject([{ severity: 'info', subject: 'WS_X', detail: 'is not enforced yet' }]);
  });
});

describe('the checks', () => {
  it('have ids that are unique, ordered and grouped', () => {
    const ids = CHECKS.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)].sort());
    for (const id of ids) expect(id).toMatch(/^RX\d{3}$/);
  });

  it('have a planted fault each', () => {
    const planted = new Set([...FAULTS.map(([id]) => id), ...ALWAYS, NOT_ENFORCED]);
    expect(CHECKS.map(({ id }) => id).filter((id) => !planted.has(id))).toEqual([]);
  });

  it('say what is wrong, why it matters and what to do, in a form that a table can hold', () => {
    for (const { title, why, remedy } of CHECKS) {
      expect(title).toMatch(/^[A-Z][^|\n]*[^.]$/);
      expect(why).toMatch(/^[A-Z][^|\n]*\.$/);
      expect(remedy).toMatch(/^[A-Z][^|\n]*\.$/);
    }
  });
});

it('a generated configuration has no finding for its secrets but that they are in the environment', async () => {
  const text = envFile('production', systemRandom.bytes);
  const env = Object.fromEntries([...text.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [name, value]));
  const absent = Object.fromEntries(Object.keys(REFERENCE_ENV).map((name) => [name, undefined]));
  const findings = audit(await collected({ env: { ...absent, ...env } }));
  expect(findings.filter(({ id }) => id.startsWith('RX1')).map(({ id, subject }) => [id, subject])).toEqual(
    ['SECRET_KEY', 'SITE_SECRET', 'API_KEYS', 'PUBLIC_ID_SECRET'].map((name) => ['RX102', name]),
  );
});
