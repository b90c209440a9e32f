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
  /** A connection begins, with the positions that it claims. The one before it is over for the receiver. */
  | { readonly kind: 'connecting'; readonly who: string; readonly main?: Position; readonly internal?: Position }
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
  /** The receiver stays away from here on; nothing more is expected of it. */
  | { readonly kind: 'left'; readonly who: string }
  /** From `at` + `withinMs` on nothing of the subject, or of the dialog, may be accepted. */
  | {
      readonly kind: 'revoked';
      readonly name: string;
      readonly sub?: string;
      readonly dialog?: string;
      readonly withinMs: number;
    }
  | { readonly kind: 'lifted'; readonly name: string }
  | {
      readonly kind: 'fault';
      readonly name: string;
      readonly phase: 'begins' | 'ends';
      /** What was appended before it ends may be lost with it. */
      readonly losesData: boolean;
    }
  /** What a dialog's history holds when all is over, entry by entry, and then its head. */
  | ({
      readonly kind: 'kept';
      readonly dialog: string;
      readonly track: Track;
      readonly id: string;
      readonly digest: string;
    } & Position)
  | ({ readonly kind: 'head'; readonly dialog: string; readonly track: Track } & Position);

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

  write(entry: Entry): void {
    this.#counts[entry.kind] = this.count(entry.kind) + 1;
    const at = Math.round((performance.now() - this.#startedMs) * 10) / 10;
    this.#file.write(`${JSON.stringify({ at, ...entry })}\n`);
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
