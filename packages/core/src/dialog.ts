import type { Track } from '@replyx/protocol';
import { type DraftSource, Drafts } from './drafts.js';
import { Feed, type FeedContext } from './feed.js';
import type { PresenceChange } from './ports.js';
import { PresenceChanges } from './presence.js';
import type { Session } from './session.js';

export interface DialogContext extends FeedContext, DraftSource {}

/** One dialog on this node: its sessions here, and the feeds that serve them. */
export class Dialog {
  readonly id: string;
  readonly main: Feed;
  /** Followed only while operators are here: a node without any receives nothing of the notes. */
  internal: Feed | undefined;
  /** Monotonic milliseconds since which nobody is here; `undefined` while somebody is. */
  idleSinceMs: number | undefined;
  /** Likewise for the notes: since when no operator is here, while their feed is still followed. */
  notesIdleSinceMs: number | undefined;
  readonly drafts: Drafts<Session>;
  /** The newest state of the handoff that was told here. */
  handoffVersion = 0;
  private members: readonly Session[] = [];
  private changes: PresenceChanges | undefined;
  private readonly context: FeedContext;

  constructor(id: string, context: DialogContext) {
    this.id = id;
    this.context = context;
    this.main = new Feed(id, 'main', context);
    this.drafts = new Drafts(id, context);
  }

  get sessions(): readonly Session[] {
    return this.members;
  }

  feed(track: Track): Feed | undefined {
    return track === 'main' ? this.main : this.internal;
  }

  feedsFor(session: Session): Feed[] {
    if (session.internal === undefined) return [this.main];
    this.internal ??= new Feed(this.id, 'internal', this.context);
    return [this.main, this.internal];
  }

  get feeds(): Feed[] {
    return this.internal === undefined ? [this.main] : [this.main, this.internal];
  }

  /** Hands over the publications that wait, so that what is told next comes after them. */
  flush(): void {
    this.main.flush();
    this.internal?.flush();
  }

  add(session: Session): void {
    // Copied, as in `remove`: a delivery that is under way goes on over the old list.
    this.members = this.members.concat(session);
    this.idleSinceMs = undefined;
    if (session.internal !== undefined) this.notesIdleSinceMs = undefined;
  }

  /** Whether it was here. */
  remove(session: Session, nowMs: number): boolean {
    const index = this.members.indexOf(session);
    if (index === -1) return false;
    this.members = this.members.toSpliced(index, 1);
    this.main.detach(session.main);
    this.drafts.forget(session);
    if (session.internal !== undefined) this.internal?.detach(session.internal);
    if (this.members.length === 0) this.idleSinceMs = nowMs;
    if (this.internal !== undefined && this.members.every(({ internal }) => internal === undefined))
      this.notesIdleSinceMs ??= nowMs;
    return true;
  }

  /** Notes a change; true when it is the first of an interval, which the caller ends with `flushPresence`. */
  notePresence(change: PresenceChange): boolean {
    const first = this.changes === undefined;
    this.changes ??= new PresenceChanges();
    this.changes.add(change);
    for (const session of this.members) session.notePresence(change);
    return first;
  }

  flushPresence(): void {
    const net = this.changes?.net() ?? [];
    this.changes = undefined;
    for (const session of this.members) session.flushPresence(net);
  }

  /** Whether there is something to leave once the linger time is over. */
  get isIdle(): boolean {
    return this.idleSinceMs !== undefined || this.notesIdleSinceMs !== undefined;
  }

  leaveNotes(): void {
    this.internal?.close();
    this.internal = undefined;
    this.notesIdleSinceMs = undefined;
  }

  close(): void {
    this.main.close();
    this.leaveNotes();
  }
}
