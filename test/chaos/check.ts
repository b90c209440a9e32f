import type { JournalEntry, Track } from './journal.js';

/** Tells of a breach; `about` names what its story is about. */
export type Tell = (rule: string, what: string, about: readonly string[], line?: number) => void;

/** What one check may ask of what the others know. */
export interface Known {
  /** The subject of a receiver. */
  subOf(who: string): string | undefined;
  dialogOf(who: string): string | undefined;
  isVisitor(who: string): boolean;
  isLive(who: string): boolean;
  message(id: string): { readonly dialog: string; readonly track: Track; readonly digest: string } | undefined;
}

/** Some promises, judged as the journal is read. */
export interface Check {
  see(entry: JournalEntry, line: number, tell: Tell): void;
  /** When the whole journal was seen. */
  settle?(tell: Tell): void;
}
