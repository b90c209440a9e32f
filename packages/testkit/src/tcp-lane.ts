import type { Socket } from 'node:net';

/** What is wrong with one direction just now; shared by all connections of a proxy. */
export interface LaneFaults {
  /** Nothing passes, neither bytes nor the end of a connection. */
  held: boolean;
  delayMs: number;
  /** 0: no limit. */
  bytesPerSecond: number;
}

type Parcel = { readonly dueMs: number } & (
  | { readonly bytes: Buffer; readonly ending?: undefined }
  | { readonly ending: 'fin' | 'rst' }
);

// Past this the sender is read no more and its own buffers fill, as those of a real sender do.
const HIGH_WATER_BYTES = 1 << 20;

export interface LaneHooks {
  /** True: the chunk is lost and the connection cut. */
  intercept(chunk: Buffer): boolean;
  /** True: nothing passes on this connection, whatever the proxy's faults. */
  isMuted(): boolean;
  delivered(bytes: number): void;
}

/** One direction of one proxied connection: bytes and the end of the stream, in order, subject to the faults. */
export class Lane {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #faults: LaneFaults;
  readonly #hooks: LaneHooks;
  #parcels: Parcel[] = [];
  #queuedBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #blocked = false;
  // When the throttled line is free again.
  #freeAtMs = 0;
  #ended = false;

  constructor(from: Socket, to: Socket, faults: LaneFaults, hooks: LaneHooks) {
    this.#from = from;
    this.#to = to;
    this.#faults = faults;
    this.#hooks = hooks;
    from.on('data', (chunk: Buffer) => {
      if (!hooks.intercept(chunk)) this.#push({ dueMs: performance.now() + faults.delayMs, bytes: chunk });
    });
    from.on('end', () => this.#end('fin'));
    from.on('error', () => this.#end('rst'));
    from.on('close', () => this.#end('fin'));
    to.on('drain', () => {
      this.#blocked = false;
      this.pump();
    });
  }

  #end(ending: 'fin' | 'rst'): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#push({ dueMs: performance.now() + this.#faults.delayMs, ending });
  }

  #push(parcel: Parcel): void {
    this.#parcels.push(parcel);
    if (parcel.ending === undefined) this.#queuedBytes += parcel.bytes.length;
    this.pump();
    if (this.#queuedBytes > HIGH_WATER_BYTES) this.#from.pause();
  }

  /** Delivers what may pass now; called again whenever a fault changes. */
  pump(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (!this.#faults.held && !this.#hooks.isMuted() && !this.#blocked && !this.#to.destroyed) {
      const parcel = this.#parcels[0];
      if (parcel === undefined) break;
      const waitMs = Math.max(parcel.dueMs, this.#freeAtMs) - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.pump(), Math.ceil(waitMs));
        return;
      }
      this.#deliver(parcel);
    }
    if (this.#queuedBytes <= HIGH_WATER_BYTES && this.#from.isPaused()) this.#from.resume();
  }

  #deliver(parcel: Parcel): void {
    if (parcel.ending !== undefined) {
      this.#parcels.shift();
      if (parcel.ending === 'rst') this.#to.resetAndDestroy();
      else this.#to.end();
      return;
    }
    const { bytesPerSecond } = this.#faults;
    // A throttled line carries 50 ms worth at a time, so that a large chunk trickles too.
    const size = bytesPerSecond === 0 ? parcel.bytes.length : Math.max(1, Math.floor(bytesPerSecond / 20));
    const bytes = parcel.bytes.subarray(0, size);
    if (bytes.length === parcel.bytes.length) this.#parcels.shift();
    else this.#parcels[0] = { dueMs: parcel.dueMs, bytes: parcel.bytes.subarray(size) };
    this.#queuedBytes -= bytes.length;
    if (bytesPerSecond > 0) this.#freeAtMs = performance.now() + (bytes.length / bytesPerSecond) * 1000;
    this.#hooks.delivered(bytes.length);
    this.#blocked = !this.#to.write(bytes);
  }

  discard(): void {
    clearTimeout(this.#timer);
    this.#parcels = [];
    this.#ended = true;
  }
}
