import { OffsetTrack, type Seen } from './offset-track.js';

/** What was found wrong with the delivery, over all dialogs of a driver; each is 0 where all is well. */
export interface DeliveryFaults {
  /** Publications that a reader should have received by the end and did not. */
  lost: number;
  /** Received twice by one reader, or one id published twice. */
  repeated: number;
  /** Received by a reader after one with a greater offset. */
  reordered: number;
  /** Received in a dialog to which they were not sent. */
  foreign: number;
  /** Acknowledged, and never delivered. */
  undelivered: number;
  /** Acknowledged with another offset than that of the delivery. */
  mismatched: number;
  /** Sent, and at the end neither acknowledged nor refused. */
  unacked: number;
}

export const noFaults = (): DeliveryFaults => ({
  lost: 0,
  repeated: 0,
  reordered: 0,
  foreign: 0,
  undelivered: 0,
  mismatched: 0,
  unacked: 0,
});

/** A message on its way. `S` is what the sender is for the caller. */
export interface Pending<S> {
  readonly seq: number;
  readonly dueUs: number;
  readonly sender: S;
  /** 0: not yet. */
  ackedOffset: number;
  deliveredOffset: number;
  tries: number;
  /** The server has refused it for good; should it come all the same, it is no repetition. */
  refused: boolean;
}

/** Checks one dialog: what one driver sent into it against what its readers received. */
export class DialogCheck<S> {
  /** The greatest offset that is known to be appended. */
  head = 0;
  readonly pending = new Map<number, Pending<S>>();
  readonly #faults: DeliveryFaults;
  /** What any reader has seen. */
  readonly #seen = new OffsetTrack();
  #epoch = '';
  #nextSeq = 0;

  constructor(faults: DeliveryFaults) {
    this.#faults = faults;
  }

  sent(dueUs: number, sender: S): Pending<S> {
    const entry = {
      seq: this.#nextSeq,
      dueUs,
      sender,
      ackedOffset: 0,
      deliveredOffset: 0,
      tries: 0,
      refused: false,
    };
    this.#nextSeq += 1;
    this.pending.set(entry.seq, entry);
    return entry;
  }

  /** The first acknowledgement of a message gives its entry, a further one (of a retry) undefined. */
  acked(seq: number, offset: number): Pending<S> | undefined {
    if (offset > this.head) this.head = offset;
    const entry = this.pending.get(seq);
    if (entry === undefined || entry.ackedOffset !== 0) return undefined;
    entry.ackedOffset = offset;
    this.#settle(entry);
    return entry;
  }

  /** The server will not have it. `mayBeStored`: it could not say so for sure, and a delivery of it is no repetition. */
  refused(seq: number, mayBeStored: boolean): void {
    const entry = this.pending.get(seq);
    if (entry === undefined) return;
    entry.refused = true;
    if (!mayBeStored) this.pending.delete(seq);
  }

  /** A reader received a publication of this dialog. `ownSeq`: its number where this driver sent it. */
  received(track: OffsetTrack, offset: number, ownSeq: number | undefined): Seen {
    const seen = track.see(offset);
    if (seen === 'repeated') this.#faults.repeated += 1;
    else if (seen === 'late') this.#faults.reordered += 1;
    if (offset > this.head) this.head = offset;
    // Once for all readers: what the first of them received is what the acknowledgement must name.
    if (this.#seen.see(offset) === 'repeated' || ownSeq === undefined) return seen;
    const entry = this.pending.get(ownSeq);
    if (entry === undefined || entry.deliveredOffset !== 0) {
      this.#faults.repeated += 1;
      return seen;
    }
    entry.deliveredOffset = offset;
    this.#settle(entry);
    return seen;
  }

  foreign(): void {
    this.#faults.foreign += 1;
  }

  /** A reader's position is named by an epoch; a new one means that offsets may come again. */
  startEpoch(epoch: string, offset: number): void {
    if (epoch === this.#epoch) return;
    this.#epoch = epoch;
    this.#seen.restart(offset);
    this.head = offset;
  }

  /** Whether the sender waits for an acknowledgement. */
  isAwaitedBy(sender: S): boolean {
    for (const entry of this.pending.values()) {
      if (entry.sender === sender && entry.ackedOffset === 0 && !entry.refused) return true;
    }
    return false;
  }

  /** Whether everything that was sent is acknowledged (or refused) and delivered. */
  get isSettled(): boolean {
    for (const entry of this.pending.values()) if (!entry.refused) return false;
    return true;
  }

  /** The last word, when nothing more is expected: counts what never came. `readers` are those that are connected. */
  finish(readers: Iterable<OffsetTrack>, head = this.head): void {
    for (const reader of readers) this.#faults.lost += reader.missingUpTo(head);
    for (const entry of this.pending.values()) {
      if (entry.refused) continue;
      if (entry.ackedOffset === 0) this.#faults.unacked += 1;
      else this.#faults.undelivered += 1;
    }
  }

  #settle(entry: Pending<S>): void {
    if (entry.ackedOffset === 0 || entry.deliveredOffset === 0) return;
    if (entry.ackedOffset !== entry.deliveredOffset) this.#faults.mismatched += 1;
    this.pending.delete(entry.seq);
  }
}
