import type { CloseName, Position, SenderRole, Track } from '@replyx/protocol';
import type { Control } from './control-port.js';
import type { Leases, Limiter } from './guard-ports.js';
import type { Handoffs, StoredHandoff } from './handoff-port.js';
import type { Inbox, InboxAddress, InboxStanding } from './inbox-port.js';
import type { Latencies } from './latencies.js';
import type { Streams } from './stream-port.js';

/**
 * The ports: what a node needs from outside its process. Each has an in-memory implementation (`./memory`) and one on
 * Redis (`@replyx/redis`), and both pass the same contract suite of the test kit.
 *
 * Every promise settles within a deadline that the implementation's configuration names. An outage rejects with
 * `BackplaneUnavailable`; everything that a caller can cause is a value.
 */

/** The backplane can't answer now. Whether a write happened is unknown: retry it with the same id. */
export class BackplaneUnavailable extends Error {
  override readonly name = 'BackplaneUnavailable';
}

export interface TrackRef {
  readonly dialogId: string;
  readonly track: Track;
}

// ── Log: publications, history, positions ───────────────────────────────────────────────────────────────────────────

/** Who publishes; `role` and `id` together are the scope of the idempotency key and of the sending window. */
export interface PublicationSender {
  readonly role: SenderRole;
  readonly id: string;
}

export interface PublishRequest {
  readonly dialogId: string;
  readonly track: Track;
  readonly sender: PublicationSender;
  /** Idempotency key, unique for its sender in the dialog and track. */
  readonly id: string;
  /** Digest of everything the sender chose (text, meta): the same `id` with another digest is a conflict. */
  readonly bodyDigest: string;
  /**
   * The frame in two parts around what only the append can know:
   * the frame is `head + offset + ',"timestamp":' + now + tail`.
   */
  readonly frameHead: string;
  readonly frameTail: string;
  /** Names this attempt in the delivery's `origin`, so that its node can acknowledge on arrival. */
  readonly request: number;
  /** Highest position of the track that this node has seen; finds a rolled-back store. */
  readonly known?: Position | undefined;
  /** Fencing token of the holder that writes. */
  readonly fence?: number | undefined;
  /** The sender's sliding window; 0 switches it off. */
  readonly windowLimit: number;
  readonly windowMs: number;
  /** What the window refuses is appended all the same, and told by `overLimit`; it takes no room in the window. */
  readonly windowIsDryRun?: boolean | undefined;
  /** True where a dialog without a directory record is refused with `not_found`. */
  readonly mustExist: boolean;
  /** The dialog's assistant, for a visitor's message where that assistant has an inbox: the message goes there too. */
  readonly inbox?: string | undefined;
}

export type PublishResult =
  | {
      readonly status: 'appended' | 'duplicate';
      readonly epoch: string;
      readonly offset: number;
      /** In a dry run: the window would have refused it. */
      readonly overLimit?: true;
    }
  | { readonly status: 'rate_limited'; readonly retryAfterMs: number }
  /** `inbox_full`: the assistant's inbox holds as much as it may of what its backend has not acknowledged. */
  | { readonly status: 'conflict' | 'stale_fence' | 'closed' | 'not_found' | 'inbox_full' };

export interface ReadRequest extends TrackRef {
  /** Highest position that this node has seen of the track; the same epoch with a smaller stored offset mints. */
  readonly known?: Position | undefined;
  /**
   * `known` is proved wrong (an offset arrived twice with different publications): mint a new epoch if the stored one is
   * still `known.epoch`.
   */
  readonly mint?: boolean | undefined;
  /** Entries with a greater offset, oldest first; excludes `before`. */
  readonly after?: number | undefined;
  /** Entries with a smaller offset: the newest `limit` of these, returned oldest first. */
  readonly before?: number | undefined;
  /** Most entries to return; 0 reads the position only. */
  readonly limit: number;
}

export interface LogEntry {
  readonly offset: number;
  /** Names the append: two entries of one epoch and offset with different origins are two publications. */
  readonly origin: string;
  readonly frame: Uint8Array;
}

export interface ReadResult {
  readonly epoch: string;
  /** The head: offset of the newest publication ever made, 0 before the first. */
  readonly offset: number;
  /** Offset of the oldest kept publication; `offset + 1` when none is kept. */
  readonly oldest: number;
  readonly entries: readonly LogEntry[];
  /** Whether more entries are kept beyond the page in the direction that was read. */
  readonly more: boolean;
}

export interface Log {
  /** One atomic append. A refusal leaves nothing behind, the idempotency key least of all. */
  publish(request: PublishRequest): Promise<PublishResult>;
  /** Position and entries in one atomic read. The first read of an unknown track mints its epoch. */
  read(request: ReadRequest): Promise<ReadResult>;
  /** Clears both tracks, their idempotency keys' life, marks and members. What the directory says is not touched. */
  erase(dialogId: string): Promise<void>;
}

// ── Fanout: live deliveries ─────────────────────────────────────────────────────────────────────────────────────────

/** Who of a track's subscribers an ephemeral frame is for. The internal track has operators only. */
export type Audience = 'all' | 'operators' | 'visitors';

export type Delivery =
  | {
      readonly kind: 'publication';
      readonly ref: TrackRef;
      readonly epoch: string;
      readonly offset: number;
      /** `<incarnation>:<request>` of the append. */
      readonly origin: string;
      readonly frame: Uint8Array;
    }
  /** A frame that is sent as it is and never recovered. */
  | { readonly kind: 'ephemeral'; readonly ref: TrackRef; readonly audience: Audience; readonly frame: Uint8Array }
  /** A user came or went; each node renders it for its own sockets. Always on the main track's channel. */
  | { readonly kind: 'presence'; readonly dialogId: string; readonly change: PresenceChange }
  /** A piece of an answer that is being written, or the last of it. Always on the main track's channel. */
  | {
      readonly kind: 'delta';
      readonly dialogId: string;
      readonly streamId: string;
      readonly index: number;
      readonly done: boolean;
      readonly frame: Uint8Array;
    }
  /** The handoff changed, as the audience sees it. Always on the main track's channel. */
  | {
      readonly kind: 'handoff';
      readonly dialogId: string;
      readonly audience: Audience;
      /** That of the stored state which it tells. */
      readonly version: number;
      readonly frame: Uint8Array;
    }
  /** The dialog was erased: its sockets are closed with NOT_FOUND. Always on the main track's channel. */
  | { readonly kind: 'erased'; readonly dialogId: string }
  /** A connection gave way to a newer one; the node that holds it closes it with the code. On the main track's channel. */
  | { readonly kind: 'evicted'; readonly dialogId: string; readonly connectionId: string; readonly code: EvictionCode };

/** `CONFLICT_CONNECTION`: the same client connected again; `CONNECTION_LIMIT`: the oldest gave way to a newcomer. */
export type EvictionCode = Extract<CloseName, 'CONFLICT_CONNECTION' | 'CONNECTION_LIMIT'>;

export interface FanoutListener {
  /** Called in the order of arrival for every subscribed channel. Must not throw. */
  onDelivery(delivery: Delivery): void;
  /**
   * Subscriptions were interrupted and are restored: what was published meanwhile is lost and must be read.
   * `refs` are those affected.
   */
  onRestored(refs: readonly TrackRef[]): void;
}

export interface Fanout {
  /** Sets the one listener; before any subscribe. */
  listen(listener: FanoutListener): void;
  /** Resolves when every channel is confirmed: what is published after that arrives. Idempotent. Batched by tick. */
  subscribe(refs: readonly TrackRef[]): Promise<void>;
  /** Best effort; stray deliveries may still arrive. */
  unsubscribe(refs: readonly TrackRef[]): void;
  /** Sends an ephemeral frame to all nodes that hold the track, this one included. */
  emit(ref: TrackRef, audience: Audience, frame: Uint8Array | string): Promise<void>;
}

// ── Directory: assistants and dialogs that are known ────────────────────────────────────────────────────────────────

/** Where an assistant's inbox is posted to. */
export interface Webhook {
  readonly url: string;
  /** Signs every delivery; never shown or logged. */
  readonly secret: string;
  /** Signs as well, while the receiver learns the new secret. */
  readonly previousSecret?: string | undefined;
}

export interface AssistantRecord {
  readonly tenant: string;
  readonly active: boolean;
  readonly allowedDomains: readonly string[];
  readonly widgetVersion: number;
  readonly inbox: boolean;
  /** Where its inbox is delivered to; without it the inbox waits for consumer groups. */
  readonly webhook?: Webhook | undefined;
  /** Overrides as the API's body names them. */
  readonly limits?: Readonly<Record<string, number>> | undefined;
}

export interface DialogRecord {
  readonly tenant: string;
  /** Absent until the first visitor token names it (`open` directory only). */
  readonly assistantId?: string | undefined;
  /** The visitor who owns the dialog; absent until the first visitor comes. */
  readonly visitorId?: string | undefined;
  readonly closed: boolean;
}

/** Whose dialog it is: what a visitor's credential says of it. */
export interface DialogOwner {
  readonly tenant: string;
  readonly assistantId: string;
  readonly visitorId: string;
}

/** `conflict`: the dialog is of another tenant, assistant or visitor; a caller must not be told which, nor from `unknown`. */
export type OpenDialogResult = 'created' | 'resumed' | 'conflict' | 'unknown';

export interface Directory {
  assistant(assistantId: string): Promise<AssistantRecord | undefined>;
  putAssistant(assistantId: string, record: AssistantRecord): Promise<void>;
  /** Resolves whether it was there. */
  deleteAssistant(assistantId: string): Promise<boolean>;
  dialog(dialogId: string): Promise<DialogRecord | undefined>;
  /**
   * Replaces the record; a record that is put has no lifetime. `conflict`: the dialog belongs to another tenant. `hasInbox`: the
   * record's assistant has an inbox, which is told when the dialog opens or closes by it.
   */
  putDialog(dialogId: string, record: DialogRecord, hasInbox?: boolean): Promise<'stored' | 'conflict'>;
  /**
   * Opens a dialog for its visitor in one atomic step. `make`: an unknown one is made, to live as long as its history and an hour
   * while that is empty, and what its record leaves open is fixed by the owner. `keep`: it stays `unknown`, and only the visitor
   * is fixed. The rule is the one by which a connection registers. `hasInbox`: the assistant's inbox is told of a dialog that is made.
   */
  openDialog(
    dialogId: string,
    owner: DialogOwner,
    mode: 'make' | 'keep',
    hasInbox?: boolean,
  ): Promise<OpenDialogResult>;
  /**
   * Deletes the record and erases the dialog whole, telling its nodes. Resolves whether anything was there. `inboxOf`: an assistant
   * that has an inbox; where the dialog is its own and open, the inbox is told that it closed.
   */
  deleteDialog(dialogId: string, inboxOf?: string): Promise<boolean>;
}

// ── Roster: who is connected to a dialog, what they have read ───────────────────────────────────────────────────────

export interface Member {
  readonly role: SenderRole;
  /** The subject; within its tenant unique. */
  readonly id: string;
  readonly name?: string | undefined;
  /** What visitors see as id. */
  readonly publicId: string;
}

/** A member as a roster shows it; `wrote`: has written in the main track, so visitors may know of an operator. */
export interface PresentMember extends Member {
  readonly wrote: boolean;
}

export interface PresenceChange {
  readonly state: 'join' | 'leave';
  readonly member: PresentMember;
}

export interface StoredMark {
  readonly role: SenderRole;
  readonly id: string;
  readonly name?: string | undefined;
  readonly publicId: string;
  readonly track: Track;
  readonly offset: number;
  readonly wrote: boolean;
}

/**
 * What a credential says of the dialog that it opens; checked against the directory in the script that registers.
 * `assistantId` and `visitorId` for visitors; `assistants` for operators whose token limits them.
 */
export interface DialogClaim {
  readonly tenant: string;
  readonly assistantId?: string | undefined;
  readonly visitorId?: string | undefined;
  readonly assistants?: readonly string[] | undefined;
  /** `open`: an unknown dialog is made from the claim, and fields that are still absent are fixed by it. */
  readonly directory: 'strict' | 'open';
}

export interface RegisterRequest {
  readonly dialogId: string;
  readonly connectionId: string;
  readonly member: Member;
  readonly claim: DialogClaim;
  /** One per tab: older connections of the same member with it do not count, and are named in the result. */
  readonly clientId?: string | undefined;
  /** Live connections that the dialog may have; 0 or absent: no limit. */
  readonly limit?: number | undefined;
  /** `replace`: at the limit the member's own oldest connection gives way; where it has none, it is refused all the same. */
  readonly atLimit?: 'refuse' | 'replace' | undefined;
  /** Of a visitor whose assistant has an inbox: it is told when the visitor comes, and when the last connection goes. */
  readonly inbox?: InboxAddress | undefined;
  /** Tracks of which this node knows nothing yet, and whose heads it wants; default none. */
  readonly heads?: readonly Track[] | undefined;
}

export type RegisterResult =
  | {
      readonly status: 'registered';
      readonly dialog: DialogRecord;
      /** Members with a live connection, each once, at most the contract's bound; this one included. */
      readonly members: readonly PresentMember[];
      /** How many members there are, by who may know: operators see all, visitors those that they may know of. */
      readonly count: { readonly operators: number; readonly visitors: number };
      readonly marks: readonly StoredMark[];
      /** Whether this member has written in the main track. */
      readonly wrote: boolean;
      /** Older connections of the same client, which are to be evicted now that this one is known to be the newer. */
      readonly superseded: readonly string[];
      readonly handoff: StoredHandoff;
      /** Answers that are being written. */
      readonly openStreams: number;
      /** Where the tracks that were asked for stand, in their order, as `Log.read` would say. */
      readonly heads: readonly Position[];
    }
  /** Unknown, of another tenant or assistant, or owned by another visitor: a caller must not be told which. */
  | { readonly status: 'not_found' }
  /** The dialog has as many live connections as it may. Nothing is registered. */
  | { readonly status: 'full' };

export interface Roster {
  /** Checks the claim and registers the connection in one atomic step; tells the dialog's nodes of a new member. */
  register(request: RegisterRequest): Promise<RegisterResult>;
  /** Idempotent. Tells the dialog's nodes when it was the member's last live connection. */
  unregister(dialogId: string, connectionId: string): Promise<void>;
  /**
   * Takes connections off that gave way to a newer one of their client; their nodes are told. Not a part of `register`: one that its
   * node has given up may arrive late, after the client has come back elsewhere.
   */
  evict(dialogId: string, connectionIds: readonly string[]): Promise<void>;
  /** Live connections of a dialog, for the API. */
  connections(dialogId: string): Promise<readonly RosterConnection[]>;
  /**
   * Raises a member's read mark and emits `frames` to those who may see it. A mark never falls, and never passes the
   * head. Resolves the stored offset.
   */
  mark(request: MarkRequest): Promise<number>;
  /** Removes what a dead incarnation left, in bounded steps; tells nodes of members that are gone with it. */
  sweep(incarnation: string): Promise<number>;
  /**
   * Renews the lifetime of what these dialogs' connections need, and restores this node's registrations that an emptied
   * or expired store has lost. Resolves how many were restored.
   */
  renew(connections: readonly RegisteredConnection[]): Promise<number>;
}

export interface RegisteredConnection {
  readonly dialogId: string;
  readonly connectionId: string;
  readonly member: Member;
  readonly clientId?: string | undefined;
  readonly inbox?: InboxAddress | undefined;
}

export interface RosterConnection extends RegisteredConnection {
  readonly incarnation: string;
  readonly nodeId: string;
}

export interface MarkRequest {
  readonly dialogId: string;
  readonly track: Track;
  readonly member: Member;
  readonly offset: number;
}

// ── Membership: the cluster's nodes ─────────────────────────────────────────────────────────────────────────────────

export interface NodeInfo {
  readonly incarnation: string;
  readonly nodeId: string;
  readonly version: string;
  readonly startedAtMs: number;
  readonly connections: number;
  readonly dialogs: number;
  readonly subscriptions: number;
  /** Event-loop lag in milliseconds, p99 of the last interval. */
  readonly loopLagMs: number;
  readonly draining: boolean;
  /** What waits in the partitions of the inbox that this node serves. */
  readonly inbox?: InboxStanding | undefined;
}

export interface BeatResult {
  /** Nodes whose heartbeat is younger than the node TTL, this one included. */
  readonly live: readonly NodeInfo[];
  /** Incarnations that fell silent and are not swept yet. */
  readonly dead: readonly string[];
  /** This node's own heartbeat was gone (it was stopped, or the store was emptied): it must renew what it holds. */
  readonly lapsed: boolean;
}

export interface Membership {
  /** Writes this node's heartbeat and reads everybody's, in one step; `live` is what the other ports count by. */
  beat(info: NodeInfo): Promise<BeatResult>;
  /** Forgets this node at an orderly stop, or a dead incarnation after its sweep. */
  forget(incarnation: string): Promise<void>;
}

// ── The whole ───────────────────────────────────────────────────────────────────────────────────────────────────────

export interface BackplaneHealth {
  readonly ok: boolean;
  /** Stable words for readiness, such as `redis_unreachable`, `subscriber_silent`. Empty when ok. */
  readonly reasons: readonly string[];
}

export interface Backplane {
  readonly control: Control;
  readonly log: Log;
  readonly fanout: Fanout;
  readonly directory: Directory;
  readonly roster: Roster;
  readonly membership: Membership;
  /** How long each kind of operation took; empty where none leaves the process. */
  readonly latencies: Latencies;
  readonly limiter: Limiter;
  readonly leases: Leases;
  readonly handoffs: Handoffs;
  readonly streams: Streams;
  readonly inbox: Inbox;
  health(): BackplaneHealth;
  /** Safe to call twice. */
  close(): Promise<void>;
}

/** What both backplanes are given by the node that opens them. */
export interface BackplaneOptions {
  /** `<NODE_ID>.<boot id>`: one life of a node. No `:` or white space. */
  readonly incarnation: string;
  readonly nodeId: string;
  /** Publications kept a track. */
  readonly historySize: number;
  /** Milliseconds since the last publication after which a log expires. */
  readonly historyTtlMs: number;
  readonly idempotencyTtlMs: number;
  /** A node silent for longer is dead. */
  readonly nodeTtlMs: number;
  /** Longest life of a connection, and so of the places that it holds. */
  readonly leaseTtlMs: number;
  /** An answer that is not written on for longer is over; default `BOUNDS.streamIdleMs`. */
  readonly streamIdleMs?: number | undefined;
  /** Entries of one assistant that may wait in one partition of the inbox; default 10000. */
  readonly inboxMax?: number | undefined;
}

export const DEFAULT_INBOX_MAX = 10_000;
