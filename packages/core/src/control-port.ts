import type { CloseName } from '@replyx/protocol';
import type { AssistantRecord } from './ports.js';

/**
 * The control port: what every node must know at once. A snapshot and a stream of what changed in it, written by one step.
 */

/** Which tokens and connections fall. Seconds are those of `iat`. */
export type RevocationRule =
  /** The token itself, and those minted from it. */
  | { readonly by: 'jti'; readonly jti: string }
  /** Tokens of a subject issued at or before a time; without a tenant in every tenant. */
  | {
      readonly by: 'subject';
      readonly sub: string;
      readonly tenant?: string | undefined;
      readonly issuedBefore: number;
    }
  /** Site and visitor tokens of an assistant whose `widget_version` is lower. */
  | { readonly by: 'assistant'; readonly assistantId: string; readonly belowVersion: number }
  | { readonly by: 'dialog'; readonly dialogId: string };

export interface Revocation {
  readonly kind: 'revocation';
  /** Names the revocation for `lift`; derived from the rule's subject, so that the same rule twice is one entry. */
  readonly id: string;
  readonly rule: RevocationRule;
  readonly createdMs: number;
  readonly expiresMs: number;
}

export interface Ban {
  readonly kind: 'ban';
  /** Derived from the network: a second ban of it replaces the first. */
  readonly id: string;
  /** An address or network in CIDR notation, canonical. */
  readonly network: string;
  readonly reason?: string | undefined;
  /** `score`: by the threat score; `api`: by an operator. */
  readonly source: 'score' | 'api';
  readonly createdMs: number;
  readonly expiresMs: number;
}

/** A lift: until the entry's own expiry, so that no node and no re-seeded store brings the entry back. */
export interface Tombstone {
  readonly kind: 'lifted';
  readonly id: string;
  /** What was lifted. */
  readonly of: 'revocation' | 'ban';
  readonly createdMs: number;
  readonly expiresMs: number;
}

/** Which live connections end. Not part of the snapshot. */
export interface Disconnect {
  readonly kind: 'disconnect';
  readonly target: {
    readonly sub?: string | undefined;
    readonly tenant?: string | undefined;
    readonly dialogId?: string | undefined;
    readonly connectionId?: string | undefined;
    readonly nodeId?: string | undefined;
  };
  readonly code: CloseName;
  /** Only connections that were surely there before the entry: what it names may be there again, and newcomers with it. */
  readonly earlierOnly?: boolean | undefined;
}

/** A node is to leave without loss, as by SIGTERM. Not part of the snapshot: who starts later is not meant. */
export interface DrainOrder {
  readonly kind: 'drain';
  readonly nodeId: string;
}

/** An assistant's record as it is now; `record` absent: it was deleted. */
export interface AssistantChange {
  readonly kind: 'assistant';
  readonly assistantId: string;
  readonly record?: AssistantRecord | undefined;
}

export type SnapshotEntry = Revocation | Ban | Tombstone;
export type ControlEntry = SnapshotEntry | Disconnect | DrainOrder | AssistantChange;

/** A place in the control stream of one epoch. Opaque to its holder. */
export interface ControlCursor {
  readonly epoch: string;
  readonly after: string;
}

export interface ControlSnapshot {
  /** Noted before the snapshot was read: tailing from it loses nothing, whatever was trimmed meanwhile. */
  readonly cursor: ControlCursor;
  readonly entries: readonly SnapshotEntry[];
  readonly assistants: ReadonlyMap<string, AssistantRecord>;
  /** Time of the store. */
  readonly nowMs: number;
  /** Since when the store bears this epoch: a younger one may be that of a store which others are still putting in order. */
  readonly epochAgeMs: number;
}

export type TailResult =
  | { readonly status: 'entries'; readonly entries: readonly ControlEntry[]; readonly cursor: ControlCursor }
  /** The stream was trimmed past the cursor, or belongs to another epoch: load the snapshot. */
  | { readonly status: 'lost' };

export interface Control {
  /**
   * Snapshot and stream in one step. An entry of the same id is replaced, but for what would weaken a revocation by writing it
   * again (see `written`). Resolves the entry as it is stored.
   */
  write<E extends ControlEntry>(entry: E): Promise<E>;
  /** Time of the store, in milliseconds. */
  nowMs(): Promise<number>;
  /** The whole snapshot, without what has expired. Mints an epoch where the store has none, or has lost what it had. */
  snapshot(): Promise<ControlSnapshot>;
  /** What came after the cursor; at once, also when it is nothing. Page until it is nothing. */
  tail(cursor: ControlCursor): Promise<TailResult>;
  /** Puts back entries that a store has lost, and tells the other nodes of them (see `seeded`). */
  seed(entries: readonly SnapshotEntry[]): Promise<void>;
}
