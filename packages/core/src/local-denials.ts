import type { Clock } from './clock.js';

interface Denial {
  readonly untilMs: number;
  hits: number;
}

/** Entries that are looked at to make room for one more. */
const EVICTION_SAMPLE = 16;

/**
 * Addresses that this node refuses for a while without asking anybody. Only who was refused by a limit comes in, so addresses that
 * pass push nobody out; where the table is full of attackers, the one that is soonest free makes room, and is judged by the cluster's
 * windows again.
 */
export class LocalDenials {
  private readonly clock: Pick<Clock, 'monotonicMs'>;
  private readonly capacity: number;
  private readonly entries = new Map<string, Denial>();

  constructor(clock: Pick<Clock, 'monotonicMs'>, capacity: number) {
    this.clock = clock;
    this.capacity = capacity;
  }

  /** Refuses the key for so long from now; a longer denial stays. */
  deny(key: string, forMs: number): void {
    const untilMs = this.clock.monotonicMs() + forMs;
    const present = this.entries.get(key);
    if (present !== undefined && present.untilMs >= untilMs) return;
    if (present === undefined && this.entries.size >= this.capacity) this.makeRoom();
    this.entries.set(key, { untilMs, hits: present?.hits ?? 0 });
  }

  /** Milliseconds for which the key is still denied; `undefined` where it is not. Counts the attempt. */
  check(key: string): number | undefined {
    const denial = this.entries.get(key);
    if (denial === undefined) return undefined;
    const leftMs = denial.untilMs - this.clock.monotonicMs();
    if (leftMs <= 0) {
      this.entries.delete(key);
      return undefined;
    }
    denial.hits += 1;
    return leftMs;
  }

  /** Attempts that were refused since the denial began; 0 where there is none. */
  hits(key: string): number {
    return this.entries.get(key)?.hits ?? 0;
  }

  /** How many addresses are denied now. */
  get size(): number {
    const nowMs = this.clock.monotonicMs();
    for (const [key, { untilMs }] of this.entries) if (untilMs <= nowMs) this.entries.delete(key);
    return this.entries.size;
  }

  private makeRoom(): void {
    let soonest: string | undefined;
    let soonestMs = Number.POSITIVE_INFINITY;
    let looked = 0;
    for (const [key, { untilMs }] of this.entries) {
      if (untilMs < soonestMs) {
        soonest = key;
        soonestMs = untilMs;
      }
      looked += 1;
      if (looked >= EVICTION_SAMPLE) break;
    }
    if (soonest !== undefined) this.entries.delete(soonest);
  }
}
