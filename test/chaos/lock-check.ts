import type { Check, Tell } from './check.js';
import type { JournalEntry, Of } from './journal.js';

/** The last grant of a dialog's lock. */
interface Grant extends Of<'locked'> {
  isReleased: boolean;
}

/** Locks as their workers see them: one holder at a time, and each fence above all that were given before it was asked for. */
export class LockCheck implements Check {
  readonly #grants = new Map<string, Grant[]>();

  see(entry: JournalEntry, _line: number, tell: Tell): void {
    switch (entry.kind) {
      case 'fault':
        // An emptied Redis has given all locks back; its fences go on above the old ones all the same.
        if (entry.losesData) for (const grant of [...this.#grants.values()].flat()) grant.isReleased = true;
        return;
      case 'unlocking': {
        const grant = this.#of(entry.dialog).find(({ lock }) => lock === entry.lock);
        if (grant !== undefined) grant.isReleased = true;
        return;
      }
      case 'locked':
        this.#locked(entry, tell);
    }
  }

  #locked(entry: Of<'locked'>, tell: Tell): void {
    const grants = this.#of(entry.dialog);
    const { who, dialog, lock, fence, since, at } = entry;
    for (const other of grants) {
      if (other.lock === lock) continue;
      const about = [dialog, who, other.who];
      if (other.at < since && other.fence >= fence)
        tell('fence order', `${who} got ${dialog} with fence ${fence} after ${other.who} with ${other.fence}`, about);
      if (!other.isReleased && other.at < since && at < other.since + other.forMs)
        tell('two holders', `${who} got the lock of ${dialog} while ${other.who} surely held it`, about);
    }
    const renewed = grants.find((grant) => grant.lock === lock);
    const rest = grants.filter((grant) => grant.lock !== lock).slice(-8);
    this.#grants.set(dialog, [...rest, { ...entry, isReleased: renewed?.isReleased ?? false }]);
  }

  #of(dialog: string): Grant[] {
    return this.#grants.get(dialog) ?? [];
  }
}
