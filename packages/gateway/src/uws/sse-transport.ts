import type { Transport } from '@replyx/core';
import { SSE_PING, SseFrames } from '../public/sse-frames.js';
import type { HttpResponse } from './module.js';

/** The module's own buffer for one write; what fits goes out in one system call. */
const WRITE_BYTES = 16_384;

export interface SseOwner {
  /** Some of what was held back has been written. */
  onDrained(): void;
  /** The stream has ended, by either side. */
  onEnded(): void;
  onBug(error: unknown): void;
}

/**
 * A session's transport over a streamed answer. The module tells of a short write by `false` at the next one and keeps what it
 * could not write in a buffer that it says nothing of; so after that one write everything waits here, where it can be counted,
 * until the module says that it can go on. A reader who takes nothing for 10 s while something waits is cut by the module.
 */
export class SseTransport implements Transport {
  readonly #res: HttpResponse;
  readonly #frames = new SseFrames();
  #owner: SseOwner | undefined;
  #isOpen = true;
  #isCorked = false;
  /** The module holds what it could not write: `#handedBytes` at most. */
  #isCongested = false;
  #handedBytes = 0;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;

  /** Sends the head at once, so that the reader knows that it is in. The response must not have been aborted. */
  constructor(res: HttpResponse, headers: Readonly<Record<string, string>>) {
    this.#res = res;
    // Without this handler the module would not go on by itself after 10 s, and would never say that it can.
    res.onWritable(() => {
      try {
        this.#goOn();
      } catch (error) {
        this.#owner?.onBug(error);
      }
      return true;
    });
    res.cork(() => {
      res.writeStatus('200 OK');
      for (const [name, value] of Object.entries(headers)) res.writeHeader(name, value);
      res.write(SSE_PING);
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Sets who is told. Before anything is sent. */
  attach(owner: SseOwner): void {
    this.#owner = owner;
  }

  send(frame: string | Uint8Array): 'sent' | 'buffered' | 'dropped' {
    if (!this.#isOpen) return 'dropped';
    this.#push(this.#frames.event(frame));
    // Larger than one write: whether the reader keeps up must be known before more is taken.
    if (!this.#isCorked || this.#queuedBytes >= WRITE_BYTES) this.#flush();
    return this.#isCongested ? 'buffered' : 'sent';
  }

  bufferedBytes(): number {
    return this.#isOpen ? this.#handedBytes + this.#queuedBytes : 0;
  }

  cork(work: () => void): void {
    if (this.#isCorked) {
      work();
      return;
    }
    this.#isCorked = true;
    try {
      work();
    } finally {
      this.#isCorked = false;
      this.#flush();
    }
  }

  /** A comment; where something waits already, its being taken says more. */
  ping(): void {
    if (!this.#isOpen || this.#isCongested) return;
    this.#push(SSE_PING);
    this.#flush();
  }

  /** What waits is handed to the module, which goes on writing after the end. Tells the owner before it returns. */
  end(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const rest = this.#take(Number.POSITIVE_INFINITY);
    this.#res.cork(() => {
      if (rest.byteLength > 0) this.#res.write(rest);
      // Not with the module's own closing: it would write a header into the body.
      this.#res.end();
    });
    this.#owner?.onEnded();
  }

  /** The peer is gone: the response may not be used any more. */
  aborted(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#take(Number.POSITIVE_INFINITY);
    this.#owner?.onEnded();
  }

  #push(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.byteLength;
  }

  /** Off the queue: as much as one write should have, at least one event. */
  #take(mostBytes: number): Uint8Array {
    let bytes = 0;
    let count = 0;
    for (const event of this.#queue) {
      if (count > 0 && bytes + event.byteLength > mostBytes) break;
      bytes += event.byteLength;
      count += 1;
    }
    this.#queuedBytes -= bytes;
    return Buffer.concat(this.#queue.splice(0, count), bytes);
  }

  #flush(): void {
    while (this.#isOpen && !this.#isCongested && this.#queue.length > 0) this.#write(this.#take(WRITE_BYTES));
  }

  #write(bytes: Uint8Array): void {
    let isWritten = true;
    this.#res.cork(() => {
      isWritten = this.#res.write(bytes);
    });
    this.#isCongested = !isWritten;
    this.#handedBytes = isWritten ? 0 : bytes.byteLength;
  }

  #goOn(): void {
    if (!this.#isOpen || !this.#isCongested) return;
    // The module writes what it holds when it is given something: there is no way to ask it to.
    this.#write(this.#queue.length > 0 ? this.#take(WRITE_BYTES) : SSE_PING);
    this.#flush();
    this.#owner?.onDrained();
  }
}
