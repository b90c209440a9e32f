import type { StreamEnd, Track } from '@replyx/protocol';
import type { ControlEntry, SnapshotEntry } from '../control-port.js';
import type { HandoffAction, StoredHandoff } from '../handoff-port.js';
import type { DeadLetter, InboxAddress, InboxEntry } from '../inbox-port.js';
import type { AssistantRecord, LogEntry, Member, NodeInfo } from '../ports.js';
import { STREAM_MEMORY_MS, type StreamSender } from '../stream-port.js';
import type { Scope } from './leases.js';
import type { StoredWindow } from './window.js';

/**
 * What the in-memory cluster holds, key by key as Redis would, so that each can expire alone. Plain data: a snapshot is a
 * structured clone.
 */
export interface TrackPlace {
  epoch: string;
  /** Idempotency goes by it; changes only when the log is cleared. */
  life: string;
  offset: number;
  /** The store's run that named the epoch. */
  run: number;
}

export interface Meta {
  tenant?: string | undefined;
  assistantId?: string | undefined;
  visitorId?: string | undefined;
  closed: boolean;
  fence?: number | undefined;
  handoff?: KeptHandoff | undefined;
  places: Partial<Record<Track, TrackPlace>>;
  /** Infinity where the directory put it. */
  expiresMs: number;
}

export interface StoredLog {
  entries: LogEntry[];
  expiresMs: number;
}

export interface Appended {
  life: string;
  offset: number;
  digest: string;
  expiresMs: number;
}

export interface Connection {
  incarnation: string;
  nodeId: string;
  member: Member;
  clientId?: string | undefined;
  /** The inbox that is told of the user. */
  inbox?: InboxAddress | undefined;
}

export interface Mark {
  member: Member;
  track: Track;
  offset: number;
}

export interface Dialog {
  meta: Meta | undefined;
  logs: Partial<Record<Track, StoredLog>>;
  /** In order of expiry. */
  appended: Map<string, Appended>;
  /** Times of admissions by sender, oldest first. */
  windows: Map<string, number[]>;
  /** Managers who have written in the main track. */
  writers: Set<string>;
  marks: Map<string, Mark>;
  /** In the order of registration. */
  connections: Map<string, Connection>;
  /** Answers that are being written, and those that have ended, by id. */
  streams: Map<string, KeptStream>;
  /** The last actions of a handoff by their sender, the newest first. */
  handoffIds: Map<string, DoneHandoff[]>;
}

export interface KeptHandoff extends Pick<StoredHandoff, 'state' | 'version' | 'operator' | 'reason'> {
  /** Ids of actions are remembered within one life: an erased dialog's are not. */
  readonly life: string;
  /** When it was last asked for. */
  readonly requestedMs: number | undefined;
}

export interface DoneHandoff {
  readonly id: string;
  readonly action: HandoffAction;
  readonly life: string;
  readonly expiresMs: number;
}

export interface KeptStream {
  state: 'open' | 'finishing' | StreamEnd;
  sender: StreamSender;
  fence: number | undefined;
  pieces: string[];
  touchedMs: number;
  position?: { readonly epoch: string; readonly offset: number } | undefined;
}

export interface Beat {
  info: NodeInfo;
  atMs: number;
}

/** The control stream and snapshot. The stream's entries are numbered from 1; those up to `trimmed` are gone. */
export interface ControlData {
  /** Absent: an emptied store, which nobody has asked yet. */
  epoch: { name: string; run: number; bornMs: number } | undefined;
  log: { readonly name: string; readonly entry: ControlEntry }[];
  trimmed: number;
  /** Name of the newest entry ever; '' before the first. */
  last: string;
  entries: Map<string, SnapshotEntry>;
}

/** Entries of one dialog that wait for another attempt, in the order of their ids; never empty. */
export interface ParkedDialog {
  entries: InboxEntry[];
  /** Failed attempts of the first. */
  attempts: number;
  dueMs: number;
}

export interface InboxPartition {
  /** Id of the newest entry ever; '' before the first. */
  last: string;
  entries: InboxEntry[];
  counts: Map<string, number>;
  dropped: Map<string, number>;
  asleep: boolean;
  lease: { readonly token: string; readonly untilMs: number } | undefined;
  parked: Map<string, ParkedDialog>;
  letters: DeadLetter[];
}

export interface Data {
  control: ControlData;
  dialogs: Map<string, Dialog>;
  assistants: Map<string, AssistantRecord>;
  beats: Map<string, Beat>;
  /** By subject and name; a threat score is one of them. */
  windows: Map<string, StoredWindow>;
  /** Bans of an address: until when each is remembered, oldest first. */
  bans: Map<string, number[]>;
  places: Map<string, Scope>;
  inbox: Map<number, InboxPartition>;
}

export const emptyControl = (): ControlData => ({
  epoch: undefined,
  log: [],
  trimmed: 0,
  last: '',
  entries: new Map(),
});

export const emptyData = (): Data => ({
  control: emptyControl(),
  dialogs: new Map(),
  assistants: new Map(),
  beats: new Map(),
  windows: new Map(),
  bans: new Map(),
  places: new Map(),
  inbox: new Map(),
});

export const emptyDialog = (): Dialog => ({
  meta: undefined,
  logs: {},
  appended: new Map(),
  windows: new Map(),
  writers: new Set(),
  marks: new Map(),
  connections: new Map(),
  streams: new Map(),
  handoffIds: new Map(),
});

/** Drops what has expired in a dialog; true where nothing is left of it. */
export const expireDialog = (dialog: Dialog, nowMs: number, longestWindowMs: number): boolean => {
  if (dialog.meta !== undefined && dialog.meta.expiresMs <= nowMs) dialog.meta = undefined;
  for (const track of Object.keys(dialog.logs) as Track[]) {
    if ((dialog.logs[track]?.expiresMs ?? 0) <= nowMs) delete dialog.logs[track];
  }
  for (const [key, { expiresMs }] of dialog.appended) {
    if (expiresMs > nowMs) break;
    dialog.appended.delete(key);
  }
  for (const [sender, times] of dialog.windows) {
    if (nowMs - (times.at(-1) ?? 0) > longestWindowMs) dialog.windows.delete(sender);
  }
  for (const [streamId, { touchedMs }] of dialog.streams) {
    if (nowMs - touchedMs >= STREAM_MEMORY_MS) dialog.streams.delete(streamId);
  }
  for (const [user, [newest]] of dialog.handoffIds) {
    if ((newest?.expiresMs ?? 0) <= nowMs) dialog.handoffIds.delete(user);
  }
  if (dialog.meta !== undefined || dialog.connections.size > 0 || dialog.streams.size > 0) return false;
  return Object.keys(dialog.logs).length === 0 && dialog.appended.size === 0 && dialog.windows.size === 0;
};

/** A user of a dialog; no role has a line end. */
export const userOf = ({ role, id }: { readonly role: string; readonly id: string }): string => `${role}\n${id}`;
