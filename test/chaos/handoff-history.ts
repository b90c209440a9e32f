import type { HandoffAction } from './journal.js';

interface Operation {
  readonly sub: string;
  readonly action: HandoffAction;
  attempts: number;
  /** It was refused, but an earlier attempt of it may still arrive. Until when. */
  lingersUntil: number | undefined;
}

/** What may be the case: the state, who holds the dialog, and which operations have had their effect, and which. */
interface Case {
  readonly state: 'idle' | 'requested' | 'active';
  readonly holder: string;
  readonly applied: ReadonlyMap<string, 'done' | 'conflict'>;
}

const IDLE: Case = { state: 'idle', holder: '', applied: new Map() };
/** Longer than a node is stopped, and a command takes at most. */
const LINGER_MS = 20_000;
/** Beyond it all is taken to be possible. */
const MOST_CASES = 4_000;

const keyOf = ({ state, holder, applied }: Case): string =>
  `${state} ${holder} ${[...applied]
    .map(([id, outcome]) => `${id}=${outcome}`)
    .sort()
    .join()}`;

const applied = (now: Case, id: string, { sub, action }: Operation): Case => {
  const become = (state: Case['state'], holder = ''): Case => ({
    state,
    holder,
    applied: new Map(now.applied).set(id, 'done'),
  });
  const conflict = (): Case => ({ ...now, applied: new Map(now.applied).set(id, 'conflict') });
  switch (action) {
    case 'request':
      return now.state === 'active' ? conflict() : become('requested');
    case 'cancel':
      return now.state === 'requested' ? become('idle') : conflict();
    case 'take':
      return now.state === 'active' && now.holder !== sub ? conflict() : become('active', sub);
    case 'release':
      return now.state === 'active' ? become('idle') : conflict();
  }
};

/**
 * Handoffs of one dialog as those who act see them: is there an order of the operations, each between its first attempt and its
 * answer, in which every answer is what the table of states says? Follows all cases that are still possible.
 */
export class HandoffHistory {
  readonly #operations = new Map<string, Operation>();
  #cases: Case[] = [IDLE];
  /** Set by a loss: answers tell nothing until all that was asked before is answered. */
  #isUnsure = false;
  #operators = new Set<string>();
  /** Since when a person surely has the dialog. */
  activeSince: number | undefined;

  /** True where the operation, if it is done, changes who holds the dialog. */
  asked(id: string, sub: string, action: HandoffAction, at: number): boolean {
    if (action === 'take') this.#operators.add(sub);
    this.#expire(at);
    const earlier = this.#operations.get(id);
    const changes =
      !this.#isUnsure &&
      this.#cases.every(({ holder }) => holder !== sub) &&
      [...this.#operations.values()].every((other) => other.sub !== sub);
    if (earlier !== undefined) earlier.attempts += 1;
    else this.#operations.set(id, { sub, action, attempts: 1, lingersUntil: undefined });
    this.#close(at);
    return changes;
  }

  /** False where no order explains the answer. */
  answered(id: string, done: boolean, at: number): boolean {
    const operation = this.#operations.get(id);
    if (operation === undefined) return true;
    this.#expire(at);
    this.#operations.delete(id);
    if (!done && operation.attempts > 1) this.#operations.set(id, { ...operation, lingersUntil: at + LINGER_MS });
    if (this.#isUnsure) {
      if ([...this.#operations.values()].every(({ lingersUntil }) => lingersUntil !== undefined)) this.#forget(at);
      return true;
    }
    const outcome = done ? 'done' : 'conflict';
    const rest = this.#cases.filter((one) => one.applied.get(id) === outcome);
    const isExplained = rest.length > 0;
    this.#cases = rest.map((one) => {
      const others = new Map(one.applied);
      others.delete(id);
      return { ...one, applied: others };
    });
    if (isExplained) this.#close(at);
    else this.#forget(at);
    return isExplained;
  }

  lost(): void {
    this.#isUnsure = true;
    this.activeSince = undefined;
  }

  /** The loss is over. */
  begun(at: number): void {
    if ([...this.#operations.values()].every(({ lingersUntil }) => lingersUntil !== undefined)) this.#forget(at);
  }

  #forget(at: number): void {
    this.#isUnsure = false;
    const holders = [...this.#operators];
    this.#cases = [
      IDLE,
      { ...IDLE, state: 'requested' },
      ...holders.map((holder) => ({ ...IDLE, state: 'active', holder }) as Case),
    ];
    this.#close(at);
  }

  #expire(at: number): void {
    for (const [id, { lingersUntil }] of this.#operations) {
      if (lingersUntil === undefined || at < lingersUntil) continue;
      this.#operations.delete(id);
      this.#cases = this.#cases.map((one) => {
        const others = new Map(one.applied);
        others.delete(id);
        return { ...one, applied: others };
      });
    }
  }

  /** Adds every case to which what is under way may lead. */
  #close(at: number): void {
    const found = new Map(this.#cases.map((one) => [keyOf(one), one]));
    for (const one of found.values()) {
      for (const [id, operation] of this.#operations) {
        if (one.applied.has(id)) continue;
        const next = applied(one, id, operation);
        if (operation.lingersUntil === undefined || next.applied.get(id) === 'done') found.set(keyOf(next), next);
      }
      if (found.size > MOST_CASES) {
        this.lost();
        return;
      }
    }
    this.#cases = [...found.values()];
    const isActive = !this.#isUnsure && this.#cases.every(({ state }) => state === 'active');
    this.activeSince = isActive ? (this.activeSince ?? at) : undefined;
  }
}
