/** What a wheel needs to find an item again; owned by the wheel. 0: not on it. */
export interface Timed {
  deadlineSecond: number;
}

/**
 * Deadlines of very many items in whole seconds: no timer an item, no sorting. Never early, at most a second late. Its time should
 * only grow: it stands still until the time is again what it was.
 */
export class DeadlineWheel<T extends Timed> {
  private readonly seconds = new Map<number, Set<T>>();
  private done: number;

  constructor(nowMs: number) {
    this.done = Math.floor(nowMs / 1000);
  }

  /** Moves the item to `atMs`; a deadline that has passed is due at the next turn. */
  set(item: T, atMs: number): void {
    this.delete(item);
    const second = Math.max(Math.ceil(atMs / 1000), this.done + 1);
    item.deadlineSecond = second;
    const slot = this.seconds.get(second);
    if (slot === undefined) this.seconds.set(second, new Set([item]));
    else slot.add(item);
  }

  delete(item: T): void {
    if (item.deadlineSecond === 0) return;
    const slot = this.seconds.get(item.deadlineSecond);
    slot?.delete(item);
    if (slot?.size === 0) this.seconds.delete(item.deadlineSecond);
    item.deadlineSecond = 0;
  }

  /** Takes off everything that is due at `nowMs`. */
  due(nowMs: number): T[] {
    const until = Math.floor(nowMs / 1000);
    // After a long pause the slots are fewer than the seconds that passed.
    const ready =
      until - this.done > this.seconds.size
        ? [...this.seconds.keys()].filter((second) => second <= until).sort((a, b) => a - b)
        : Array.from({ length: Math.max(0, until - this.done) }, (_, i) => this.done + 1 + i);
    this.done = Math.max(this.done, until);
    const items: T[] = [];
    for (const second of ready) {
      const slot = this.seconds.get(second);
      if (slot === undefined) continue;
      this.seconds.delete(second);
      for (const item of slot) {
        item.deadlineSecond = 0;
        items.push(item);
      }
    }
    return items;
  }
}
