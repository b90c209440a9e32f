import type { Check, Known, Tell } from './check.js';
import type { JournalEntry, Of } from './journal.js';

interface Owed {
  readonly line: number;
  readonly dialog: string;
  lastSentAt: number;
}

/** The inbox at its webhook: every acknowledged message of a visitor comes at least once, and those of a dialog come in order. */
export class DeliveryCheck implements Check {
  readonly #known: Known;
  readonly #sent = new Map<string, Owed>();
  readonly #owed = new Map<string, Owed>();
  readonly #taken = new Set<string>();
  readonly #seen = new Set<string>();
  /** The last new message that came of a dialog's epoch. */
  readonly #last = new Map<string, number>();
  #isUsed = false;
  #lossEndsAt: number | undefined;

  constructor(known: Known) {
    this.#known = known;
  }

  see(entry: JournalEntry, line: number, tell: Tell): void {
    switch (entry.kind) {
      case 'fault':
        if (entry.losesData) this.#lossEndsAt = entry.phase === 'ends' ? entry.at : Number.POSITIVE_INFINITY;
        return;
      case 'sent': {
        if (entry.track !== 'main' || !this.#known.isVisitor(entry.who)) return;
        const known = this.#sent.get(entry.id);
        if (known === undefined) this.#sent.set(entry.id, { line, dialog: entry.dialog, lastSentAt: entry.at });
        else known.lastSentAt = entry.at;
        return;
      }
      case 'acked': {
        const message = this.#sent.get(entry.id);
        if (message !== undefined) this.#owed.set(entry.id, message);
        return;
      }
      case 'delivered':
        this.#delivered(entry, tell);
    }
  }

  settle(tell: Tell): void {
    if (!this.#isUsed) return;
    for (const [id, { line, lastSentAt }] of this.#owed) {
      const isExcused = this.#lossEndsAt !== undefined && lastSentAt <= this.#lossEndsAt;
      if (!this.#taken.has(id) && !isExcused)
        tell('not delivered', `${id} was acknowledged and never came to the webhook`, [id], line);
    }
  }

  #delivered({ dialog, id, digest, epoch, offset, taken }: Of<'delivered'>, tell: Tell): void {
    this.#isUsed = true;
    const message = this.#known.message(id);
    if (message === undefined) tell('unknown', `${id}, which nobody sent, came to the webhook`, [id]);
    else if (message.dialog !== dialog || message.track !== 'main')
      tell('leaked', `${id} of ${message.dialog} ${message.track} came to the webhook as one of ${dialog}`, [id]);
    else if (message.digest !== digest) tell('altered', `${id} came to the webhook with another text`, [id]);
    if (taken) this.#taken.add(id);
    const where = `${dialog} ${epoch}`;
    const isRepeat = this.#seen.has(`${where} ${id}`);
    this.#seen.add(`${where} ${id}`);
    if (isRepeat) return;
    const last = this.#last.get(where) ?? 0;
    if (offset < last)
      tell('delivery order', `${id} at ${offset} came to the webhook first after ${last} of ${where}`, [id]);
    this.#last.set(where, Math.max(last, offset));
  }
}
