import type { Position } from '@replyx/protocol';
import type { Feed, FeedSubscriber } from './feed.js';
import type { Log, ReadResult } from './ports.js';
import type { Retry } from './retry.js';

/** Where a connection asks to continue. `'malformed'`: it named something that is no position. */
export type ResumePoint = Position | 'malformed' | undefined;

/**
 * Recovery is whole when the epochs match and either the client is at the head or the oldest kept publication is at most one
 * past it. What a client claims beyond the head is never believed.
 */
export const isWhole = (from: Position, head: Pick<ReadResult, 'epoch' | 'offset' | 'oldest'>): boolean =>
  from.epoch === head.epoch &&
  from.offset <= head.offset &&
  (from.offset === head.offset || head.oldest <= from.offset + 1);

/** A subscriber that is being brought up to date. */
export interface CatchingUp extends FeedSubscriber {
  readonly isClosed: boolean;
  /** Whether the client drains well enough to be given more now. */
  readonly isWritable: boolean;
  /** Resolves true when `isWritable` holds again, false when the session is closed. */
  whenWritable(): Promise<boolean>;
}

/** `undefined` first page: the connection starts at the feed's position. */
export interface RecoveryPlan {
  readonly recovered: boolean;
  /** The offset that the client has. */
  readonly from: number | undefined;
  readonly firstPage: ReadResult | undefined;
}

/** Lets go of what a plan that is not carried out holds. */
export const abandonPlan = (feed: Feed, plan: RecoveryPlan): void => {
  if (plan.firstPage !== undefined) feed.releaseTail();
};

/** Of a connection that asks for nothing, or can't be given what it asks for. */
export const STARTS_HERE: RecoveryPlan = { recovered: false, from: undefined, firstPage: undefined };

const PAGE = 100;
const MIN_PAGE = 4;
/** A page is asked for by count; this many bytes is what it should come to. */
const PAGE_BYTES = 131_072;
const PLAN_ATTEMPTS = 3;

/**
 * Decides how a connection joins an open feed. When the plan has a first page, the feed's tail is held: pass the plan to
 * `catchUp`, or to `abandonPlan`.
 */
export const planRecovery = async (feed: Feed, from: ResumePoint, log: Log): Promise<RecoveryPlan> => {
  if (from === undefined || from === 'malformed') return STARTS_HERE;
  feed.holdTail();
  let held = true;
  try {
    for (let attempt = 0; attempt < PLAN_ATTEMPTS; attempt += 1) {
      const { dialogId, track } = feed;
      const page = await log.read({ dialogId, track, known: feed.known, after: from.offset, limit: PAGE });
      if (page.epoch !== feed.position.epoch) {
        feed.refill('epoch');
        await feed.settled();
        continue;
      }
      if (!isWhole(from, page)) return STARTS_HERE;
      held = false;
      return { recovered: true, from: from.offset, firstPage: page };
    }
    return STARTS_HERE;
  } finally {
    if (held) feed.releaseTail();
  }
};

/**
 * Gives `subscriber` everything after its cursor, at the speed at which it drains, then attaches it to the live feed. What is
 * published meanwhile is read again rather than hoarded; the feed's bounded tail bridges the last page and the live
 * position. The first page goes out before the first await.
 */
export const catchUp = async (
  feed: Feed,
  subscriber: CatchingUp,
  firstPage: ReadResult,
  ports: { readonly log: Log; readonly retry: Retry },
): Promise<void> => {
  const { dialogId, track } = feed;
  const { epoch } = firstPage;
  let page = firstPage;
  try {
    for (;;) {
      for (const entry of page.entries) {
        // The rest of a page that the client can't take now is dropped and read again: memory stays bounded.
        if (!subscriber.isWritable) break;
        give(subscriber, entry);
      }
      const bridge =
        subscriber.isWritable && feed.position.epoch === epoch ? feed.tailAfter(subscriber.cursor) : undefined;
      if (bridge !== undefined && !subscriber.isClosed) {
        for (const entry of bridge) give(subscriber, entry);
        if (!subscriber.isClosed) feed.attach(subscriber);
        return;
      }
      if (!(await subscriber.whenWritable())) return;
      const limit = nextLimit(page);
      const next = await ports.retry(
        () => ports.log.read({ dialogId, track, known: feed.known, after: subscriber.cursor, limit }),
        () => !subscriber.isClosed,
      );
      if (next === undefined || subscriber.isClosed) return;
      page = next;
      if (page.epoch !== epoch || (page.offset > subscriber.cursor && page.oldest > subscriber.cursor + 1)) {
        await startHere(feed, subscriber, page.epoch === epoch ? 'history_lost' : 'new_epoch');
        return;
      }
    }
  } finally {
    feed.releaseTail();
  }
};

const nextLimit = ({ entries }: ReadResult): number => {
  const bytes = entries.reduce((sum, entry) => sum + entry.frame.byteLength, 0);
  return bytes === 0 ? PAGE : Math.max(MIN_PAGE, Math.min(PAGE, Math.floor((PAGE_BYTES * entries.length) / bytes)));
};

const give = (subscriber: CatchingUp, entry: { readonly offset: number; readonly frame: Uint8Array }): void => {
  if (subscriber.isClosed || entry.offset <= subscriber.cursor) return;
  subscriber.cursor = entry.offset;
  subscriber.deliver(entry.frame, undefined);
};

const startHere = async (feed: Feed, subscriber: CatchingUp, reason: 'history_lost' | 'new_epoch'): Promise<void> => {
  if (reason === 'new_epoch') {
    feed.refill('epoch');
    await feed.settled();
  }
  if (subscriber.isClosed) return;
  subscriber.cursor = feed.position.offset;
  subscriber.reset(feed.position, reason);
  if (!subscriber.isClosed) feed.attach(subscriber);
};
