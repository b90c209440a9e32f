import type { DriverCounts } from '../driver/driver-messages.js';

/** One step of a run, as the report draws it. Rates are per second, times in milliseconds. */
export interface TimePoint {
  readonly atMs: number;
  readonly sent: number;
  readonly delivered: number;
  readonly joined: number;
  readonly attempts: number;
  readonly p50: number | null;
  readonly p99: number | null;
  readonly max: number | null;
  readonly connections: number;
  readonly errors: number;
  readonly closes: number;
  readonly driverCpu: number;
  readonly driverLagMs: number;
  /** Share of a core and bytes of each server, in the order of the result's servers; null for one that did not tell. */
  readonly cpu: readonly (number | null)[];
  readonly rss: readonly (number | null)[];
}

export const sumOf = (record: Readonly<Record<string, number>>): number =>
  Object.values(record).reduce((sum, value) => sum + value, 0);

const NUMBERS = [
  'sent',
  'resent',
  'acked',
  'delivered',
  'unsent',
  'refused',
  'opened',
  'joined',
  'recovered',
  'discontinued',
  'others',
] as const;
const RECORDS = ['closed', 'errors', 'turnedAway', 'attempts'] as const;

/** The counts of all drivers together. */
export const addCounts = (all: readonly DriverCounts[]): DriverCounts => {
  const total: Record<string, unknown> = {};
  for (const name of NUMBERS) total[name] = all.reduce((sum, counts) => sum + counts[name], 0);
  for (const name of RECORDS) {
    const record: Record<string, number> = {};
    for (const counts of all)
      for (const [key, value] of Object.entries(counts[name])) record[key] = (record[key] ?? 0) + value;
    total[name] = record;
  }
  return total as unknown as DriverCounts;
};

const worse = (a: number | null, b: number | null): number | null => (a === null ? b : b === null ? a : Math.max(a, b));
const both = (a: number, b: number): number => (a + b) / 2;
const bothOrOne = (a: number | null | undefined, b: number | null | undefined): number | null =>
  a == null ? (b ?? null) : b == null ? a : both(a, b);

/** Two neighbouring steps as one: rates are averaged, latencies keep the worse. */
const merged = (a: TimePoint, b: TimePoint): TimePoint => ({
  atMs: b.atMs,
  sent: both(a.sent, b.sent),
  delivered: both(a.delivered, b.delivered),
  joined: both(a.joined, b.joined),
  attempts: both(a.attempts, b.attempts),
  p50: bothOrOne(a.p50, b.p50),
  p99: worse(a.p99, b.p99),
  max: worse(a.max, b.max),
  connections: b.connections,
  errors: a.errors + b.errors,
  closes: a.closes + b.closes,
  driverCpu: both(a.driverCpu, b.driverCpu),
  driverLagMs: Math.max(a.driverLagMs, b.driverLagMs),
  cpu: a.cpu.map((value, i) => bothOrOne(value, b.cpu[i])),
  rss: a.rss.map((value, i) => b.rss[i] ?? value),
});

const MAX_POINTS = 1_200;

/** The steps of a run; of a long one neighbours are joined, again and again, so that a week fits as a minute does. */
export class Timeline {
  #points: TimePoint[] = [];
  #step = 1;
  #held: { point: TimePoint; count: number } | undefined;

  add(point: TimePoint): void {
    const held = this.#held;
    this.#held = held === undefined ? { point, count: 1 } : { point: merged(held.point, point), count: held.count + 1 };
    if (this.#held.count < this.#step) return;
    this.#points.push(this.#held.point);
    this.#held = undefined;
    if (this.#points.length < MAX_POINTS) return;
    this.#points = this.#points.flatMap((first, i) => {
      const second = this.#points[i + 1];
      return i % 2 === 1 ? [] : [second === undefined ? first : merged(first, second)];
    });
    this.#step *= 2;
  }

  points(): readonly TimePoint[] {
    return this.#held === undefined ? this.#points : [...this.#points, this.#held.point];
  }
}
