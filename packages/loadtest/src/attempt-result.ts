import type { AttemptKind } from './load-plan.js';

/** What became of an attempt. `failed`: it reached nobody, or was ended without a word, so that it says nothing of the server's refusals. */
export type AttemptResult = 'refused' | 'admitted' | 'unanswered' | 'failed';

/** A server has no other words for what is no request than to hang up, or to answer in no HTTP. */
const WORDLESS = ['cut', 'not http'];

/** By its outcome, as `attempt` tells it. */
export const attemptResult = (kind: AttemptKind, outcome: string): AttemptResult => {
  if (outcome === 'admitted') return 'admitted';
  if (outcome === 'no answer') return 'unanswered';
  if (/^(?:http|close) \d+$/.test(outcome) || (kind === 'garbage' && WORDLESS.includes(outcome))) return 'refused';
  return 'failed';
};

/** The key under which an attempt is counted. */
export const attemptName = (kind: AttemptKind, outcome: string): string => `${kind}: ${outcome}`;

/** Counts by `attemptName` as counts by result; what has another name has failed. */
export const attemptResults = (attempts: Readonly<Record<string, number>>): Record<AttemptResult, number> => {
  const results = { refused: 0, admitted: 0, unanswered: 0, failed: 0 };
  for (const [name, count] of Object.entries(attempts)) {
    const [kind = '', outcome = ''] = name.split(': ');
    results[attemptResult(kind as AttemptKind, outcome)] += count;
  }
  return results;
};
