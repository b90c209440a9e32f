import type { SeededRandom } from '@replyx/testkit';
import type { Backend } from './backend.js';
import type { ChatClient } from './chat-client.js';

export interface LoadOptions {
  readonly clients: readonly ChatClient[];
  readonly backend: Backend;
  readonly random: SeededRandom;
  /** Messages a second over all dialogs. */
  readonly perSecond: number;
}

const TICK_MS = 20;
/** Every third message or so is the backend's; every fifth of an operator is a note. */
const BACKEND_IN = 3;
const NOTE_IN = 5;

/** Keeps clients alive and, until `quiet`, messages flowing. */
export class Load {
  readonly #options: LoadOptions;
  readonly #timer: NodeJS.Timeout;
  #startedMs = performance.now();
  #due = 0;
  #flowing = false;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  flow(): void {
    this.#startedMs = performance.now();
    this.#due = 0;
    this.#flowing = true;
  }

  /** Nothing new is sent; clients go on to reconnect and to resend. */
  quiet(): void {
    this.#flowing = false;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const { clients, perSecond } = this.#options;
    const nowMs = performance.now();
    for (const client of clients) client.tick(nowMs);
    if (!this.#flowing) return;
    const due = Math.floor(((nowMs - this.#startedMs) * perSecond) / 1_000);
    // What a stall of this process has missed is not made up for at once.
    for (let left = Math.min(due - this.#due, perSecond); left > 0; left -= 1) this.#sendOne();
    this.#due = due;
  }

  #sendOne(): void {
    const { clients, backend, random } = this.#options;
    const client = random.pick(clients);
    const text = `${random.below(1_000_000)} ünïcödé ${'x'.repeat(random.below(300))}`;
    if (random.below(BACKEND_IN) === 0) void backend.publish(client.dialog, text);
    else client.send(text, client.role === 'operator' && random.below(NOTE_IN) === 0 ? 'internal' : 'main');
  }
}
