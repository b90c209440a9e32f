import { BackplaneUnavailable } from '@replyx/core';

interface Waiting<Item, Answer> {
  readonly item: Item;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** What of a topology says when a call is made, and what may be in it. */
export interface Writes {
  link(slot: number): { beforeWrite(work: () => void, order?: 'first' | 'rest'): void };
  unit(slot: number): number;
}

/**
 * Makes one script's call of what is asked until the next write, of slots that one script may touch. An outage is everybody's; a call
 * that fails otherwise, which one item may be the cause of, is made for each alone, so calls must bear being made again.
 */
export class Gathering<Item, Answer> {
  readonly #writes: Writes;
  readonly #most: number;
  readonly #call: (items: readonly Item[]) => Promise<readonly Answer[]>;
  readonly #waiting = new Map<number, Waiting<Item, Answer>[]>();
  readonly #order: 'first' | 'rest';

  /** `call`: answers in the order of its items, of which there are at most `most`. `order`: as `beforeWrite` takes it. */
  constructor(
    writes: Writes,
    most: number,
    call: (items: readonly Item[]) => Promise<readonly Answer[]>,
    order: 'first' | 'rest' = 'rest',
  ) {
    this.#writes = writes;
    this.#most = most;
    this.#call = call;
    this.#order = order;
  }

  /** Rejects as `Topology.link` throws, and as the call does. */
  ask(slot: number, item: Item): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const link = this.#writes.link(slot);
      const unit = this.#writes.unit(slot);
      const one = { item, resolve, reject };
      const group = this.#waiting.get(unit);
      if (group !== undefined && group.length < this.#most) {
        group.push(one);
        return;
      }
      const fresh = [one];
      this.#waiting.set(unit, fresh);
      link.beforeWrite(() => this.#flush(unit, fresh), this.#order);
    });
  }

  #flush(unit: number, group: readonly Waiting<Item, Answer>[]): void {
    if (this.#waiting.get(unit) === group) this.#waiting.delete(unit);
    this.#make(group);
  }

  #make(group: readonly Waiting<Item, Answer>[]): void {
    this.#call(group.map(({ item }) => item)).then(
      (answers) => group.forEach(({ resolve }, i) => void resolve(answers[i] as Answer)),
      (error: unknown) => {
        if (group.length > 1 && !(error instanceof BackplaneUnavailable)) for (const one of group) this.#make([one]);
        else for (const { reject } of group) reject(error);
      },
    );
  }
}
