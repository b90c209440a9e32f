interface Waiting<Item, Answer> {
  readonly item: Item;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** Makes one call of what is asked under one name until its time. A call that rejects rejects for all. */
export class Gathering<Item, Answer> {
  readonly #most: number;
  readonly #later: (flush: () => void) => void;
  readonly #call: (items: readonly Item[]) => Promise<readonly Answer[]>;
  readonly #waiting = new Map<string, Waiting<Item, Answer>[]>();

  /** `call`: answers in the order of its items, of which there are at most `most`. `later`: when it is made. */
  constructor(
    most: number,
    later: (flush: () => void) => void,
    call: (items: readonly Item[]) => Promise<readonly Answer[]>,
  ) {
    this.#most = most;
    this.#later = later;
    this.#call = call;
  }

  ask(name: string, item: Item): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const one = { item, resolve, reject };
      const group = this.#waiting.get(name);
      if (group !== undefined && group.length < this.#most) {
        group.push(one);
        return;
      }
      const fresh = [one];
      this.#waiting.set(name, fresh);
      this.#later(() => this.#flush(name, fresh));
    });
  }

  #flush(name: string, group: readonly Waiting<Item, Answer>[]): void {
    if (this.#waiting.get(name) === group) this.#waiting.delete(name);
    this.#call(group.map(({ item }) => item)).then(
      (answers) => group.forEach(({ resolve }, i) => void resolve(answers[i] as Answer)),
      (error: unknown) => group.forEach(({ reject }) => void reject(error)),
    );
  }
}
