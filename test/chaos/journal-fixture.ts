import { Checker, type Verdict } from './checker.js';
import { digestOf, type Entry, type JournalEntry } from './journal.js';

/** Journals to judge, written by hand: an entry each 10 ms. */
export const judge = (entries: readonly Entry[]): Verdict => {
  const checker = new Checker();
  entries.forEach((entry, i) => {
    checker.see({ at: i * 10, ...entry } as JournalEntry, i + 1);
  });
  return checker.verdict();
};

export const rulesOf = (entries: readonly Entry[]): string[] => [
  ...new Set(judge(entries).breaches.map(({ rule }) => rule)),
];

export const digest = digestOf('text');
export const member = (who: string, dialog: string, role: 'visitor' | 'operator'): Entry => ({
  kind: 'member',
  who,
  dialog,
  role,
  sub: `sub-${who}`,
});
export const joined = (who: string, dialog: string, offset = 0, recovered = false, epoch = 'e1'): Entry => ({
  kind: 'connected',
  who,
  dialog,
  main: { epoch, offset, recovered },
  ...(who.startsWith('op') ? { internal: { epoch: 'n1', offset: 0, recovered: false } } : {}),
});
export const sent = (who: string, dialog: string, id: string, more: object = {}): Entry =>
  ({ kind: 'sent', who, dialog, track: 'main', id, digest, ...more }) as Entry;
export const acked = (who: string, id: string, offset: number, more: object = {}): Entry =>
  ({ kind: 'acked', who, id, offset, duplicate: false, ...more }) as Entry;
export const got = (who: string, id: string, offset: number, more: object = {}): Entry =>
  ({ kind: 'got', who, track: 'main', offset, id, digest, ...more }) as Entry;
export const kept = (dialog: string, id: string, offset: number, epoch = 'e1'): Entry => ({
  kind: 'kept',
  dialog,
  track: 'main',
  id,
  digest,
  epoch,
  offset,
});
export const head = (dialog: string, offset: number, epoch = 'e1'): Entry => ({
  kind: 'head',
  dialog,
  track: 'main',
  epoch,
  offset,
});
export const fault = (phase: 'begins' | 'ends', losesData: boolean): Entry => ({
  kind: 'fault',
  name: 'f',
  phase,
  losesData,
});
