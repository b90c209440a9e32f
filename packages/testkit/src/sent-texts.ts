/** Shorter texts may stand in a log for reasons of their own. */
const SHORTEST = 12;
/** So much of a text is looked for: a log may cut what it is given. */
const LONGEST = 24;
/** Beginnings that are kept; what comes after them is not looked for. */
const MOST = 50_000;

/** Texts of messages, as a log may not hold them. Beginnings only, by their first characters, so that a line costs its own length. */
export class SentTexts {
  readonly #beginnings = new Map<string, Set<string>>();
  #count = 0;

  /** Remembers a text, as it is and as it stands in JSON; what is too short to be told from other words is left out. */
  note(text: unknown): void {
    if (typeof text !== 'string' || text.length < SHORTEST || this.#count >= MOST) return;
    const beginning = text.slice(0, LONGEST);
    this.#add(beginning);
    this.#add(JSON.stringify(beginning).slice(1, -1).slice(0, LONGEST));
  }

  /** The beginning of a text that stands in the line. */
  findIn(line: string): string | undefined {
    if (this.#count === 0) return undefined;
    for (let at = 0; at + SHORTEST <= line.length; at += 1) {
      const beginnings = this.#beginnings.get(line.slice(at, at + SHORTEST));
      for (const beginning of beginnings ?? []) if (line.startsWith(beginning, at)) return beginning;
    }
    return undefined;
  }

  #add(beginning: string): void {
    const key = beginning.slice(0, SHORTEST);
    const present = this.#beginnings.get(key) ?? new Set();
    if (present.has(beginning)) return;
    this.#beginnings.set(key, present.add(beginning));
    this.#count += 1;
  }
}

/** What the clients of this process have sent. A node whose log holds any of it fails the test that stops it. */
export const sentTexts = new SentTexts();
