import { askAll } from './ballot.js';
import type { LockMaster } from './lock-master.js';
import type { LockSettings } from './lock-settings.js';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;
/** How long a stop waits for releases that are under way. */
const STOP_MS = 1_000;

export interface Reclaim {
  readonly name: string;
  readonly value: string;
  /** Monotonic time after which nothing of it can be left. */
  readonly goneAtMs: number;
}

/** Gives back what may be left at a master, again and again until the master has said that nothing is, or it has expired. */
export class Reclaimer {
  readonly #settings: LockSettings;
  readonly #jobs = new Set<Promise<void>>();
  readonly #wakes = new Set<() => void>();
  #stopped = false;

  constructor(settings: LockSettings) {
    this.#settings = settings;
  }

  /** Releases that no master has confirmed yet. */
  get outstanding(): number {
    return this.#jobs.size;
  }

  reclaim(master: LockMaster, what: Reclaim): void {
    // What is too much expires by itself.
    if (this.#stopped || this.#jobs.size >= this.#settings.maxReclaims) return;
    const job = this.#run(master, what).finally(() => this.#jobs.delete(job));
    this.#jobs.add(job);
  }

  /** Waits a moment for what is under way, and gives the rest up. Safe to call twice. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const wake of [...this.#wakes]) wake();
    let cancel = (): void => {};
    const late = new Promise<void>((resolve) => {
      cancel = this.#settings.clock.schedule(STOP_MS, resolve);
    });
    await Promise.race([Promise.all(this.#jobs), late]);
    cancel();
  }

  async #run(master: LockMaster, { name, value, goneAtMs }: Reclaim): Promise<void> {
    const { clock, masterDeadlineMs } = this.#settings;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      const { answers } = await askAll(
        [master],
        () => master.release(name, value),
        () => true,
        1,
        masterDeadlineMs,
        this.#settings,
      );
      if (answers[0] !== undefined || this.#stopped || clock.monotonicMs() + pauseMs >= goneAtMs) return;
      await this.#pause(pauseMs);
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        cancel();
        this.#wakes.delete(wake);
        resolve();
      };
      const cancel = this.#settings.clock.schedule(ms, wake);
      this.#wakes.add(wake);
    });
  }
}
