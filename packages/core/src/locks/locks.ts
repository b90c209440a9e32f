import { attempt } from './attempt.js';
import { askAll, type Ballot, quorumOf } from './ballot.js';
import { takeFence } from './fences.js';
import { keepLock, type WithLockResult, type Work } from './keep-lock.js';
import type { Lock, LockRef } from './lock.js';
import type { LockMaster } from './lock-master.js';
import {
  deadlineFor,
  type LockSettings,
  type LocksParts,
  lockSettings,
  retryDelay,
  validUntil,
} from './lock-settings.js';
import { Reclaimer } from './reclaimer.js';

export interface AcquireOptions {
  /** How long the lock lives unless it is extended. */
  readonly ttlMs: number;
  /** How long to try; default 0: once. The last attempt begins at its end at the latest. */
  readonly waitMs?: number | undefined;
  /** Who asks; told to those who find the lock held. */
  readonly owner?: string | undefined;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
}

export type AcquireFailure =
  /** Another holds it. */
  | { readonly status: 'held'; readonly owner: string }
  /** No majority of the masters answers, or too many callers wait here already. Nothing is held. */
  | { readonly status: 'unavailable' }
  /** By the caller's signal. Nothing is held. */
  | { readonly status: 'aborted' };

export type AcquireResult = { readonly status: 'acquired'; readonly lock: Lock } | AcquireFailure;

export type ExtendResult =
  | { readonly status: 'extended'; readonly validUntilMs: number }
  /** It has expired or was released: another may hold it. */
  | { readonly status: 'lost' }
  /** No majority answers: it is held as long as it was, perhaps longer. */
  | { readonly status: 'unavailable' };

export type ReleaseResult = { readonly status: 'released' | 'lost' | 'unavailable' };

export type FenceResult = { readonly status: 'taken'; readonly fence: number } | { readonly status: 'unavailable' };

/**
 * Locks over N independent masters. A lock keeps others from beginning; it does not keep a holder that was stopped from going on.
 * What protects is the fence: send it with every write, to a place that refuses an older one.
 */
export interface Locks {
  acquire(name: string, options: AcquireOptions): Promise<AcquireResult>;
  /** Lets the lock live for `ttlMs` from now. */
  extend(lock: LockRef, ttlMs: number): Promise<ExtendResult>;
  /** Masters that don't answer are asked again behind the caller's back. */
  release(lock: LockRef): Promise<ReleaseResult>;
  /**
   * Runs `work` while the lock is held: it is extended until `work` settles, then released. The signal tells `work` that the lock is
   * lost, or that `options.signal` was aborted. What `work` throws is passed on, but not after a loss: then the result says `lost`.
   */
  withLock<T>(name: string, options: AcquireOptions, work: Work<T>): Promise<WithLockResult<T>>;
  /**
   * A fence greater than that of every holder up to now, no less than `atLeast` (default 0), and smaller than that of every later
   * holder. Needs no lock.
   */
  nextFence(name: string, atLeast?: number): Promise<FenceResult>;
  /** Callers that wait for a lock here. */
  readonly waiting: number;
  /** No lock is given any more: ends all waits with `unavailable`; resolves when every caller has its answer. */
  endWaits(): Promise<void>;
  /** Ends all waits, finishes releases within a second, closes the masters. Safe to call twice. */
  stop(): Promise<void>;
}

/** How long a release is repeated at a master whose lock has a life that we don't know. */
const RECLAIM_MS = 60_000;

export const createLocks = (parts: LocksParts): Locks => {
  const settings = lockSettings(parts);
  const { masters, clock, masterDeadlineMs } = settings;
  if (masters.length === 0) throw new TypeError('locks need a master');
  const quorum = quorumOf(masters);
  const reclaimer = new Reclaimer(settings);
  const stopping = new AbortController();
  const underWay = new Set<Promise<AcquireResult>>();
  let waiting = 0;

  /** A later answer can't change the outcome. */
  const judge = ({ answers, yes }: Ballot<boolean>): 'yes' | 'no' | 'unknown' => {
    if (yes >= quorum) return 'yes';
    const no = answers.filter((answer) => answer === false).length;
    return no > masters.length - quorum ? 'no' : 'unknown';
  };
  const isTrue = (answer: boolean): boolean => answer;

  const reclaim = (lock: LockRef, from: readonly LockMaster[]): void => {
    const goneAtMs = clock.monotonicMs() + RECLAIM_MS;
    for (const master of from) {
      reclaimer.reclaim(master, { name: lock.name, value: lock.id, goneAtMs });
    }
  };

  const tryToAcquire = async (name: string, options: AcquireOptions): Promise<AcquireResult> => {
    const { ttlMs, waitMs = 0, owner = '', signal } = options;
    const endMs = clock.monotonicMs() + waitMs;
    for (;;) {
      if (signal?.aborted) return { status: 'aborted' };
      if (stopping.signal.aborted) return { status: 'unavailable' };
      const result = await attempt(settings, reclaimer, { name, owner, ttlMs });
      if (result.status === 'acquired') {
        if (signal?.aborted !== true && !stopping.signal.aborted) return result;
        reclaim(result.lock, masters);
        continue;
      }
      const leftMs = endMs - clock.monotonicMs();
      if (leftMs <= 0) return result;
      if (waiting >= settings.maxWaiting) return { status: 'unavailable' };
      waiting += 1;
      await pause(settings, Math.min(retryDelay(settings), leftMs), [stopping.signal, ...(signal ? [signal] : [])]);
      waiting -= 1;
    }
  };

  const acquire = (name: string, options: AcquireOptions): Promise<AcquireResult> => {
    const acquiring = tryToAcquire(name, options).finally(() => underWay.delete(acquiring));
    underWay.add(acquiring);
    return acquiring;
  };

  const extend = async (lock: LockRef, ttlMs: number): Promise<ExtendResult> => {
    const askedMs = clock.monotonicMs();
    const ballot = await askAll(
      masters,
      (master) => master.extend(lock.name, lock.id, ttlMs),
      isTrue,
      quorum,
      deadlineFor(settings, ttlMs),
      settings,
    );
    const verdict = judge(ballot);
    if (verdict === 'no') {
      reclaim(
        lock,
        masters.filter((_, index) => ballot.answers[index] !== false),
      );
      return { status: 'lost' };
    }
    const validUntilMs = validUntil(settings, askedMs, ttlMs);
    if (verdict === 'unknown' || clock.monotonicMs() >= validUntilMs) return { status: 'unavailable' };
    return { status: 'extended', validUntilMs };
  };

  const release = async (lock: LockRef): Promise<ReleaseResult> => {
    const ballot = await askAll(
      masters,
      (master) => master.release(lock.name, lock.id),
      isTrue,
      quorum,
      masterDeadlineMs,
      settings,
    );
    void ballot.final.then((answers) =>
      reclaim(
        lock,
        masters.filter((_, index) => answers[index] === undefined),
      ),
    );
    const verdict = judge(ballot);
    return { status: verdict === 'yes' ? 'released' : verdict === 'no' ? 'lost' : 'unavailable' };
  };

  return {
    acquire,
    extend,
    release,
    withLock: async (name, options, work) => {
      const result = await acquire(name, options);
      if (result.status !== 'acquired') return result;
      return keepLock({ settings, extend, release, lock: result.lock, options }, work);
    },
    nextFence: async (name, atLeast = 0) => {
      const fence = await takeFence(settings, name, atLeast);
      return fence === undefined ? { status: 'unavailable' } : { status: 'taken', fence };
    },
    get waiting() {
      return waiting;
    },
    endWaits: async () => {
      stopping.abort();
      await Promise.allSettled(underWay);
    },
    stop: async () => {
      stopping.abort();
      await reclaimer.stop();
      await Promise.all(masters.map((master) => master.close()));
    },
  };
};

/** Ends early when a signal is aborted. Leaves neither a timer nor a listener behind. */
const pause = ({ clock }: LockSettings, ms: number, signals: readonly AbortSignal[]): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      cancel();
      for (const signal of signals) signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.schedule(ms, done);
    for (const signal of signals) signal.addEventListener('abort', done);
    if (signals.some((signal) => signal.aborted)) done();
  });
