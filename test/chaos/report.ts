import type { Breach, Verdict } from './checker.js';
import { type JournalEntry, readJournal } from './journal.js';
import type { Outcome } from './stage.js';

const MOST_SHOWN = 10;
const MOST_LINES = 25;
const CONTEXT_LINES = 400;

const names = (entry: JournalEntry): readonly unknown[] => [
  'who' in entry ? entry.who : undefined,
  'id' in entry ? entry.id : undefined,
  'dialog' in entry ? entry.dialog : undefined,
];

/** The lines of the journal that tell a breach's story: those of its names shortly before it, and the faults between them. */
const excerptOf = async (path: string, { about, line: until }: Breach): Promise<string[]> => {
  const found: string[] = [];
  for await (const { line, entry } of readJournal(path)) {
    if (line > until) break;
    const isNear = until - line <= CONTEXT_LINES && entry.kind === 'fault';
    if (isNear || names(entry).some((name) => about.includes(String(name))))
      found.push(`${line}: ${JSON.stringify(entry)}`);
    if (found.length > MOST_LINES) found.shift();
  }
  return found;
};

const listed = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, count]) => `${name} ${count}`)
    .join(', ') || 'none';

/** The numbers of a verdict, a line each. */
export const summaryOf = ({ counts }: Verdict): string[] => [
  `messages: ${counts.sent} sent, ${counts.acked} acknowledged, ${counts.delivered} delivered, ${counts.temporaryRefusals} temporary refusals`,
  `copies begun anew and announced: ${counts.announcedResets}`,
  `cast: ${listed(counts.cast)}`,
  `faults: ${listed(counts.faults)}`,
  `closes: ${listed(counts.closes)}; refused connections: ${listed(counts.refusals)}`,
  `reconnects: ${counts.reconnectMs.count}, median ${counts.reconnectMs.median} ms, worst ${counts.reconnectMs.worst} ms`,
];

export const isHeld = (outcome: Pick<Outcome, 'breaches' | 'unsettled'>): boolean =>
  outcome.breaches.length === 0 && outcome.unsettled === undefined;

/** What was broken, with the journal's lines for the first few. */
export const breachesOf = async (outcome: Outcome): Promise<string[]> => {
  const lines: string[] = [];
  if (outcome.unsettled !== undefined) lines.push(`not well at the end: ${outcome.unsettled}`);
  for (const breach of outcome.breaches.slice(0, MOST_SHOWN)) {
    lines.push(`${breach.rule}: ${breach.what} (line ${breach.line})`);
    for (const line of await excerptOf(outcome.journalPath, breach)) lines.push(`    ${line.slice(0, 240)}`);
  }
  const more = outcome.breaches.length - MOST_SHOWN;
  if (more > 0) lines.push(`… and ${more} more`);
  return lines;
};

/** Throws with the breaches and how to repeat the run, where a promise was broken. */
export const assertHeld = async (outcome: Outcome): Promise<void> => {
  if (isHeld(outcome)) return;
  throw new Error([`seed ${outcome.seed}`, ...(await breachesOf(outcome)), ...summaryOf(outcome)].join('\n'));
};
