import type { Clock, Random } from './clock.js';
import { DELIVERY_ATTEMPTS, deliveryBackoffMs } from './delivery-backoff.js';
import type { DeliverySlots } from './delivery-slots.js';
import type {
  FailedDelivery,
  Inbox,
  InboxEntry,
  InboxOutcome,
  InboxReply,
  InboxStanding,
  ParkedEntry,
  WaitingEntry,
} from './inbox-port.js';
import { BackplaneUnavailable } from './ports.js';

/**
 * Where an assistant's entries go. `webhook`: they are posted; `groups`: they wait for consumer groups; `none`: it has no inbox any
 * more, or is gone.
 */
export type InboxRoute = 'webhook' | 'groups' | 'none';

/** `postponed`: it was not tried, since the assistant has no webhook just now. `aborted`: whether it arrived is not known. */
export type DeliveryResult = FailedDelivery | 'delivered' | 'postponed' | 'aborted';

export interface Attempt {
  readonly partition: number;
  /** From 1. */
  readonly number: number;
  /** The lease of its partition is gone: another node may be delivering the same. */
  readonly signal: AbortSignal;
}

export interface InboxDelivery {
  /** As this node knows it; may be a moment old. */
  readonly routeOf: (assistantId: string) => InboxRoute;
  /** As the store knows it; asked before anything is dropped. Rejects as the backplane does. */
  readonly confirmRoute: (assistantId: string) => Promise<InboxRoute>;
  /** Must settle within a deadline of its own. */
  readonly deliver: (entry: InboxEntry, attempt: Attempt) => Promise<DeliveryResult>;
}

/** What happened, as plain numbers. */
export interface InboxStats {
  readonly deliveries: Record<FailedDelivery | 'delivered', number>;
  /** Entries of assistants that have no inbox any more. */
  dropped: number;
  died: number;
  leasesLost: number;
}

export type InboxNotice =
  | {
      readonly event: 'inbox_delivery_failed';
      readonly assistantId: string;
      readonly dialogId: string;
      readonly entryId: string;
      readonly attempt: number;
      readonly reason: string;
    }
  | {
      readonly event: 'inbox_entry_died';
      readonly assistantId: string;
      readonly dialogId: string;
      readonly entryId: string;
      readonly reason: string;
    }
  | { readonly event: 'inbox_lease_lost'; readonly partition: number };

export interface InboxPartitionParts extends InboxDelivery {
  readonly inbox: Pick<Inbox, 'exchange' | 'release'>;
  readonly partition: number;
  readonly clock: Clock;
  readonly random: Pick<Random, 'float'>;
  readonly slots: DeliverySlots;
  readonly leaseTtlMs: number;
  readonly stats: InboxStats;
  readonly onNotice: (notice: InboxNotice) => void;
  readonly onBug: (error: unknown) => void;
}

/** Entries that one step reads, and parked dialogs. */
const ENTRIES_A_STEP = 64;
const PARKED_A_STEP = 32;
/** Entries in memory, of one assistant, and of one dialog. What is over goes to the lists of its dialogs, and comes back from there. */
const MOST_IN_HAND = 512;
const MOST_OF_ASSISTANT = 64;
const MOST_OF_DIALOG = 16;
/**
 * A parked dialog that was given is due again after this, where nobody says what became of it: its answer was lost, or the lease. A
 * little more than an attempt takes at most.
 */
const CLAIM_MS = 12_000;
const BUSY_MS = 200;
const CROWDED_MS = 2_000;
const NO_WEBHOOK_MS = 60_000;
const RETRY_MS = 250;
const HELD_MS = 1_000;
const READ_INTERVAL_MS = 1_000;

interface Lane {
  readonly dialogId: string;
  readonly assistantId: string;
  readonly from: 'stream' | 'parked';
  /** Failed attempts of the first entry. */
  attempts: number;
  readonly queue: InboxEntry[];
}

/**
 * Serves one partition of the inbox: one step at a time reads what waits and writes what became of it, while entries are delivered,
 * one of a dialog at a time. A dialog whose entry fails is parked whole, so that the partition moves on; what comes later goes behind
 * it. Everything is dropped the moment the lease may be gone.
 */
export class InboxPartition {
  private readonly parts: InboxPartitionParts;
  private lanes = new Map<string, Lane>();
  /** Entries of an assistant in lanes. */
  private held = new Map<string, number>();
  /** Ids in lanes and in outcomes that are not written yet. */
  private inHand = new Set<string>();
  private outcomes: InboxOutcome[] = [];
  /** Dialogs that outcomes park which are not written yet: what is read before that has to go behind them. */
  private parking = new Set<string>();
  /** Assistants whose entries were passed over for the consumer groups. */
  private passedOver = new Set<string>();
  private token: string | undefined;
  private after = '';
  /** Everything that waited when the lease was taken has been seen: until then a parked dialog may have earlier entries in the stream. */
  private isThrough = false;
  private readAfter = '';
  private readMs = Number.NEGATIVE_INFINITY;
  /** Another object for each life of the lease: what was begun in an earlier one changes nothing. */
  private lease = {};
  private cancelExpiry: () => void = () => {};
  private readonly attempts = new Map<Promise<boolean>, AbortController>();
  private running = false;
  private looping: Promise<void> = Promise.resolve();
  private nudged = false;
  private wake: () => void = () => {};
  private lastStanding: InboxStanding | undefined;

  constructor(parts: InboxPartitionParts) {
    this.parts = parts;
  }

  /** As of the last step; `undefined` while another node serves the partition. */
  get standing(): InboxStanding | undefined {
    return this.lastStanding;
  }

  start(): void {
    this.running = true;
    this.looping = this.loop();
  }

  /** Something has come in. */
  nudge(): void {
    this.nudged = true;
    this.wake();
  }

  /** An assistant's record has changed: what was passed over may be wanted now. */
  reconsider(assistantId: string): void {
    if (!this.passedOver.delete(assistantId)) return;
    this.after = '';
    this.nudge();
  }

  /** Starts no attempt any more, waits for those that run, at most so long, writes what became of them, and gives the lease back. */
  async stop(patienceMs: number): Promise<void> {
    if (!this.running) return;
    this.running = false;
    this.nudge();
    let cancel = (): void => {};
    const patience = new Promise<void>((resolve) => {
      cancel = this.parts.clock.schedule(patienceMs, resolve);
    });
    await Promise.race([Promise.allSettled(this.attempts.keys()), patience]);
    cancel();
    this.abortAttempts();
    // A step has the deadline of the store's commands.
    await this.looping;
    await this.sayGoodbye();
    this.forget();
  }

  /** Ends without a word, as a process that dies does. */
  abandon(): void {
    this.running = false;
    this.forget();
    this.nudge();
  }

  private async sayGoodbye(): Promise<void> {
    const { inbox, partition, onBug } = this.parts;
    const { token } = this;
    if (token === undefined) return;
    try {
      for (const { from, queue } of this.lanes.values()) {
        if (from === 'parked') this.postpone(queue[0] as InboxEntry, 0);
      }
      const last = { ...this.request(Number.NEGATIVE_INFINITY), limit: 0, parkedLimit: 0 };
      if (last.outcomes.length > 0) await inbox.exchange(last);
      await inbox.release(partition, token);
    } catch (error) {
      // The lease runs out by itself.
      if (!(error instanceof BackplaneUnavailable)) onBug(error);
    }
  }

  // ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────

  private async loop(): Promise<void> {
    while (this.running) {
      let waitMs: number;
      try {
        waitMs = await this.step();
      } catch (error) {
        this.parts.onBug(error);
        waitMs = HELD_MS;
      }
      if (waitMs > 0 && this.running) await this.pause(waitMs);
    }
  }

  private pause(ms: number): Promise<void> {
    if (this.nudged) {
      this.nudged = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        this.nudged = false;
        this.wake = () => {};
        resolve();
      };
      const cancel = this.parts.clock.schedule(ms, done);
      this.wake = done;
    });
  }

  private get pollMs(): number {
    const { leaseTtlMs, random } = this.parts;
    return (leaseTtlMs / 3) * (0.9 + random.float() / 10);
  }

  private request(nowMs: number): Parameters<Inbox['exchange']>[0] {
    const { partition, leaseTtlMs } = this.parts;
    const mayRead = nowMs - this.readMs >= READ_INTERVAL_MS;
    return {
      partition,
      token: this.token,
      leaseTtlMs,
      outcomes: this.outcomes,
      after: this.after,
      limit: ENTRIES_A_STEP,
      parkedLimit: this.isThrough ? PARKED_A_STEP : 0,
      claimMs: CLAIM_MS,
      readAfter: mayRead ? this.readAfter : undefined,
    };
  }

  /** Resolves how long nothing has to be done. */
  private async step(): Promise<number> {
    const { inbox, clock, random, partition } = this.parts;
    const sentMs = clock.monotonicMs();
    const request = this.request(sentMs);
    const { lease, parking } = this;
    this.nudged = false;
    this.outcomes = [];
    this.parking = new Set();
    let reply: InboxReply;
    try {
      reply = await inbox.exchange(request);
    } catch (error) {
      if (!(error instanceof BackplaneUnavailable)) this.parts.onBug(error);
      if (this.lease !== lease) return RETRY_MS;
      // Whether they were written is not known: they are idempotent.
      this.outcomes = [...request.outcomes, ...this.outcomes];
      for (const dialogId of parking) this.parking.add(dialogId);
      return RETRY_MS * (1 + 3 * random.float());
    }
    if (this.lease !== lease) {
      // The lease was held to be gone while this was under way.
      if (reply.status === 'served' && this.running) await inbox.release(partition, reply.token).catch(() => {});
      return RETRY_MS;
    }
    switch (reply.status) {
      case 'lost':
        this.loseLease();
        return RETRY_MS;
      case 'held':
        this.lastStanding = undefined;
        return Math.min(reply.leftMs + 1, HELD_MS * (0.5 + random.float() / 2));
      case 'idle':
        this.lastStanding = reply.standing;
        return Math.min(this.pollMs, reply.nextDueMs ?? Number.POSITIVE_INFINITY);
      case 'served':
        return this.served(request, reply, sentMs);
    }
  }

  private async served(
    request: Parameters<Inbox['exchange']>[0],
    reply: Extract<InboxReply, { status: 'served' }>,
    sentMs: number,
  ): Promise<number> {
    this.token = reply.token;
    this.lastStanding = reply.standing;
    this.holdUntil(sentMs + this.parts.leaseTtlMs * 0.8);
    for (const { entry } of request.outcomes) this.inHand.delete(entry.id);
    const { lease } = this;
    for (const entry of reply.entries) {
      // What could not be judged is read again.
      if (!(await this.take(entry)) || this.lease !== lease) return RETRY_MS;
      // It may have been set back meanwhile, to look at everything again.
      if (this.after !== '' || request.after === '') this.after = entry.id;
    }
    if (this.after !== '' || request.after === '') this.after = reply.after;
    for (const entry of reply.parked) {
      await this.takeParked(entry);
      if (this.lease !== lease) return RETRY_MS;
    }
    if (request.readAfter !== undefined) await this.dropRead(reply.read, sentMs);
    if (this.lease !== lease) return RETRY_MS;
    if (!reply.more) {
      const wasThrough = this.isThrough;
      this.isThrough = true;
      if (!wasThrough && reply.standing.parkedDialogs > 0) return 0;
    }
    if (this.outcomes.length > 0 || reply.more || this.after !== request.after) return 0;
    return Math.min(this.pollMs, reply.nextDueMs ?? Number.POSITIVE_INFINITY);
  }

  // ── the lease ────────────────────────────────────────────────────────────────────────────────────────────────────

  private holdUntil(untilMs: number): void {
    this.cancelExpiry();
    this.cancelExpiry = this.parts.clock.schedule(Math.max(0, untilMs - this.parts.clock.monotonicMs()), () => {
      this.loseLease();
      this.nudge();
    });
  }

  private loseLease(): void {
    this.parts.stats.leasesLost += 1;
    this.parts.onNotice({ event: 'inbox_lease_lost', partition: this.parts.partition });
    this.forget();
  }

  /** Everything that is held here is in the store, and whoever serves the partition next finds it there. */
  private forget(): void {
    this.cancelExpiry();
    this.abortAttempts();
    this.lease = {};
    this.token = undefined;
    this.lanes = new Map();
    this.held = new Map();
    this.inHand = new Set();
    this.outcomes = [];
    this.parking = new Set();
    this.passedOver = new Set();
    this.after = '';
    this.isThrough = false;
    this.readAfter = '';
    this.lastStanding = undefined;
  }

  private abortAttempts(): void {
    for (const controller of this.attempts.values()) controller.abort();
  }

  // ── what comes in ────────────────────────────────────────────────────────────────────────────────────────────────

  /** The route as far as it is known; `undefined` while the store can't say. */
  private async routeOf(assistantId: string): Promise<InboxRoute | undefined> {
    const route = this.parts.routeOf(assistantId);
    if (route !== 'none') return route;
    try {
      return await this.parts.confirmRoute(assistantId);
    } catch (error) {
      if (!(error instanceof BackplaneUnavailable)) this.parts.onBug(error);
      return undefined;
    }
  }

  private async take({ isBehind, ...entry }: WaitingEntry): Promise<boolean> {
    const { id, dialogId, assistantId } = entry;
    if (this.inHand.has(id)) return true;
    const { lease } = this;
    const route = await this.routeOf(assistantId);
    if (route === undefined || this.lease !== lease) return false;
    if (route === 'groups') {
      this.passedOver.add(assistantId);
      return true;
    }
    this.inHand.add(id);
    if (route === 'none') {
      this.parts.stats.dropped += 1;
      this.outcomes.push({ kind: 'done', from: 'stream', entry });
      return true;
    }
    const lane = this.lanes.get(dialogId);
    const isCrowded =
      this.inHand.size > MOST_IN_HAND ||
      (this.held.get(assistantId) ?? 0) >= MOST_OF_ASSISTANT ||
      (lane !== undefined && lane.queue.length >= MOST_OF_DIALOG);
    if (isBehind || isCrowded || lane?.from === 'parked' || this.parking.has(dialogId)) {
      this.parking.add(dialogId);
      this.outcomes.push({ kind: 'parked', from: 'stream', entry });
    } else if (lane === undefined) {
      this.open({ dialogId, assistantId, from: 'stream', attempts: 0, queue: [entry] });
    } else {
      lane.queue.push(entry);
      this.hold(assistantId, 1);
    }
    return true;
  }

  private async takeParked({ attempts, ...entry }: ParkedEntry): Promise<void> {
    const { dialogId, assistantId } = entry;
    // It is under way, and claimed anew.
    if (this.lanes.get(dialogId)?.from === 'parked') return;
    const { lease } = this;
    const route = await this.routeOf(assistantId);
    if (this.lease !== lease) return;
    if (this.lanes.has(dialogId) || this.parking.has(dialogId)) this.postpone(entry, BUSY_MS);
    else if (route === undefined) this.postpone(entry, HELD_MS);
    else if (route === 'groups') this.postpone(entry, NO_WEBHOOK_MS);
    else if (route === 'none') {
      this.parts.stats.dropped += 1;
      this.outcomes.push({ kind: 'done', from: 'parked', entry });
    } else if (this.inHand.size >= MOST_IN_HAND || (this.held.get(assistantId) ?? 0) >= MOST_OF_ASSISTANT) {
      // Later, so that others' dialogs come first.
      this.postpone(entry, CROWDED_MS * (1 + this.parts.random.float()));
    } else {
      this.inHand.add(entry.id);
      this.open({ dialogId, assistantId, from: 'parked', attempts, queue: [entry] });
    }
  }

  private postpone(entry: InboxEntry, dueInMs: number): void {
    this.outcomes.push({ kind: 'parked', from: 'parked', entry, dueInMs: Math.round(dueInMs) });
  }

  /** What every consumer group has acknowledged goes, but for what is still to be posted. */
  private async dropRead(read: Extract<InboxReply, { status: 'served' }>['read'], nowMs: number): Promise<void> {
    const { lease } = this;
    for (const { isServed, ...entry } of read) {
      const route = isServed ? undefined : await this.routeOf(entry.assistantId);
      if (this.lease !== lease) return;
      if (isServed || route === 'groups') this.outcomes.push({ kind: 'read', entry });
      this.readAfter = entry.id;
    }
    if (read.length > 0) return;
    this.readAfter = '';
    this.readMs = nowMs;
  }

  // ── delivery ─────────────────────────────────────────────────────────────────────────────────────────────────────

  private hold(assistantId: string, change: number): void {
    const now = (this.held.get(assistantId) ?? 0) + change;
    if (now > 0) this.held.set(assistantId, now);
    else this.held.delete(assistantId);
  }

  private open(lane: Lane): void {
    this.lanes.set(lane.dialogId, lane);
    this.hold(lane.assistantId, lane.queue.length);
    this.queueUp(lane);
  }

  private close(lane: Lane): void {
    this.lanes.delete(lane.dialogId);
    this.hold(lane.assistantId, -lane.queue.length);
  }

  private queueUp(lane: Lane): void {
    const { lease } = this;
    this.parts.slots.run(lane.assistantId, () => {
      if (!this.running || this.lease !== lease) return Promise.resolve(true);
      const controller = new AbortController();
      const attempt = this.attempt(lane, controller.signal).catch((error: unknown) => {
        this.parts.onBug(error);
        return true;
      });
      this.attempts.set(attempt, controller);
      return attempt.finally(() => this.attempts.delete(attempt));
    });
  }

  /** Resolves whether it went well. */
  private async attempt(lane: Lane, signal: AbortSignal): Promise<boolean> {
    const { deliver, stats } = this.parts;
    const entry = lane.queue[0] as InboxEntry;
    const result = await deliver(entry, { partition: this.parts.partition, number: lane.attempts + 1, signal });
    // Its outcome could not be written; whoever serves the partition now does it again.
    if (signal.aborted || result === 'aborted') return true;
    if (result === 'postponed') {
      this.park(lane, undefined, NO_WEBHOOK_MS);
      return true;
    }
    stats.deliveries[result] += 1;
    if (result === 'delivered') {
      this.outcomes.push({ kind: 'done', from: lane.from, entry });
      lane.queue.shift();
      this.hold(lane.assistantId, -1);
      lane.attempts = 0;
      if (lane.queue.length > 0) this.queueUp(lane);
      else this.lanes.delete(lane.dialogId);
      this.nudge();
      return true;
    }
    this.failed(lane, entry, result);
    return false;
  }

  private failed(lane: Lane, entry: InboxEntry, reason: FailedDelivery): void {
    const { onNotice, stats, random } = this.parts;
    const attempts = lane.attempts + 1;
    const what = { assistantId: lane.assistantId, dialogId: lane.dialogId, entryId: entry.id, reason };
    onNotice({ event: 'inbox_delivery_failed', ...what, attempt: attempts });
    if (lane.from === 'parked' && attempts >= DELIVERY_ATTEMPTS) {
      stats.died += 1;
      onNotice({ event: 'inbox_entry_died', ...what });
      this.close(lane);
      this.outcomes.push({ kind: 'dead', entry, attempts, reason });
      this.nudge();
    } else this.park(lane, attempts, deliveryBackoffMs(attempts, random));
  }

  private park(lane: Lane, attempts: number | undefined, dueInMs: number): void {
    this.close(lane);
    this.parking.add(lane.dialogId);
    lane.queue.forEach((entry, index) => {
      const first = index === 0 ? { attempts, dueInMs } : {};
      this.outcomes.push({ kind: 'parked', from: lane.from, entry, ...first });
    });
    this.nudge();
  }
}
