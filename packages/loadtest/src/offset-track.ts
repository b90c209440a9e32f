export type Seen = 'next' | 'late' | 'repeated';

/** Gaps longer than this are counted, not listed: their publications can't be told late from repeated any more. */
const MAX_LISTED = 10_000;

/** Offsets of a dialog as one reader has seen them: dense, each once, in order, or it says where not. */
export class OffsetTrack {
  last: number;
  /** Made with the first gap: a connection that loses nothing holds no set. */
  #missing: Set<number> | undefined;
  #unlisted = 0;

  /** `after`: the reader starts behind this offset. */
  constructor(after = 0) {
    this.last = after;
  }

  see(offset: number): Seen {
    if (offset === this.last + 1) {
      this.last = offset;
      return 'next';
    }
    if (offset > this.last) {
      this.#miss(this.last + 1, offset - 1);
      this.last = offset;
      return 'next';
    }
    return this.#missing?.delete(offset) === true ? 'late' : 'repeated';
  }

  /** The reader was told that its copy is not continuous; what it has not seen is no longer missing. */
  restart(after: number): void {
    this.last = after;
    this.#missing = undefined;
    this.#unlisted = 0;
  }

  /** How many up to `head` it has not seen. */
  missingUpTo(head: number): number {
    return (this.#missing?.size ?? 0) + this.#unlisted + Math.max(0, head - this.last);
  }

  #miss(from: number, to: number): void {
    this.#missing ??= new Set();
    const listed = Math.min(to, from + MAX_LISTED - this.#missing.size - 1);
    for (let offset = from; offset <= listed; offset += 1) this.#missing.add(offset);
    this.#unlisted += to - Math.max(listed, from - 1);
  }
}
