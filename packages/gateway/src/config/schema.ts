/**
 * Every name of the environment that the gateway knows, with its default, its bounds and what it means. The reader, the
 * documentation and the generated `.env` all come from this table.
 */

interface SettingFacts {
  /** One sentence. */
  readonly meaning: string;
  /** Its value is never printed, and it is read from `<NAME>_FILE` as well. */
  readonly secret: boolean;
  readonly requiredInProduction: boolean;
  /** False where the name is checked but changes nothing in this version; setting it logs a warning. */
  readonly enforced: boolean;
}

export interface IntegerSetting extends SettingFacts {
  readonly kind: 'integer';
  readonly default: number;
  readonly min: number;
  readonly max: number;
  /** 0 is allowed whatever `min` says, and switches the limit off. */
  readonly zeroIsOff: boolean;
}

export interface BooleanSetting extends SettingFacts {
  readonly kind: 'boolean';
  /** `byEnvironment`: false in production, true elsewhere. */
  readonly default: boolean | 'byEnvironment';
}

export interface ChoiceSetting<C extends string = string> extends SettingFacts {
  readonly kind: 'choice';
  readonly choices: readonly C[];
  readonly default: C;
}

export interface TextSetting extends SettingFacts {
  readonly kind: 'text';
  readonly format: 'host' | 'name' | 'prefix' | 'redisUrl' | 'httpUrl' | 'words';
  readonly default: string | undefined;
  /** What the documentation shows where there is no fixed default. */
  readonly absent: string;
}

export interface ListSetting extends SettingFacts {
  readonly kind: 'list';
  readonly items: 'origin' | 'network' | 'redisUrl';
  readonly absent: string;
}

export interface KeysSetting<K extends 'keys' | 'apiKeys' = 'keys' | 'apiKeys'> extends SettingFacts {
  readonly kind: K;
  readonly absent: string;
}

export type Setting =
  | IntegerSetting
  | BooleanSetting
  | ChoiceSetting
  | TextSetting
  | ListSetting
  | KeysSetting<'keys'>
  | KeysSetting<'apiKeys'>;

type Facts = Partial<Omit<SettingFacts, 'meaning'>>;

const facts = (meaning: string, given: Facts): SettingFacts => ({
  meaning,
  secret: given.secret ?? false,
  requiredInProduction: given.requiredInProduction ?? false,
  enforced: given.enforced ?? true,
});

const integer = (value: number, [min, max]: [number, number], meaning: string, given: Facts = {}): IntegerSetting => ({
  kind: 'integer',
  default: value,
  min,
  max,
  zeroIsOff: false,
  ...facts(meaning, given),
});

const limit = (value: number, meaning: string, given: Facts = {}): IntegerSetting => ({
  ...integer(value, [1, 1_000_000_000], meaning, given),
  zeroIsOff: true,
});

const boolean = (value: BooleanSetting['default'], meaning: string, given: Facts = {}): BooleanSetting => ({
  kind: 'boolean',
  default: value,
  ...facts(meaning, given),
});

const choice = <const C extends string>(
  choices: readonly C[],
  value: NoInfer<C>,
  meaning: string,
  given: Facts = {},
): ChoiceSetting<C> => ({ kind: 'choice', choices, default: value, ...facts(meaning, given) });

const text = (
  format: TextSetting['format'],
  value: string | undefined,
  absent: string,
  meaning: string,
  given: Facts = {},
): TextSetting => ({ kind: 'text', format, default: value, absent, ...facts(meaning, given) });

const list = (items: ListSetting['items'], absent: string, meaning: string, given: Facts = {}): ListSetting => ({
  kind: 'list',
  items,
  absent,
  ...facts(meaning, given),
});

const keys = <const K extends KeysSetting['kind']>(
  kind: K,
  absent: string,
  meaning: string,
  given: Facts = {},
): KeysSetting<K> => ({
  kind,
  absent,
  ...facts(meaning, { ...given, secret: true }),
});

const DAY = 86_400;
const required: Facts = { requiredInProduction: true };

export const SETTINGS = {
  ENVIRONMENT: choice(
    ['development', 'test', 'staging', 'production'],
    'development',
    'Where the node runs; production refuses missing or weak secrets.',
  ),
  LOG_LEVEL: choice(
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    'info',
    'The least severe log lines that are written.',
  ),
  PORT: integer(8080, [0, 65_535], 'Port of the public listener; 0 picks a free one.'),
  HOST: text('host', '0.0.0.0', '', 'Address that the public listener binds.'),
  INTERNAL_PORT: integer(9090, [0, 65_535], 'Port of the internal listener; 0 picks a free one.'),
  INTERNAL_HOST: text(
    'host',
    '127.0.0.1',
    '',
    'Address that the internal listener binds; never put it behind the public balancer.',
  ),
  NODE_ID: text('name', undefined, 'random', 'Name of the node in the cluster view and in logs.'),
  WS_NODE_TTL_SECONDS: integer(15, [3, 300], 'A node silent for longer is dead.'),
  REDIS_URL: text(
    'redisUrl',
    undefined,
    'in memory',
    'Redis that the nodes share; without it the node keeps everything in memory and stands alone.',
    { secret: true },
  ),
  WS_LOCK_REDIS_URLS: list('redisUrl', 'the one Redis', 'Independent Redis masters for locks, best an odd number.', {
    secret: true,
  }),
  WS_REDIS_PREFIX: text(
    'prefix',
    'rx',
    '',
    'First part of every key; deployments that share a Redis need different ones.',
  ),
  SECRET_KEY: keys(
    'keys',
    'generated outside production',
    'Signs operator tokens: one key, or several as `kid1:value1,kid2:value2`; the first signs.',
    required,
  ),
  SITE_SECRET: keys(
    'keys',
    'generated outside production',
    'Signs site and visitor tokens; written like `SECRET_KEY` and different from it.',
    required,
  ),
  API_KEYS: keys(
    'apiKeys',
    'generated outside production',
    'Keys of the internal listener, any of which is accepted.',
    required,
  ),
  PUBLIC_ID_SECRET: keys(
    'keys',
    'the last key of `SECRET_KEY`',
    "Derives the ids under which visitors see operators; set it to a retired key's value to keep them.",
  ),
  WS_JWKS_URL: text(
    'httpUrl',
    undefined,
    'none',
    'Public keys of an issuer of operator tokens; needs `WS_TOKEN_ISSUER` and `WS_TOKEN_AUDIENCE`.',
  ),
  WS_TOKEN_ISSUER: text('words', undefined, 'not checked', 'The `iss` that every token must carry.'),
  WS_TOKEN_AUDIENCE: text('words', undefined, 'not checked', 'The `aud` that every token must carry or contain.'),
  WS_TOKEN_CLOCK_TOLERANCE_SECONDS: integer(5, [0, 300], "How far an issuer's clock may be off."),
  WS_TOKEN_MAX_LIFE_SECONDS: integer(
    90 * DAY,
    [60, 3650 * DAY],
    'Longest life of a token, `exp` less `iat`; revocations are kept as long.',
  ),
  WS_SITE_TOKEN_MAX_AGE_SECONDS: integer(
    90 * DAY,
    [60, 3650 * DAY],
    'Life of a site token without `exp`; at most, and by default never more than, `WS_TOKEN_MAX_LIFE_SECONDS`.',
  ),
  WS_ALLOW_QUERY_TOKEN: boolean(
    'byEnvironment',
    'Whether a socket may bring its token in the query, where proxies log it.',
  ),
  WS_DIRECTORY: choice(
    ['strict', 'open'],
    'strict',
    '`strict`: assistants and dialogs must be known; `open`: a genuine token makes them, for one trusting tenant only.',
  ),
  CORS_ORIGINS: list('origin', 'none', 'Origins from which operators may connect in a browser.'),
  WS_WIDGET_ORIGINS: list('origin', "the request's own host", 'Origins of the hosted widget page.'),
  WS_TRUSTED_PROXIES: list('network', 'none', 'Proxies whose `X-Forwarded-For` is believed.'),
  WS_PROXY_PROTOCOL: boolean(
    false,
    'Whether the PROXY protocol (version 2) of a trusted proxy is believed; its header must come in one segment with the request.',
  ),
  WS_PING_INTERVAL_SECONDS: integer(25, [1, 900], 'Interval of the pings to a client.'),
  WS_PONG_TIMEOUT_SECONDS: integer(40, [8, 960], 'A client silent for longer is gone; more than the ping interval.'),
  WS_RATE_LIMIT_PER_IP: limit(100, 'Connects of one address in `WS_RATE_LIMIT_WINDOW`.'),
  WS_RATE_LIMIT_WINDOW: integer(60, [1, DAY], 'Window of `WS_RATE_LIMIT_PER_IP`, in seconds.'),
  WS_RATE_LIMIT_MESSAGES: limit(60, 'Messages of one sender in a dialog in `WS_RATE_LIMIT_MESSAGES_WINDOW`.'),
  WS_RATE_LIMIT_MESSAGES_WINDOW: integer(10, [1, DAY], 'Window of `WS_RATE_LIMIT_MESSAGES`, in seconds.'),
  WS_RATE_LIMIT_FRAMES: limit(200, 'Frames of one connection in 10 s, pings too.'),
  WS_RATE_LIMIT_SESSIONS: limit(20, 'New dialogs that one address starts in 60 s.'),
  WS_RATE_LIMIT_AUTH_FAILURES: limit(30, 'Refused credentials of one address in 60 s.'),
  WS_RATE_LIMIT_ASSISTANT_SESSIONS: limit(600, 'New dialogs of one assistant in 60 s.'),
  WS_RATE_LIMIT_HTTP: limit(300, 'Public HTTP requests of one address in 60 s.'),
  WS_RATE_LIMIT_API: limit(0, 'Requests of one API key in 1 s.'),
  WS_RATE_LIMIT_MAX_IPS: integer(10_000, [100, 10_000_000], 'Addresses that a node remembers at most.'),
  WS_RATE_LIMIT_DRY_RUN: boolean(
    false,
    'Count what the windows would refuse, and admit it. The limits of frames and of places hold.',
  ),
  WS_BAN_SCORE: limit(100, 'Threat score at which an address is banned.'),
  WS_BAN_ALLOW: list('network', 'none', 'Networks that are never banned.'),
  WS_MAX_CONNECTIONS_PER_DIALOG: limit(50, 'Connections of one dialog.'),
  WS_MAX_CONNECTIONS_PER_USER: limit(200, 'Connections of one user.'),
  WS_MAX_CONNECTIONS_PER_IP: limit(500, 'Connections of one address.'),
  WS_MAX_CONNECTIONS_PER_ASSISTANT: limit(0, 'Connections of one assistant.'),
  WS_MAX_TOTAL_CONNECTIONS: limit(50_000, 'Connections of this node.'),
  WS_MAX_CLUSTER_CONNECTIONS: limit(0, 'Connections of all nodes.'),
  WS_AT_LIMIT: choice(
    ['refuse', 'replace'],
    'refuse',
    "At a limit of a dialog or a user: refuse the newcomer, or replace the same user's oldest connection.",
  ),
  WS_SHED_LAG_MS: limit(500, 'Lag of the event loop, in ms, above which newcomers are sent elsewhere.'),
  WS_SHED_MEMORY_MB: limit(0, 'Resident memory of the process above which newcomers are sent elsewhere.'),
  WS_HISTORY_SIZE: integer(1000, [1, 100_000], 'Publications that are kept of a track.'),
  WS_HISTORY_TTL_SECONDS: integer(7 * DAY, [60, 3650 * DAY], 'How long after its last publication a history is kept.'),
  WS_IDEMPOTENCY_TTL_SECONDS: integer(
    600,
    [1, 7 * DAY],
    "How long a message's `id` is remembered; Redis memory grows with it.",
  ),
  WS_OUTBOX_MAX_BYTES: integer(
    1_048_576,
    [131_072, 67_108_864],
    'Bytes that may wait for one slow reader before it is closed.',
  ),
  WS_CONNECTION_IDLE_SECONDS: limit(0, 'A connection that sends nothing but pings for longer is closed.'),
  WS_CONNECTION_MAX_AGE_SECONDS: integer(
    DAY,
    [1, 30 * DAY],
    'A connection older than this is closed to resume; cannot be off.',
  ),
  WS_INBOX_MAX: integer(
    10_000,
    [1, 10_000_000],
    'Entries of one assistant that wait in one partition of the inbox; from there its visitors get `unavailable`.',
  ),
  WS_WEBHOOK_ALLOW: list(
    'network',
    'none',
    'Networks to which webhooks may lead in production although they are not of the public internet.',
  ),
  WS_DRAIN_WAIT_SECONDS: integer(5, [0, 3600], 'How long a leaving node still accepts after it reports not ready.'),
  WS_DRAIN_SPREAD_SECONDS: integer(
    15,
    [0, 3600],
    'Time over which clients of a leaving node are told to spread their return.',
  ),
  WS_DRAIN_GRACE_SECONDS: integer(
    28,
    [1, 7200],
    'A leaving node exits before this; more than wait and spread together.',
  ),
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof SETTINGS;

export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[];

/** Names whose setting is of a kind, so that reading one as another kind does not compile. */
export type NameOf<K extends Setting['kind']> = {
  [N in SettingName]: (typeof SETTINGS)[N]['kind'] extends K ? N : never;
}[SettingName];

export type ChoiceOf<N extends NameOf<'choice'>> = (typeof SETTINGS)[N]['default'];

export const isSettingName = (name: string): name is SettingName => Object.hasOwn(SETTINGS, name);
