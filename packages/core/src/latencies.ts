/** Upper bounds of the buckets, in seconds; above the last one lies infinity. */
export const LATENCY_BOUNDS_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5] as const;

export interface Latency {
  /** How many fell into each bucket, not cumulative; one more than there are bounds. */
  readonly buckets: readonly number[];
  readonly sumSeconds: number;
}

/** How long named operations took. Names are from a small fixed set. Costs two additions an operation. */
export class Latencies {
  private readonly times = new Map<string, { buckets: number[]; sumSeconds: number }>();

  observe(name: string, ms: number): void {
    let entry = this.times.get(name);
    if (entry === undefined) {
      entry = { buckets: new Array<number>(LATENCY_BOUNDS_SECONDS.length + 1).fill(0), sumSeconds: 0 };
      this.times.set(name, entry);
    }
    const seconds = ms / 1000;
    let bucket = 0;
    while (bucket < LATENCY_BOUNDS_SECONDS.length && seconds > (LATENCY_BOUNDS_SECONDS[bucket] as number)) bucket += 1;
    entry.buckets[bucket] = (entry.buckets[bucket] as number) + 1;
    entry.sumSeconds += seconds;
  }

  entries(): Iterable<[string, Latency]> {
    return this.times;
  }
}
