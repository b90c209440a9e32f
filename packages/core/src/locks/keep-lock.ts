import type { Lock, LockRef } from './lock.js';
import { type LockSettings, retryDelay } from './lock-settings.js';
import type { AcquireFailure, AcquireOptions, ExtendResult, ReleaseResult } from './locks.js';

export type Work<T> = (signal: AbortSignal, lock: Lock) => Promise<T>;

export type WithLockResult<T> =
  | { readonly status: 'done'; readonly value: T }
  /** The lock was lost before `work` ended; `value` is what it returned all the same. */
  | { readonly status: 'lost'; readonly value?: T | undefined }
  | AcquireFailure;

/** Reason of a signal whose lock is gone. */
export class LockLost extends Error {
  override readonly name = 'LockLost';
}

export interface KeepParts {
  readonly settings: LockSettings;
  readonly extend: (lock: LockRef, ttlMs: number) => Promise<ExtendResult>;
  readonly release: (lock: LockRef) => Promise<ReleaseResult>;
  readonly lock: Lock;
  readonly options: AcquireOptions;
}

/** Extensions begin after this part of the TTL, so that two may fail before it is over. */
const EXTEND_AFTER = 1 / 3;

/** Runs `work` under a lock that it keeps alive. */
export const keepLock = async <T>(parts: KeepParts, work: Work<T>): Promise<WithLockResult<T>> => {
  const { options, lock, release } = parts;
  const controller = new AbortController();
  const forward = (): void => controller.abort(options.signal?.reason);
  options.signal?.addEventListener('abort', forward);
  const keeper = new Keeper(parts, () => controller.abort(new LockLost('the lock is lost')));
  try {
    const value = await work(controller.signal, lock);
    return keeper.isHeld ? { status: 'done', value } : { status: 'lost', value };
  } catch (error) {
    if (keeper.isHeld) throw error;
    return { status: 'lost' };
  } finally {
    options.signal?.removeEventListener('abort', forward);
    keeper.stop();
    await release(lock);
  }
};

/** Extends one lock until it is stopped, and tells when the lock is lost: at the very moment when it is no longer surely held. */
class Keeper {
  readonly #parts: KeepParts;
  readonly #onLost: () => void;
  #validUntilMs: number;
  #stopped = false;
  #lost = false;
  #cancelLoss: () => void = () => {};
  #cancelExtension: () => void = () => {};

  constructor(parts: KeepParts, onLost: () => void) {
    this.#parts = parts;
    this.#onLost = onLost;
    this.#validUntilMs = parts.lock.validUntilMs;
    this.#watch();
    this.#extendIn(parts.options.ttlMs * EXTEND_AFTER);
  }

  /** By the clock too: after a pause of the process its timers are as late as everything else. */
  get isHeld(): boolean {
    return !this.#lost && this.#parts.settings.clock.monotonicMs() < this.#validUntilMs;
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelLoss();
    this.#cancelExtension();
  }

  #watch(): void {
    const { clock } = this.#parts.settings;
    this.#cancelLoss();
    this.#cancelLoss = clock.schedule(this.#validUntilMs - clock.monotonicMs(), () => this.#lose());
  }

  #extendIn(ms: number): void {
    this.#cancelExtension = this.#parts.settings.clock.schedule(ms, () => {
      this.#extend().catch(this.#parts.settings.onBug);
    });
  }

  async #extend(): Promise<void> {
    const { extend, lock, options, settings } = this.#parts;
    // Expired: another may have held it meanwhile, whatever the masters say now.
    if (!this.isHeld) return this.#lose();
    const result = await extend(lock, options.ttlMs);
    if (this.#stopped || this.#lost) return;
    if (result.status === 'lost' || !this.isHeld) return this.#lose();
    if (result.status === 'extended') {
      this.#validUntilMs = result.validUntilMs;
      this.#watch();
      this.#extendIn(options.ttlMs * EXTEND_AFTER);
    } else this.#extendIn(retryDelay(settings));
  }

  #lose(): void {
    if (this.#lost || this.#stopped) return;
    this.#lost = true;
    this.stop();
    this.#onLost();
  }
}
