import type { Clock, LockMaster, LockRequest, LockVote, RaiseRequest, RaiseVote } from '@replyx/core';
import type { Keys } from '../keys.js';
import { LIFETIMES } from '../options.js';
import { LOCK_SCRIPTS } from '../scripts.js';
import type { LockRunner } from './lock-client.js';

/** What a server's clock said, and when we heard it: the server is at least as far on as that. */
interface TimeSample {
  readonly serverMs: number;
  readonly heardMs: number;
}

/** Clocks drift: an older sample is none. */
const SAMPLE_MS = 10_000;
/** More servers than any cluster has; then all are asked for their time again. */
const MOST_SAMPLES = 1_000;

/** One Redis master as a voter. A script that names its attempt may run twice, or late: it does no harm then. */
export class RedisLockMaster implements LockMaster {
  readonly #client: LockRunner;
  readonly #keys: Keys;
  readonly #clock: Clock;
  readonly #samples = new Map<string, TimeSample>();

  constructor(client: LockRunner, keys: Keys, clock: Clock) {
    this.#client = client;
    this.#keys = keys;
    this.#clock = clock;
  }

  get label(): string {
    return this.#client.label;
  }

  async acquire({ name, value, owner, ttlMs, deadlineMs }: LockRequest): Promise<LockVote> {
    const latestMs = this.#clock.monotonicMs() + deadlineMs;
    const keys = this.#keys.lock(name);
    for (let again = true; ; again = false) {
      const server = this.#client.serverOf(keys.tag);
      const reply = (await this.#client.run(
        keys.tag,
        LOCK_SCRIPTS.acquire,
        [keys.holder, keys.fence, keys.released(value)],
        [value, owner, ttlMs, this.#serverTime(server, latestMs), LIFETIMES.fencesMs],
      )) as [string, number, (number | string)?];
      const [status, serverMs, detail] = reply;
      const heardMs = this.#clock.monotonicMs();
      if (this.#samples.size >= MOST_SAMPLES) this.#samples.clear();
      this.#samples.set(server, { serverMs, heardMs });
      if (status === 'granted') return { status, fence: Number(detail) };
      if (status === 'held') return { status, owner: String(detail) };
      // By our clock it was not late: the server's was not known, or was set.
      if (status !== 'late' || heardMs >= latestMs || !again) return { status: 'refused' };
    }
  }

  async extend(name: string, value: string, ttlMs: number): Promise<boolean> {
    const { tag, holder } = this.#keys.lock(name);
    return (await this.#client.run(tag, LOCK_SCRIPTS.extend, [holder], [value, ttlMs])) === 1;
  }

  async release(name: string, value: string): Promise<boolean> {
    const keys = this.#keys.lock(name);
    return (
      (await this.#client.run(
        keys.tag,
        LOCK_SCRIPTS.release,
        [keys.holder, keys.released(value)],
        [value, LIFETIMES.releasedMs],
      )) === 1
    );
  }

  async raiseFence({ name, fence, value }: RaiseRequest): Promise<RaiseVote> {
    const keys = this.#keys.lock(name);
    const [status, counter] = (await this.#client.run(
      keys.tag,
      LOCK_SCRIPTS.raise,
      [keys.holder, keys.fence],
      [value ?? '', fence ?? '', LIFETIMES.fencesMs],
    )) as ['raised' | 'passed' | 'lost', number?];
    return status === 'lost' ? { status } : { status, fence: Number(counter) };
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  /** The server's clock at a moment of ours, or a little earlier. 0 where it is not known: then it says so first. */
  #serverTime(server: string, atMs: number): number {
    const sample = this.#samples.get(server);
    if (sample === undefined || this.#clock.monotonicMs() - sample.heardMs > SAMPLE_MS) return 0;
    return Math.floor(sample.serverMs + atMs - sample.heardMs);
  }
}
