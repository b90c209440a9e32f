interface Waiting<Item, Answer> {
  readonly item: Item;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** Makes one call of what is asked under one name within one step of the event loop. A call that rejects rejects for all. */
export class Gathering<Item, Answer> {
  readonly #most: number;
  readonly #call: (items: readonly Item[]) => Promise<readonly Answer[]>;
  readonly #waiting = new Map<string, Waiting<Item, Answer>[]>();

  /** `call`: answers in the order of its items, of which there are at most `most`. */
  constructor(most: number, call: (items: readonly Item[]) => Promise<readonly Answer[]>) {
    this.#most = most;
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
      // Behind every promise that this step of the loop settles, whose callers ask for the same; in one write with their other commands,
      // so that nodes which ask for several things at once are served in one order in all of them.
      process.nextTick(() => this.#flush(name, fresh));
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
