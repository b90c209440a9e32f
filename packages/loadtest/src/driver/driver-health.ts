const TICK_MS = 20;

/** Whether the driver itself keeps up: the lag of its event loop and its share of a core. */
export class DriverHealth {
  readonly #onLag: (us: number) => void;
  readonly #timer: NodeJS.Timeout;
  #expected = performance.now() + TICK_MS;
  #worstMs = 0;
  #cpu = process.cpuUsage();
  #since = performance.now();

  constructor(onLag: (us: number) => void) {
    this.#onLag = onLag;
    this.#timer = setInterval(() => this.#beat(), TICK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Since the last call: CPU time by wall time, and the greatest lag. */
  take(): { cpuShare: number; lagMs: number } {
    const now = performance.now();
    const used = process.cpuUsage(this.#cpu);
    const elapsedMs = Math.max(1, now - this.#since);
    const taken = { cpuShare: (used.user + used.system) / 1000 / elapsedMs, lagMs: this.#worstMs };
    this.#cpu = process.cpuUsage();
    this.#since = now;
    this.#worstMs = 0;
    return taken;
  }

  #beat(): void {
    const now = performance.now();
    const lagMs = Math.max(0, now - this.#expected);
    this.#expected = now + TICK_MS;
    this.#worstMs = Math.max(this.#worstMs, lagMs);
    this.#onLag(lagMs * 1000);
  }
}
