import { BackplaneUnavailable } from '@replyx/core';

interface Waiting<Item, Answer> {
  readonly item: Item;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** Calls `flush` at its time. */
export type Later = (flush: () => void) => void;

/**
 * Makes one call of what is asked under one name until its time. An outage is everybody's; a call that fails otherwise, which one item
 * may be the cause of, is made for each alone, so calls must bear being made again.
 */
export class Gathering<Name, Item, Answer> {
  readonly #most: number;
  readonly #call: (items: readonly Item[]) => Promise<readonly Answer[]>;
  readonly #waiting = new Map<Name, Waiting<Item, Answer>[]>();

  /** `call`: answers in the order of its items, of which there are at most `most`. */
  constructor(most: number, call: (items: readonly Item[]) => Promise<readonly Answer[]>) {
    this.#most = most;
    this.#call = call;
  }

  /** `later`: when the call is made that this item begins. */
  ask(name: Name, item: Item, later: Later): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const one = { item, resolve, reject };
      const group = this.#waiting.get(name);
      if (group !== undefined && group.length < this.#most) {
        group.push(one);
        return;
      }
      const fresh = [one];
      this.#waiting.set(name, fresh);
      later(() => this.#flush(name, fresh));
    });
  }

  #flush(name: Name, group: readonly Waiting<Item, Answer>[]): void {
    if (this.#waiting.get(name) === group) this.#waiting.delete(name);
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
