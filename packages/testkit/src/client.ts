import type { ClientRequest, IncomingMessage } from 'node:http';
import { type ClientOptions, type RawData, WebSocket } from 'ws';
import { type DeliveryEntry, PositionTracker } from './position-tracker.js';
import { sentTexts } from './sent-texts.js';
import { within } from './wait.js';

/** A frame as it arrived. What is not a JSON object has the type `text` or `binary`, and its content in `raw`. */
export interface ReceivedFrame {
  readonly type: string;
  readonly id?: string;
  readonly offset?: number;
  readonly epoch?: string;
  readonly track?: string;
  readonly text?: string;
  readonly code?: string | number;
  readonly [field: string]: unknown;
}

export interface Position {
  readonly epoch: string;
  readonly offset: number;
}

export interface ConnectOptions {
  /** Address of the gateway with the path, `ws://127.0.0.1:8080/ws/dialogs/d1`; may hold a query. */
  readonly url: string;
  readonly token?: string;
  /** How the token travels. Default `protocol` (Sec-WebSocket-Protocol). */
  readonly transport?: 'protocol' | 'bearer' | 'query';
  /** Position to resume from. */
  readonly position?: Position;
  readonly notePosition?: Position;
  readonly clientId?: string;
  readonly origin?: string;
  /** Source address, for tests with several client addresses: 127.0.0.2 for instance. */
  readonly localAddress?: string;
  readonly extra?: {
    readonly query?: Readonly<Record<string, string>>;
    readonly headers?: Readonly<Record<string, string>>;
    /** In place of the subprotocols that `transport` offers. */
    readonly protocols?: readonly string[];
  };
  /** False: pings stay unanswered. Default true. */
  readonly autoPong?: boolean;
  /** False: frames are handed to `onFrame` and forgotten, for crowds of clients. Default true. */
  readonly keepFrames?: boolean;
  readonly onFrame?: (frame: ReceivedFrame, raw: string) => void;
}

/** How a connection ended. */
export interface Closed {
  /** The close code; 1006 where none was received. */
  readonly code: number;
  readonly reason: string;
  /** The server's last frame before the close, where it sent one. */
  readonly disconnectFrame?: ReceivedFrame;
  /** HTTP status of a refused upgrade. */
  readonly httpStatus?: number;
  /** What the socket said, `ECONNREFUSED` for instance. */
  readonly error?: string;
}

export type FrameMatch = string | ((frame: ReceivedFrame) => boolean);

const HANG_GUARD_MS = 30_000;

function address(options: ConnectOptions): string {
  const url = new URL(options.url);
  const { position, notePosition, clientId, token, transport, extra } = options;
  const query: Record<string, string | undefined> = {
    epoch: position?.epoch,
    offset: position?.offset.toString(),
    note_epoch: notePosition?.epoch,
    note_offset: notePosition?.offset.toString(),
    client_id: clientId,
    token: transport === 'query' ? token : undefined,
    ...extra?.query,
  };
  for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, value);
  return url.href;
}

function socketFor(options: ConnectOptions): WebSocket {
  const { token, transport = 'protocol', origin, localAddress, autoPong = true, extra } = options;
  const headers: Record<string, string> = { ...extra?.headers };
  if (token !== undefined && transport === 'bearer') headers['Authorization'] = `Bearer ${token}`;
  const offered = token !== undefined && transport === 'protocol' ? ['replyx.v1', `replyx.token.${token}`] : [];
  const settings: ClientOptions & { localAddress?: string } = { headers, perMessageDeflate: false, autoPong };
  if (origin !== undefined) settings.origin = origin;
  if (localAddress !== undefined) settings.localAddress = localAddress;
  return new WebSocket(address(options), [...(extra?.protocols ?? offered)], settings);
}

function parseFrame(raw: string, isBinary: boolean): ReceivedFrame {
  if (isBinary) return { type: 'binary', raw };
  try {
    const parsed: unknown = JSON.parse(raw);
    if (typeof parsed === 'object' && parsed !== null && typeof (parsed as ReceivedFrame).type === 'string')
      return parsed as ReceivedFrame;
  } catch {
    // Bare text, such as the answer to the first system's ping.
  }
  return { type: 'text', raw };
}

interface Watcher {
  see(frame: ReceivedFrame): void;
  fail(error: Error): void;
}

/** A WebSocket client that records what it gets and answers nothing by itself but pings. */
export class TestClient {
  /** Every frame since the start, in order (with `keepFrames`). */
  readonly frames: ReceivedFrame[] = [];
  /** Resolves when the connection has ended, for whatever reason; never rejects. */
  readonly closed: Promise<Closed>;
  readonly socket: WebSocket;
  readonly #keep: boolean;
  readonly #onFrame: ConnectOptions['onFrame'];
  readonly #tracker: PositionTracker;
  readonly #watchers = new Set<Watcher>();
  #disconnectFrame: ReceivedFrame | undefined;
  #httpStatus: number | undefined;
  #error: string | undefined;
  #ending: Closed | undefined;
  #serial = 0;

  constructor(options: ConnectOptions) {
    this.#keep = options.keepFrames ?? true;
    this.#onFrame = options.onFrame;
    this.#tracker = new PositionTracker(options.position, options.notePosition, this.#keep);
    this.socket = socketFor(options);
    this.socket.on('message', (data: RawData, isBinary: boolean) => this.#receive(data, isBinary));
    this.socket.on('unexpected-response', (_request: ClientRequest, response: IncomingMessage) => {
      this.#httpStatus = response.statusCode;
      this.socket.terminate();
    });
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      // The status of a refusal says it; the error that follows is about our own giving up.
      if (this.#httpStatus === undefined) this.#error = error.code ?? error.message;
    });
    this.closed = new Promise((resolve) => {
      this.socket.once('close', (code, reason) => resolve(this.#end(code, reason.toString())));
    });
  }

  /** Position in `main`: what was received without a gap, and so where to resume. Undefined before `connected`. */
  get position(): Position | undefined {
    return this.#tracker.main;
  }

  /** Position in `internal`; operators only. */
  get notePosition(): Position | undefined {
    return this.#tracker.internal;
  }

  get isOpen(): boolean {
    return this.socket.readyState === WebSocket.OPEN;
  }

  /** The publications of `main`, without the other frames. */
  messages(): ReceivedFrame[] {
    return this.frames.filter((frame) => frame.type === 'message');
  }

  notes(): ReceivedFrame[] {
    return this.frames.filter((frame) => frame.type === 'note');
  }

  /** Publications and breaks of continuity of a track, for `checkDelivery`. */
  deliveries(track: 'main' | 'internal' = 'main'): readonly DeliveryEntry[] {
    return this.#tracker.entries[track];
  }

  /** The first frame that matches, among those that have arrived or will. Rejects when the connection ends first. */
  waitFor(match: FrameMatch, hangGuardMs = HANG_GUARD_MS): Promise<ReceivedFrame> {
    const test = typeof match === 'string' ? (frame: ReceivedFrame) => frame.type === match : match;
    const arrived = this.frames.find(test);
    return arrived === undefined ? this.#watch(match, test, hangGuardMs) : Promise.resolve(arrived);
  }

  /** As `waitFor`, among frames that arrive from now on only. */
  next(match: FrameMatch, hangGuardMs = HANG_GUARD_MS): Promise<ReceivedFrame> {
    const test = typeof match === 'string' ? (frame: ReceivedFrame) => frame.type === match : match;
    return this.#watch(match, test, hangGuardMs);
  }

  send(frame: Readonly<Record<string, unknown>>): void {
    sentTexts.note(frame['text']);
    this.sendRaw(JSON.stringify(frame));
  }

  /** Sends as it is: text for a string, else binary. */
  sendRaw(data: string | Uint8Array): void {
    this.socket.send(data);
  }

  /** Sends a frame and gives the answer with its `id` (`ack`, `error` or `history`); makes an `id` where none is. */
  request(frame: Readonly<Record<string, unknown>>, hangGuardMs = HANG_GUARD_MS): Promise<ReceivedFrame> {
    const id = frame['id'] ?? `r${++this.#serial}-${Math.random().toString(36).slice(2, 10)}`;
    const isAnswer = (answer: ReceivedFrame): boolean =>
      answer.id === id && (answer.type === 'ack' || answer.type === 'error' || answer.type === 'history');
    const answer = this.#watch(`the answer to ${String(frame['type'])} ${String(id)}`, isAnswer, hangGuardMs);
    this.send({ ...frame, id });
    return answer;
  }

  /** Sends a `message` (or, with `type`, a `note`) and gives its answer. */
  publish(
    text: string,
    options: { id?: string; meta?: Readonly<Record<string, unknown>>; type?: 'message' | 'note' } = {},
  ): Promise<ReceivedFrame> {
    return this.request({ type: 'message', text, ...options });
  }

  /** Stops reading from the socket, so that the server's buffers for it fill up. */
  pauseReading(): void {
    this.socket.pause();
  }

  resumeReading(): void {
    this.socket.resume();
  }

  /** Closes in an orderly way and waits for the end. */
  close(code = 1000, reason = ''): Promise<Closed> {
    this.socket.close(code, reason);
    return this.closed;
  }

  /** Drops the connection without a close frame and waits for the end. */
  terminate(): Promise<Closed> {
    this.socket.terminate();
    return this.closed;
  }

  #receive(data: RawData, isBinary: boolean): void {
    const raw = data.toString();
    const frame = parseFrame(raw, isBinary);
    if (this.#keep) this.frames.push(frame);
    this.#tracker.see(frame);
    if (frame.type === 'disconnect') this.#disconnectFrame = frame;
    this.#onFrame?.(frame, raw);
    for (const watcher of this.#watchers) watcher.see(frame);
  }

  #end(code: number, reason: string): Closed {
    const ending: Closed = {
      code,
      reason,
      ...(this.#disconnectFrame === undefined ? {} : { disconnectFrame: this.#disconnectFrame }),
      ...(this.#httpStatus === undefined ? {} : { httpStatus: this.#httpStatus }),
      ...(this.#error === undefined ? {} : { error: this.#error }),
    };
    this.#ending = ending;
    for (const watcher of this.#watchers) watcher.fail(new Error(`the connection ended: ${JSON.stringify(ending)}`));
    return ending;
  }

  async #watch(what: FrameMatch, test: (frame: ReceivedFrame) => boolean, hangGuardMs: number): Promise<ReceivedFrame> {
    const name = typeof what === 'string' ? what : 'a matching frame';
    const describe = (): string => `waited for ${name}; last frames:\n${this.summary()}`;
    if (this.#ending !== undefined) throw new Error(`${describe()}\nconnection: ${JSON.stringify(this.#ending)}`);
    let watcher: Watcher | undefined;
    const matched = new Promise<ReceivedFrame>((resolve, reject) => {
      watcher = {
        see: (frame) => {
          if (test(frame)) resolve(frame);
        },
        fail: (error) => reject(new Error(`${error.message}; ${describe()}`)),
      };
      this.#watchers.add(watcher);
    });
    try {
      return await within(matched, hangGuardMs, () => `${hangGuardMs} ms passed; ${describe()}`);
    } finally {
      if (watcher !== undefined) this.#watchers.delete(watcher);
    }
  }

  /** The last frames, one a line, each shortened. */
  summary(count = 8): string {
    if (this.frames.length === 0) return '  (none)';
    return this.frames
      .slice(-count)
      .map((frame) => `  ${JSON.stringify(frame).slice(0, 200)}`)
      .join('\n');
  }
}

/** Starts to connect and returns at once: for connections that may be refused, whose `closed` tells how. */
export function dial(options: ConnectOptions): TestClient {
  return new TestClient(options);
}

/** Connects and waits for the frame `connected`; rejects with the ending when the connection is refused. */
export async function connect(options: ConnectOptions): Promise<TestClient> {
  const client = new TestClient(options);
  // Watches without `frames`, which a client of a crowd does not keep.
  await client.next('connected');
  return client;
}
