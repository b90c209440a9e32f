import type { Check, Known, Tell } from './check.js';
import type { JournalEntry, Of } from './journal.js';

interface Trouble {
  standing: number;
  endedAt: number;
}

interface Connection {
  readonly at: number;
  readonly node: number | undefined;
  readonly pass: string | undefined;
}

/** Faults that leave the gateway and its Redis alone. */
const isElsewhere = (name: string): boolean => name.startsWith('client-') || name.startsWith('webhook-');

/**
 * What is revoked: nothing of it that is sent once the time to close has passed is accepted (an answer may be read late). A node that is cut off from Redis hears late, so the
 * time counts from the end of the last fault that struck the receiver's node, or all, and from when that node last said that it was
 * `unavailable`: a Redis that is back may take a while to be reached.
 */
export class RevocationCheck implements Check {
  readonly #known: Known;
  readonly #asked = new Map<string, Of<'revoking' | 'revoked'>>();
  readonly #taken = new Map<string, Of<'revoked'>>();
  readonly #troubles = new Map<number | undefined, Trouble>();
  readonly #connections = new Map<string, Connection>();
  /** When an id was sent first. */
  readonly #sent = new Map<string, number>();

  constructor(known: Known) {
    this.#known = known;
  }

  see(entry: JournalEntry, _line: number, tell: Tell): void {
    switch (entry.kind) {
      case 'fault':
        this.#fault(entry);
        return;
      case 'connecting':
        this.#connections.set(entry.who, { at: entry.at, node: entry.node, pass: entry.pass });
        return;
      case 'sent':
      case 'acting':
        if (!this.#sent.has(entry.id)) this.#sent.set(entry.id, entry.at);
        return;
      case 'revoking':
        this.#asked.set(entry.name, entry);
        return;
      case 'revoked':
        this.#asked.set(entry.name, entry);
        this.#taken.set(entry.name, entry);
        return;
      case 'lifted':
        this.#asked.delete(entry.name);
        this.#taken.delete(entry.name);
        return;
      case 'connected':
        if (this.#mayNot(entry.who, undefined, this.#connections.get(entry.who)?.at ?? entry.at))
          tell('revoked', `${entry.who} was connected after it was revoked`, [entry.who]);
        return;
      case 'acked':
        if (this.#mayNot(entry.who, entry.id, this.#sent.get(entry.id) ?? entry.at))
          tell('revoked', `${entry.id} of ${entry.who} was accepted after it was revoked`, [entry.who, entry.id]);
        return;
      case 'acted':
        if (entry.done && this.#mayNot(entry.who, undefined, this.#sent.get(entry.id) ?? entry.at))
          tell('revoked', `a handoff of ${entry.who} was done after it was revoked`, [entry.who]);
        return;
      case 'refused':
        if (entry.code === 'unavailable') this.#unavailable(entry);
        if (!entry.temporary && entry.code !== 'stale_fence' && !this.#mayBe(entry.who, entry.id))
          tell('refused', `${entry.id} of ${entry.who} was refused: ${entry.code}`, [entry.id]);
        return;
      case 'left':
        if (!this.#mayBe(entry.who, undefined))
          tell('sent away', `${entry.who} was closed with a code that tells it to stay away`, [entry.who]);
    }
  }

  #fault({ name, phase, node, losesData, at }: Of<'fault'>): void {
    if (isElsewhere(name)) return;
    const trouble = this.#trouble(node);
    trouble.standing += phase === 'begins' ? 1 : -1;
    if (phase === 'ends') trouble.endedAt = at;
    // What no node had heard of before the loss is lost with the rest.
    if (losesData)
      for (const [key, { at: since, withinMs }] of this.#taken) if (at <= since + withinMs) this.#taken.delete(key);
  }

  #unavailable({ who, at }: Of<'refused'>): void {
    const connection = this.#connections.get(who);
    if (connection?.node !== undefined) this.#trouble(connection.node).endedAt = at;
  }

  #trouble(node: number | undefined): Trouble {
    const trouble = this.#troubles.get(node) ?? { standing: 0, endedAt: Number.NEGATIVE_INFINITY };
    this.#troubles.set(node, trouble);
    return trouble;
  }

  /** Whether it may be refused. */
  #mayBe(who: string, id: string | undefined): boolean {
    for (const rule of this.#asked.values()) if (this.#fits(rule, who, id)) return true;
    return false;
  }

  /** Whether it must be. */
  #mayNot(who: string, id: string | undefined, at: number): boolean {
    const { node } = this.#connections.get(who) ?? {};
    let wellSince = Number.NEGATIVE_INFINITY;
    for (const key of node === undefined ? [undefined] : [undefined, node]) {
      const trouble = this.#troubles.get(key);
      if (trouble === undefined) continue;
      if (trouble.standing > 0) return false;
      wellSince = Math.max(wellSince, trouble.endedAt);
    }
    for (const rule of this.#taken.values())
      if (at > Math.max(rule.at, wellSince) + rule.withinMs && this.#fits(rule, who, id)) return true;
    return false;
  }

  #fits({ sub, dialog, pass }: Of<'revoking'> | Of<'revoked'>, who: string, id: string | undefined): boolean {
    const its = this.#known.dialogOf(who) ?? (id === undefined ? undefined : this.#known.message(id)?.dialog);
    return (
      (sub === undefined || sub === this.#known.subOf(who)) &&
      (dialog === undefined || dialog === its) &&
      (pass === undefined || pass === this.#connections.get(who)?.pass)
    );
  }
}
