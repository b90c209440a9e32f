import type { RedisServerFacts } from '@replyx/redis';
import { type CollectParts, collect } from '../src/audit/collect.js';
import type { AuditFacts, EdgeFacts, NodeFacts } from '../src/audit/facts.js';
import { ManualClock, NOW_S } from './auth-fixtures.js';
import { API_KEY, files, KEY_A, KEY_B, KEY_C } from './config-fixtures.js';

export const REDIS_PASSWORD = 'u8RkVwNyCx1MvBhSj8GdLf';

/** Contents of the secret files of the reference. */
export const SECRET_FILES: Readonly<Record<string, string>> = {
  '/run/secrets/secret-key': `${KEY_A}\n`,
  '/run/secrets/site-secret': `${KEY_B}\n`,
  '/run/secrets/api-keys': `${API_KEY}\n`,
  '/run/secrets/public-id': `${KEY_C}\n`,
  '/run/secrets/redis-url': `rediss://gateway:${REDIS_PASSWORD}@redis.example.com:6380\n`,
};

export const REFERENCE_ENV: Readonly<Record<string, string>> = {
  ENVIRONMENT: 'production',
  HOST: '10.0.0.1',
  SECRET_KEY_FILE: '/run/secrets/secret-key',
  SITE_SECRET_FILE: '/run/secrets/site-secret',
  API_KEYS_FILE: '/run/secrets/api-keys',
  PUBLIC_ID_SECRET_FILE: '/run/secrets/public-id',
  REDIS_URL_FILE: '/run/secrets/redis-url',
  CORS_ORIGINS: 'https://app.example.com',
  WS_WIDGET_ORIGINS: 'https://widget.example.com',
  WS_TRUSTED_PROXIES: '10.0.0.0/8',
};

const REDIS: RedisServerFacts = {
  version: 'Redis 7.2.4',
  tooOld: undefined,
  role: 'master',
  replicas: 2,
  evictionPolicy: 'noeviction',
  usedBytes: 1_000_000,
  maxBytes: 100_000_000,
  appendOnly: true,
  appendFsync: 'everysec',
  unsyncedOnRewrite: false,
  persistenceFails: false,
  clockOffsetMs: 3,
  clockErrorMs: 1,
  openToAll: false,
};

export type ReachedNode = Extract<NodeFacts, { reached: true }>;
export type ReachedEdge = Extract<EdgeFacts, { reached: true }>;

const NODE: ReachedNode = {
  url: 'http://10.0.0.1:9090',
  reached: true,
  place: 'private',
  unready: [],
  metrics: true,
  descriptors: 100_000,
  openToAll: false,
  acceptsKey: true,
  cluster: [
    { id: 'a', version: '1.0.0', lagMs: 2 },
    { id: 'b', version: '1.0.0', lagMs: 4 },
  ],
  clock: { offsetMs: 400, errorMs: 510 },
};

const EDGE: ReachedEdge = {
  url: 'https://chat.example.com',
  reached: true,
  https: true,
  place: 'name',
  metrics: false,
  internalPaths: [],
  nosniff: true,
  hsts: true,
  proxy: 'it ends TLS',
  anyOrigin: false,
};

/** One thing of the reference that is changed. */
export interface Change {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly files?: Readonly<Record<string, string>>;
  readonly redis?: Partial<RedisServerFacts> | 'failed' | 'not asked';
  readonly node?: Partial<ReachedNode> | 'away' | 'not asked';
  readonly edge?: Partial<ReachedEdge> | 'away' | 'not asked';
  readonly descriptors?: number;
}

/** Collects from an environment and files alone; nothing on the network is asked. */
export const collected = (change: Pick<Change, 'env' | 'files'>, parts: Partial<CollectParts> = {}) =>
  collect({
    env: { ...REFERENCE_ENV, ...change.env },
    readFile: files({ ...SECRET_FILES, ...change.files }),
    clock: new ManualClock(),
    fetch: async () => Promise.reject(new Error('nobody is there')),
    urls: [],
    internalUrls: [],
    ...parts,
  });

/** The facts of the reference with one thing changed. */
export const referenceFacts = async (change: Change = {}): Promise<AuditFacts> => {
  const { redis = {}, node = {}, edge = {} } = change;
  const facts = await collected(change, {
    inspect: async () => {
      if (redis === 'not asked') return [];
      if (redis === 'failed')
        return [{ status: 'failed', server: 'redis.example.com:6380', why: 'connection refused' }];
      return [{ status: 'inspected', server: 'redis.example.com:6380', facts: { ...REDIS, ...redis } }];
    },
  });
  const away = { reached: false, why: "can't be reached (connection refused)" } as const;
  return {
    ...facts,
    descriptors: change.descriptors,
    nodes: node === 'not asked' ? [] : [node === 'away' ? { url: NODE.url, ...away } : { ...NODE, ...node }],
    edges: edge === 'not asked' ? [] : [edge === 'away' ? { url: EDGE.url, ...away } : { ...EDGE, ...edge }],
  };
};

/** The moment of `ManualClock`, as a header writes it. */
export const dateHeader = (offsetMs = 0): string => new Date(NOW_S * 1000 + offsetMs).toUTCString();
