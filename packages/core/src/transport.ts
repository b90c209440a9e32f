/** What carries a session's frames: a WebSocket, later also server-sent events. Never throws, also after its end. */
export interface Transport {
  /** `dropped`: the frame was not accepted and never will be. */
  send(frame: string | Uint8Array): 'sent' | 'buffered' | 'dropped';
  /** Bytes accepted and not yet handed to the operating system. */
  bufferedBytes(): number;
  /** Runs `work`; what it sends goes out in one write where that is possible. */
  cork(work: () => void): void;
  /** A heartbeat that the peer answers below the application. */
  ping(): void;
  /** Ends with a close code after what was accepted. The owner hears of it through `session.onClosed`. */
  end(code: number, reason: string): void;
}
