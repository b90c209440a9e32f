import type { Check, Known, Tell } from './check.js';
import { HandoffHistory } from './handoff-history.js';
import type { JournalEntry, Of } from './journal.js';

/** A take that was done by one who did not hold the dialog. */
interface Take {
  readonly id: string;
  readonly askedAt: number;
  readonly doneAt: number;
}

interface Dialog {
  readonly history: HandoffHistory;
  takes: Take[];
  /** When a worker had its fence, or a streamed answer was begun: what a later take puts an end to. */
  readonly turns: Map<string | number, number>;
  /** The take that is under way, by its id. */
  readonly asked: Map<string, { readonly at: number; changes: boolean }>;
}

/** What an assistant has written: asked for at `since`, known to be accepted at `at`. */
interface Write {
  readonly id: string;
  readonly dialog: string;
  readonly fence: number | undefined;
  readonly since: number;
  readonly at: number;
}

/**
 * Handoffs: every answer fits one order of them all, so that a dialog is taken by one at a time; nothing of an assistant is accepted
 * without a fence while a person surely has the dialog, nor ever of a turn that began before the person came.
 */
export class HandoffCheck implements Check {
  readonly #known: Known;
  readonly #dialogs = new Map<string, Dialog>();
  readonly #dialogOfAct = new Map<string, string>();
  /** First attempts of the backend's messages. */
  readonly #sent = new Map<
    string,
    { readonly dialog: string; readonly fence: number | undefined; readonly since: number }
  >();
  readonly #told = new Map<string, string>();

  constructor(known: Known) {
    this.#known = known;
  }

  see(entry: JournalEntry, _line: number, tell: Tell): void {
    switch (entry.kind) {
      case 'fault':
        if (entry.losesData) this.#lost(entry);
        return;
      case 'acting': {
        const { history, asked } = this.#dialog(entry.dialog);
        this.#dialogOfAct.set(entry.id, entry.dialog);
        const changes = history.asked(entry.id, this.#known.subOf(entry.who) ?? entry.who, entry.action, entry.at);
        if (entry.action === 'take' && !asked.has(entry.id)) asked.set(entry.id, { at: entry.at, changes });
        return;
      }
      case 'acted':
        this.#acted(entry, tell);
        return;
      case 'locked': {
        const { turns } = this.#dialog(entry.dialog);
        if (!turns.has(entry.fence)) turns.set(entry.fence, entry.at);
        return;
      }
      case 'sent':
        if (this.#known.subOf(entry.who) === undefined && !this.#sent.has(entry.id))
          this.#sent.set(entry.id, { dialog: entry.dialog, fence: entry.fence, since: entry.at });
        return;
      case 'acked': {
        const sent = this.#sent.get(entry.id);
        if (sent !== undefined) this.#wrote({ id: entry.id, ...sent, at: entry.at }, tell);
        return;
      }
      case 'stepped': {
        const { id, dialog, fence, since, at, step } = entry;
        this.#wrote({ id, dialog, fence, since, at }, tell);
        const { turns } = this.#dialog(dialog);
        if (step === 'start' && !turns.has(id)) turns.set(id, at);
        return;
      }
      case 'told':
        this.#told.set(entry.who, entry.state);
        return;
      case 'held':
        for (const [who, state] of this.#told) {
          if (this.#known.dialogOf(who) === entry.dialog && this.#known.isLive(who) && state !== entry.state)
            tell('handoff behind', `${who} was last told ${state}, ${entry.dialog} is ${entry.state}`, [who]);
        }
    }
  }

  #acted({ who, id, done, at }: Of<'acted'>, tell: Tell): void {
    const name = this.#dialogOfAct.get(id);
    if (name === undefined) {
      tell('ack of nothing', `the handoff ${id} is answered and was never asked for`, [id]);
      return;
    }
    const { history, takes, asked } = this.#dialog(name);
    const take = asked.get(id);
    asked.delete(id);
    if (!history.answered(id, done, at)) {
      tell('handoff', `${id} of ${who} was ${done ? 'done' : 'a conflict'}, which fits no order of what was asked`, [
        name,
      ]);
      return;
    }
    if (done && take?.changes === true) takes.push({ id, askedAt: take.at, doneAt: at });
  }

  #wrote({ id, dialog: name, fence, since }: Write, tell: Tell): void {
    const { history, takes, turns } = this.#dialog(name);
    const about = [name, id];
    if (fence === undefined && history.activeSince !== undefined && since > history.activeSince)
      tell('spoke in between', `${id} was accepted without a fence while a person had ${name}`, about);
    for (const turn of [fence, id]) {
      const begunAt = turn === undefined ? undefined : turns.get(turn);
      if (begunAt === undefined) continue;
      const take = takes.find(({ askedAt, doneAt }) => askedAt > begunAt && doneAt < since);
      if (take !== undefined)
        tell('stale after take', `${id} was accepted after ${take.id}, which came after its turn began`, [
          ...about,
          take.id,
        ]);
    }
  }

  #lost({ phase, at }: Of<'fault'>): void {
    for (const dialog of this.#dialogs.values()) {
      dialog.takes = [];
      for (const take of dialog.asked.values()) take.changes = false;
      dialog.history.lost();
      if (phase === 'ends') dialog.history.begun(at);
    }
  }

  #dialog(name: string): Dialog {
    let dialog = this.#dialogs.get(name);
    if (dialog === undefined) {
      dialog = { history: new HandoffHistory(), takes: [], turns: new Map(), asked: new Map() };
      this.#dialogs.set(name, dialog);
    }
    return dialog;
  }
}
