import type { Transport } from './transport.js';

/** A client is behind when this share of its bound is buffered: no more of what can be read again is given to it. */
const HIGH_SHARE = 1 / 4;
const MAX_HIGH_BYTES = 262_144;
/** An expendable frame is left out for a client that has this much waiting. */
const MAX_EXPENDABLE_BYTES = 65_536;

const encoder = new TextEncoder();

/** Bytes of a frame on the wire; a text's are counted only where the most they can be would not fit. */
const bytesOf = (frame: string | Uint8Array, room: number): number => {
  if (typeof frame !== 'string') return frame.byteLength;
  // 3 bytes a unit is the most that UTF-8 takes.
  return frame.length * 3 <= room ? frame.length * 3 : encoder.encode(frame).byteLength;
};

export type Written = 'ok' | 'overflow';

/**
 * What one client has been given and has not read yet. Bounded: a frame that would pass the bound is refused, and its session
 * must end while the transport still has room for the close frame. A frame is never dropped in silence.
 */
export class Outbox {
  private readonly transport: Transport;
  private readonly maxBytes: number;
  /** False while the transport has written everything at once: then its buffer need not be asked. */
  private congested = false;
  private waiting: ((writable: boolean) => void)[] | undefined;

  constructor(transport: Transport, maxBytes: number) {
    this.transport = transport;
    this.maxBytes = maxBytes;
  }

  write(frame: string | Uint8Array): Written {
    if (this.congested) {
      const room = this.maxBytes - this.transport.bufferedBytes();
      if (bytesOf(frame, room) > room) return 'overflow';
    }
    const result = this.transport.send(frame);
    if (result === 'dropped') return 'overflow';
    if (result === 'buffered') this.congested = true;
    return 'ok';
  }

  cork(work: () => void): void {
    this.transport.cork(work);
  }

  get isWritable(): boolean {
    return !this.congested || this.transport.bufferedBytes() < Math.min(MAX_HIGH_BYTES, this.maxBytes * HIGH_SHARE);
  }

  /** Whether a frame that may be left out should be. */
  get isBehind(): boolean {
    return (
      this.congested && this.transport.bufferedBytes() > Math.min(MAX_EXPENDABLE_BYTES, this.maxBytes * HIGH_SHARE)
    );
  }

  whenWritable(): Promise<boolean> {
    if (this.isWritable) return Promise.resolve(true);
    return new Promise((resolve) => {
      this.waiting = [...(this.waiting ?? []), resolve];
    });
  }

  /** The transport has written some of its buffer. */
  drained(): void {
    if (this.congested && this.transport.bufferedBytes() === 0) this.congested = false;
    if (this.isWritable) this.wake(true);
  }

  closed(): void {
    this.wake(false);
  }

  private wake(writable: boolean): void {
    const waiting = this.waiting;
    this.waiting = undefined;
    for (const resolve of waiting ?? []) resolve(writable);
  }
}
