import { randomBytes } from 'node:crypto';
import type { AuthConfig, GatewayConfig, RateLimit } from './gateway-config.js';
import { type GeneratedSecret, type RandomBytes, readAuth } from './read-auth.js';
import type { NameOf, SettingName } from './schema.js';
import { Secret } from './secret.js';
import { type ConfigProblem, type ConfigWarning, type Env, type ReadFile, SettingReader } from './setting-reader.js';

export type ConfigResult =
  | {
      readonly ok: true;
      readonly config: GatewayConfig;
      readonly warnings: readonly ConfigWarning[];
      /** Secrets that were absent and made up; show each once. Empty in production. */
      readonly generated: readonly GeneratedSecret[];
    }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[]; readonly warnings: readonly ConfigWarning[] };

export type AuthConfigResult =
  | { readonly ok: true; readonly auth: AuthConfig; readonly generated: readonly GeneratedSecret[] }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

const frozen = <T>(value: T): T => {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const child of Object.values(value)) frozen(child);
  }
  return value;
};

/** A default that stands in for a bad value would complain too, so pairs are checked only where each value is sound. */
const checkTogether = (reader: SettingReader, config: GatewayConfig): void => {
  const { listen, heartbeat, drain } = config;
  const bad = new Set(reader.problems.map(({ name }) => name));
  const sound = (...names: SettingName[]): boolean => !names.some((name) => bad.has(name));

  if (sound('PORT', 'INTERNAL_PORT') && listen.public.port !== 0 && listen.public.port === listen.internal.port) {
    reader.problem('INTERNAL_PORT', `must differ from PORT (${listen.public.port})`);
  }
  const [ping, pong] = [heartbeat.pingIntervalMs / 1000, heartbeat.pongTimeoutMs / 1000];
  if (sound('WS_PING_INTERVAL_SECONDS', 'WS_PONG_TIMEOUT_SECONDS') && pong <= ping) {
    reader.problem('WS_PONG_TIMEOUT_SECONDS', `must be more than WS_PING_INTERVAL_SECONDS (${ping}), not ${pong}`);
  }
  const [wait, spread, grace] = [drain.waitMs / 1000, drain.spreadMs / 1000, drain.graceMs / 1000];
  if (sound('WS_DRAIN_WAIT_SECONDS', 'WS_DRAIN_SPREAD_SECONDS', 'WS_DRAIN_GRACE_SECONDS') && wait + spread >= grace) {
    reader.problem(
      'WS_DRAIN_GRACE_SECONDS',
      `must be more than WS_DRAIN_WAIT_SECONDS (${wait}) and WS_DRAIN_SPREAD_SECONDS (${spread}) together, not ${grace}`,
    );
  }
};

const readRedis = (reader: SettingReader): GatewayConfig['redis'] => {
  const url = reader.text('REDIS_URL');
  const prefix = reader.text('WS_REDIS_PREFIX') ?? 'rx';
  const lockUrls = reader.list('WS_LOCK_REDIS_URLS');
  if (lockUrls.length > 0) {
    if (!reader.given('REDIS_URL')) reader.problem('WS_LOCK_REDIS_URLS', 'needs REDIS_URL');
    if (lockUrls.length % 2 === 0) {
      reader.advise('WS_LOCK_REDIS_URLS', 'names an even number of masters: with one less, as many may fail');
    }
  }
  if (url === undefined) return undefined;
  return { url: new Secret(url), prefix, lockUrls: (lockUrls.length > 0 ? lockUrls : [url]).map((u) => new Secret(u)) };
};

const advise = (reader: SettingReader, config: GatewayConfig, generated: readonly GeneratedSecret[]): void => {
  if (config.production) {
    if (!config.redis && !reader.given('REDIS_URL')) {
      reader.advise('REDIS_URL', 'is absent: this node stands alone and forgets every message when it stops');
    }
    if (config.directory === 'open') {
      reader.advise(
        'WS_DIRECTORY',
        'is open: any genuine token makes dialogs and assistants; for one trusting tenant only',
      );
    }
    if (config.auth.allowQueryToken) {
      reader.advise('WS_ALLOW_QUERY_TOKEN', 'is true: tokens in the query are written to the access logs of proxies');
    }
  }
  if (config.redis && generated.length > 0) {
    const names = generated.map(({ name }) => name).join(', ');
    reader.advise('REDIS_URL', `is set while ${names} are generated: nodes that share a Redis need the same values`);
  }
};

export interface ConfigReading {
  /** With the default in place of every value that is wrong. */
  readonly config: GatewayConfig;
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly ConfigWarning[];
  readonly generated: readonly GeneratedSecret[];
}

/** As `readConfig`, whatever is wrong: for those who look at a configuration, never to run a node with it. */
export const readLeniently = (env: Env, readFile: ReadFile, random: RandomBytes = randomBytes): ConfigReading => {
  const reader = new SettingReader(env, readFile);
  const ms = (name: NameOf<'integer'>): number => reader.integer(name) * 1000;
  const per = (name: NameOf<'integer'>, windowMs: number): RateLimit => ({ limit: reader.integer(name), windowMs });
  const redis = readRedis(reader);
  const { auth, generated } = readAuth(reader, random);

  const config: GatewayConfig = {
    environment: reader.environment,
    production: reader.production,
    logLevel: reader.choice('LOG_LEVEL'),
    node: {
      id: reader.text('NODE_ID') ?? `node-${Buffer.from(random(6)).toString('hex')}`,
      ttlMs: ms('WS_NODE_TTL_SECONDS'),
    },
    listen: {
      public: { host: reader.text('HOST') ?? '', port: reader.integer('PORT') },
      internal: { host: reader.text('INTERNAL_HOST') ?? '', port: reader.integer('INTERNAL_PORT') },
    },
    ...(redis !== undefined && { redis }),
    directory: reader.choice('WS_DIRECTORY'),
    auth,
    origins: { cors: reader.list('CORS_ORIGINS'), widget: reader.list('WS_WIDGET_ORIGINS') },
    trustedProxies: reader.list('WS_TRUSTED_PROXIES'),
    proxyProtocol: reader.boolean('WS_PROXY_PROTOCOL'),
    heartbeat: { pingIntervalMs: ms('WS_PING_INTERVAL_SECONDS'), pongTimeoutMs: ms('WS_PONG_TIMEOUT_SECONDS') },
    rateLimits: {
      connects: per('WS_RATE_LIMIT_PER_IP', ms('WS_RATE_LIMIT_WINDOW')),
      messages: per('WS_RATE_LIMIT_MESSAGES', ms('WS_RATE_LIMIT_MESSAGES_WINDOW')),
      frames: per('WS_RATE_LIMIT_FRAMES', 10_000),
      sessions: per('WS_RATE_LIMIT_SESSIONS', 60_000),
      authFailures: per('WS_RATE_LIMIT_AUTH_FAILURES', 60_000),
      assistantSessions: per('WS_RATE_LIMIT_ASSISTANT_SESSIONS', 60_000),
      http: per('WS_RATE_LIMIT_HTTP', 60_000),
      api: per('WS_RATE_LIMIT_API', 1000),
      maxAddresses: reader.integer('WS_RATE_LIMIT_MAX_IPS'),
      dryRun: reader.boolean('WS_RATE_LIMIT_DRY_RUN'),
    },
    bans: { score: reader.integer('WS_BAN_SCORE'), allow: reader.list('WS_BAN_ALLOW') },
    connections: {
      perDialog: reader.integer('WS_MAX_CONNECTIONS_PER_DIALOG'),
      perUser: reader.integer('WS_MAX_CONNECTIONS_PER_USER'),
      perAddress: reader.integer('WS_MAX_CONNECTIONS_PER_IP'),
      perAssistant: reader.integer('WS_MAX_CONNECTIONS_PER_ASSISTANT'),
      perNode: reader.integer('WS_MAX_TOTAL_CONNECTIONS'),
      perCluster: reader.integer('WS_MAX_CLUSTER_CONNECTIONS'),
      atLimit: reader.choice('WS_AT_LIMIT'),
      idleMs: ms('WS_CONNECTION_IDLE_SECONDS'),
      maxAgeMs: ms('WS_CONNECTION_MAX_AGE_SECONDS'),
    },
    shedding: {
      loopLagMs: reader.integer('WS_SHED_LAG_MS'),
      memoryBytes: reader.integer('WS_SHED_MEMORY_MB') * 1_048_576,
    },
    history: { size: reader.integer('WS_HISTORY_SIZE'), ttlMs: ms('WS_HISTORY_TTL_SECONDS') },
    idempotencyTtlMs: ms('WS_IDEMPOTENCY_TTL_SECONDS'),
    outboxMaxBytes: reader.integer('WS_OUTBOX_MAX_BYTES'),
    inboxMax: reader.integer('WS_INBOX_MAX'),
    webhookAllow: reader.list('WS_WEBHOOK_ALLOW'),
    drain: {
      waitMs: ms('WS_DRAIN_WAIT_SECONDS'),
      spreadMs: ms('WS_DRAIN_SPREAD_SECONDS'),
      graceMs: ms('WS_DRAIN_GRACE_SECONDS'),
    },
  };

  reader.checkNames();
  checkTogether(reader, config);
  advise(reader, config, generated);
  return { config: frozen(config), problems: reader.problems, warnings: reader.warnings, generated };
};

/**
 * The configuration from an environment, or everything that is wrong with it at once. Pure apart from `readFile`, by
 * which secrets come from files, and `random`, by which absent secrets are made outside production.
 */
export const readConfig = (env: Env, readFile: ReadFile, random: RandomBytes = randomBytes): ConfigResult => {
  const { config, problems, warnings, generated } = readLeniently(env, readFile, random);
  if (problems.length > 0) return { ok: false, problems, warnings };
  return { ok: true, config, warnings, generated };
};

/** The part that makes and checks credentials, for commands that need no more. */
export const readAuthConfig = (env: Env, readFile: ReadFile, random: RandomBytes = randomBytes): AuthConfigResult => {
  const reader = new SettingReader(env, readFile);
  const { auth, generated } = readAuth(reader, random);
  if (reader.problems.length > 0) return { ok: false, problems: reader.problems };
  return { ok: true, auth: frozen(auth), generated };
};

/** One line that says why a start stops: the first problem, and how many more there are. */
export const configInvalidLine = (problems: readonly ConfigProblem[]): string => {
  const [first] = problems;
  if (first === undefined) return 'CONFIG_INVALID';
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more: run replyx check-config)` : '';
  return `CONFIG_INVALID ${first.name}: ${first.message}${more}`;
};
