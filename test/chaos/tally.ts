import type { JournalEntry } from './journal.js';

export interface Counts {
  readonly sent: number;
  readonly acked: number;
  /** Publications on sockets. */
  readonly delivered: number;
  /** Copies that were begun anew by `reset`, or by a `connected` that is not recovered, after a first begin. */
  readonly announcedResets: number;
  readonly temporaryRefusals: number;
  /** What the cast did, by name: ends of streamed answers at receivers, handoffs, locks, deliveries, revocations. */
  readonly cast: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
  /** Connections that ended, by code. */
  readonly closes: Readonly<Record<string, number>>;
  /** Attempts to connect that failed, by code; 1006 where no gateway said why. */
  readonly refusals: Readonly<Record<string, number>>;
  /** Milliseconds from the end of a connection to the next `connected`. */
  readonly reconnectMs: { readonly count: number; readonly median: number; readonly worst: number };
}

const count = (counts: Record<string, number>, name: string | number): void => {
  counts[name] = (counts[name] ?? 0) + 1;
};

const spread = (values: readonly number[]): Counts['reconnectMs'] => {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (index: number): number => Math.round(sorted[index] ?? 0);
  return { count: sorted.length, median: at(sorted.length >> 1), worst: at(sorted.length - 1) };
};

/** The numbers of a run, which break no promise whatever they are. */
export class Tally {
  readonly #faults: Record<string, number> = {};
  readonly #cast: Record<string, number> = {};
  readonly #closes: Record<string, number> = {};
  readonly #refusals: Record<string, number> = {};
  /** Since when a receiver is without a connection that it had. */
  readonly #awaySince = new Map<string, number>();
  readonly #reconnectsMs: number[] = [];
  #delivered = 0;
  #temporaryRefusals = 0;

  see(entry: JournalEntry): void {
    switch (entry.kind) {
      case 'got':
        this.#delivered += 1;
        return;
      case 'refused':
        if (entry.temporary) this.#temporaryRefusals += 1;
        return;
      case 'fault':
        if (entry.phase === 'begins') count(this.#faults, entry.name);
        return;
      case 'delta':
        if (entry.done) count(this.#cast, `streams ${entry.reason ?? 'gone'}`);
        return;
      case 'acted':
        count(this.#cast, entry.done ? 'handoffs done' : 'handoffs in conflict');
        return;
      case 'locked':
        count(this.#cast, 'locks');
        return;
      case 'delivered':
        count(this.#cast, entry.taken ? 'deliveries taken' : 'deliveries failed');
        return;
      case 'revoked':
        count(this.#cast, 'revocations');
        return;
      case 'closed':
        count(entry.was === 'connected' ? this.#closes : this.#refusals, entry.code);
        if (entry.was === 'connected') this.#awaySince.set(entry.who, entry.at);
        return;
      case 'connected': {
        const since = this.#awaySince.get(entry.who);
        if (since !== undefined) this.#reconnectsMs.push(entry.at - since);
        this.#awaySince.delete(entry.who);
      }
    }
  }

  counts(messages: { readonly size: number; readonly ackedCount: number }, announcedResets: number): Counts {
    return {
      sent: messages.size,
      acked: messages.ackedCount,
      delivered: this.#delivered,
      announcedResets,
      temporaryRefusals: this.#temporaryRefusals,
      cast: this.#cast,
      faults: this.#faults,
      closes: this.#closes,
      refusals: this.#refusals,
      reconnectMs: spread(this.#reconnectsMs),
    };
  }
}
