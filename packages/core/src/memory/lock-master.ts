import type { Clock } from '../clock.js';
import type { LockMaster, LockRequest, LockVote, RaiseRequest, RaiseVote } from '../locks/lock-master.js';
import { BackplaneUnavailable } from '../ports.js';

/** What is wrong with a master; for tests. */
export interface MemoryLockFaults {
  /** Refuses every call at once. */
  down: boolean;
  /** Takes calls and carries none out before it goes on, as a stopped process does. */
  stopped: boolean;
  /** Carries every call out and never answers. */
  mute: boolean;
  /** How much later than it was made a call arrives; asked anew for each call, so that calls may overtake each other. */
  requestDelayMs: () => number;
  replyDelayMs: () => number;
  /** How far its clock is ahead of ours. */
  clockAheadMs: number;
}

interface Holder {
  readonly value: string;
  readonly owner: string;
  expiresMs: number;
}

/** How long a released value is remembered: longer than a call can be on its way. */
const RELEASED_MS = 30_000;
/** A counter that lies so far behind the time may be forgotten: it would begin again far above. */
const COUNTER_MS = 3_600_000;
/** When a caller without an answer gives up; the step may be carried out later all the same. */
const ANSWER_MS = 2_000;
const COLLECT_EVERY = 1_024;

/** One lock master in this process. Each node opens its own handle. */
export class MemoryLockMaster {
  readonly label: string;
  readonly faults: MemoryLockFaults = {
    down: false,
    stopped: false,
    mute: false,
    requestDelayMs: () => 0,
    replyDelayMs: () => 0,
    clockAheadMs: 0,
  };
  readonly #clock: Clock;
  #holders = new Map<string, Holder>();
  #fences = new Map<string, number>();
  #released = new Map<string, number>();
  #held: (() => void)[] = [];
  #acquires = 0;

  constructor(clock: Clock, label = 'memory') {
    this.#clock = clock;
    this.label = label;
  }

  open(): LockMaster {
    let closed = false;
    const call = <T>(step: () => T): Promise<T> => (closed ? Promise.reject(this.#away()) : this.#call(step));
    return {
      label: this.label,
      acquire: (request) => {
        const latestMs = this.#clock.monotonicMs() + request.deadlineMs;
        return call(() => this.#acquire(request, latestMs));
      },
      extend: (name, value, ttlMs) =>
        call(() => {
          const holder = this.#holderOf(name);
          if (holder?.value !== value) return false;
          holder.expiresMs = this.nowMs + ttlMs;
          return true;
        }),
      release: (name, value) =>
        call(() => {
          this.#released.set(value, this.nowMs + RELEASED_MS);
          return this.#holderOf(name)?.value === value && this.#holders.delete(name);
        }),
      raiseFence: (request) => call(() => this.#raise(request)),
      close: async () => {
        closed = true;
      },
    };
  }

  get nowMs(): number {
    return Math.floor(this.#clock.nowMs()) + this.faults.clockAheadMs;
  }

  // ── for tests ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Ends `stopped`: what was held back is carried out now, in order. */
  resume(): void {
    this.faults.stopped = false;
    for (const go of this.#held.splice(0)) go();
  }

  /** Loses everything, as a process that keeps nothing and is started again. */
  flush(): void {
    this.#holders = new Map();
    this.#fences = new Map();
    this.#released = new Map();
  }

  valueOf(name: string): string | undefined {
    return this.#holderOf(name)?.value;
  }

  // ── the steps ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #acquire({ name, value, owner, ttlMs }: LockRequest, latestMs: number): LockVote {
    if (++this.#acquires % COLLECT_EVERY === 0) this.#collect();
    if (this.#clock.monotonicMs() > latestMs || this.#released.has(value)) return { status: 'refused' };
    const holder = this.#holderOf(name);
    if (holder !== undefined && holder.value !== value) return { status: 'held', owner: holder.owner };
    this.#holders.set(name, { value, owner, expiresMs: this.nowMs + ttlMs });
    return { status: 'granted', fence: this.#count(name) };
  }

  #raise({ name, fence, value }: RaiseRequest): RaiseVote {
    if (value !== undefined && this.#holderOf(name)?.value !== value) return { status: 'lost' };
    if (fence === undefined) return { status: 'raised', fence: this.#count(name) };
    const counter = this.#fences.get(name) ?? 0;
    if (counter >= fence) return { status: 'passed', fence: counter };
    this.#fences.set(name, fence);
    return { status: 'raised', fence };
  }

  /** No less than the time, so that a counter that was lost goes on above where it was. */
  #count(name: string): number {
    const fence = Math.max((this.#fences.get(name) ?? 0) + 1, this.nowMs);
    this.#fences.set(name, fence);
    return fence;
  }

  #holderOf(name: string): Holder | undefined {
    const holder = this.#holders.get(name);
    if (holder === undefined || holder.expiresMs > this.nowMs) return holder;
    this.#holders.delete(name);
    return undefined;
  }

  /** Drops what has expired and nobody asks for again. */
  #collect(): void {
    const { nowMs } = this;
    for (const [name, { expiresMs }] of this.#holders) if (expiresMs <= nowMs) this.#holders.delete(name);
    for (const [name, fence] of this.#fences) if (fence < nowMs - COUNTER_MS) this.#fences.delete(name);
    for (const [value, untilMs] of this.#released) if (untilMs <= nowMs) this.#released.delete(value);
  }

  async #call<T>(step: () => T): Promise<T> {
    await this.#pass(this.faults.requestDelayMs());
    if (this.faults.down) throw this.#away();
    const carriedOut = this.faults.stopped
      ? new Promise<T>((resolve) => this.#held.push(() => resolve(step())))
      : Promise.resolve(step());
    const answered = this.faults.mute ? new Promise<never>(() => {}) : carriedOut;
    const result = await (this.faults.stopped || this.faults.mute ? this.#bounded(answered) : answered);
    await this.#pass(this.faults.replyDelayMs());
    return result;
  }

  #bounded<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.schedule(ANSWER_MS, () => reject(this.#away()));
      void answer.then((value) => {
        cancel();
        resolve(value);
      });
    });
  }

  async #pass(ms: number): Promise<void> {
    if (ms <= 0) return;
    await new Promise<void>((resolve) => {
      this.#clock.schedule(ms, resolve);
    });
  }

  #away(): BackplaneUnavailable {
    return new BackplaneUnavailable('the in-memory lock master is not reachable');
  }
}
