const TICK_MS = 10;
const SLOTS = 512;

/** All waits of a driver in one timer: a wait costs an entry in a list, not a timer and a closure of its own. */
export class TimerWheel<T> {
  readonly #slots: { due: number; item: T }[][] = Array.from({ length: SLOTS }, () => []);
  readonly #onDue: (item: T) => void;
  readonly #nowMs: () => number;
  #tick: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(nowMs: () => number, onDue: (item: T) => void) {
    this.#nowMs = nowMs;
    this.#onDue = onDue;
    this.#tick = Math.floor(nowMs() / TICK_MS);
  }

  start(): void {
    this.#timer ??= setInterval(() => this.advance(), TICK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** There is no cancelling: an item that is no longer wanted says so when it is due. */
  schedule(delayMs: number, item: T): void {
    const due = Math.max(Math.ceil((this.#nowMs() + Math.max(0, delayMs)) / TICK_MS), this.#tick + 1);
    this.#slots[due % SLOTS]?.push({ due, item });
  }

  /** Hands out what has become due since the last call, each item once. */
  advance(): void {
    const now = Math.floor(this.#nowMs() / TICK_MS);
    // After a long stall each slot is looked at once, not once for every tick that was missed.
    const from = Math.max(this.#tick + 1, now - SLOTS + 1);
    for (let tick = from; tick <= now; tick += 1) {
      this.#tick = tick;
      const slot = this.#slots[tick % SLOTS] ?? [];
      if (slot.length === 0) continue;
      const later = slot.filter((entry) => entry.due > now);
      const due = slot.filter((entry) => entry.due <= now);
      // What is scheduled meanwhile is due in a later tick, so it never joins the list that is walked here.
      this.#slots[tick % SLOTS] = later;
      for (const { item } of due) this.#onDue(item);
    }
    this.#tick = now;
  }
}
