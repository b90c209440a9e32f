/** What the id of a message of the load says: who sent it, where to, and when it was due. */
export interface MessageId {
  driver: number;
  dialog: number;
  /** Counts from 0 for each driver and dialog. */
  seq: number;
  /** The time at which it was due, in microseconds of the run's clock. */
  dueUs: number;
}

const DOT = 0x2e;

/** `run` is 1 to 12 characters `a-z0-9`; the whole is well below the 64 characters of a frame's id. */
export const writeMessageId = (run: string, driver: number, dialog: number, seq: number, dueUs: number): string =>
  `${run}.${driver.toString(36)}.${dialog.toString(36)}.${seq.toString(36)}.${dueUs.toString(36)}`;

/**
 * Reads an id of the run from the bytes of a frame, without making a string: a delivery costs no memory, and a receiver in another
 * process needs no table of what was sent. The record that it fills is the caller's, used again for the next frame.
 */
export class MessageIdReader implements MessageId {
  driver = 0;
  dialog = 0;
  seq = 0;
  dueUs = 0;
  readonly #run: Buffer;
  #at = 0;

  constructor(run: string) {
    this.#run = Buffer.from(`${run}.`, 'latin1');
  }

  /** False for an id that is not of this run; the fields are undefined in meaning then. `end` is the index behind it. */
  read(bytes: Uint8Array, start: number, end: number): boolean {
    const run = this.#run;
    if (end - start < run.length) return false;
    for (let i = 0; i < run.length; i += 1) if (bytes[start + i] !== run[i]) return false;
    this.#at = start + run.length;
    this.driver = this.#number(bytes, end);
    this.dialog = this.#number(bytes, end);
    this.seq = this.#number(bytes, end);
    this.dueUs = this.#number(bytes, end);
    return this.#at === end + 1;
  }

  /** A base 36 number up to the next dot or the end; leaves the place past the end where there is none. */
  #number(bytes: Uint8Array, end: number): number {
    let value = 0;
    let at = this.#at;
    const first = at;
    for (; at < end; at += 1) {
      const byte = bytes[at] as number;
      if (byte === DOT) break;
      if (byte >= 0x30 && byte <= 0x39) value = value * 36 + byte - 0x30;
      else if (byte >= 0x61 && byte <= 0x7a) value = value * 36 + byte - 0x57;
      else {
        this.#at = end + 2;
        return 0;
      }
    }
    this.#at = at === first ? end + 2 : at + 1;
    return value;
  }
}
