import type { Position, Track } from '@replyx/protocol';
import { BackplaneUnavailable, type Delivery, type Fanout, type Log, type LogEntry, type ReadResult } from './ports.js';
import type { Retry } from './retry.js';

export type PublicationDelivery = Extract<Delivery, { kind: 'publication' }>;

/** One session's place in a feed. */
export interface FeedSubscriber {
  /** Publications at or below it were delivered another way, or are not wanted. */
  cursor: number;
  deliver(frame: Uint8Array, ownAck: string | undefined): void;
  /** Runs `work`; what it delivers leaves in one write where that is possible. */
  together(work: () => void): void;
  reset(position: Position, reason: ResetReason): void;
}

export type ResetReason = 'new_epoch' | 'history_lost';

/** An acknowledgement that is owed to the session that made a publication, sent in one write with it. */
export interface OwedAck {
  readonly subscriber: FeedSubscriber | undefined;
  readonly frame: string;
}

export interface FeedContext {
  readonly log: Log;
  readonly fanout: Fanout;
  readonly retry: Retry;
  readonly onGap: (reason: 'gap' | 'epoch' | 'conflict' | 'behind') => void;
  readonly onReset: (reason: ResetReason) => void;
  readonly onBug: (error: unknown) => void;
}

/** `following`: subscribed, arrivals are held; the position is not known yet. */
type FeedState = 'closed' | 'following' | 'live' | 'filling';

/** A head that a feed waits for. */
export interface AwaitedHead {
  readonly track: Track;
  /** Opens the feed with it; does nothing where the feed has been closed since, or is being opened by a read of its own. */
  put(head: Position): void;
}

const FILL_PAGE = 100;
/** Offsets whose origins are remembered, to tell a repeated delivery from an offset that was handed out twice. */
const REMEMBERED_ORIGINS = 32;
/** Arrivals kept while history is read. Past it they are dropped: history has them, and is read again. */
const MAX_PENDING = 1_024;
const MAX_PENDING_BYTES = 1_048_576;
/** Publications kept for sessions that are catching up, to bridge from their last page to live. */
const MAX_TAIL = 256;
const MAX_TAIL_BYTES = 131_072;

/** Publications that come together reach each of so many subscribers in one write. */
const CROWD = 8;

interface FreshEntry {
  readonly entry: LogEntry;
  readonly owed: OwedAck | undefined;
}

interface HeldDelivery {
  readonly delivery: PublicationDelivery;
  /** How many reads had been issued when it came: a later one has seen it, or the epoch that ended it. */
  readonly readsBefore: number;
}

/**
 * One track of one dialog on this node: takes deliveries as they come and hands publications to its subscribers in offset
 * order, each once, with no gap that it does not announce.
 *
 * Invariant: between awaits, every subscriber has been given every publication in (its cursor, position.offset], but those
 * that wait for `flush`, which is called within the same turn.
 */
export class Feed {
  readonly dialogId: string;
  readonly track: Track;
  private readonly context: FeedContext;
  private state: FeedState = 'closed';
  private current: Position = { epoch: '', offset: 0 };
  /** Highest offset seen in the current epoch, delivered or not. */
  private highest = 0;
  private subscribers: FeedSubscriber[] = [];
  /** Applied, and not yet handed to the subscribers. */
  private fresh: FreshEntry[] | undefined;
  private origins: string[] | undefined;
  private pending: HeldDelivery[] = [];
  private pendingBytes = 0;
  private tail: LogEntry[] = [];
  private tailBytes = 0;
  private tailHolders = 0;
  private followed: Promise<void> | undefined;
  private opened: Promise<void> | undefined;
  private refilling: Promise<void> | undefined;
  private refillAgain = false;
  private mintWanted = false;
  private readsIssued = 0;
  private followings = 0;
  private isHeadAwaited = false;

  constructor(dialogId: string, track: Track, context: FeedContext) {
    this.dialogId = dialogId;
    this.track = track;
    this.context = context;
  }

  get position(): Position {
    return this.current;
  }

  /** What a store must not be behind: `undefined` before the first read. */
  get known(): Position | undefined {
    return this.current.epoch === '' ? undefined : { epoch: this.current.epoch, offset: this.highest };
  }

  get isOpen(): boolean {
    return this.state !== 'closed';
  }

  get subscriberCount(): number {
    return this.subscribers.length;
  }

  /**
   * Resolves when the channel is followed: what is published from now on will not be missed. Rejects as the backplane does;
   * may be called again.
   */
  follow(): Promise<void> {
    if (this.state === 'closed') {
      this.state = 'following';
      this.followings += 1;
      this.isHeadAwaited = false;
      this.refillAgain = false;
      this.mintWanted = false;
      this.followed = this.context.fanout.subscribe([this]).catch((error: unknown) => {
        this.close();
        throw error;
      });
    }
    return this.followed ?? Promise.resolve();
  }

  /**
   * For one who, once `follow` has resolved, reads the head with what is to be read anyway. `undefined` where none is wanted: the feed
   * knows more, or another caller is reading.
   */
  awaitHead(): AwaitedHead | undefined {
    if (this.state !== 'following' || this.isHeadAwaited || this.known !== undefined) return undefined;
    this.isHeadAwaited = true;
    this.readsIssued += 1;
    const { track, followings } = this;
    return {
      track,
      put: (head) => {
        const isStill = this.state === 'following' && this.followings === followings;
        if (isStill && this.opened === undefined) this.begin(head);
      },
    };
  }

  /** Resolves when the feed also knows its position. */
  open(): Promise<void> {
    if (this.state === 'live' || this.state === 'filling') return Promise.resolve();
    this.opened ??= this.doOpen().finally(() => {
      this.opened = undefined;
    });
    return this.opened;
  }

  private async doOpen(): Promise<void> {
    try {
      // Subscribe before reading the position: the reverse order loses what is published between the two.
      await this.follow();
      const head = await this.read({ limit: 0 });
      if (this.state !== 'following') throw new BackplaneUnavailable('the feed was closed while it opened');
      this.begin(head);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  private begin(head: Position): void {
    this.enter(head);
    this.state = 'live';
    this.followed = undefined;
    this.drainPending();
    if (this.refillAgain) this.refill('behind');
  }

  close(): void {
    if (this.state === 'closed') return;
    this.flush();
    this.state = 'closed';
    this.followed = undefined;
    this.dropPending();
    this.context.fanout.unsubscribe([this]);
  }

  /** From now on `subscriber` gets what comes after its cursor. Its cursor must not be below the feed's position. */
  attach(subscriber: FeedSubscriber): void {
    this.flush();
    // The usual first one takes no more room than it needs.
    if (this.subscribers.length === 0) this.subscribers = [subscriber];
    else this.subscribers.push(subscriber);
  }

  detach(subscriber: FeedSubscriber): void {
    this.flush();
    const index = this.subscribers.indexOf(subscriber);
    if (index === -1) return;
    // Copy on write: a delivery that is under way goes on over the old list.
    this.subscribers = this.subscribers.toSpliced(index, 1);
  }

  /** Takes a delivery. True when the owed acknowledgement went out with it. */
  arrive(delivery: PublicationDelivery, owed?: OwedAck): boolean {
    if (this.state === 'closed') return false;
    if (delivery.epoch === this.current.epoch && delivery.offset > this.highest) this.highest = delivery.offset;
    return this.take({ delivery, readsBefore: this.readsIssued }, owed);
  }

  private take(held: HeldDelivery, owed?: OwedAck): boolean {
    const { delivery } = held;
    const { epoch, offset } = this.current;
    if (this.state !== 'live') {
      this.hold(held);
      // A refill that a bug ended is begun again.
      if (this.state === 'filling' && this.refilling === undefined) this.refill('behind');
      return false;
    }
    if (delivery.epoch === epoch && delivery.offset === offset + 1) return this.apply(delivery, owed);
    if (delivery.epoch === epoch && delivery.offset <= offset) this.meetAgain(held);
    else {
      this.hold(held);
      this.refill(delivery.epoch === epoch ? 'gap' : 'epoch');
    }
    return false;
  }

  /**
   * Reads what the store has beyond the position, delivers it, and finds a store that lost its tail; `settled` resolves when
   * the feed is live again. Retries while the backplane is away; calls made meanwhile join.
   */
  refill(reason: 'gap' | 'epoch' | 'conflict' | 'behind' | 'verify'): void {
    if (this.state === 'closed') return;
    this.refillAgain = true;
    // The first read may be under way already and miss what this call was made for: it is read again once open.
    if (this.state === 'following') return;
    if (reason !== 'verify') this.context.onGap(reason);
    this.state = 'filling';
    this.refilling ??= this.doRefill().catch(this.context.onBug);
  }

  /** For tests and orderly stops: settles when no refill is under way. */
  settled(): Promise<void> {
    return this.refilling ?? Promise.resolve();
  }

  private async doRefill(): Promise<void> {
    try {
      while (this.state === 'filling' && this.refillAgain) await this.refillOnce();
    } finally {
      // Cleared in the same step in which the loop ends: a refill that is asked for after it must start anew.
      this.refilling = undefined;
    }
  }

  private async refillOnce(): Promise<void> {
    this.refillAgain = false;
    const page = await this.context.retry(
      () => this.read({ after: this.current.offset, limit: FILL_PAGE, mint: this.mintWanted }),
      () => this.state === 'filling',
    );
    if (page === undefined || this.state !== 'filling') return;
    this.mintWanted = false;
    if (page.epoch !== this.current.epoch) this.startOver(page, 'new_epoch');
    else {
      const before = this.current.offset;
      for (const entry of page.entries) if (entry.offset === this.current.offset + 1) this.apply(entry);
      if (page.more && this.current.offset > before) this.refillAgain = true;
      // Trimmed, expired, or a hole in what is kept: what can't be delivered is announced.
      else if (page.offset > this.current.offset) this.startOver(page, 'history_lost');
    }
    if (!this.refillAgain) {
      this.state = 'live';
      this.drainPending();
    }
  }

  /** Hands over what arrived while the feed was not live; may turn it back to filling. */
  private drainPending(): void {
    const held = this.pending;
    this.pending = [];
    this.pendingBytes = 0;
    for (const one of held) {
      const { epoch, offset } = one.delivery;
      if (epoch === this.current.epoch && offset > this.highest) this.highest = offset;
      // A read that was issued after it came answers for it, whatever its epoch: only an offset that was handed out twice is
      // still news. Without this, arrivals faster than reads would cause a read each, for ever.
      const isAnswered = one.readsBefore < this.readsIssued;
      if (!isAnswered || (epoch === this.current.epoch && offset <= this.current.offset)) this.take(one);
    }
    // Still beyond what was read after it came: the store has lost it, and is told so.
    if (this.state === 'live' && this.highest > this.current.offset) this.refill('gap');
  }

  private async read(part: { after?: number; limit: number; mint?: boolean }): Promise<ReadResult> {
    this.readsIssued += 1;
    return this.context.log.read({ dialogId: this.dialogId, track: this.track, known: this.known, ...part });
  }

  private enter(head: Position): void {
    this.current = { epoch: head.epoch, offset: head.offset };
    this.highest = head.offset;
    this.origins = undefined;
    this.tail = [];
    this.tailBytes = 0;
  }

  private startOver(head: ReadResult, reason: ResetReason): void {
    this.flush();
    this.enter(head);
    this.context.onReset(reason);
    for (const subscriber of this.subscribers) {
      subscriber.cursor = head.offset;
      subscriber.reset(this.current, reason);
    }
  }

  private apply(entry: LogEntry, owed?: OwedAck): boolean {
    this.current = { epoch: this.current.epoch, offset: entry.offset };
    if (entry.offset > this.highest) this.highest = entry.offset;
    this.origins ??= new Array<string>(REMEMBERED_ORIGINS).fill('');
    this.origins[entry.offset % REMEMBERED_ORIGINS] = entry.origin;
    if (this.tailHolders > 0) this.keepInTail(entry);
    if (this.subscribers.length >= CROWD) {
      // The same turn brings more of what was published with it.
      if (this.fresh === undefined) queueMicrotask(() => this.flush());
      this.fresh ??= [];
      this.fresh.push({ entry, owed });
      const owner = owed?.subscriber;
      return owner !== undefined && owner.cursor < entry.offset && this.subscribers.includes(owner);
    }
    let told = false;
    for (const subscriber of this.subscribers) told = handOver(subscriber, entry, owed) || told;
    return told;
  }

  /** Hands over what waits. Before anything else of the dialog is told to the subscribers. */
  flush(): void {
    const { fresh } = this;
    if (fresh === undefined) return;
    this.fresh = undefined;
    const [only] = fresh;
    for (const subscriber of this.subscribers) {
      if (fresh.length === 1 && only !== undefined) handOver(subscriber, only.entry, only.owed);
      else
        subscriber.together(() => {
          for (const { entry, owed } of fresh) handOver(subscriber, entry, owed);
        });
    }
  }

  /** A delivery at or below the position: repeated by a fill, or an offset that the store handed out twice. */
  private meetAgain({ delivery, readsBefore }: HeldDelivery): void {
    const remembered =
      this.current.offset - delivery.offset < REMEMBERED_ORIGINS
        ? this.origins?.[delivery.offset % REMEMBERED_ORIGINS]
        : undefined;
    if (remembered === delivery.origin) return;
    if (remembered === undefined || remembered === '') {
      if (readsBefore === this.readsIssued) this.refill('behind');
      return;
    }
    this.mintWanted = true;
    this.refill('conflict');
  }

  private hold(held: HeldDelivery): void {
    this.pending.push(held);
    this.pendingBytes += held.delivery.frame.byteLength;
    if (this.pending.length <= MAX_PENDING && this.pendingBytes <= MAX_PENDING_BYTES) return;
    this.dropPending();
    this.refillAgain = true;
  }

  private dropPending(): void {
    this.pending = [];
    this.pendingBytes = 0;
  }

  // ── the tail, for sessions that catch up ─────────────────────────────────────────────────────────────────────────

  holdTail(): void {
    this.tailHolders += 1;
  }

  releaseTail(): void {
    this.tailHolders -= 1;
    if (this.tailHolders > 0) return;
    this.tail = [];
    this.tailBytes = 0;
  }

  /** What was applied after `offset`, if all of it is still at hand. */
  tailAfter(offset: number): readonly LogEntry[] | undefined {
    if (offset >= this.current.offset) return [];
    const first = this.tail[0];
    if (first === undefined || first.offset > offset + 1) return undefined;
    return this.tail.slice(offset + 1 - first.offset);
  }

  private keepInTail(entry: LogEntry): void {
    this.tail.push(entry);
    this.tailBytes += entry.frame.byteLength;
    while (this.tail.length > MAX_TAIL || this.tailBytes > MAX_TAIL_BYTES) {
      const oldest = this.tail.shift();
      if (oldest === undefined) return;
      this.tailBytes -= oldest.frame.byteLength;
    }
  }
}

/** True when the owed acknowledgement went out with it. */
const handOver = (subscriber: FeedSubscriber, entry: LogEntry, owed: OwedAck | undefined): boolean => {
  if (entry.offset <= subscriber.cursor) return false;
  subscriber.cursor = entry.offset;
  const isOwner = owed?.subscriber === subscriber;
  subscriber.deliver(entry.frame, isOwner ? owed.frame : undefined);
  return isOwner;
};
