import { createReadStream, createWriteStream, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';

export type Track = 'main' | 'internal';

export interface Position {
  readonly epoch: string;
  readonly offset: number;
}

/** Where the server says that a receiver's copy of a track goes on. */
export interface Start extends Position {
  readonly recovered: boolean;
}

export type HandoffAction = 'request' | 'cancel' | 'take' | 'release';

/** What is revoked: all that is named must fit. */
export interface Revocation {
  readonly sub?: string;
  readonly dialog?: string;
  readonly pass?: string;
}

/**
 * What clients and the backend saw, and nothing else: no state of a node, no token, no text (a digest stands for it). `who` names
 * a receiver over all its connections, or the backend. An `id` is unique over the whole run.
 */
export type Entry =
  | {
      readonly kind: 'member';
      readonly who: string;
      readonly dialog: string;
      readonly role: 'visitor' | 'operator';
      readonly sub: string;
    }
  /**
   * A connection begins, with the positions that it claims. The one before it is over for the receiver. `node`: which one is asked,
   * from 0; `pass`: name of the token that is shown.
   */
  | {
      readonly kind: 'connecting';
      readonly who: string;
      readonly main?: Position;
      readonly internal?: Position;
      readonly node?: number;
      readonly pass?: string;
    }
  | {
      readonly kind: 'connected';
      readonly who: string;
      readonly dialog: string;
      readonly main: Start;
      readonly internal?: Start;
    }
  | {
      readonly kind: 'got';
      readonly who: string;
      readonly track: Track;
      readonly offset: number;
      readonly id: string;
      readonly digest: string;
    }
  | ({ readonly kind: 'reset'; readonly who: string; readonly track: Track } & Position)
  /** Another frame that speaks of the internal track. */
  | { readonly kind: 'hinted'; readonly who: string; readonly frame: string }
  /** An attempt; retries of an `id` are entries of their own. */
  | {
      readonly kind: 'sent';
      readonly who: string;
      readonly dialog: string;
      readonly track: Track;
      readonly id: string;
      readonly digest: string;
      readonly fence?: number;
    }
  /** The `ack` of a client, which names no epoch, or the 201 of the backend, which does. */
  | {
      readonly kind: 'acked';
      readonly who: string;
      readonly id: string;
      readonly offset: number;
      readonly epoch?: string;
      readonly duplicate: boolean;
    }
  | {
      readonly kind: 'refused';
      readonly who: string;
      readonly id: string;
      readonly code: string;
      readonly temporary: boolean;
    }
  /** `was`: whether it had been connected, or was refused. */
  | {
      readonly kind: 'closed';
      readonly who: string;
      readonly was: 'connected' | 'refused';
      readonly code: number;
      readonly why: string;
    }
  /** The receiver was told to stay away; nothing more is expected of it, unless it comes with another token. */
  | { readonly kind: 'left'; readonly who: string }
  /** A revocation is asked for: from here on it may be in force. */
  | ({ readonly kind: 'revoking'; readonly name: string } & Revocation)
  /** It was taken: from `at` + `withinMs` on nothing of the subject, the dialog or the token may be accepted. */
  | ({ readonly kind: 'revoked'; readonly name: string; readonly withinMs: number } & Revocation)
  | { readonly kind: 'lifted'; readonly name: string }
  | {
      readonly kind: 'fault';
      readonly name: string;
      readonly phase: 'begins' | 'ends';
      /** What was appended before it ends may be lost with it. */
      readonly losesData: boolean;
      /** Which one it strikes, from 0; absent where it strikes none or all. */
      readonly node?: number;
    }
  /** A piece of a streamed answer, or its end, at a receiver. `digest`: of the text that the receiver has by it. */
  | {
      readonly kind: 'delta';
      readonly who: string;
      readonly stream: string;
      readonly index: number;
      readonly whole: boolean;
      readonly done: boolean;
      readonly reason?: string;
      readonly digest: string;
    }
  /** A step of a streamed answer was taken; asked for at `since`. */
  | {
      readonly kind: 'stepped';
      readonly dialog: string;
      readonly id: string;
      readonly step: 'start' | 'append';
      readonly fence?: number;
      readonly since: number;
    }
  /** A streamed answer is not known where it was being written. */
  | { readonly kind: 'gone'; readonly dialog: string; readonly id: string }
  /** An attempt at a handoff; retries of an `id` are entries of their own. */
  | {
      readonly kind: 'acting';
      readonly who: string;
      readonly dialog: string;
      readonly id: string;
      readonly action: HandoffAction;
    }
  /** Its answer: done, or a conflict. */
  | { readonly kind: 'acted'; readonly who: string; readonly id: string; readonly done: boolean }
  /** The state of the handoff, as a receiver is told. */
  | { readonly kind: 'told'; readonly who: string; readonly state: string }
  /** A dialog's lock was given, or renewed: asked for at `since`, and sure for `forMs` from then. */
  | {
      readonly kind: 'locked';
      readonly who: string;
      readonly dialog: string;
      readonly lock: string;
      readonly fence: number;
      readonly since: number;
      readonly forMs: number;
    }
  /** Its release is asked for. */
  | { readonly kind: 'unlocking'; readonly who: string; readonly dialog: string; readonly lock: string }
  /** A visitor's message came to the webhook. `taken`: and was acknowledged. */
  | ({
      readonly kind: 'delivered';
      readonly dialog: string;
      readonly id: string;
      readonly digest: string;
      readonly taken: boolean;
    } & Position)
  /** What a dialog's history holds when all is over, entry by entry, and then its head. */
  | ({
      readonly kind: 'kept';
      readonly dialog: string;
      readonly track: Track;
      readonly id: string;
      readonly digest: string;
    } & Position)
  | ({ readonly kind: 'head'; readonly dialog: string; readonly track: Track } & Position)
  /** The state of its handoff when all is over. */
  | { readonly kind: 'held'; readonly dialog: string; readonly state: string };

export type Of<K extends Entry['kind']> = Extract<JournalEntry, { kind: K }>;

/** `at`: milliseconds since the run began. */
export type JournalEntry = Entry & { readonly at: number };

/** Short name of a text. Not for secrets: FNV-1a. */
export const digestOf = (text: string): string => {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(36);
};

/** Writes a journal to a file, one JSON object a line. */
export class Journal {
  readonly path: string;
  readonly #file: ReturnType<typeof createWriteStream>;
  readonly #startedMs = performance.now();
  readonly #counts: Partial<Record<Entry['kind'], number>> = {};

  constructor(path: string) {
    mkdirSync(dirname(path), { recursive: true });
    this.path = path;
    this.#file = createWriteStream(path);
  }

  /** How many entries of a kind were written so far. */
  count(kind: Entry['kind']): number {
    return this.#counts[kind] ?? 0;
  }

  /** Milliseconds since the run began. */
  get now(): number {
    return Math.round((performance.now() - this.#startedMs) * 10) / 10;
  }

  write(entry: Entry): void {
    this.#counts[entry.kind] = this.count(entry.kind) + 1;
    this.#file.write(`${JSON.stringify({ at: this.now, ...entry })}\n`);
  }

  /** Resolves when every line is in the file. */
  close(): Promise<void> {
    return new Promise((resolve) => this.#file.end(resolve));
  }
}

/** The lines of a journal with their numbers, from 1. */
export async function* readJournal(path: string): AsyncGenerator<{ line: number; entry: JournalEntry }> {
  const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
  let line = 0;
  for await (const text of lines) {
    line += 1;
    yield { line, entry: JSON.parse(text) as JournalEntry };
  }
}
