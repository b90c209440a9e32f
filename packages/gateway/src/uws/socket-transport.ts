import type { Transport } from '@replyx/core';
import type { WebSocket } from './module.js';

/** A session's transport over one uWebSockets.js socket, which throws when it is used after its end. */
export class SocketTransport<T> implements Transport {
  private readonly socket: WebSocket<T>;
  private opened = true;

  constructor(socket: WebSocket<T>) {
    this.socket = socket;
  }

  get isOpen(): boolean {
    return this.opened;
  }

  send(frame: string | Uint8Array): 'sent' | 'buffered' | 'dropped' {
    if (!this.opened) return 'dropped';
    const result = this.socket.send(frame, false, false);
    return result === 1 ? 'sent' : result === 0 ? 'buffered' : 'dropped';
  }

  bufferedBytes(): number {
    return this.opened ? this.socket.getBufferedAmount() : 0;
  }

  cork(work: () => void): void {
    if (this.opened) this.socket.cork(work);
    else work();
  }

  ping(): void {
    if (this.opened) this.socket.ping();
  }

  /** Calls the close handler before it returns. */
  end(code: number, reason: string): void {
    if (!this.opened) return;
    this.opened = false;
    this.socket.end(code, reason);
  }

  /** The socket is gone. */
  ended(): void {
    this.opened = false;
  }
}
