/** A histogram as it travels: the counters that are not zero, as pairs of distance from the one before and count. */
export interface EncodedHistogram {
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  readonly counts: readonly number[];
}

const SUB_BITS = 10;
const HALF = 1 << SUB_BITS;
const LINEAR = HALF * 2;
const MAX_VALUE = 2 ** 31 - 1;
const SHIFTS = 31 - SUB_BITS - 1;
const SIZE = LINEAR + SHIFTS * HALF;

const indexOf = (value: number): number => {
  if (value < LINEAR) return value;
  const shift = 31 - Math.clz32(value) - SUB_BITS;
  return LINEAR + (shift - 1) * HALF + ((value >>> shift) - HALF);
};

/** The greatest value that shares the counter. */
const highestOf = (index: number): number => {
  if (index < LINEAR) return index;
  const shift = Math.floor((index - LINEAR) / HALF) + 1;
  return (HALF + ((index - LINEAR) % HALF) + 1) * 2 ** shift - 1;
};

/**
 * Log-linear counters over whole numbers from 0 to 2^31 - 1 (for microseconds: 35 minutes): exact below 2048, within a tenth
 * of a percent (three significant digits) above. Greater values count as the greatest; `max` stays exact.
 */
export class Histogram {
  readonly #counts = new Uint32Array(SIZE);
  #count = 0;
  #sum = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = 0;

  /** Negative values count as 0, fractions are cut off. */
  record(value: number, times = 1): void {
    const exact = value > 0 ? Math.floor(value) : 0;
    const index = indexOf(Math.min(exact, MAX_VALUE));
    this.#counts[index] = (this.#counts[index] as number) + times;
    this.#count += times;
    this.#sum += exact * times;
    if (exact > this.#max) this.#max = exact;
    if (exact < this.#min) this.#min = exact;
  }

  get count(): number {
    return this.#count;
  }

  get min(): number {
    return this.#count === 0 ? 0 : this.#min;
  }

  get max(): number {
    return this.#max;
  }

  get mean(): number {
    return this.#count === 0 ? 0 : this.#sum / this.#count;
  }

  /** The smallest recorded value that at least `percent` of all do not exceed, to the histogram's precision; 0 when empty. */
  percentile(percent: number): number {
    const rank = Math.max(1, Math.ceil((percent / 100) * this.#count - 1e-9));
    let seen = 0;
    for (let index = 0; index < SIZE; index += 1) {
      seen += this.#counts[index] as number;
      if (seen >= rank) return Math.min(highestOf(index), this.#max);
    }
    return this.#max;
  }

  add(other: EncodedHistogram): void {
    if (other.count === 0) return;
    let index = 0;
    for (let i = 0; i + 1 < other.counts.length; i += 2) {
      index += other.counts[i] as number;
      if (index >= 0 && index < SIZE)
        this.#counts[index] = (this.#counts[index] as number) + (other.counts[i + 1] as number);
    }
    this.#count += other.count;
    this.#sum += other.sum;
    this.#min = Math.min(this.#min, other.min);
    this.#max = Math.max(this.#max, other.max);
  }

  encode(): EncodedHistogram {
    const counts: number[] = [];
    let before = 0;
    // Most counters are zero, above all in the histogram of one second.
    for (let index = 0, left = this.#count; left > 0 && index < SIZE; index += 1) {
      const times = this.#counts[index] as number;
      if (times === 0) continue;
      counts.push(index - before, times);
      before = index;
      left -= times;
    }
    return { count: this.#count, sum: this.#sum, min: this.min, max: this.#max, counts };
  }

  clear(): void {
    if (this.#count === 0) return;
    this.#counts.fill(0);
    this.#count = 0;
    this.#sum = 0;
    this.#min = Number.POSITIVE_INFINITY;
    this.#max = 0;
  }
}
