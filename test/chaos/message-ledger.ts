import type { Position, Track } from './journal.js';
import { type Report, show } from './receiver-check.js';

/** What is known of one id. */
interface Message {
  readonly dialog: string;
  readonly track: Track;
  readonly digest: string;
  /** Line and milliseconds of the first and of the last attempt. */
  readonly firstLine: number;
  lastSentAt: number;
  readonly fence: number | undefined;
  /** Each offset that an answer has named. */
  readonly acks: { readonly offset: number; readonly epoch: string | undefined; readonly line: number }[];
  /** Where receivers, answers and the history showed it. */
  readonly places: Position[];
  kept: Position | undefined;
}

interface TrackEnd {
  head: Position | undefined;
  kept: number;
  lowest: number;
}

/** Every message of a run by its id: who sent it where, what was promised of it, what is left of it. */
export class MessageLedger {
  readonly #messages = new Map<string, Message>();
  readonly #ends = new Map<string, TrackEnd>();
  /** Lines at which faults began that lose data. */
  readonly #losses: number[] = [];
  /** Line at which an epoch of a dialog's track was first seen by anybody. */
  readonly #epochs = new Map<string, number>();

  get size(): number {
    return this.#messages.size;
  }

  get ackedCount(): number {
    let count = 0;
    for (const message of this.#messages.values()) if (message.acks.length > 0) count += 1;
    return count;
  }

  sent(
    line: number,
    at: number,
    message: { dialog: string; track: Track; id: string; digest: string; fence?: number | undefined },
  ): void {
    const { dialog, track, id, digest, fence } = message;
    const known = this.#messages.get(id);
    if (known !== undefined) {
      known.lastSentAt = at;
      return;
    }
    const rest = { lastSentAt: at, fence, acks: [], places: [], kept: undefined };
    this.#messages.set(id, { dialog, track, digest, firstLine: line, ...rest });
  }

  losing(line: number): void {
    this.#losses.push(line);
  }

  sawEpoch(line: number, dialog: string, track: Track, epoch: string): void {
    const key = `${dialog} ${track} ${epoch}`;
    if (!this.#epochs.has(key)) this.#epochs.set(key, line);
  }

  /** A publication shown to a receiver of `dialog`. */
  shown(dialog: string, track: Track, id: string, digest: string, place: Position | undefined, report: Report): void {
    const message = this.#messages.get(id);
    if (message === undefined) report('unknown', `${id}, which nobody sent, is shown in ${dialog}`);
    else if (message.dialog !== dialog)
      report('leaked', `${id} was sent to dialog ${message.dialog} and is shown in ${dialog}`);
    else if (message.track !== track) report('leaked', `${id} was sent to ${message.track} and is shown in ${track}`);
    else if (message.digest !== digest) report('altered', `${id} is shown with another text`);
    else if (place !== undefined && !message.places.some((one) => show(one) === show(place)))
      message.places.push(place);
  }

  acked(line: number, id: string, answer: { offset: number; epoch: string | undefined }, report: Report): void {
    const message = this.#messages.get(id);
    if (message === undefined) {
      report('ack of nothing', `${id} is acknowledged and was never sent`);
      return;
    }
    if (!message.acks.some(({ offset }) => offset === answer.offset)) message.acks.push({ ...answer, line });
    if (answer.epoch !== undefined) message.places.push({ epoch: answer.epoch, offset: answer.offset });
  }

  message(id: string): { dialog: string; track: Track; digest: string } | undefined {
    return this.#messages.get(id);
  }

  kept(dialog: string, track: Track, id: string, digest: string, place: Position, report: Report): void {
    this.shown(dialog, track, id, digest, place, report);
    const message = this.#messages.get(id);
    if (message === undefined || message.dialog !== dialog || message.track !== track) return;
    if (message.kept !== undefined)
      report('appended twice', `${id} is in the history at ${show(message.kept)} and at ${show(place)}`);
    message.kept = place;
    const end = this.#end(dialog, track);
    end.lowest = Math.min(end.lowest, place.offset);
    end.kept += 1;
  }

  head(dialog: string, track: Track, head: Position, report: Report): void {
    const end = this.#end(dialog, track);
    end.head = head;
    if (end.kept > 0 && head.offset - end.lowest + 1 !== end.kept)
      report('history', `${dialog} ${track} keeps ${end.kept} entries from ${end.lowest} to its head ${head.offset}`);
  }

  headOf(dialog: string, track: Track): Position | undefined {
    return this.#ends.get(`${dialog} ${track}`)?.head;
  }

  /** When all is over. `lossEndsAt`: when the last fault that loses data ended; undefined where none did. */
  settle(lossEndsAt: number | undefined, report: (rule: string, what: string, line: number, id: string) => void): void {
    const uncounted = new Set<string>();
    for (const [id, message] of this.#messages) {
      const { acks, places, kept, dialog, track, firstLine } = message;
      for (const { offset, line } of acks) {
        // Appended again after a loss, in an epoch whose beginning nobody saw, and which a later loss has ended.
        if (this.#losses.some((loss) => loss > firstLine && loss < line) && kept === undefined) continue;
        if (places.length > 0 && !places.some((place) => place.offset === offset))
          report('wrong ack', `${id} is acknowledged at ${offset} and shown at ${places.map(show).join()}`, line, id);
      }
      const [first] = acks;
      if (first === undefined) continue;
      const where = `${dialog} ${track}`;
      if (this.headOf(dialog, track) === undefined) {
        if (!uncounted.has(where)) report('history', `the history of ${where} was never told`, first.line, dialog);
        uncounted.add(where);
      } else if (kept === undefined && !this.#lossIsAnnounced(message, lossEndsAt))
        report('acked and lost', `${id}, acknowledged at ${first.offset}, is not kept`, first.line, id);
    }
    this.#settleFences(report);
  }

  /**
   * A loss is announced by an epoch that came after the message: it was sent before a fault that loses data was over, and before
   * anybody saw the epoch that is the last.
   */
  #lossIsAnnounced({ dialog, track, firstLine, lastSentAt }: Message, lossEndsAt: number | undefined): boolean {
    const head = this.headOf(dialog, track);
    if (lossEndsAt === undefined || lastSentAt > lossEndsAt || head === undefined) return false;
    return (this.#epochs.get(`${dialog} ${track} ${head.epoch}`) ?? 0) > firstLine;
  }

  /** In the order of the offsets, no fencing token is followed by a smaller one. */
  #settleFences(report: (rule: string, what: string, line: number, id: string) => void): void {
    const written = new Map<string, { id: string; offset: number; fence: number; line: number }[]>();
    for (const [id, { dialog, track, fence, acks }] of this.#messages) {
      for (const { epoch, offset, line } of fence === undefined ? [] : acks) {
        const key = `${dialog} ${track} ${epoch}`;
        const list = written.get(key) ?? [];
        list.push({ id, offset, fence: fence ?? 0, line });
        written.set(key, list);
      }
    }
    for (const list of written.values()) {
      list.sort((a, b) => a.offset - b.offset);
      let highest = 0;
      for (const { id, offset, fence, line } of list) {
        if (fence < highest)
          report(
            'stale fence',
            `${id} with fence ${fence} was appended at ${offset}, after fence ${highest}`,
            line,
            id,
          );
        highest = Math.max(highest, fence);
      }
    }
  }

  #end(dialog: string, track: Track): TrackEnd {
    const key = `${dialog} ${track}`;
    let end = this.#ends.get(key);
    if (end === undefined) {
      end = { head: undefined, kept: 0, lowest: Number.POSITIVE_INFINITY };
      this.#ends.set(key, end);
    }
    return end;
  }
}
