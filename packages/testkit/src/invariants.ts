import { type DeliveryEntry, publicationKey } from './position-tracker.js';

/** What one reader got in one track, over all its connections in their order. */
export interface ReaderLog {
  readonly reader: string;
  readonly entries: readonly DeliveryEntry[];
}

/** A publication that was acknowledged. */
export interface Acknowledged {
  readonly key: string;
  readonly offset: number;
}

export interface DeliveryExpectation {
  readonly readers: readonly ReaderLog[];
  /** Every acknowledged publication of the dialog and track. */
  readonly acknowledged: readonly Acknowledged[];
  /** Keys that were sent and may have been appended although no acknowledgement arrived. Default none. */
  readonly maybe?: Iterable<string>;
  /** False while readers may still be behind: the tail may be missing, holes may not. Default true. */
  readonly complete?: boolean;
}

export { publicationKey };

interface Seen {
  readonly counts: Map<string, number>;
  /** Where the reader's copy, as it stands at the end, begins. */
  readonly startOffset: number;
  readonly lastOffset: number;
}

// Dense and ascending within what one reader saw: each publication is exactly one past the position before it.
function walk(log: ReaderLog, faults: string[]): Seen {
  const counts = new Map<string, number>();
  let position: { epoch: string; offset: number } | undefined;
  let startOffset = 0;
  for (const entry of log.entries) {
    if (entry.kind === 'start') {
      startOffset = entry.offset;
    } else {
      counts.set(entry.key, (counts.get(entry.key) ?? 0) + 1);
      const at = `${log.reader}: ${entry.key} at offset ${entry.offset}`;
      if (position === undefined) {
        startOffset = entry.offset - 1;
      } else if (entry.offset <= position.offset) {
        faults.push(`not in order: ${at} after offset ${position.offset}`);
      } else if (entry.offset > position.offset + 1) {
        faults.push(`gap: ${at} after offset ${position.offset}`);
      }
    }
    position = entry;
  }
  return { counts, startOffset, lastOffset: position?.offset ?? 0 };
}

// One order for all: an offset of an epoch names the same publication to every reader and in every acknowledgement.
function compareOrders(expectation: DeliveryExpectation, faults: string[]): void {
  const names = new Map<string, { key: string; reader: string }>();
  for (const { reader, entries } of expectation.readers) {
    for (const entry of entries) {
      if (entry.kind !== 'publication') continue;
      const place = `${entry.epoch}:${entry.offset}`;
      const other = names.get(place);
      if (other === undefined) names.set(place, { key: entry.key, reader });
      else if (other.key !== entry.key)
        faults.push(`two orders: ${place} is ${other.key} for ${other.reader}, ${entry.key} for ${reader}`);
    }
  }
}

function compareAcks(log: ReaderLog, acknowledged: ReadonlyMap<string, number>, faults: string[]): void {
  for (const entry of log.entries) {
    if (entry.kind !== 'publication') continue;
    const offset = acknowledged.get(entry.key);
    if (offset !== undefined && offset !== entry.offset)
      faults.push(`${log.reader}: ${entry.key} came at offset ${entry.offset}, acknowledged at ${offset}`);
  }
}

/**
 * Looks for every breach of what the gateway promises: each acknowledged publication exactly once, one order for all
 * readers, dense offsets, nothing foreign. Of a reader whose copy starts late or was reset, only what follows its last
 * start is expected. Gives one line per breach; an empty list is a pass.
 */
export function checkDelivery(expectation: DeliveryExpectation): string[] {
  const faults: string[] = [];
  const acknowledged = new Map<string, number>();
  const places = new Map<number, string>();
  for (const { key, offset } of expectation.acknowledged) {
    const other = places.get(offset);
    if (other !== undefined && other !== key)
      faults.push(`acknowledged twice: offset ${offset} to ${other} and ${key}`);
    places.set(offset, key);
    acknowledged.set(key, offset);
  }
  const maybe = new Set(expectation.maybe);
  for (const log of expectation.readers) {
    const { counts, startOffset, lastOffset } = walk(log, faults);
    compareAcks(log, acknowledged, faults);
    for (const [key, count] of counts) {
      if (count > 1) faults.push(`${count} times: ${log.reader} got ${key}`);
      if (!acknowledged.has(key) && !maybe.has(key)) faults.push(`foreign: ${log.reader} got ${key}`);
    }
    const limit = expectation.complete === false ? lastOffset : Number.POSITIVE_INFINITY;
    for (const [key, offset] of acknowledged) {
      if (offset > startOffset && offset <= limit && !counts.has(key))
        faults.push(`lost: ${log.reader} never got ${key}, acknowledged at offset ${offset}`);
    }
  }
  compareOrders(expectation, faults);
  return faults;
}

/** Throws with the first twenty breaches that `checkDelivery` finds. */
export function assertDelivery(expectation: DeliveryExpectation): void {
  const faults = checkDelivery(expectation);
  if (faults.length === 0) return;
  const more = faults.length > 20 ? `\n… and ${faults.length - 20} more` : '';
  throw new Error(`delivery is broken:\n${faults.slice(0, 20).join('\n')}${more}`);
}
