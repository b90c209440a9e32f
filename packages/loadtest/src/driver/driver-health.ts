import { Histogram } from '../histogram.js';

const TICK_MS = 20;
const SECOND_MS = 1_000;
/** The share that this many percent of the seconds did not exceed: of twenty seconds, the second worst. */
const WORST = 95;
const PER_MILLE = 1_000;

/** What is measured with. */
export interface HealthClock {
  nowMs(): number;
  /** CPU time of this process, user and system. */
  cpuMs(): number;
}

const processClock: HealthClock = {
  nowMs: () => performance.now(),
  cpuMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
};

/** The CPU by the time between two moments. */
class ShareMeter {
  readonly #clock: HealthClock;
  #sinceMs: number;
  #cpuMs: number;

  constructor(clock: HealthClock) {
    this.#clock = clock;
    this.#sinceMs = clock.nowMs();
    this.#cpuMs = clock.cpuMs();
  }

  get elapsedMs(): number {
    return this.#clock.nowMs() - this.#sinceMs;
  }

  /** Since the last call. */
  take(): number {
    const [elapsedMs, cpuMs] = [Math.max(1, this.elapsedMs), this.#clock.cpuMs()];
    const share = (cpuMs - this.#cpuMs) / elapsedMs;
    this.#sinceMs = this.#clock.nowMs();
    this.#cpuMs = cpuMs;
    return share;
  }
}

/** Whether the driver itself keeps up: the lag of its event loop and its share of a core. */
export class DriverHealth {
  readonly #onLag: (us: number) => void;
  readonly #clock: HealthClock;
  readonly #timer: NodeJS.Timeout;
  readonly #seconds = new Histogram();
  readonly #interval: ShareMeter;
  #second: ShareMeter | undefined;
  #expected: number;
  #worstMs = 0;

  /** `onLag`: each lag while it measures, in microseconds. */
  constructor(onLag: (us: number) => void, clock = processClock) {
    this.#onLag = onLag;
    this.#clock = clock;
    this.#interval = new ShareMeter(clock);
    this.#expected = clock.nowMs() + TICK_MS;
    this.#timer = setInterval(() => this.beat(), TICK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** From here to `stopMeasuring` it is the load that keeps the driver busy. */
  startMeasuring(): void {
    this.#second = new ShareMeter(this.#clock);
  }

  stopMeasuring(): void {
    if (this.#clock.nowMs() > this.#expected) this.beat();
    // A part of a second says little, unless there is nothing else.
    if (this.#seconds.count === 0) this.#endSecond();
    this.#second = undefined;
  }

  /**
   * Share of a core in the worst seconds of what was measured. A mean over all of it would say of a driver that was busy in the burst
   * and idle in the wait that it kept up.
   */
  busiestShare(): number {
    return this.#seconds.percentile(WORST) / PER_MILLE;
  }

  /** Since the last call: CPU time by wall time, and the greatest lag. */
  take(): { cpuShare: number; lagMs: number } {
    const taken = { cpuShare: this.#interval.take(), lagMs: this.#worstMs };
    this.#worstMs = 0;
    return taken;
  }

  /** The event loop has come to the timer. */
  beat(): void {
    const now = this.#clock.nowMs();
    const lagMs = Math.max(0, now - this.#expected);
    this.#expected = now + TICK_MS;
    this.#worstMs = Math.max(this.#worstMs, lagMs);
    if (this.#second === undefined) return;
    // The beats that were due meanwhile were late as well, each by less: a long stall is not one sample among thousands.
    for (let late = lagMs; late >= 0; late -= TICK_MS) this.#onLag(late * 1000);
    if (this.#second.elapsedMs >= SECOND_MS) this.#endSecond();
  }

  #endSecond(): void {
    if (this.#second !== undefined) this.#seconds.record(this.#second.take() * PER_MILLE);
  }
}
