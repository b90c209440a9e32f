const BUCKETS = 50;

/**
 * A sliding window in one process, with memory that does not grow with the limit. Conservative: the bucket that the window's
 * edge cuts counts whole, so no window ever admits more than the limit, and none refuses more than 2 % of its length early.
 */
export class SlidingCounter {
  private readonly counts: Uint16Array | Uint32Array;
  private readonly bucketMs: number;
  private readonly limit: number;
  private total = 0;
  private newest = -1;

  /** `limit` is below 2^32. */
  constructor(limit: number, windowMs: number) {
    this.limit = limit;
    // A bucket counts up to the limit; most limits are small, and there is a counter a connection.
    this.counts = limit <= 0xffff ? new Uint16Array(BUCKETS + 1) : new Uint32Array(BUCKETS + 1);
    this.bucketMs = windowMs / BUCKETS;
  }

  /** Counts one event at `nowMs` (monotonic) and returns whether the window had room; a refused event is not counted. */
  admit(nowMs: number): boolean {
    const bucket = Math.floor(nowMs / this.bucketMs);
    const stale = this.newest === -1 ? 0 : Math.min(bucket - this.newest, BUCKETS + 1);
    for (let i = 1; i <= stale; i += 1) {
      const index = (this.newest + i) % (BUCKETS + 1);
      this.total -= this.counts[index] ?? 0;
      this.counts[index] = 0;
    }
    this.newest = bucket;
    if (this.total >= this.limit) return false;
    const index = bucket % (BUCKETS + 1);
    this.counts[index] = (this.counts[index] ?? 0) + 1;
    this.total += 1;
    return true;
  }
}
