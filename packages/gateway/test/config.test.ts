import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { GatewayConfig } from '../src/config/gateway-config.js';
import { configInvalidLine, readAuthConfig, readConfig } from '../src/config/read-config.js';
import { SETTING_NAMES, SETTINGS } from '../src/config/schema.js';
import type { Env } from '../src/config/setting-reader.js';
import { API_KEY, countingBytes, files, KEY_A, KEY_B, KEY_C, PRODUCTION } from './config-fixtures.js';

const read = (env: Env, contents = {}) => readConfig(env, files(contents), countingBytes());

const configOf = (env: Env, contents = {}): GatewayConfig => {
  const result = read(env, contents);
  if (!result.ok) throw new Error(configInvalidLine(result.problems));
  return result.config;
};

const problemsOf = (env: Env, contents = {}) => {
  const result = read(env, contents);
  return result.ok ? [] : result.problems;
};

describe('an empty environment', () => {
  const result = read({});

  it('is a working development node with generated secrets, each returned once', () => {
    expect(result.ok && result.generated.map(({ name }) => name)).toEqual(['SECRET_KEY', 'SITE_SECRET', 'API_KEYS']);
    expect(result.ok && new Set(result.generated.map(({ value }) => value)).size).toBe(3);
    expect(result.warnings).toEqual([]);
  });

  it('has the documented defaults', () => {
    const config = configOf({});
    expect(config).toMatchObject({
      environment: 'development',
      production: false,
      logLevel: 'info',
      node: { ttlMs: 15_000 },
      listen: { public: { host: '0.0.0.0', port: 8080 }, internal: { host: '127.0.0.1', port: 9090 } },
      directory: 'strict',
      auth: {
        allowQueryToken: true,
        clockToleranceMs: 5000,
        tokenMaxLifeMs: 7_776_000_000,
        siteTokenMaxAgeMs: 7_776_000_000,
      },
      origins: { cors: [], widget: [] },
      trustedProxies: [],
      heartbeat: { pingIntervalMs: 25_000, pongTimeoutMs: 40_000 },
      rateLimits: {
        connects: { limit: 100, windowMs: 60_000 },
        messages: { limit: 60, windowMs: 10_000 },
        frames: { limit: 200, windowMs: 10_000 },
        sessions: { limit: 20, windowMs: 60_000 },
        authFailures: { limit: 30, windowMs: 60_000 },
        assistantSessions: { limit: 600, windowMs: 60_000 },
        http: { limit: 300, windowMs: 60_000 },
        api: { limit: 0, windowMs: 1000 },
        maxAddresses: 10_000,
        dryRun: false,
      },
      bans: { score: 100, allow: [] },
      connections: {
        perDialog: 50,
        perUser: 200,
        perAddress: 500,
        perAssistant: 0,
        perNode: 50_000,
        perCluster: 0,
        atLimit: 'refuse',
        idleMs: 0,
        maxAgeMs: 86_400_000,
      },
      history: { size: 1000, ttlMs: 604_800_000 },
      idempotencyTtlMs: 600_000,
      outboxMaxBytes: 1_048_576,
      inboxMax: 10_000,
      webhookAllow: [],
      drain: { waitMs: 5000, spreadMs: 15_000, graceMs: 28_000 },
    });
    expect(config.redis).toBeUndefined();
    expect(config.node.id).toMatch(/^node-[0-9a-f]{12}$/);
  });

  it('gives an immutable configuration', () => {
    const config = configOf({});
    expect(Object.isFrozen(config) && Object.isFrozen(config.rateLimits.connects)).toBe(true);
    expect(Object.isFrozen(config.auth.operatorKeys)).toBe(true);
  });
});

it('reads production with named keys, files and lists', () => {
  const config = configOf(
    {
      ENVIRONMENT: 'production',
      SECRET_KEY: `new:${KEY_A},old:${KEY_B}`,
      SITE_SECRET_FILE: '/run/secrets/site',
      API_KEYS: `${API_KEY}, ${KEY_B.toLowerCase()}`,
      REDIS_URL: 'rediss://user:p%40ss@redis.internal:6380/2',
      WS_LOCK_REDIS_URLS: 'redis://a:1, redis://b:2,redis://c:3',
      WS_TRUSTED_PROXIES: '10.0.0.0/8, 192.0.2.7,2001:DB8::/32',
      CORS_ORIGINS: 'https://App.example.com, http://localhost:3000,https://a.example:443',
      WS_RATE_LIMIT_MESSAGES: '0',
      PORT: '0',
    },
    { '/run/secrets/site': `${KEY_C}\r\n` },
  );
  expect(config.auth.operatorKeys.map(({ kid, value }) => [kid, value.reveal()])).toEqual([
    ['new', KEY_A],
    ['old', KEY_B],
  ]);
  expect(config.auth.publicIdKey.reveal()).toBe(KEY_B);
  expect(config.auth.siteKeys.map(({ value }) => value.reveal())).toEqual([KEY_C]);
  expect(config.auth.apiKeys).toHaveLength(2);
  expect(config.auth.allowQueryToken).toBe(false);
  expect(config.redis?.lockUrls.map((url) => url.reveal())).toEqual(['redis://a:1', 'redis://b:2', 'redis://c:3']);
  expect(config.trustedProxies).toEqual(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32']);
  expect(config.origins.cors).toEqual(['https://app.example.com', 'http://localhost:3000', 'https://a.example']);
  expect(config.rateLimits.messages.limit).toBe(0);
});

describe('a good value is taken', () => {
  const cases: readonly (readonly [Env])[] = [
    [{ REDIS_URL: 'redis://localhost' }],
    [{ REDIS_URL: 'redis://:secret@[::1]:6379/0' }],
    [{ REDIS_URL: 'redis+sentinel://a:26379,b:26379/mymaster/1' }],
    [{ REDIS_URL: 'redis+cluster://user:pw@a:7000,b:7001,c:7002' }],
    [{ WS_PING_INTERVAL_SECONDS: '7', WS_PONG_TIMEOUT_SECONDS: '8' }],
    [{ WS_PONG_TIMEOUT_SECONDS: '960' }],
    [{ PORT: '0', INTERNAL_PORT: '0' }],
    [{ WS_DRAIN_WAIT_SECONDS: '0', WS_DRAIN_SPREAD_SECONDS: '0', WS_DRAIN_GRACE_SECONDS: '1' }],
    [{ WS_TOKEN_MAX_LIFE_SECONDS: '3600' }],
    [{ SECRET_KEY: '' }],
    [{ SECRET_KEY: `${KEY_A},${KEY_B}` }],
    [{ WS_JWKS_URL: 'http://127.0.0.1:1/keys', WS_TOKEN_ISSUER: 'https://issuer.test', WS_TOKEN_AUDIENCE: 'replyx' }],
    [{ WS_ALLOW_QUERY_TOKEN: 'false', WS_RATE_LIMIT_DRY_RUN: 'true', WS_AT_LIMIT: 'replace', WS_DIRECTORY: 'open' }],
    [{ SECRET_KEY: KEY_A, PUBLIC_ID_SECRET: KEY_A }],
    [{ API_KEYS: 'sixteen-chars-ab' }],
    [{ HOST: '::', INTERNAL_HOST: 'localhost', NODE_ID: 'ip-10-0-0-1.ec2.internal' }],
  ];
  it.each(cases)('%j', (env) => {
    expect(problemsOf(env)).toEqual([]);
  });
});

describe('a bad value is refused by its name', () => {
  const cases: readonly (readonly [string, Env])[] = [
    ['ENVIRONMENT', { ENVIRONMENT: 'prod' }],
    ['LOG_LEVEL', { LOG_LEVEL: 'verbose' }],
    ['PORT', { PORT: '65536' }],
    ['PORT', { PORT: '-1' }],
    ['PORT', { PORT: '80.5' }],
    ['PORT', { PORT: '0x50' }],
    ['PORT', { PORT: '080' }],
    ['PORT', { PORT: ' 80' }],
    ['PORT', { PORT: '1e3' }],
    ['INTERNAL_PORT', { INTERNAL_PORT: 'tcp://10.0.0.1:80' }],
    ['INTERNAL_PORT', { PORT: '9000', INTERNAL_PORT: '9000' }],
    ['HOST', { HOST: 'http://x' }],
    ['NODE_ID', { NODE_ID: 'a b' }],
    ['NODE_ID', { NODE_ID: 'a:b' }],
    ['REDIS_URL', { REDIS_URL: 'localhost:6379' }],
    ['REDIS_URL', { REDIS_URL: 'http://localhost' }],
    ['REDIS_URL', { REDIS_URL: 'redis://' }],
    ['REDIS_URL', { REDIS_URL: 'redis://a:70000' }],
    ['REDIS_URL', { REDIS_URL: 'redis+sentinel://a:1,b:2' }],
    ['WS_REDIS_PREFIX', { WS_REDIS_PREFIX: 'a{b}' }],
    ['WS_LOCK_REDIS_URLS', { WS_LOCK_REDIS_URLS: 'redis://a' }],
    ['WS_LOCK_REDIS_URLS', { REDIS_URL: 'redis://a', WS_LOCK_REDIS_URLS: 'redis+cluster://a:1' }],
    ['WS_ALLOW_QUERY_TOKEN', { WS_ALLOW_QUERY_TOKEN: 'yes' }],
    ['WS_ALLOW_QUERY_TOKEN', { WS_ALLOW_QUERY_TOKEN: 'TRUE' }],
    ['WS_ALLOW_QUERY_TOKEN', { WS_ALLOW_QUERY_TOKEN: '1' }],
    ['WS_DIRECTORY', { WS_DIRECTORY: 'closed' }],
    ['WS_AT_LIMIT', { WS_AT_LIMIT: 'Refuse' }],
    ['WS_PONG_TIMEOUT_SECONDS', { WS_PONG_TIMEOUT_SECONDS: '7', WS_PING_INTERVAL_SECONDS: '3' }],
    ['WS_PONG_TIMEOUT_SECONDS', { WS_PONG_TIMEOUT_SECONDS: '961' }],
    ['WS_PONG_TIMEOUT_SECONDS', { WS_PONG_TIMEOUT_SECONDS: '25' }],
    ['WS_PONG_TIMEOUT_SECONDS', { WS_PONG_TIMEOUT_SECONDS: '0' }],
    ['WS_PING_INTERVAL_SECONDS', { WS_PING_INTERVAL_SECONDS: '0' }],
    ['WS_CONNECTION_MAX_AGE_SECONDS', { WS_CONNECTION_MAX_AGE_SECONDS: '0' }],
    ['WS_HISTORY_SIZE', { WS_HISTORY_SIZE: '0' }],
    ['WS_RATE_LIMIT_WINDOW', { WS_RATE_LIMIT_WINDOW: '0' }],
    ['WS_RATE_LIMIT_PER_IP', { WS_RATE_LIMIT_PER_IP: '-5' }],
    ['WS_OUTBOX_MAX_BYTES', { WS_OUTBOX_MAX_BYTES: '1000' }],
    ['WS_DRAIN_GRACE_SECONDS', { WS_DRAIN_GRACE_SECONDS: '20' }],
    ['WS_TRUSTED_PROXIES', { WS_TRUSTED_PROXIES: '10.0.0.5/8' }],
    ['WS_TRUSTED_PROXIES', { WS_TRUSTED_PROXIES: '10.0.0' }],
    ['WS_TRUSTED_PROXIES', { WS_TRUSTED_PROXIES: '0x7f.1' }],
    ['WS_TRUSTED_PROXIES', { WS_TRUSTED_PROXIES: '010.0.0.1' }],
    ['WS_TRUSTED_PROXIES', { WS_TRUSTED_PROXIES: '10.0.0.0/33' }],
    ['WS_TRUSTED_PROXIES', { WS_TRUSTED_PROXIES: '10.0.0.0/8/8' }],
    ['WS_TRUSTED_PROXIES', { WS_TRUSTED_PROXIES: 'fe80::1%eth0' }],
    ['WS_TRUSTED_PROXIES', { WS_TRUSTED_PROXIES: '::ffff:0x7f.1.1.1' }],
    ['WS_TRUSTED_PROXIES', { WS_TRUSTED_PROXIES: '10.0.0.1,,10.0.0.2' }],
    ['WS_BAN_ALLOW', { WS_BAN_ALLOW: 'localhost' }],
    ['CORS_ORIGINS', { CORS_ORIGINS: '*' }],
    ['CORS_ORIGINS', { CORS_ORIGINS: 'https://*.example.com' }],
    ['CORS_ORIGINS', { CORS_ORIGINS: 'https://a.example/' }],
    ['CORS_ORIGINS', { CORS_ORIGINS: 'a.example' }],
    ['CORS_ORIGINS', { CORS_ORIGINS: 'null' }],
    ['CORS_ORIGINS', { CORS_ORIGINS: 'https://user@a.example' }],
    ['WS_WIDGET_ORIGINS', { WS_WIDGET_ORIGINS: 'ftp://a.example' }],
    ['SECRET_KEY', { SECRET_KEY: 'short' }],
    ['SECRET_KEY', { SECRET_KEY: `a:${KEY_A},a:${KEY_B}` }],
    ['SECRET_KEY', { SECRET_KEY: `a:${KEY_A},b:${KEY_A}` }],
    ['SECRET_KEY', { SECRET_KEY: `a:${KEY_A},b:short` }],
    ['SECRET_KEY', { SECRET_KEY: `a:${KEY_A}, b:${KEY_B}` }],
    ['SECRET_KEY', { SECRET_KEY: KEY_A, SECRET_KEY_FILE: '/f' }],
    ['SITE_SECRET', { SECRET_KEY: KEY_A, SITE_SECRET: KEY_A }],
    ['SITE_SECRET', { SECRET_KEY: `x:${KEY_A}`, SITE_SECRET: `y:${KEY_B},z:${KEY_A}` }],
    ['API_KEYS', { SECRET_KEY: KEY_A, API_KEYS: KEY_A }],
    ['API_KEYS', { API_KEYS: 'too-short' }],
    ['API_KEYS', { API_KEYS: `${API_KEY},${API_KEY}` }],
    ['API_KEYS', { API_KEYS: `${API_KEY},` }],
    ['API_KEYS', { ...PRODUCTION, API_KEYS: 'sixteen-chars-ab' }],
    ['PUBLIC_ID_SECRET', { SITE_SECRET: KEY_A, PUBLIC_ID_SECRET: KEY_A }],
    ['SECRET_KEY', { ...PRODUCTION, SECRET_KEY: undefined }],
    ['SITE_SECRET', { ...PRODUCTION, SITE_SECRET: '' }],
    ['SECRET_KEY', { ...PRODUCTION, SECRET_KEY: 'change-me-change-me-change-me-change-me' }],
    ['SECRET_KEY', { ...PRODUCTION, SECRET_KEY: 'your-256-bit-secret-your-256-bit-secret' }],
    ['WS_JWKS_URL', { WS_JWKS_URL: 'https://issuer.test/keys' }],
    ['WS_JWKS_URL', { WS_JWKS_URL: 'https://issuer.test/keys', WS_TOKEN_ISSUER: 'i' }],
    ['WS_JWKS_URL', { ...PRODUCTION, WS_JWKS_URL: 'http://i.test/k', WS_TOKEN_ISSUER: 'i', WS_TOKEN_AUDIENCE: 'a' }],
    ['WS_JWKS_URL', { WS_JWKS_URL: 'https://u:p@i.test/k', WS_TOKEN_ISSUER: 'i', WS_TOKEN_AUDIENCE: 'a' }],
    ['WS_JWKS_URL', { WS_JWKS_URL: 'keys.json', WS_TOKEN_ISSUER: 'i', WS_TOKEN_AUDIENCE: 'a' }],
    ['WS_SITE_TOKEN_MAX_AGE_SECONDS', { WS_SITE_TOKEN_MAX_AGE_SECONDS: '7200', WS_TOKEN_MAX_LIFE_SECONDS: '3600' }],
  ];
  it.each(cases)('%s %j', (name, env) => {
    expect(problemsOf(env).map((problem) => problem.name)).toEqual([name]);
  });
});

it('lists every problem at once, in the order of the table, and one line names the first', () => {
  const problems = problemsOf({ WS_AT_LIMIT: 'x', PORT: 'x', SECRET_KEY: 'x' });
  expect(problems.map(({ name }) => name)).toEqual(['PORT', 'SECRET_KEY', 'WS_AT_LIMIT']);
  expect(configInvalidLine(problems)).toBe(
    'CONFIG_INVALID PORT: must be a whole number from 0 to 65535, not "x" (and 2 more: run replyx check-config)',
  );
});

describe('a near miss of a known name stops the start', () => {
  it.each([
    ['WS_PING_INTERVAL', 'WS_PING_INTERVAL_SECONDS'],
    ['WS_PING_INTERVAL_MS', 'WS_PING_INTERVAL_SECONDS'],
    ['WS_PING_INTERVALL_SECONDS', 'WS_PING_INTERVAL_SECONDS'],
    ['ws_ping_interval_seconds', 'WS_PING_INTERVAL_SECONDS'],
    ['WS_TRUSTED_PROXY', 'WS_TRUSTED_PROXIES'],
    ['WS_RATE_LIMIT_MESSAGE', 'WS_RATE_LIMIT_MESSAGES'],
    ['WS_RATE_LIMIT_MESSAGES_WINDOW_SECONDS', 'WS_RATE_LIMIT_MESSAGES_WINDOW'],
    ['WS_MAX_CONNECTIONS_PER_DAILOG', 'WS_MAX_CONNECTIONS_PER_DIALOG'],
    ['WS_BAN_SCROE', 'WS_BAN_SCORE'],
    ['WS_DIRECTROY', 'WS_DIRECTORY'],
    ['WS_SECRET_KEY', 'SECRET_KEY'],
    ['WS_REDIS_URL', 'REDIS_URL'],
    ['WS_CORS_ORIGIN', 'CORS_ORIGINS'],
  ])('%s', (name, meant) => {
    expect(problemsOf({ [name]: '1' })).toEqual([{ name, message: `is not known; did you mean ${meant}?` }]);
  });
});

describe('an unknown name is a warning', () => {
  it.each([
    'WS_SERVICE_HOST',
    'WS_SERVICE_PORT',
    'WS_SERVICE_PORT_HTTP',
    'WS_PORT',
    'WS_PORT_8080_TCP',
    'WS_PORT_8080_TCP_ADDR',
    'WS_GATEWAY_SERVICE_HOST',
    'WS_DIRECTORY_PORT',
    'WS_BAN_PORT',
    'WS_INBOX_PORT',
    'WS_HOST',
    'WS_FOO',
    'WS_NODE_NAME',
    'WS_ENDPOINT_FILE',
  ])('%s', (name) => {
    const result = read({ [name]: '1' });
    expect(result.ok).toBe(true);
    expect(result.warnings).toEqual([{ kind: 'unknown', name, message: 'is not known' }]);
  });

  it('no known name is taken for a slip of another', () => {
    for (const name of SETTING_NAMES) {
      expect(problemsOf({ [name]: '' })).toEqual([]);
    }
  });
});

it('warns of each name that is set and not enforced', () => {
  for (const name of SETTING_NAMES.filter((known) => !SETTINGS[known].enforced)) {
    const { warnings } = read({ [name]: '0', REDIS_URL: 'redis://a' });
    expect(warnings.filter(({ kind }) => kind === 'not_enforced').map((warning) => warning.name)).toEqual([name]);
  }
});

it('advises against an even number of lock masters, and takes it', () => {
  const urls = 'redis://a:1,redis://b:2';
  const result = read({ REDIS_URL: 'redis://a', WS_LOCK_REDIS_URLS: urls });
  expect(result.ok && result.config.redis?.lockUrls).toHaveLength(2);
  expect(result.warnings).toContainEqual({
    kind: 'advice',
    name: 'WS_LOCK_REDIS_URLS',
    message: 'names an even number of masters: with one less, as many may fail',
  });
});

describe('advice in production', () => {
  it.each<readonly [string, Env]>([
    ['REDIS_URL', { REDIS_URL: undefined }],
    ['WS_DIRECTORY', { WS_DIRECTORY: 'open' }],
    ['WS_ALLOW_QUERY_TOKEN', { WS_ALLOW_QUERY_TOKEN: 'true' }],
    ['SECRET_KEY', { SECRET_KEY: 'x'.repeat(40) }],
  ])('%s', (name, env) => {
    const result = read({ ...PRODUCTION, ...env });
    expect(result.ok).toBe(true);
    expect(result.warnings.map((warning) => [warning.kind, warning.name])).toEqual([['advice', name]]);
  });

  it('is silent for a sound configuration', () => {
    expect(read(PRODUCTION)).toMatchObject({ ok: true, warnings: [], generated: [] });
  });
});

it('advises where nodes would share a Redis and not their secrets', () => {
  expect(read({ REDIS_URL: 'redis://a' }).warnings).toMatchObject([{ kind: 'advice', name: 'REDIS_URL' }]);
});

describe('a secret file', () => {
  const forbidden = Object.assign(new Error('no'), { code: 'EACCES' });
  it.each([
    ['that is missing', {}, 'names a file that does not exist ("/s")'],
    ['that is not readable', { '/s': forbidden }, 'names a file that is not readable by this user ("/s")'],
    ['that is empty', { '/s': '\n' }, 'names an empty file ("/s")'],
    ['that is large', { '/s': 'x'.repeat(70_000) }, 'names a file larger than 65536 characters ("/s")'],
  ])('%s is one problem', (_, contents, message) => {
    const env = { ...PRODUCTION, SECRET_KEY: undefined, SECRET_KEY_FILE: '/s' };
    expect(problemsOf(env, contents)).toEqual([{ name: 'SECRET_KEY_FILE', message }]);
  });

  it('may hold REDIS_URL too', () => {
    const config = configOf({ REDIS_URL_FILE: '/r' }, { '/r': 'redis://:pw@a\n' });
    expect(config.redis?.url.reveal()).toBe('redis://:pw@a');
  });

  it('is not a known name for a setting that is no secret', () => {
    expect(problemsOf({ WS_AT_LIMIT_FILE: '/x' }).map(({ name }) => name)).toEqual(['WS_AT_LIMIT_FILE']);
  });
});

describe('secrets are never shown', () => {
  it('in problems and warnings', () => {
    const hidden = 'hUnTeR2-hidden';
    const envs: readonly Env[] = [
      { SECRET_KEY: hidden },
      { SECRET_KEY: `a:${KEY_A},${hidden}`, SITE_SECRET: hidden, API_KEYS: 'hUnTeR2' },
      { REDIS_URL: `http://:${hidden}@a` },
      { REDIS_URL: `redis://:${hidden}@a:99999` },
      { WS_LOCK_REDIS_URLS: `x://${hidden}`, REDIS_URL: 'redis://a' },
      { WS_JWKS_URL: `https://u:${hidden}@a/`, WS_TOKEN_ISSUER: 'i', WS_TOKEN_AUDIENCE: 'a' },
    ];
    for (const env of envs) expect(JSON.stringify(read(env))).not.toContain('hUnTeR2');
  });

  it('in a configuration that is printed', () => {
    const config = configOf(PRODUCTION);
    const printed =
      JSON.stringify(config) + inspect(config, { depth: 9, showHidden: true }) + String(config.auth.publicIdKey);
    for (const secret of [KEY_A, KEY_B, API_KEY, 'redis:6379']) expect(printed).not.toContain(secret);
  });
});

it('reads credentials alone whatever else is wrong', () => {
  expect(readAuthConfig({ PORT: 'x', SECRET_KEY: KEY_A }, files()).ok).toBe(true);
  expect(readAuthConfig({ SECRET_KEY: 'x' }, files())).toMatchObject({ ok: false, problems: [{ name: 'SECRET_KEY' }] });
});
