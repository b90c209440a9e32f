import type { ChoiceOf } from './schema.js';
import type { Secret } from './secret.js';
import type { Environment } from './setting-reader.js';

/** One secret key; `kid` where the configuration names it. */
export interface ConfiguredKey {
  readonly kid?: string;
  readonly value: Secret;
}

export interface AuthConfig {
  /** At least one; the first signs. */
  readonly operatorKeys: readonly ConfiguredKey[];
  /** For site and visitor tokens. At least one; the first signs. */
  readonly siteKeys: readonly ConfiguredKey[];
  /** At least one. */
  readonly apiKeys: readonly Secret[];
  /** Derives the ids under which visitors see operators. */
  readonly publicIdKey: Secret;
  readonly jwksUrl?: string;
  readonly issuer?: string;
  readonly audience?: string;
  readonly clockToleranceMs: number;
  readonly tokenMaxLifeMs: number;
  readonly siteTokenMaxAgeMs: number;
  readonly allowQueryToken: boolean;
}

/** Not more than `limit` in any `windowMs`; a `limit` of 0 is off. */
export interface RateLimit {
  readonly limit: number;
  readonly windowMs: number;
}

/** What a node runs with. Immutable. A limit of 0 is off. */
export interface GatewayConfig {
  readonly environment: Environment;
  readonly production: boolean;
  readonly logLevel: ChoiceOf<'LOG_LEVEL'>;
  readonly node: {
    readonly id: string;
    /** A node silent for longer is dead. */
    readonly ttlMs: number;
  };
  readonly listen: {
    readonly public: { readonly host: string; readonly port: number };
    readonly internal: { readonly host: string; readonly port: number };
  };
  /** Absent: everything in memory, one node. */
  readonly redis?: {
    readonly url: Secret;
    readonly prefix: string;
    /** Independent masters for locks; `url` alone where none are configured. */
    readonly lockUrls: readonly Secret[];
  };
  readonly directory: ChoiceOf<'WS_DIRECTORY'>;
  readonly auth: AuthConfig;
  readonly origins: {
    /** For operators; empty: none. */
    readonly cors: readonly string[];
    /** For the hosted widget page; empty: the request's own host. */
    readonly widget: readonly string[];
  };
  /** Addresses and networks in CIDR notation, canonical. */
  readonly trustedProxies: readonly string[];
  /** Believes the PROXY protocol of a trusted proxy. */
  readonly proxyProtocol: boolean;
  readonly heartbeat: {
    readonly pingIntervalMs: number;
    /** 8 s to 960 s, and longer than the interval. */
    readonly pongTimeoutMs: number;
  };
  readonly rateLimits: {
    readonly connects: RateLimit;
    readonly messages: RateLimit;
    readonly frames: RateLimit;
    readonly sessions: RateLimit;
    readonly authFailures: RateLimit;
    readonly assistantSessions: RateLimit;
    readonly http: RateLimit;
    readonly api: RateLimit;
    readonly maxAddresses: number;
    readonly dryRun: boolean;
  };
  readonly bans: {
    readonly score: number;
    readonly allow: readonly string[];
  };
  readonly connections: {
    readonly perDialog: number;
    readonly perUser: number;
    readonly perAddress: number;
    readonly perAssistant: number;
    readonly perNode: number;
    readonly perCluster: number;
    readonly atLimit: ChoiceOf<'WS_AT_LIMIT'>;
    readonly idleMs: number;
    readonly maxAgeMs: number;
  };
  /** Where newcomers are sent elsewhere; 0 is off. */
  readonly shedding: {
    readonly loopLagMs: number;
    readonly memoryBytes: number;
  };
  readonly history: {
    /** Publications kept a track. */
    readonly size: number;
    readonly ttlMs: number;
  };
  readonly idempotencyTtlMs: number;
  readonly outboxMaxBytes: number;
  readonly inboxMax: number;
  /** Canonical networks to which webhooks may lead besides the public internet. */
  readonly webhookAllow: readonly string[];
  /** `waitMs + spreadMs < graceMs`. */
  readonly drain: {
    readonly waitMs: number;
    readonly spreadMs: number;
    readonly graceMs: number;
  };
}
