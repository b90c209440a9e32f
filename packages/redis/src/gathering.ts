interface Waiting<Item, Answer> {
  readonly item: Item;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** Calls `flush` at its time. */
export type Later = (flush: () => void) => void;

/** Makes one call of what is asked under one name until its time. A call that rejects rejects for all. */
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
    this.#call(group.map(({ item }) => item)).then(
      (answers) => group.forEach(({ resolve }, i) => void resolve(answers[i] as Answer)),
      (error: unknown) => group.forEach(({ reject }) => void reject(error)),
    );
  }
}
