import type { Clock } from '@replyx/core';

/** Something that was started and may end by itself. */
export interface Running {
  /** Resolves when it has ended, however it did, with how. */
  readonly ended: Promise<string>;
  /** Ends it in order. Safe to call twice. */
  stop(): Promise<void>;
  /** Ends it as a crash would: it tells nobody. */
  kill(): void;
}

export type SupervisedState = 'starting' | 'up' | 'down';

export interface SupervisedParts<R extends Running> {
  readonly name: string;
  readonly launch: () => Promise<R>;
  readonly clock: Clock;
  readonly onLog: (line: string) => void;
  /** Whether what ended by itself, and how, is started again; by default it is. */
  readonly restarts?: (how: string) => boolean;
  /** Called when as many restarts in a row did not lead to a steady run; it stays down then. By default it is tried for ever. */
  readonly onGivenUp?: { readonly after: number; readonly call: () => void };
}

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;
/** What ran for so long did not fail at its start: the next restart is a first one again. */
const STEADY_MS = 10_000;

/** Keeps one thing running: what ends by itself is started again with growing delays, what is killed here stays down. */
export class Supervised<R extends Running> {
  state: SupervisedState = 'down';
  /** Down, and about to be started again. */
  isRestarting = false;
  #current: R | undefined;
  #launching: Promise<R> | undefined;
  #cancelRestart: () => void = () => {};
  #failures = 0;
  #stopped = false;
  readonly #parts: SupervisedParts<R>;

  constructor(parts: SupervisedParts<R>) {
    this.#parts = parts;
  }

  /** Starts it where it is down. Rejects with why it could not start; then it stays down. */
  start(): Promise<R> {
    if (this.#stopped) return Promise.reject(new Error(`${this.#parts.name} is stopped for good`));
    if (this.#current !== undefined) return Promise.resolve(this.#current);
    this.#launching ??= this.#launch().finally(() => {
      this.#launching = undefined;
    });
    return this.#launching;
  }

  /** Kills it and waits for its end; it stays down until it is started. False where it is not up. */
  async kill(): Promise<boolean> {
    this.#cancelRestart();
    const current = this.#current;
    if (current === undefined) return false;
    // Known to be down before it is: whoever loses it and asks for another one must not be sent back to it.
    this.#forget();
    current.kill();
    await current.ended;
    return true;
  }

  /** Ends it in order, for good; waits for one that is just starting. Safe to call twice. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelRestart();
    await this.#launching?.catch(() => {});
    const current = this.#current;
    this.#forget();
    await current?.stop();
  }

  async #launch(): Promise<R> {
    const { launch, clock } = this.#parts;
    this.#cancelRestart();
    this.isRestarting = false;
    this.state = 'starting';
    try {
      const running = await launch();
      const sinceMs = clock.monotonicMs();
      this.#current = running;
      this.state = 'up';
      void running.ended.then((how) => {
        if (this.#current !== running) return;
        this.#forget();
        if (clock.monotonicMs() - sinceMs >= STEADY_MS) this.#failures = 0;
        if (this.#parts.restarts?.(how) !== false) this.#restartLater(how);
      });
      return running;
    } catch (error) {
      this.state = 'down';
      throw error;
    }
  }

  #restartLater(why: string): void {
    if (this.#stopped) return;
    const { name, clock, onLog, onGivenUp } = this.#parts;
    if (onGivenUp !== undefined && this.#failures >= onGivenUp.after) {
      this.isRestarting = false;
      onLog(`${name} ended by itself (${why}); it is given up after ${this.#failures} restarts in a row`);
      onGivenUp.call();
      return;
    }
    const delayMs = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#failures);
    this.#failures += 1;
    this.isRestarting = true;
    onLog(`${name} ended by itself (${why}); it is started again in ${delayMs / 1000} s`);
    this.#cancelRestart = clock.schedule(delayMs, () => {
      this.start().catch((error: unknown) => {
        this.#restartLater(error instanceof Error ? error.message : String(error));
      });
    });
  }

  #forget(): void {
    this.#current = undefined;
    this.state = 'down';
  }
}
