/** What a driver needs to know of a frame; everything else is left unread. */
export type ScannedKind = 'message' | 'ack' | 'other';

const MESSAGE = Buffer.from('{"type":"message","offset":');
const ACK = Buffer.from('{"type":"ack","id":"');
const TIMESTAMP = Buffer.from(',"timestamp":');
const ID = Buffer.from(',"id":"');
const OFFSET = Buffer.from(',"offset":');
const DUPLICATE = Buffer.from(',"duplicate":true');
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

const startsAt = (bytes: Uint8Array, at: number, wanted: Uint8Array): boolean => {
  if (bytes.length - at < wanted.length) return false;
  for (let i = 0; i < wanted.length; i += 1) if (bytes[at + i] !== wanted[i]) return false;
  return true;
};

/**
 * Finds offset and id of a publication or an acknowledgement in the bytes of a frame whose keys stand in the gateway's own order;
 * a frame in another order is `other` and wants a parser. One scanner serves all connections of a driver: its fields hold until
 * the next call.
 */
export class FrameScanner {
  offset = 0;
  idStart = 0;
  idEnd = 0;
  duplicate = false;
  #at = 0;

  scan(bytes: Uint8Array): ScannedKind {
    if (startsAt(bytes, 0, MESSAGE)) return this.#message(bytes) ? 'message' : 'other';
    if (startsAt(bytes, 0, ACK)) return this.#ack(bytes) ? 'ack' : 'other';
    return 'other';
  }

  #message(bytes: Uint8Array): boolean {
    this.offset = this.#digits(bytes, MESSAGE.length);
    if (!startsAt(bytes, this.#at, TIMESTAMP)) return false;
    this.#digits(bytes, this.#at + TIMESTAMP.length);
    return startsAt(bytes, this.#at, ID) && this.#id(bytes, this.#at + ID.length);
  }

  #ack(bytes: Uint8Array): boolean {
    if (!this.#id(bytes, ACK.length) || !startsAt(bytes, this.idEnd + 1, OFFSET)) return false;
    this.offset = this.#digits(bytes, this.idEnd + 1 + OFFSET.length);
    this.duplicate = startsAt(bytes, this.#at, DUPLICATE);
    return true;
  }

  #digits(bytes: Uint8Array, from: number): number {
    let value = 0;
    let at = from;
    for (; at < bytes.length; at += 1) {
      const digit = (bytes[at] as number) - 0x30;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    this.#at = at;
    return value;
  }

  /** An id with an escape is not one of ours. */
  #id(bytes: Uint8Array, from: number): boolean {
    this.idStart = from;
    let at = from;
    while (at < bytes.length && bytes[at] !== QUOTE) {
      if (bytes[at] === BACKSLASH) return false;
      at += 1;
    }
    this.idEnd = at;
    return at < bytes.length;
  }
}
