import type { HandoffFrame, HistoryFrame, MessageFrame, Track } from '@replyx/protocol';
import { BOUNDS } from '@replyx/protocol';
import type { Clock, Random } from './clock.js';
import { DeadlineWheel } from './deadline-wheel.js';
import { Dialog, type DialogContext } from './dialog.js';
import type { DeltaDelivery } from './drafts.js';
import type { Feed } from './feed.js';
import { encodeFrame } from './frame-text.js';
import { createHandoffDesk, type HandoffDesk, type RaiseFence } from './handoff-desk.js';
import type { HandoffResult } from './handoff-port.js';
import { boundPage } from './history-page.js';
import { Holdings } from './holdings.js';
import type { InboxAddress } from './inbox-port.js';
import { Joining, type JoinRequest } from './joining.js';
import {
  type Backplane,
  BackplaneUnavailable,
  type Delivery,
  type EvictionCode,
  type FanoutListener,
  type ReadResult,
  type TrackRef,
} from './ports.js';
import { isSame } from './presence.js';
import { type Publication, Publisher, shownSender } from './publisher.js';
import { createRetry, type Retry } from './retry.js';
import { renderHandoff, renderSender } from './sender-view.js';
import type { Identity, RefreshVerdict, Session, SessionHost } from './session.js';
import { SlidingCounter } from './sliding-counter.js';
import { createStats, type Stats } from './stats.js';
import { TurnWheel } from './turn-wheel.js';
import { TypingTracker } from './typing.js';

export interface HubConfig {
  /** Most bytes that one client may leave unread. */
  readonly outboxMaxBytes: number;
  /** Frames of one connection per 10 s; 0 is off. */
  readonly framesPerWindow: number;
  /** A sender's publications in one dialog; 0 is off. */
  readonly messageLimit: number;
  readonly messageWindowMs: number;
  readonly pingIntervalMs: number;
  /** A connection older than this is closed with SESSION_TIMEOUT; jittered by up to a tenth below. */
  readonly maxAgeMs: number;
  /** A connection whose client sends nothing but heartbeats for longer is closed with SESSION_TIMEOUT; 0 is off. */
  readonly idleMs: number;
  /** How long a dialog without sessions here stays subscribed. */
  readonly lingerMs: number;
  /** Every dialog's position is compared with the store's, and its lifetime renewed, once in this time. */
  readonly verifyIntervalMs: number;
  /** Most connections of the node; 0: no limit. */
  readonly maxConnections: number;
}

export interface HubParts {
  readonly config: HubConfig;
  readonly backplane: Backplane;
  readonly incarnation: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Judges the token of a `refresh` frame against the session's identity. */
  readonly judgeRefresh: (session: Session, token: string) => Promise<RefreshVerdict>;
  /** Whether a connection has fallen; asked when it joins and when it has a new token, so that none slips through in between. */
  readonly isRevoked: (identity: Identity) => boolean;
  readonly onBug: (error: unknown) => void;
  /** A connection that another node holds has given way to another: it is to be closed there. */
  readonly onReplaced: (connectionId: string, code: EvictionCode) => void;
  /** A client has sent several frames that are not of the contract; called for every ten of a connection. */
  readonly onBadFrames: (identity: Identity) => void;
  /** A sender's window refused a message, or in a dry run would have. */
  readonly onMessageLimited?: ((isDryRun: boolean) => void) | undefined;
  /** Raises what else gives fences for a dialog; absent where nothing does. */
  readonly raiseFence?: RaiseFence | undefined;
  /** An operator took a dialog that had waited so long for one. */
  readonly onTaken?: ((waitedMs: number) => void) | undefined;
  /** Whether an assistant has an inbox; by default none has. */
  readonly hasInbox?: ((assistantId: string) => boolean) | undefined;
  /** A session has ended; its `closedWith` says by whom. */
  readonly onLeft: (session: Session) => void;
}

const TICK_MS = 1_000;
/** Heartbeats and checks are spread over smaller steps: those of a whole second at once would hold up what is said meanwhile. */
const STEP_MS = 100;
/** Checks leave so many at a time, or once a second: each alone would wake an idle node, and Redis, as often as there are steps. */
const CHECKS_AT_ONCE = 10;
const PRESENCE_COALESCE_MS = 250;
/** Most time that joining may take; an outage in the middle of it would hold a client that could try another node. */
const JOIN_DEADLINE_MS = 15_000;
/** Feeds that are verified at once after the backplane came back. */
const RESTORE_BATCH = 100;
/** After the end of a node very many give way that nobody holds any more: the others must not all have to hear of each. */
const EVICTIONS_TOLD_A_SECOND = 2;
const TYPING_PREFIX = new TextEncoder().encode('{"type":"typing"');

const isTyping = (frame: Uint8Array): boolean => TYPING_PREFIX.every((byte, index) => frame[index] === byte);

const dialogOf = (delivery: Exclude<Delivery, { kind: 'publication' }>): string =>
  delivery.kind === 'ephemeral' ? delivery.ref.dialogId : delivery.dialogId;

/** A node's local registry: its dialogs, their sessions, and what comes in for them. */
export class Hub implements SessionHost, FanoutListener {
  readonly stats: Stats = createStats();
  readonly limits: SessionHost['limits'];
  readonly publisher: Publisher;
  readonly handoffs: HandoffDesk;
  private readonly parts: HubParts;
  private readonly retry: Retry;
  private readonly dialogContext: DialogContext;
  private readonly dialogs = new Map<string, Dialog>();
  private readonly idle = new Set<Dialog>();
  /** Dialogs in which answers are being written. */
  private readonly drafting = new Set<Dialog>();
  private readonly byConnection = new Map<string, Session>();
  private readonly holdings: Holdings;
  private readonly joining: Joining;
  /** Turns by monotonic time: a wall clock that is set back would stop it. */
  private readonly deadlines: DeadlineWheel<Session>;
  /** Wall time less monotonic time, by which expiries lie on the wheel. */
  private wallOffsetMs: number;
  private readonly pings: TurnWheel<Session>;
  private readonly typists = new TypingTracker<Session>();
  private readonly evictionsTold = new SlidingCounter(EVICTIONS_TOLD_A_SECOND, 1_000);
  private toVerify: Iterator<Dialog> | undefined;
  /** Dialogs whose check is due, in parts of one. */
  private checksDue = 0;
  private running = true;
  private cancelStep: () => void = () => {};

  constructor(parts: HubParts) {
    const { backplane, clock, random, config, incarnation, onBug } = parts;
    this.parts = parts;
    this.limits = config;
    this.retry = createRetry(clock, random);
    this.deadlines = new DeadlineWheel(clock.monotonicMs());
    this.wallOffsetMs = clock.nowMs() - clock.monotonicMs();
    this.pings = new TurnWheel(Math.round(config.pingIntervalMs / STEP_MS));
    this.publisher = new Publisher({
      log: backplane.log,
      random,
      stats: this.stats,
      incarnation,
      onLimited: (isDryRun) => parts.onMessageLimited?.(isDryRun),
      onBug,
      clock,
    });
    this.handoffs = createHandoffDesk(backplane.handoffs, parts.raiseFence, this.stats, parts.onTaken);
    this.dialogContext = {
      log: backplane.log,
      fanout: backplane.fanout,
      retry: this.retry,
      openStreams: (dialogId) => backplane.streams.open(dialogId),
      monotonicMs: () => clock.monotonicMs(),
      onGap: (reason) => {
        this.stats.gaps[reason] += 1;
      },
      onReset: (reason) => {
        this.stats.resets[reason] += 1;
      },
      onBug,
    };
    this.holdings = new Holdings({
      backplane,
      retry: this.retry,
      isRunning: () => this.running,
      inboxOf: (identity) => this.inboxOf(identity),
      onBug,
    });
    this.joining = new Joining({
      log: backplane.log,
      holdings: this.holdings,
      clock,
      retry: this.retry,
      stats: this.stats,
      pingIntervalMs: config.pingIntervalMs,
      onJoined: (session) => this.onJoined(session),
      onReplaced: (connectionId) => this.onReplaced(connectionId, 'CONNECTION_LIMIT'),
      onBug,
    });
    backplane.fanout.listen(this);
  }

  start(): void {
    const { clock, config, onBug } = this.parts;
    let dueMs = clock.monotonicMs() + STEP_MS;
    let tickMs = clock.monotonicMs() + TICK_MS;
    const turn = () => {
      if (!this.running) return;
      const nowMs = clock.monotonicMs();
      try {
        // Each step has its time, however late the loop is: what were a little late each time would be late by far in the end. After a
        // stop of the process nobody needs two heartbeats.
        dueMs = Math.max(dueMs, nowMs - config.pingIntervalMs + STEP_MS);
        for (; dueMs <= nowMs; dueMs += STEP_MS) this.step();
        if (tickMs <= nowMs) {
          tickMs = Math.max(tickMs + TICK_MS, nowMs);
          this.tick();
        }
      } catch (error) {
        onBug(error);
      }
      this.cancelStep = clock.schedule(Math.max(1, dueMs - nowMs), turn);
    };
    this.cancelStep = clock.schedule(STEP_MS, turn);
  }

  /** Leaves every channel. Sessions must have been closed before. Safe to call twice. */
  stop(): void {
    this.running = false;
    this.cancelStep();
    for (const dialog of this.dialogs.values()) dialog.close();
    this.dialogs.clear();
    this.idle.clear();
    this.drafting.clear();
  }

  get connectionCount(): number {
    return this.byConnection.size;
  }

  /** Whether the node has as many connections as it may. */
  get isFull(): boolean {
    const { maxConnections } = this.parts.config;
    return maxConnections > 0 && this.connectionCount >= maxConnections;
  }

  get dialogCount(): number {
    return this.dialogs.size;
  }

  get subscriptionCount(): number {
    let count = 0;
    for (const dialog of this.dialogs.values()) count += dialog.feeds.length;
    return count;
  }

  /** All; or those of one dialog, or of one connection, where such is named. */
  *sessions(
    of: { readonly dialogId?: string | undefined; readonly connectionId?: string | undefined } = {},
  ): Iterable<Session> {
    const { dialogId, connectionId } = of;
    if (connectionId !== undefined) {
      const session = this.byConnection.get(connectionId);
      if (session !== undefined) yield session;
    } else if (dialogId !== undefined) yield* this.dialogs.get(dialogId)?.sessions ?? [];
    else for (const dialog of this.dialogs.values()) yield* dialog.sessions;
  }

  session(connectionId: string): Session | undefined {
    return this.byConnection.get(connectionId);
  }

  feed(dialogId: string, track: Track): Feed | undefined {
    return this.dialogs.get(dialogId)?.feed(track);
  }

  // ── joining and leaving ──────────────────────────────────────────────────────────────────────────────────────────

  /** Brings an admitted connection into its dialog, or closes it with the code that says why not. Never rejects. */
  async join(session: Session, request: JoinRequest): Promise<void> {
    // One that has ended already would never be taken off again.
    if (session.isClosed) return;
    if (!this.running) {
      session.close('SERVICE_RESTART');
      return;
    }
    // A revocation that came while it was admitted found it nowhere. No await from here to the dialog, where the next one finds it.
    if (this.closeIfRevoked(session)) return;
    // Likewise the places that others took meanwhile: a burst that was admitted together found them all free.
    if (this.isFull) {
      session.close('TRY_AGAIN_LATER');
      return;
    }
    const { dialogId, connectionId } = session.identity;
    const dialog = this.dialogs.get(dialogId) ?? this.openDialog(dialogId);
    dialog.add(session);
    session.dialog = dialog;
    session.clientId = request.clientId;
    session.messageWindow = request.messageLimit;
    session.endsAtMs = session.openedAtMs + JOIN_DEADLINE_MS;
    this.byConnection.set(connectionId, session);
    this.pings.add(session);
    this.setDeadline(session);
    await this.joining.bring(session, dialog.feedsFor(session), request);
  }

  left(session: Session): void {
    const { dialog } = session;
    if (dialog?.remove(session, this.parts.clock.monotonicMs())) {
      this.byConnection.delete(session.identity.connectionId);
      if (dialog.isIdle) this.idle.add(dialog);
    }
    this.deadlines.delete(session);
    this.pings.delete(session);
    for (const track of this.typists.leave(session)) this.tellTyping(session, track, 'stop');
    this.holdings.giveUp(session);
    if (session.closedWith !== undefined) {
      this.stats.closes[session.closedWith] = (this.stats.closes[session.closedWith] ?? 0) + 1;
    }
    this.parts.onLeft(session);
  }

  /** Resolves when nothing of a session that has left is still being taken back. Before the node says that it is gone. */
  settled(): Promise<void> {
    return this.holdings.settled();
  }

  private onReplaced(connectionId: string, code: EvictionCode): void {
    const session = this.byConnection.get(connectionId);
    if (session === undefined) this.parts.onReplaced(connectionId, code);
    else session.close(code);
  }

  /** Whoever holds the connection may be deaf at this moment: those who hear of it and do not hold it tell it once more. */
  private onEvicted({ dialogId, connectionId, code }: Extract<Delivery, { kind: 'evicted' }>): void {
    const session = this.byConnection.get(connectionId);
    if (session === undefined) {
      if (this.evictionsTold.admit(this.monotonicMs())) this.parts.onReplaced(connectionId, code);
    } else if (session.identity.dialogId === dialogId) session.close(code);
  }

  private openDialog(dialogId: string): Dialog {
    const dialog = new Dialog(dialogId, this.dialogContext);
    this.dialogs.set(dialogId, dialog);
    return dialog;
  }

  // ── from the backplane ───────────────────────────────────────────────────────────────────────────────────────────

  onDelivery(delivery: Delivery): void {
    if (delivery.kind !== 'publication') this.dialogs.get(dialogOf(delivery))?.flush();
    switch (delivery.kind) {
      case 'publication': {
        const { dialogId, track } = delivery.ref;
        const owed = this.publisher.owedTo(delivery.origin, delivery.offset);
        const feed = this.dialogs.get(dialogId)?.feed(track);
        const told = feed?.arrive(delivery, owed) ?? false;
        // Its own publication was not handed to the session just now (it catches up, or the feed does): tell it alone.
        if (owed !== undefined && !told) owed.session.write(owed.frame);
        this.stats.deliveredPublications[track] += 1;
        return;
      }
      case 'ephemeral':
        this.tellEphemeral(delivery);
        return;
      case 'presence':
        this.onPresence(delivery);
        return;
      case 'delta':
        this.onDelta(delivery);
        return;
      case 'handoff':
        this.onHandoff(delivery);
        return;
      case 'erased':
        this.onErased(delivery.dialogId);
        return;
      case 'evicted':
        this.onEvicted(delivery);
    }
  }

  onRestored(refs: readonly TrackRef[]): void {
    this.verifyFeeds(
      refs.flatMap(({ dialogId, track }) => this.feed(dialogId, track) ?? []),
      'behind',
    ).catch(this.parts.onBug);
    const dialogs = refs.flatMap(({ dialogId, track }) => (track === 'main' && this.dialogs.get(dialogId)) || []);
    this.reviewStates(dialogs).catch(this.parts.onBug);
  }

  /** Compares the positions of all feeds with the store's; after the store may have lost what it had. */
  async verifyAll(): Promise<void> {
    const dialogs = [...this.dialogs.values()];
    await Promise.all([
      this.verifyFeeds(
        dialogs.flatMap((dialog) => dialog.feeds),
        'verify',
      ),
      this.reviewStates(dialogs),
    ]);
  }

  /** Registers every session again, paced, and takes its places; resolves how many registrations the store had lost. */
  async reregister(): Promise<number> {
    const sessions = [...this.sessions()];
    const isRunning = () => this.running;
    let restored = 0;
    for (let i = 0; i < sessions.length && this.running; i += RESTORE_BATCH) {
      const batch = sessions.slice(i, i + RESTORE_BATCH);
      const [renewed] = await Promise.all([
        this.retry(() => this.holdings.renew(batch), isRunning),
        this.retry(() => this.holdings.restorePlaces(batch), isRunning),
      ]);
      restored += renewed ?? 0;
    }
    return restored;
  }

  private async verifyFeeds(feeds: readonly Feed[], reason: 'behind' | 'verify'): Promise<void> {
    for (let i = 0; i < feeds.length && this.running; i += RESTORE_BATCH) {
      const batch = feeds.slice(i, i + RESTORE_BATCH);
      for (const feed of batch) feed.refill(reason);
      await Promise.all(batch.map((feed) => feed.settled()));
    }
  }

  /** What is in no history and may have been missed: handoffs, and answers that are being written. */
  private async reviewStates(dialogs: readonly Dialog[]): Promise<void> {
    const isRunning = () => this.running;
    for (const dialog of dialogs) dialog.drafts.doubt();
    const inUse = dialogs.filter(({ sessions }) => sessions.length > 0);
    for (let i = 0; i < inUse.length && this.running; i += RESTORE_BATCH) {
      const batch = inUse.slice(i, i + RESTORE_BATCH);
      await Promise.all(
        batch.map(async (dialog) => {
          if (!dialog.drafts.isEmpty) this.look(dialog);
          const handoff = await this.retry(() => this.parts.backplane.handoffs.current(dialog.id), isRunning);
          if (handoff === undefined || handoff.version === dialog.handoffVersion) return;
          dialog.handoffVersion = handoff.version;
          for (const session of dialog.sessions) {
            if (session.isJoined)
              session.write(encodeFrame({ type: 'handoff', ...renderHandoff(handoff, session.viewer) }));
          }
        }),
      );
    }
  }

  private onDelta(delivery: DeltaDelivery): void {
    const dialog = this.dialogs.get(delivery.dialogId);
    if (dialog === undefined) return;
    const { drafts, sessions } = dialog;
    if (drafts.arrive(delivery, sessions)) for (const session of sessions) session.ephemeral(delivery.frame, false);
    if (drafts.isEmpty) this.drafting.delete(dialog);
    else this.drafting.add(dialog);
    if (drafts.hasGap) this.look(dialog);
  }

  /** Reads the open answers of a dialog; where the backplane is away, a later tick does. */
  private look(dialog: Dialog): void {
    const done = dialog.drafts
      .refresh(() => dialog.sessions)
      .then(() => {
        if (!dialog.drafts.isEmpty && this.dialogs.get(dialog.id) === dialog) this.drafting.add(dialog);
      });
    done.catch((error: unknown) => this.unlessAway(error));
  }

  private onHandoff({ dialogId, audience, version, frame }: Extract<Delivery, { kind: 'handoff' }>): void {
    const dialog = this.dialogs.get(dialogId);
    if (dialog === undefined) return;
    dialog.handoffVersion = version;
    for (const session of dialog.sessions) {
      if (audience === 'all' || (audience === 'operators') === (session.viewer === 'operator'))
        session.tellHandoff(frame, version);
    }
  }

  private tellEphemeral({ ref, audience, frame }: Extract<Delivery, { kind: 'ephemeral' }>): void {
    const expendable = isTyping(frame);
    for (const session of this.dialogs.get(ref.dialogId)?.sessions ?? []) {
      if (session.viewer === 'visitor' ? ref.track === 'internal' || audience === 'operators' : audience === 'visitors')
        continue;
      session.ephemeral(frame, expendable);
    }
  }

  private onPresence({ dialogId, change }: Extract<Delivery, { kind: 'presence' }>): void {
    const dialog = this.dialogs.get(dialogId);
    if (dialog === undefined) return;
    if (change.member.wrote && change.member.role === 'manager') {
      for (const session of dialog.sessions) {
        if (session.identity.member.id === change.member.id && session.viewer === 'operator') session.wrote = true;
      }
    }
    // Who is alone here, as most are who open a dialog, is told nothing of itself.
    if (dialog.sessions.every(({ identity: { member } }) => isSame(member, change.member))) return;
    if (dialog.notePresence(change)) this.parts.clock.schedule(PRESENCE_COALESCE_MS, () => dialog.flushPresence());
  }

  private onErased(dialogId: string): void {
    const dialog = this.dialogs.get(dialogId);
    if (dialog === undefined) return;
    for (const session of dialog.sessions) session.close('NOT_FOUND');
    // What the feeds knew is of a life that has ended; whoever comes again starts from the store.
    this.dropDialog(dialog);
  }

  // ── what sessions ask for ────────────────────────────────────────────────────────────────────────────────────────

  monotonicMs(): number {
    return this.parts.clock.monotonicMs();
  }

  onBadFrames(session: Session): void {
    this.parts.onBadFrames(session.identity);
  }

  onBug(error: unknown): void {
    this.parts.onBug(error);
  }

  publish(session: Session, track: Track, frame: MessageFrame): void {
    const { dialogId, member } = session.identity;
    const { messageLimit: limit, messageWindowMs: windowMs } = this.parts.config;
    if (this.typists.stop(session, track)) this.tellTyping(session, track, 'stop');
    this.publisher.appendFor(session, {
      dialogId,
      track,
      scope: { role: member.role, id: member.id },
      sender: shownSender(member, track),
      content: frame,
      known: this.feed(dialogId, track)?.known,
      window: session.messageWindow ?? { limit, windowMs },
      mustExist: false,
      inbox: track === 'main' ? this.inboxOf(session.identity)?.assistantId : undefined,
    });
  }

  /** What visitors do goes to their assistant's inbox. */
  private inboxOf({ member, tenant, assistantId }: Identity): InboxAddress | undefined {
    return member.role === 'user' ? this.inboxAt(tenant, assistantId) : undefined;
  }

  /** The inbox of an assistant, where it has one. */
  inboxAt(tenant: string, assistantId: string | undefined): InboxAddress | undefined {
    if (assistantId === undefined || this.parts.hasInbox?.(assistantId) !== true) return undefined;
    return { tenant, assistantId };
  }

  /** For callers without a session; `known` is added where this node holds the dialog. */
  append(publication: Omit<Publication, 'known'>): ReturnType<Publisher['append']> {
    return this.publisher.append({ ...publication, known: this.feed(publication.dialogId, publication.track)?.known });
  }

  typing(session: Session, track: Track, state: 'start' | 'stop'): void {
    const tell =
      state === 'start' ? this.typists.start(session, track, this.monotonicMs()) : this.typists.stop(session, track);
    if (tell) this.tellTyping(session, track, state);
  }

  private tellTyping(session: Session, track: Track, state: 'start' | 'stop'): void {
    const { dialogId, member } = session.identity;
    const ref = { dialogId, track };
    const frameFor = (viewer: 'operator' | 'visitor') =>
      encodeFrame({
        type: 'typing',
        sender: renderSender(member, session.wrote, viewer),
        state,
        ...(track === 'internal' ? { track } : {}),
      });
    const { fanout } = this.parts.backplane;
    const told =
      track === 'main' && member.role === 'manager'
        ? [fanout.emit(ref, 'operators', frameFor('operator')), fanout.emit(ref, 'visitors', frameFor('visitor'))]
        : [fanout.emit(ref, 'all', frameFor('operator'))];
    // Typing is not worth an answer, nor a retry: during an outage nobody learns of it.
    for (const one of told) one.catch((error: unknown) => this.unlessAway(error));
  }

  private unlessAway(error: unknown): void {
    if (!(error instanceof BackplaneUnavailable)) this.parts.onBug(error);
  }

  async mark(session: Session, track: Track, offset: number): Promise<void> {
    const { dialogId, member } = session.identity;
    await this.parts.backplane.roster.mark({ dialogId, track, member, offset });
  }

  async history(session: Session, track: Track, frame: HistoryFrame): Promise<ReadResult> {
    const { dialogId } = session.identity;
    return boundPage(
      await this.parts.backplane.log.read({
        dialogId,
        track,
        known: this.feed(dialogId, track)?.known,
        limit: frame.limit ?? BOUNDS.historyPageDefault,
        ...(frame.after === undefined ? { before: frame.before ?? Number.MAX_SAFE_INTEGER } : { after: frame.after }),
      }),
      frame.after === undefined ? 'before' : 'after',
      this.parts.config.outboxMaxBytes / 4,
    );
  }

  handoff(session: Session, { id, action }: HandoffFrame): Promise<HandoffResult> {
    const { dialogId, member } = session.identity;
    const operator = action === 'take' ? member : undefined;
    const sender = { role: member.role, id: member.id };
    const inbox = this.inboxAt(session.identity.tenant, session.dialogAssistantId);
    return this.handoffs.act({ dialogId, action, id, sender, operator, mustExist: false, inbox });
  }

  refresh(session: Session, token: string): Promise<RefreshVerdict> {
    return this.parts.judgeRefresh(session, token);
  }

  refreshed(session: Session): void {
    if (!this.closeIfRevoked(session)) this.setDeadline(session);
  }

  private closeIfRevoked(session: Session): boolean {
    const isRevoked = this.parts.isRevoked(session.identity);
    if (isRevoked) session.close('REVOKED');
    return isRevoked;
  }

  // ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  private setDeadline(session: Session): void {
    this.deadlines.set(session, Math.min(session.identity.expiresAtMs - this.wallOffsetMs, this.endOf(session)));
  }

  /** Expiries are of wall time: where that has been set they lie elsewhere on the wheel. */
  private followWallClock(wallOffsetMs: number): void {
    if (Math.abs(wallOffsetMs - this.wallOffsetMs) <= TICK_MS) return;
    this.wallOffsetMs = wallOffsetMs;
    for (const session of this.byConnection.values()) this.setDeadline(session);
  }

  private onJoined(session: Session): void {
    const { random, config } = this.parts;
    session.endsAtMs = session.openedAtMs + config.maxAgeMs * (1 - random.float() / 10);
    this.setDeadline(session);
    const { dialog } = session;
    if (dialog !== undefined && !dialog.drafts.isEmpty) this.drafting.add(dialog);
  }

  /** Monotonic milliseconds at which the session has joined too slowly, is too old or idle, as it stands. */
  private endOf(session: Session): number {
    const { idleMs } = this.parts.config;
    if (idleMs === 0 || !session.isJoined) return session.endsAtMs;
    return Math.min(session.endsAtMs, session.lastActiveMs + idleMs);
  }

  private tick(): void {
    const { clock, config } = this.parts;
    const nowMs = clock.nowMs();
    const monotonicMs = clock.monotonicMs();
    this.followWallClock(nowMs - monotonicMs);
    for (const session of this.deadlines.due(monotonicMs)) {
      if (session.identity.expiresAtMs <= nowMs) session.close('AUTH_EXPIRED');
      // Its deadline was moved by what its client sent; a move of the wheel for every frame would be dearer.
      else if (monotonicMs < this.endOf(session)) this.setDeadline(session);
      else session.close(session.isJoined ? 'SESSION_TIMEOUT' : 'TRY_AGAIN_LATER');
    }
    for (const { session, track } of this.typists.expired(monotonicMs)) this.tellTyping(session, track, 'stop');
    const isOver = (sinceMs: number | undefined) => sinceMs !== undefined && monotonicMs - sinceMs >= config.lingerMs;
    for (const dialog of this.idle) {
      if (isOver(dialog.idleSinceMs)) this.dropDialog(dialog);
      else if (isOver(dialog.notesIdleSinceMs)) dialog.leaveNotes();
      if (!dialog.isIdle) this.idle.delete(dialog);
    }
    for (const dialog of this.drafting) this.tickDrafts(dialog);
    this.verifySome();
  }

  private step(): void {
    for (const session of this.pings.turn()) session.ping();
    // One a second at least: a small node finds soon what it has lost.
    this.checksDue += Math.max((this.dialogs.size * STEP_MS) / this.parts.config.verifyIntervalMs, STEP_MS / TICK_MS);
    if (this.checksDue >= CHECKS_AT_ONCE) this.verifySome();
  }

  private tickDrafts(dialog: Dialog): void {
    const { drafts, sessions } = dialog;
    const { needsLook, ended } = drafts.tick(sessions);
    for (const { frame, readers } of ended) for (const reader of readers) reader.write(frame);
    if (drafts.isEmpty) this.drafting.delete(dialog);
    else if (needsLook) this.look(dialog);
  }

  private dropDialog(dialog: Dialog): void {
    dialog.close();
    this.idle.delete(dialog);
    this.drafting.delete(dialog);
    if (this.dialogs.get(dialog.id) === dialog) this.dialogs.delete(dialog.id);
  }

  /** A share of the dialogs each second, so that each has its turn within the verify interval. */
  private verifySome(): void {
    while (this.checksDue >= 1) {
      this.checksDue -= 1;
      this.toVerify ??= this.dialogs.values();
      const { value: dialog, done } = this.toVerify.next();
      if (done === true || dialog === undefined) {
        this.toVerify = undefined;
        return;
      }
      for (const feed of dialog.feeds) feed.refill('verify');
      this.holdings.renew(dialog.sessions).catch((error: unknown) => this.unlessAway(error));
    }
  }
}
