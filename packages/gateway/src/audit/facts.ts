import type { RedisInspection } from '@replyx/redis';
import type { GatewayConfig } from '../config/gateway-config.js';
import type { SettingName } from '../config/schema.js';
import type { ConfigProblem, ConfigWarning } from '../config/setting-reader.js';
import type { AddressKind } from './address-kind.js';

/** What the audit knows of one key; nothing from which it could be made again. */
export interface KeyFacts {
  readonly bytes: number;
  /** It is a value of a documentation or a placeholder. */
  readonly example: boolean;
  /** It has too little variety to be random. */
  readonly guessable: boolean;
  /** Equal for equal values, among all keys of one audit. */
  readonly same: number;
}

export type SecretSource = 'absent' | 'environment' | 'file' | 'unreadable';

export interface SecretFacts {
  readonly name: SettingName;
  readonly source: SecretSource;
  readonly keys: readonly KeyFacts[];
}

/** One Redis URL of the configuration, and what answered there. */
export interface RedisTarget {
  readonly setting: 'REDIS_URL' | 'WS_LOCK_REDIS_URLS';
  readonly source: SecretSource;
  /** Hosts and ports, without a credential. */
  readonly server: string;
  readonly tls: boolean;
  /** Only this machine can be meant. */
  readonly loopback: boolean;
  readonly password: 'none' | 'weak' | 'strong';
  /** One for each server behind the URL; empty where nobody was asked. */
  readonly inspections: readonly RedisInspection[];
}

/** A clock less this one's, and how much that may be off. */
export interface ClockFacts {
  readonly offsetMs: number;
  readonly errorMs: number;
}

export interface ClusterNode {
  readonly id: string;
  readonly version: string;
  readonly lagMs: number;
}

/** A node at its internal address. */
export type NodeFacts =
  | { readonly url: string; readonly reached: false; readonly why: string }
  | {
      readonly url: string;
      readonly reached: true;
      readonly place: AddressKind;
      /** Why it is not ready; empty where it is. */
      readonly unready: readonly string[];
      /** Whether `/metrics` answers with the gateway's metrics. */
      readonly metrics: boolean;
      /** Descriptors that the process may open, where its metrics say so. */
      readonly descriptors: number | undefined;
      /** Whether the cluster's nodes are shown to a caller without a key, or with one that nobody was given. */
      readonly openToAll: boolean;
      /** Absent where no key was known. */
      readonly acceptsKey: boolean | undefined;
      readonly cluster: readonly ClusterNode[];
      readonly clock: ClockFacts | undefined;
    };

/** The public address, as clients reach it. */
export type EdgeFacts =
  | { readonly url: string; readonly reached: false; readonly why: string }
  | {
      readonly url: string;
      readonly reached: true;
      readonly https: boolean;
      readonly place: AddressKind;
      readonly metrics: boolean;
      /** Paths of the internal listener that are answered here. */
      readonly internalPaths: readonly string[];
      readonly nosniff: boolean;
      readonly hsts: boolean;
      /** How a proxy in front of the node shows. */
      readonly proxy: string | undefined;
      /** Whether a page of a foreign origin may read answers with credentials. */
      readonly anyOrigin: boolean;
    };

/** Everything that was collected. Holds no secret that is not wrapped in `Secret`. */
export interface AuditFacts {
  readonly config: GatewayConfig;
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly ConfigWarning[];
  readonly secrets: readonly SecretFacts[];
  readonly jwksOverHttp: boolean;
  readonly redis: readonly RedisTarget[];
  /** Descriptors that a process started from here may open; undefined where the system does not say. */
  readonly descriptors: number | undefined;
  readonly nodes: readonly NodeFacts[];
  readonly edges: readonly EdgeFacts[];
}
