import type { ReconnectMode } from './close-codes.js';
import type { ErrorName } from './error-codes.js';
import type { PublicSender, Sender, SenderRole, Track } from './roles.js';

export type JsonObject = { readonly [key: string]: unknown };

// ── client to server ────────────────────────────────────────────────────────────────────────────────────────────────

/** Every client frame with an `id` gets exactly one answer that carries it. */
export interface MessageFrame {
  readonly type: 'message' | 'note';
  readonly id: string;
  readonly text: string;
  readonly meta?: JsonObject | undefined;
}
export interface TypingFrame {
  readonly type: 'typing';
  readonly state: 'start' | 'stop';
  readonly track?: Track | undefined;
}
export interface ReadFrame {
  readonly type: 'read';
  readonly offset: number;
  readonly track?: Track | undefined;
}
export interface HistoryFrame {
  readonly type: 'history';
  readonly id: string;
  /** Publications with a smaller offset, newest page first reached; excludes `after`. */
  readonly before?: number | undefined;
  /** Publications with a greater offset, oldest first. */
  readonly after?: number | undefined;
  readonly limit?: number | undefined;
  readonly track?: Track | undefined;
}
export interface RefreshFrame {
  readonly type: 'refresh';
  readonly id: string;
  readonly token: string;
}
export interface HandoffFrame {
  readonly type: 'handoff';
  readonly id: string;
  readonly action: 'request' | 'cancel' | 'take' | 'release';
}
export interface PingFrame {
  readonly type: 'ping';
}

export type ClientFrame =
  | MessageFrame
  | TypingFrame
  | ReadFrame
  | HistoryFrame
  | RefreshFrame
  | HandoffFrame
  | PingFrame;

/** The first system's heartbeat: bare text, not JSON. */
export const LEGACY_PING = '__ping__';
export const LEGACY_PONG = '__pong__';

// ── server to client ────────────────────────────────────────────────────────────────────────────────────────────────

export interface ReadMark {
  readonly role: SenderRole;
  readonly id?: string;
  readonly name?: string;
  readonly offset: number;
}

export interface HandoffState {
  readonly state: 'none' | 'requested' | 'active' | 'released' | 'cancelled';
  readonly operator?: PublicSender;
  readonly reason?: string;
  readonly queue_position?: number;
}

/** Where a connection continues in one track. */
export interface TrackPosition {
  readonly epoch: string;
  /** The next publication that follows has a greater offset than this. */
  readonly offset: number;
  /** Offset of the newest publication; recovered publications up to it follow when it is greater than `offset`. */
  readonly head: number;
  /**
   * True: the connection resumed; everything after the position that it named follows. False: it starts here, and a copy
   * that the client may have is not continuous with what follows: load it from history.
   */
  readonly recovered: boolean;
}

export interface ConnectedFrame extends TrackPosition {
  readonly type: 'connected';
  readonly connection_id: string;
  readonly dialog_id: string;
  readonly role: SenderRole;
  readonly ping_interval_ms: number;
  readonly expires_in_ms: number;
  readonly server_time: number;
  readonly handoff: HandoffState;
  readonly read: readonly ReadMark[];
  /** Operators only. */
  readonly internal?: TrackPosition & { readonly read: readonly ReadMark[] };
}

export interface PublicationFrame {
  readonly type: 'message' | 'note';
  readonly offset: number;
  readonly timestamp: number;
  readonly id: string;
  readonly sender: Sender;
  readonly text: string;
  readonly meta?: JsonObject;
}

export interface AckFrame {
  readonly type: 'ack';
  readonly id: string;
  readonly offset?: number;
  readonly track?: Track;
  readonly duplicate?: true;
}

export interface ErrorFrame {
  readonly type: 'error';
  readonly id?: string;
  readonly code: ErrorName;
  readonly message: string;
  readonly temporary: boolean;
  readonly retry_after_ms?: number;
}

export interface HistoryAnswerFrame {
  readonly type: 'history';
  readonly id: string;
  readonly track: Track;
  readonly messages: readonly PublicationFrame[];
  readonly epoch: string;
  /** The track's head, not the page's last entry. */
  readonly offset: number;
  readonly more: boolean;
}

export interface TypingNotice {
  readonly type: 'typing';
  readonly sender: PublicSender;
  readonly state: 'start' | 'stop';
  readonly track?: Track;
}

export interface ReadNotice {
  readonly type: 'read';
  readonly sender: PublicSender;
  readonly offset: number;
  readonly track?: Track;
}

export interface PresenceNotice {
  readonly type: 'presence';
  readonly state: 'snapshot' | 'join' | 'leave';
  readonly users: readonly PublicSender[];
  /** With a snapshot: how many are present that this peer may know of; more than are listed in a large dialog. */
  readonly count?: number;
}

export interface EventNotice {
  readonly type: 'event';
  readonly name: string;
  readonly data: unknown;
}

export type HandoffNotice = { readonly type: 'handoff' } & HandoffState;

/** How an answer that was being written ended. */
export type StreamEnd = 'finished' | 'aborted' | 'expired' | 'stale_fence' | 'closed';

/** A piece of an assistant's answer while it is written. */
export interface DeltaNotice {
  readonly type: 'delta';
  /** The `id` of the message that the answer becomes. */
  readonly stream_id: string;
  /** Number of the piece in its stream, dense from 0. */
  readonly index: number;
  readonly text: string;
  /** `text` is everything up to `index`, in place of what the client has of the stream. */
  readonly whole?: true;
  /** The last of its stream: what the client has of it is to be dropped. */
  readonly done?: true;
  /** With `done`; after `finished` the message follows, unless it is refused. Absent where the node does not know. */
  readonly reason?: StreamEnd;
}

export interface ResetFrame {
  readonly type: 'reset';
  readonly track: Track;
  readonly epoch: string;
  readonly offset: number;
  readonly reason: 'new_epoch' | 'history_lost';
}

export interface DisconnectFrame {
  readonly type: 'disconnect';
  readonly code: number;
  readonly reason: string;
  readonly reconnect: { readonly mode: ReconnectMode; readonly delay_ms: number };
}

export interface PongFrame {
  readonly type: 'pong';
}

export type ServerFrame =
  | ConnectedFrame
  | PublicationFrame
  | AckFrame
  | ErrorFrame
  | HistoryAnswerFrame
  | TypingNotice
  | ReadNotice
  | PresenceNotice
  | EventNotice
  | DeltaNotice
  | HandoffNotice
  | ResetFrame
  | DisconnectFrame
  | PongFrame;
