import type { SeededRandom } from '@replyx/testkit';

export interface TurnsOptions {
  readonly random: SeededRandom;
  /** How many go on at once. */
  readonly width: number;
  /** Between two of one, in milliseconds: at least, at most. */
  readonly pauseMs: readonly [number, number];
  /** Must not reject. */
  readonly turn: () => Promise<void>;
}

/** Does the same thing again and again while load flows. */
export class Turns {
  readonly #options: TurnsOptions;
  readonly #loops: Promise<void>[] = [];
  #busy = 0;
  #flowing = false;
  #running = true;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** Turns that are under way. */
  get busy(): number {
    return this.#busy;
  }

  /** False: what is under way is to give up. */
  get running(): boolean {
    return this.#running;
  }

  flow(): void {
    this.#flowing = true;
    for (let i = 0; i < this.#options.width; i += 1) this.#loops.push(this.#loop());
  }

  /** No turn begins any more. */
  quiet(): void {
    this.#flowing = false;
  }

  async stop(): Promise<void> {
    this.#flowing = false;
    this.#running = false;
    await Promise.all(this.#loops);
  }

  async #loop(): Promise<void> {
    const { random, pauseMs, turn } = this.#options;
    const [least, most] = pauseMs;
    while (this.#flowing) {
      await sleep(least + random.float() * (most - least));
      if (!this.#flowing) return;
      this.#busy += 1;
      await turn();
      this.#busy -= 1;
    }
  }
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
