import {
  BOUNDS,
  CLOSE_CODES,
  type ClientFrame,
  type CloseName,
  type ConnectedFrame,
  type ConnectionKind,
  type ErrorName,
  type HandoffFrame,
  type HistoryFrame,
  LEGACY_PING,
  LEGACY_PONG,
  type MessageFrame,
  type Position,
  type ReadFrame,
  type RefreshFrame,
  type Track,
  type TypingFrame,
} from '@replyx/protocol';
import { parseClientFrame } from '@replyx/protocol/schemas';
import type { Timed } from './deadline-wheel.js';
import type { Dialog } from './dialog.js';
import type { ResetReason } from './feed.js';
import { disconnectFrame, encodeFrame, errorFrame, historyFrame, PONG } from './frame-text.js';
import type { HandoffResult } from './handoff-port.js';
import type { HeldPlaces } from './holdings.js';
import { Outbox } from './outbox.js';
import { BackplaneUnavailable, type Member, type PresenceChange, type ReadResult } from './ports.js';
import { isSame, PresenceChanges, renderMember, type Viewer } from './presence.js';
import type { CatchingUp } from './recovery.js';
import { SlidingCounter } from './sliding-counter.js';
import type { Stats } from './stats.js';
import type { Transport } from './transport.js';
import type { Turned } from './turn-wheel.js';

/** Who a connection is, as its token and the directory say. Nothing in it comes from a frame. */
export interface Identity {
  readonly connectionId: string;
  readonly dialogId: string;
  readonly kind: ConnectionKind;
  readonly tenant: string;
  readonly member: Member;
  /** Seconds; a refreshed token must not be older. */
  readonly issuedAt: number;
  readonly expiresAtMs: number;
  /** The `Origin` that it came with; a refreshed token must still allow it. */
  readonly origin?: string | undefined;
  /** `jti` and `parent` of every token that the connection has used: it falls with any of them. */
  readonly tokenIds: readonly string[];
  /** Of a visitor's token. */
  readonly assistantId?: string | undefined;
  readonly widgetVersion?: number | undefined;
  /** The key of the client's address. */
  readonly addressKey?: string | undefined;
}

/** At most `limit` publications in any `windowMs`; a limit of 0 is off. */
export interface MessageWindow {
  readonly limit: number;
  readonly windowMs: number;
  /** What it refuses is counted, and admitted. */
  readonly isDryRun?: boolean | undefined;
}

export type RefreshVerdict =
  | { readonly ok: true; readonly issuedAt: number; readonly expiresAtMs: number; readonly tokenIds: readonly string[] }
  | { readonly ok: false; readonly code: ErrorName };

/** What a session asks of its node. */
export interface SessionHost {
  readonly stats: Stats;
  readonly limits: { readonly outboxMaxBytes: number; readonly framesPerWindow: number };
  monotonicMs(): number;
  publish(session: Session, track: Track, frame: MessageFrame): void;
  typing(session: Session, track: Track, state: 'start' | 'stop'): void;
  mark(session: Session, track: Track, offset: number): Promise<void>;
  history(session: Session, track: Track, frame: HistoryFrame): Promise<ReadResult>;
  refresh(session: Session, token: string): Promise<RefreshVerdict>;
  handoff(session: Session, frame: HandoffFrame): Promise<HandoffResult>;
  refreshed(session: Session): void;
  left(session: Session): void;
  /** So many frames of the session were refused that it is held against it. */
  onBadFrames(session: Session): void;
  onBug(error: unknown): void;
}

export const FRAMES_WINDOW_MS = 10_000;
/** Frames that a client may send before it is connected: kept, and handled in order once it is. */
const MAX_EARLY_FRAMES = 32;
/** A client of another version errs now and then; so many are held against its address. */
const BAD_FRAMES_AN_OFFENCE = 10;
const MAX_EARLY_UNITS = 65_536;
/** Ephemeral frames kept for a session that is joining. */
const MAX_HELD_FRAMES = 64;
const MAX_HELD_BYTES = 65_536;

interface HeldFrame {
  readonly frame: Uint8Array;
  /** Of a handoff. */
  readonly version?: number;
}

/** A session's place in one track. */
export class TrackSubscription implements CatchingUp {
  cursor = 0;
  readonly track: Track;
  private readonly session: Session;

  constructor(session: Session, track: Track) {
    this.session = session;
    this.track = track;
  }

  get isClosed(): boolean {
    return this.session.isClosed;
  }

  get isWritable(): boolean {
    return this.session.outbox.isWritable;
  }

  whenWritable(): Promise<boolean> {
    return this.session.isClosed ? Promise.resolve(false) : this.session.outbox.whenWritable();
  }

  deliver(frame: Uint8Array, ownAck: string | undefined): void {
    const { session } = this;
    if (ownAck === undefined) {
      session.write(frame);
      return;
    }
    session.outbox.cork(() => {
      session.write(ownAck);
      session.write(frame);
    });
  }

  together(work: () => void): void {
    this.session.outbox.cork(work);
  }

  reset(position: Position, reason: ResetReason): void {
    this.session.write(encodeFrame({ type: 'reset', track: this.track, ...position, reason }));
  }
}

/** One connection in its dialog: what its frames ask for, what it is given, and how it ends. */
export class Session implements Timed, Turned {
  deadlineSecond = 0;
  turnSlot = -1;
  dialog: Dialog | undefined;
  /** Has written in the main track, so that visitors may know of it. */
  wrote = false;
  /** The code that the node closed it with; `undefined` while it lives or when the peer left. */
  closedWith: CloseName | undefined;
  /** A registration was asked for, so it must be taken back. Owned by the hub's holdings. */
  wasRegistered = false;
  /** Places were asked for, so they must be given back. Owned by the hub's holdings. */
  places: HeldPlaces | undefined;
  clientId: string | undefined;
  /** Its sender's window, where it is not the node's. */
  messageWindow: MessageWindow | undefined;
  /** Monotonic milliseconds after which it may not live. Owned by the hub. */
  endsAtMs = Number.POSITIVE_INFINITY;
  /** Monotonic milliseconds of the last frame that was no heartbeat, at first of `connected`. */
  lastActiveMs = 0;
  readonly outbox: Outbox;
  readonly main: TrackSubscription;
  readonly internal: TrackSubscription | undefined;
  readonly openedAtMs: number;
  private identityNow: Identity;
  private readonly host: SessionHost;
  private readonly transport: Transport;
  /** `connected` was written. */
  hasJoined = false;
  /** Whose dialog it is, as the directory says. */
  dialogAssistantId: string | undefined;
  private badFrames = 0;
  private phase: 'joining' | 'joined' | 'closing' | 'closed' = 'joining';
  private frames: SlidingCounter | undefined;
  private refusedFrames: SlidingCounter | undefined;
  private early: string[] | undefined;
  private held: HeldFrame[] | undefined;
  /** Presence from a base of its own: until the end of the interval in which it was told who is here. */
  private ownPresence: PresenceChanges | undefined;
  private sharesPresence = false;

  constructor(identity: Identity, transport: Transport, host: SessionHost) {
    this.identityNow = identity;
    this.host = host;
    this.transport = transport;
    this.openedAtMs = host.monotonicMs();
    this.outbox = new Outbox(transport, host.limits.outboxMaxBytes);
    this.main = new TrackSubscription(this, 'main');
    this.internal = identity.kind === 'operator' ? new TrackSubscription(this, 'internal') : undefined;
    this.wrote = identity.member.role !== 'manager';
  }

  get identity(): Identity {
    return this.identityNow;
  }

  get viewer(): Viewer {
    return this.identityNow.kind === 'operator' ? 'operator' : 'visitor';
  }

  get isJoined(): boolean {
    return this.phase === 'joined';
  }

  get isClosed(): boolean {
    return this.phase === 'closing' || this.phase === 'closed';
  }

  // ── to the client ────────────────────────────────────────────────────────────────────────────────────────────────

  write(frame: string | Uint8Array): void {
    if (this.isClosed) return;
    this.host.stats.deliveries += 1;
    if (this.outbox.write(frame) === 'overflow') this.close('SLOW_CONSUMER');
  }

  /** A frame that is left out for a client that is behind. */
  writeExpendable(frame: string | Uint8Array): void {
    if (!this.outbox.isBehind) this.write(frame);
  }

  /** A frame that no history keeps. What comes before `connected` follows it, unless it is expendable. */
  ephemeral(frame: Uint8Array, expendable: boolean): void {
    if (this.phase === 'joining') {
      if (!expendable) this.hold({ frame });
    } else if (expendable) this.writeExpendable(frame);
    else this.write(frame);
  }

  /** A state of the handoff. `connected` tells one, so an older one that came before is not told after it. */
  tellHandoff(frame: Uint8Array, version: number): void {
    if (this.phase === 'joining') this.hold({ frame, version });
    else this.write(frame);
  }

  private hold(one: HeldFrame): void {
    const held = [...(this.held ?? []), one];
    const bytes = held.reduce((sum, { frame }) => sum + frame.byteLength, 0);
    if (held.length > MAX_HELD_FRAMES || bytes > MAX_HELD_BYTES) this.close('INSUFFICIENT_STATE');
    else this.held = held;
  }

  error(code: ErrorName, id?: string, detail?: string, retryAfterMs?: number): void {
    const { errorsSent } = this.host.stats;
    errorsSent[code] = (errorsSent[code] ?? 0) + 1;
    this.write(errorFrame(code, id, detail, retryAfterMs));
  }

  /**
   * `connected`, then what `recover` gives at once, then `snapshot`, then what came meanwhile; from here on the session is live.
   */
  joined(connected: ConnectedFrame, handoffVersion: number, recover: () => void, snapshot: string): void {
    if (this.isClosed) return;
    this.outbox.cork(() => {
      this.write(encodeFrame(connected));
      this.phase = this.phase === 'joining' ? 'joined' : this.phase;
      this.hasJoined = true;
      this.lastActiveMs = this.host.monotonicMs();
      recover();
      this.write(snapshot);
      // Whether the snapshot is older or newer than these is not known; each is true whichever it is.
      this.tellPresence(this.ownPresence?.latest() ?? []);
      this.ownPresence = undefined;
      const held = this.held;
      this.held = undefined;
      for (const { frame, version } of held ?? []) {
        if (version === undefined || version > handoffVersion) this.write(frame);
      }
    });
    const early = this.early;
    this.early = undefined;
    for (const raw of early ?? []) this.handle(raw);
  }

  /** A change as it comes; told at once after `connected`, else when the interval ends. */
  notePresence(change: PresenceChange): void {
    if (this.sharesPresence || this.isClosed) return;
    this.ownPresence ??= new PresenceChanges();
    this.ownPresence.add(change);
  }

  /** The end of a coalescing interval of the dialog, and what changed in it for those who were here before. */
  flushPresence(shared: readonly PresenceChange[]): void {
    if (this.phase !== 'joined') return;
    const net = this.sharesPresence ? shared : (this.ownPresence?.net() ?? []);
    this.ownPresence = undefined;
    this.sharesPresence = true;
    this.tellPresence(net);
  }

  /** Members who came or went; the session's own member is no news to it. */
  private tellPresence(changes: readonly PresenceChange[]): void {
    if (changes.length === 0) return;
    const { member: self } = this.identityNow;
    const others = changes.filter(({ member }) => !isSame(member, self));
    for (const state of ['join', 'leave'] as const) {
      const users = others.flatMap((change) =>
        change.state === state ? (renderMember(change.member, this.viewer) ?? []) : [],
      );
      if (users.length > 0) this.write(encodeFrame({ type: 'presence', state, users }));
    }
  }

  /** The last frame names the code and what to do; then the close frame. Safe to call twice. */
  close(name: CloseName, delayMs = 0): void {
    if (this.isClosed) return;
    this.phase = 'closing';
    this.closedWith = name;
    this.transport.cork(() => {
      this.transport.send(disconnectFrame(name, delayMs));
    });
    this.transport.end(CLOSE_CODES[name].code, name);
  }

  /** The transport has ended, by either side. */
  onClosed(): void {
    if (this.phase === 'closed') return;
    this.phase = 'closed';
    this.early = undefined;
    this.held = undefined;
    this.ownPresence = undefined;
    this.outbox.closed();
    this.host.left(this);
  }

  onDrained(): void {
    this.outbox.drained();
  }

  ping(): void {
    if (!this.isClosed) this.transport.ping();
  }

  // ── from the client ──────────────────────────────────────────────────────────────────────────────────────────────

  /** A text frame. Never throws. */
  onText(raw: string, bytes: number): void {
    if (this.isClosed || !this.admitFrame()) return;
    if (bytes > BOUNDS.frameBytes) {
      this.close('TOO_LARGE');
      return;
    }
    if (this.phase === 'joining') this.keepEarly(raw);
    else this.handle(raw);
  }

  onBinary(): void {
    if (!this.isClosed && this.admitFrame()) this.refuseFrame('The frame is binary; frames are JSON text.');
  }

  /** A heartbeat from the client below the application: answered by the transport, counted here. */
  onPing(): void {
    if (!this.isClosed) this.admitFrame();
  }

  /** A client that goes on after it was told is cut: refused frames fill a second window of the same size. */
  private admitFrame(): boolean {
    this.host.stats.framesReceived += 1;
    const limit = this.host.limits.framesPerWindow;
    if (limit === 0) return true;
    const nowMs = this.host.monotonicMs();
    this.frames ??= new SlidingCounter(limit, FRAMES_WINDOW_MS);
    if (this.frames.admit(nowMs)) return true;
    this.refusedFrames ??= new SlidingCounter(limit, FRAMES_WINDOW_MS);
    if (this.refusedFrames.admit(nowMs)) this.error('rate_limited', undefined, undefined, FRAMES_WINDOW_MS / 2);
    else this.close('RATE_LIMITED');
    return false;
  }

  private keepEarly(raw: string): void {
    const early = this.early ?? [];
    const units = early.reduce((sum, text) => sum + text.length, raw.length);
    if (early.length >= MAX_EARLY_FRAMES || units > MAX_EARLY_UNITS) this.close('RATE_LIMITED');
    else this.early = [...early, raw];
  }

  private handle(raw: string): void {
    if (this.isClosed) return;
    if (raw === LEGACY_PING) {
      this.write(LEGACY_PONG);
      return;
    }
    const parsed = parseClientFrame(raw);
    if (!parsed.ok || parsed.frame.type !== 'ping') this.lastActiveMs = this.host.monotonicMs();
    if (parsed.ok) this.perform(parsed.frame);
    else this.refuseFrame(parsed.message, parsed.id);
  }

  private refuseFrame(message: string, id?: string): void {
    this.host.stats.framesRefused += 1;
    this.badFrames += 1;
    if (this.badFrames % BAD_FRAMES_AN_OFFENCE === 0) this.host.onBadFrames(this);
    this.error('bad_frame', id, message);
  }

  private perform(frame: ClientFrame): void {
    switch (frame.type) {
      case 'ping':
        this.write(PONG);
        return;
      case 'message':
      case 'note':
        this.publish(frame);
        return;
      case 'typing':
        this.typing(frame);
        return;
      case 'read':
        this.run(this.read(frame));
        return;
      case 'history':
        this.run(this.history(frame), frame.id);
        return;
      case 'refresh':
        this.run(this.refresh(frame), frame.id);
        return;
      case 'handoff':
        this.run(this.handoff(frame), frame.id);
    }
  }

  /** The one place where an operation's failure becomes an answer. */
  private run(work: Promise<void>, id?: string): void {
    work.catch((error: unknown) => {
      if (error instanceof BackplaneUnavailable) this.error('unavailable', id);
      else {
        this.host.onBug(error);
        this.error('internal', id);
      }
    });
  }

  private maySee(track: Track): boolean {
    return track === 'main' || this.internal !== undefined;
  }

  private publish(frame: MessageFrame): void {
    const track: Track = frame.type === 'note' ? 'internal' : 'main';
    if (this.maySee(track)) this.host.publish(this, track, frame);
    else this.error('not_allowed', frame.id);
  }

  private typing(frame: TypingFrame): void {
    const track = frame.track ?? 'main';
    if (this.maySee(track)) this.host.typing(this, track, frame.state);
    else this.error('not_allowed');
  }

  private async read(frame: ReadFrame): Promise<void> {
    const track = frame.track ?? 'main';
    if (this.maySee(track)) await this.host.mark(this, track, frame.offset);
    else this.error('not_allowed');
  }

  private async history(frame: HistoryFrame): Promise<void> {
    const track = frame.track ?? 'main';
    if (!this.maySee(track)) {
      this.error('not_allowed', frame.id);
      return;
    }
    this.write(historyFrame(frame.id, track, await this.host.history(this, track, frame)));
  }

  private async refresh(frame: RefreshFrame): Promise<void> {
    const verdict = await this.host.refresh(this, frame.token);
    if (this.isClosed) return;
    if (!verdict.ok) {
      this.error(verdict.code, frame.id);
      return;
    }
    const { issuedAt, expiresAtMs } = verdict;
    // Another refresh may have come first: the verdict was found against the token before it.
    if (issuedAt < this.identityNow.issuedAt) {
      this.error('unauthorized', frame.id);
      return;
    }
    const tokenIds = [...new Set([...this.identityNow.tokenIds, ...verdict.tokenIds])];
    this.identityNow = { ...this.identityNow, issuedAt, expiresAtMs, tokenIds };
    this.host.refreshed(this);
    this.write(encodeFrame({ type: 'ack', id: frame.id }));
  }

  private async handoff(frame: HandoffFrame): Promise<void> {
    const { id, action } = frame;
    if ((action === 'take' || action === 'release') && this.viewer !== 'operator') {
      this.error('not_allowed', id);
      return;
    }
    const { status } = await this.host.handoff(this, frame);
    if (status === 'done') this.write(encodeFrame({ type: 'ack', id }));
    else if (status === 'duplicate') this.write(encodeFrame({ type: 'ack', id, duplicate: true }));
    else this.error(status, id);
  }
}
