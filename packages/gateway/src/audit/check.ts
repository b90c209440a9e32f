import type { AuditFacts } from './facts.js';

/** From the gravest; `info` is worth knowing and no fault. */
export const SEVERITIES = ['high', 'medium', 'low', 'info'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** One place where a check found what it looks for. Never a secret's value. */
export interface Trouble {
  /** A setting's name, a Redis server or a node's address. */
  readonly subject: string;
  /** What is there, read after the subject. */
  readonly detail: string;
}

export interface CheckDescription {
  /** Stable: never given to another check. */
  readonly id: string;
  readonly severity: Severity;
  /** What is wrong, where it finds something. */
  readonly title: string;
  readonly why: string;
  readonly remedy: string;
}

/** Pure: the same facts give the same troubles, in an order of their own. */
export interface Check extends CheckDescription {
  readonly find: (facts: AuditFacts) => readonly Trouble[];
}

export interface Finding extends CheckDescription, Trouble {}

/** The trouble where `wrong`, else none. */
export const troubleIf = (wrong: boolean, subject: string, detail: string): readonly Trouble[] =>
  wrong ? [{ subject, detail }] : [];
