import type { DriverTick } from '../driver/driver-messages.js';
import { Histogram } from '../histogram.js';
import { CpuShares } from './cpu-shares.js';
import type { DriverProcess } from './driver-process.js';
import { MemoryGrowth } from './memory-growth.js';
import type { ServerWatch } from './server-watch.js';
import { addCounts, sumOf, Timeline, type TimePoint } from './timeline.js';

const STEP_MS = 1_000;

/** What can be shown of a run while it goes on. */
export interface LiveView extends TimePoint {
  readonly elapsedMs: number;
}

/** Joins what the drivers tell and what the servers use into one step a second. */
export class RunMeter {
  readonly timeline = new Timeline();
  readonly growth = new MemoryGrowth();
  readonly #cpu = new CpuShares();
  readonly #drivers: readonly DriverProcess[];
  readonly #watch: ServerWatch;
  readonly #onStep: (view: LiveView) => void;
  readonly #interval = new Histogram();
  readonly #since = performance.now();
  #before = { atMs: performance.now(), sent: 0, delivered: 0, joined: 0, attempts: 0, errors: 0, closes: 0 };
  #loadSinceMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(drivers: readonly DriverProcess[], watch: ServerWatch, onStep: (view: LiveView) => void) {
    this.#drivers = drivers;
    this.#watch = watch;
    this.#onStep = onStep;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#step(), STEP_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** From here on the steps belong to the load; their times count from it. */
  startLoad(): void {
    this.#loadSinceMs = performance.now();
  }

  tick(tick: DriverTick): void {
    this.#interval.add(tick.delivery.count > 0 ? tick.delivery : tick.other);
  }

  async #step(): Promise<void> {
    const sample = await this.#watch.sample(false);
    const ticks = this.#drivers.flatMap(({ lastTick }) => lastTick ?? []);
    const counts = addCounts(ticks.map((tick) => tick.counts));
    const now = performance.now();
    const seconds = Math.max(0.001, (now - this.#before.atMs) / 1000);
    const after = {
      atMs: now,
      sent: counts.sent,
      delivered: counts.delivered,
      joined: counts.joined,
      attempts: sumOf(counts.attempts),
      errors: sumOf(counts.errors),
      closes: sumOf(counts.closed),
    };
    const rate = (name: 'sent' | 'delivered' | 'joined' | 'attempts'): number =>
      (after[name] - this.#before[name]) / seconds;
    const measured = this.#interval.count > 0;
    const ms = (percent: number): number | null => (measured ? this.#interval.percentile(percent) / 1000 : null);
    const point: TimePoint = {
      atMs: now - (this.#loadSinceMs ?? now),
      sent: rate('sent'),
      delivered: rate('delivered'),
      joined: rate('joined'),
      attempts: rate('attempts'),
      p50: ms(50),
      p99: ms(99),
      max: measured ? this.#interval.max / 1000 : null,
      connections: ticks.reduce((sum, tick) => sum + tick.connections, 0),
      errors: after.errors - this.#before.errors,
      closes: after.closes - this.#before.closes,
      driverCpu: Math.max(0, ...ticks.map((tick) => tick.cpuShare)),
      driverLagMs: Math.max(0, ...ticks.map((tick) => tick.lagMs)),
      cpu: this.#cpu.next(sample.usages),
      rss: sample.usages.map((usage) => usage?.rssBytes || null),
    };
    this.#interval.clear();
    this.#before = after;
    if (this.#loadSinceMs !== undefined) {
      this.timeline.add(point);
      this.growth.add(point.atMs, sample.usages);
    }
    this.#onStep({ ...point, elapsedMs: now - this.#since });
  }
}
