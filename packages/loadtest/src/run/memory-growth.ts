import type { Usage } from './process-stat.js';

const MAX_POINTS = 2_000;
const MIN_POINTS = 10;
const HOUR_MS = 3_600_000;

/** All servers' memory under the load; of a long one every other point is dropped, again and again, so that all of it stays covered. */
export class MemoryGrowth {
  #points: (readonly [number, number])[] = [];
  #step = 1;
  #skipped = 0;

  /** The servers at one moment. A moment at which one of them gave no figure is no point: it would look as if it had shrunk. */
  add(atMs: number, usages: readonly (Usage | undefined)[]): void {
    if (usages.length === 0 || usages.some((usage) => usage === undefined || usage.rssBytes === 0)) return;
    this.#skipped += 1;
    if (this.#skipped < this.#step) return;
    this.#skipped = 0;
    this.#points.push([atMs, usages.reduce((sum, usage) => sum + (usage?.rssBytes ?? 0), 0)]);
    if (this.#points.length < MAX_POINTS) return;
    this.#points = this.#points.filter((_, i) => i % 2 === 1);
    this.#step *= 2;
  }

  /** Bytes an hour over the second half of the load; undefined where there are too few points. */
  perHour(): number | undefined {
    return growthPerHour(this.#points);
  }
}

/** Slope over the second half of a series' time by least squares, per hour; undefined for fewer than ten points in it. */
export const growthPerHour = (series: readonly (readonly [number, number])[]): number | undefined => {
  const middle = ((series[0]?.[0] ?? 0) + (series.at(-1)?.[0] ?? 0)) / 2;
  const half = series.filter(([x]) => x >= middle);
  if (half.length < MIN_POINTS) return undefined;
  const meanX = half.reduce((sum, [x]) => sum + x, 0) / half.length;
  const meanY = half.reduce((sum, [, y]) => sum + y, 0) / half.length;
  const above = half.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const below = half.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return below === 0 ? undefined : (above / below) * HOUR_MS;
};
