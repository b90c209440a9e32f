/** What a turn wheel needs to find an item again; owned by the wheel. -1: not on it. */
export interface Turned {
  turnSlot: number;
}

/** Gives each item one turn every `slots` steps, evenly spread: heartbeats of many sockets without a timer each. */
export class TurnWheel<T extends Turned> {
  private readonly slots: Set<T>[];
  private nextSlot = 0;
  private nextTurn = 0;

  constructor(slots: number) {
    this.slots = Array.from({ length: Math.max(1, slots) }, () => new Set<T>());
  }

  add(item: T): void {
    item.turnSlot = this.nextSlot;
    this.slots[this.nextSlot]?.add(item);
    this.nextSlot = (this.nextSlot + 1) % this.slots.length;
  }

  delete(item: T): void {
    if (item.turnSlot === -1) return;
    this.slots[item.turnSlot]?.delete(item);
    item.turnSlot = -1;
  }

  /** The items whose turn it is; call it once a step. */
  turn(): Iterable<T> {
    const slot = this.slots[this.nextTurn] ?? new Set<T>();
    this.nextTurn = (this.nextTurn + 1) % this.slots.length;
    return slot;
  }
}
