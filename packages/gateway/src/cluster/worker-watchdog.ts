import type { Clock } from '@replyx/core';

const LOOK_MS = 5_000;
/** A look that is later than this tells of this process, which was stopped or starved, and not of the workers. */
const LATE_MS = 1_000;
/** Between two looks everything that has come is read: with one alone, an answer could still lie unread. */
const LEAST_LOOKS = 2;

interface WorkerWatchdogParts<W> {
  readonly clock: Pick<Clock, 'monotonicMs' | 'schedule'>;
  /** How long a worker may leave everything unanswered. */
  readonly silenceMs: number;
  readonly ask: (worker: W) => void;
  readonly onStuck: (worker: W) => void;
}

/**
 * Finds the workers that are stuck: asks each at every look, and counts the looks after which it was not heard. Their silence is not
 * timed: after a stop of this process its timers run before it reads what the workers have answered meanwhile.
 */
export class WorkerWatchdog<W> {
  readonly #parts: WorkerWatchdogParts<W>;
  readonly #looks: number;
  /** How many looks each has left unanswered. */
  readonly #unanswered = new Map<W, number>();
  #dueMs = 0;
  #cancel = (): void => {};

  constructor(parts: WorkerWatchdogParts<W>) {
    this.#parts = parts;
    this.#looks = Math.max(LEAST_LOOKS, Math.ceil(parts.silenceMs / LOOK_MS));
  }

  /** The worker is not stuck; from now on it is watched. */
  heard(worker: W): void {
    this.#unanswered.set(worker, 0);
  }

  forget(worker: W): void {
    this.#unanswered.delete(worker);
  }

  /** Looks at once, and then again and again. */
  start(): void {
    this.#dueMs = this.#parts.clock.monotonicMs();
    this.#look();
  }

  stop(): void {
    this.#cancel();
  }

  #look(): void {
    const { clock, ask, onStuck } = this.#parts;
    const isLate = clock.monotonicMs() - this.#dueMs > LATE_MS;
    for (const [worker, unanswered] of this.#unanswered) {
      if (!isLate && unanswered >= this.#looks) {
        this.#unanswered.delete(worker);
        onStuck(worker);
        continue;
      }
      if (!isLate) this.#unanswered.set(worker, unanswered + 1);
      ask(worker);
    }
    this.#dueMs = clock.monotonicMs() + LOOK_MS;
    this.#cancel = clock.schedule(LOOK_MS, () => this.#look());
  }
}
