import type { Readable, Writable } from 'node:stream';
import { within } from '@replyx/testkit';

// biome-ignore lint/suspicious/noExplicitAny: the shapes are those of the DevTools protocol, read where they are used
export type Fields = any;

export interface DevToolsEvent {
  readonly method: string;
  readonly params: Fields;
  /** The target that it comes from; the browser itself where absent. */
  readonly sessionId?: string;
}

interface Pending {
  readonly resolve: (result: Fields) => void;
  readonly reject: (error: Error) => void;
}

const HANG_GUARD_MS = 30_000;

/** The DevTools protocol over the browser's two pipes: JSON texts, each ended by a zero byte. */
export class DevTools {
  readonly #to: Writable;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Set<(event: DevToolsEvent) => void>();
  #serial = 0;
  #unread = '';
  #ended = false;

  constructor(to: Writable, from: Readable) {
    this.#to = to;
    from.setEncoding('utf8');
    from.on('data', (text: string) => this.#read(text));
    from.on('close', () => this.#end());
    for (const pipe of [to, from]) pipe.on('error', () => this.#end());
  }

  onEvent(listener: (event: DevToolsEvent) => void): void {
    this.#listeners.add(listener);
  }

  /** Resolves with the result; rejects with the browser's error, when the browser ends, and after 30 s. */
  async send(method: string, params: Fields = {}, sessionId?: string): Promise<Fields> {
    if (this.#ended) throw new Error(`${method}: the browser has ended`);
    const id = ++this.#serial;
    const answer = new Promise<Fields>((resolve, reject) => this.#pending.set(id, { resolve, reject }));
    this.#to.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    try {
      return await within(answer, HANG_GUARD_MS, () => `${method} was not answered within ${HANG_GUARD_MS} ms`);
    } catch (error) {
      throw new Error(`${method}: ${(error as Error).message}`);
    } finally {
      this.#pending.delete(id);
    }
  }

  #read(text: string): void {
    const texts = (this.#unread + text).split('\0');
    this.#unread = texts.pop() ?? '';
    for (const each of texts) this.#receive(JSON.parse(each));
  }

  #receive(message: Fields): void {
    if (message.id === undefined) {
      for (const listener of this.#listeners) listener(message);
      return;
    }
    const pending = this.#pending.get(message.id);
    if (message.error === undefined) pending?.resolve(message.result);
    else pending?.reject(new Error(message.error.message));
  }

  #end(): void {
    this.#ended = true;
    for (const { reject } of this.#pending.values()) reject(new Error('the browser has ended'));
  }
}
