const encoder = new TextEncoder();
const decoder = new TextDecoder();

const PUBLICATION = encoder.encode('{"type":"message","offset":');
const POSITIONS = ['{"type":"connected"', '{"type":"reset"'].map((text) => encoder.encode(text));
const DATA = encoder.encode('data: ');
const END = encoder.encode('\n\n');

const startsWith = (bytes: Uint8Array, start: Uint8Array): boolean => start.every((byte, i) => bytes[i] === byte);

/** A comment: something on the line, and nothing to the reader. */
export const SSE_PING = encoder.encode(': ping\n\n');

/**
 * Writes frames as server-sent events, one `data` line each: frames are compact JSON and hold no line end. A frame that moves
 * the client's position carries it as its id, so that `Last-Event-ID` resumes there.
 */
export class SseFrames {
  /** Of the main track, which is all that a visitor has; named before the first publication by `connected`. */
  #epoch = '';

  event(frame: string | Uint8Array): Uint8Array {
    const bytes = typeof frame === 'string' ? encoder.encode(frame) : frame;
    const id = this.#idOf(bytes);
    return Buffer.concat(id === undefined ? [DATA, bytes, END] : [encoder.encode(`id: ${id}\n`), DATA, bytes, END]);
  }

  #idOf(bytes: Uint8Array): string | undefined {
    if (startsWith(bytes, PUBLICATION)) {
      const from = PUBLICATION.length;
      // A safe integer has at most 16 digits; a comma follows it.
      const digits = decoder.decode(bytes.subarray(from, from + 17));
      return `${this.#epoch}:${Number.parseInt(digits, 10)}`;
    }
    if (!POSITIONS.some((start) => startsWith(bytes, start))) return undefined;
    const { epoch, offset } = JSON.parse(decoder.decode(bytes)) as { epoch: string; offset: number };
    this.#epoch = epoch;
    return `${epoch}:${offset}`;
  }
}

/** The query parameters that resume from a `Last-Event-ID`; one that is no position is passed on as what it is. */
export const positionOfEventId = (id: string): { readonly epoch: string; readonly offset?: string } => {
  const colon = id.lastIndexOf(':');
  return colon === -1 ? { epoch: id } : { epoch: id.slice(0, colon), offset: id.slice(colon + 1) };
};
