import { readJournal } from './journal.js';

export interface Window {
  /** Milliseconds since the run began. */
  readonly from: number;
  readonly to: number;
}

export interface AckTimes {
  readonly count: number;
  readonly median: number;
  readonly p99: number;
  readonly worst: number;
}

/**
 * How long clients that kept their connection waited for the acknowledgement of what they sent in a window, in milliseconds from the
 * first attempt.
 */
export const keptAckTimes = async (path: string, { from, to }: Window): Promise<AckTimes> => {
  const left = new Set<string>();
  const sent = new Map<string, { readonly who: string; readonly at: number }>();
  const waits: { readonly who: string; readonly ms: number }[] = [];
  for await (const { entry } of readJournal(path)) {
    if (entry.kind === 'closed' && entry.at >= from) left.add(entry.who);
    else if (entry.kind === 'sent' && entry.at >= from && entry.at <= to && !sent.has(entry.id))
      sent.set(entry.id, entry);
    else if (entry.kind === 'acked') {
      const first = sent.get(entry.id);
      if (first?.who !== entry.who) continue;
      sent.delete(entry.id);
      waits.push({ who: entry.who, ms: entry.at - first.at });
    }
  }
  const sorted = waits.filter(({ who }) => !left.has(who) && who !== 'backend').map(({ ms }) => ms);
  sorted.sort((a, b) => a - b);
  const at = (share: number): number =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  return { count: sorted.length, median: at(0.5), p99: at(0.99), worst: at(1) };
};

/** The most connections that ended with a code within a second of a window. */
export const closesPerSecond = async (path: string, code: number, { from, to }: Window): Promise<number> => {
  const times: number[] = [];
  for await (const { entry } of readJournal(path))
    if (entry.kind === 'closed' && entry.code === code && entry.at >= from && entry.at <= to) times.push(entry.at);
  let most = 0;
  for (let first = 0, last = 0; last < times.length; last += 1) {
    while ((times[last] ?? 0) - (times[first] ?? 0) >= 1_000) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
};
