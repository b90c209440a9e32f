import type { Check, Known, Tell } from './check.js';
import type { JournalEntry, Of } from './journal.js';

/** What one receiver has of one streamed answer on its present connection. */
interface Draft {
  index: number;
  /** It was given every piece, one by one or whole. */
  isDense: boolean;
}

interface Reader {
  readonly open: Map<string, Draft>;
  readonly ended: Set<string>;
}

/**
 * Streamed answers at their receivers: pieces in order and none twice, one end, nothing after it, none left open; what was shown of a
 * finished answer is the message.
 */
export class StreamCheck implements Check {
  readonly #known: Known;
  readonly #readers = new Map<string, Reader>();
  readonly #finished: { readonly entry: Of<'delta'>; readonly line: number }[] = [];
  #mayBeGone = false;

  constructor(known: Known) {
    this.#known = known;
  }

  see(entry: JournalEntry, line: number, tell: Tell): void {
    switch (entry.kind) {
      case 'fault':
        this.#mayBeGone ||= entry.losesData;
        return;
      // What was open is given whole after the next `connected`.
      case 'connecting':
        this.#reader(entry.who).open.clear();
        return;
      case 'delta':
        this.#delta(entry, line, tell);
        return;
      case 'gone':
        if (!this.#mayBeGone) tell('stream lost', `the streamed answer ${entry.id} is not known any more`, [entry.id]);
    }
  }

  settle(tell: Tell): void {
    for (const [who, { open }] of this.#readers) {
      if (!this.#known.isLive(who)) continue;
      for (const [stream, { index }] of open)
        tell('answer left open', `${who} has ${stream} up to piece ${index}, and no end of it`, [who, stream]);
    }
    for (const { entry, line } of this.#finished) {
      const message = this.#known.message(entry.stream);
      if (message === undefined)
        tell('altered', `${entry.stream} was finished at ${entry.who}, and nobody finished it`, [entry.stream], line);
      else if (message.digest !== entry.digest)
        tell('altered', `${entry.who} saw another text of ${entry.stream} than its message's`, [entry.stream], line);
    }
  }

  #delta(entry: Of<'delta'>, line: number, tell: Tell): void {
    const { who, stream, index, whole, done, reason } = entry;
    const { open, ended } = this.#reader(who);
    const about = [who, stream];
    if (ended.has(stream)) {
      tell('after the end', `${who} got ${done ? 'another end' : `piece ${index}`} of ${stream} after its end`, about);
      return;
    }
    const draft = open.get(stream) ?? { index: -1, isDense: true };
    if (whole ? index < draft.index : index <= draft.index)
      tell('piece order', `${who} got piece ${index} of ${stream} after ${draft.index}`, about);
    const isNext = whole || index === draft.index + 1;
    if (done) {
      open.delete(stream);
      ended.add(stream);
      // One that read too slowly is told the end without the pieces before it; the message follows.
      if (reason === 'finished' && isNext && draft.isDense && index > 0) this.#finished.push({ entry, line });
      return;
    }
    if (!isNext) tell('piece missing', `${who} got piece ${index} of ${stream} after ${draft.index}`, about);
    open.set(stream, { index, isDense: isNext });
  }

  #reader(who: string): Reader {
    let reader = this.#readers.get(who);
    if (reader === undefined) {
      reader = { open: new Map(), ended: new Set() };
      this.#readers.set(who, reader);
    }
    return reader;
  }
}
