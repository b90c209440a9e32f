import { type SeededRandom, sentTexts } from '@replyx/testkit';
import type { WorldNode } from '../integration/world.js';
import { digestOf, type Journal, type Track } from './journal.js';

export interface BackendOptions {
  readonly journal: Journal;
  readonly random: SeededRandom;
  /** One is picked for each attempt. */
  readonly nodes: readonly WorldNode[];
}

const WHO = 'backend';
const RETRY_MS = 200;
const MOST_PENDING = 64;
const PAGE = 100;

interface Kept {
  readonly id: string;
  readonly offset: number;
  readonly text: string;
}

interface Page {
  readonly messages: readonly Kept[];
  readonly epoch: string;
  readonly offset: number;
}

/** The customer's backend: answers in dialogs by the API, and retries what was not answered. */
export class Backend {
  readonly #options: BackendOptions;
  readonly #pending = new Set<Promise<void>>();
  #serial = 0;
  #running = true;

  constructor(options: BackendOptions) {
    this.#options = options;
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  /** Publishes as the assistant; resolves when it is answered, at once where too many wait for an answer already. */
  async publish(dialog: string, text: string, track: Track = 'main', fence?: number): Promise<void> {
    if (this.#pending.size >= MOST_PENDING || !this.#running) return;
    this.#serial += 1;
    const work = this.#untilAnswered(`${WHO}-${this.#serial}`, dialog, track, text, fence).finally(() =>
      this.#pending.delete(work),
    );
    this.#pending.add(work);
    await work;
  }

  /** Writes the whole history of a dialog's track into the journal, as any node tells it. */
  async recount(dialog: string, track: Track): Promise<void> {
    const { journal } = this.#options;
    for (let after = 0; ; ) {
      const { messages, epoch, offset } = await this.#page(dialog, track, after);
      for (const { id, offset: at, text } of messages)
        journal.write({ kind: 'kept', dialog, track, id, digest: digestOf(text), epoch, offset: at });
      after = messages.at(-1)?.offset ?? offset;
      if (after < offset) continue;
      journal.write({ kind: 'head', dialog, track, epoch, offset });
      return;
    }
  }

  /** Writes the state of a dialog's handoff into the journal. */
  async reckon(dialog: string): Promise<void> {
    this.#options.journal.write({ kind: 'held', dialog, state: await this.handoff(dialog) });
  }

  async handoff(dialog: string): Promise<string> {
    const { random, nodes } = this.#options;
    const { status, body } = await random.pick(nodes).api.get(`/v1/dialogs/${dialog}/handoff`);
    if (status !== 200) throw new Error(`the handoff of ${dialog} was answered with ${status}`);
    return String(body.state);
  }

  async head(dialog: string, track: Track): Promise<{ epoch: string; offset: number }> {
    const { epoch, offset } = await this.#page(dialog, track, Number.MAX_SAFE_INTEGER - 1);
    return { epoch, offset };
  }

  /** Gives up what is not answered. */
  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#pending);
  }

  async #page(dialog: string, track: Track, after: number): Promise<Page> {
    const { random, nodes } = this.#options;
    const path = `/v1/dialogs/${dialog}/messages?track=${track}&after=${after}&limit=${PAGE}`;
    const { status, body } = await random.pick(nodes).api.get(path);
    if (status !== 200) throw new Error(`history of ${dialog} was answered with ${status}`);
    return body as Page;
  }

  async #untilAnswered(id: string, dialog: string, track: Track, text: string, fence?: number): Promise<void> {
    while (this.#running) {
      if (await this.#attempt(id, dialog, track, text, fence)) return;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  async #attempt(id: string, dialog: string, track: Track, text: string, fence?: number): Promise<boolean> {
    const { journal, random, nodes } = this.#options;
    const fenced = fence === undefined ? {} : { fence };
    journal.write({ kind: 'sent', who: WHO, dialog, track, id, digest: digestOf(text), ...fenced });
    sentTexts.note(text);
    const request = { id, sender: { role: 'assistant', id: WHO }, text, track, ...fenced };
    try {
      const { status, body } = await random.pick(nodes).api.post(`/v1/dialogs/${dialog}/messages`, request);
      if (status === 201) {
        const { epoch, offset, duplicate } = body;
        journal.write({ kind: 'acked', who: WHO, id, offset, epoch, duplicate });
        return true;
      }
      // A dialog that Redis has forgotten is registered again before long.
      const temporary = status >= 500 || status === 429 || status === 404;
      journal.write({ kind: 'refused', who: WHO, id, code: String(body?.code ?? status), temporary });
      return !temporary;
    } catch {
      return false;
    }
  }
}
