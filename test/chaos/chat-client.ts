import {
  type Closed,
  dial,
  type Position,
  type ReceivedFrame,
  type SeededRandom,
  sentTexts,
  type TestClient,
} from '@replyx/testkit';
import { asOperator, asVisitor, type WorldNode } from '../integration/world.js';
import { digestOf, type Journal, type Start, type Track } from './journal.js';
import { afterClose } from './reconnect.js';

export interface ChatClientOptions {
  /** Its name in the journal, and its `client_id`. */
  readonly who: string;
  readonly dialog: string;
  readonly role: 'visitor' | 'operator';
  readonly sub: string;
  readonly journal: Journal;
  readonly random: SeededRandom;
  /** One is picked for each connection, as a balancer without health checks does. */
  readonly nodes: readonly WorldNode[];
  /** Without a frame for so long, its own pings being answered, it takes the connection for dead. Default 5000. */
  readonly silenceMs?: number;
}

interface Unacked {
  readonly track: Track;
  readonly text: string;
  dueMs: number;
}

const PING_MS = 1_500;
const CONNECT_MS = 10_000;
const RESEND_MS = 4_000;
const MOST_UNACKED = 64;

const isTrack = (value: unknown): value is Track => value === 'main' || value === 'internal';

/** A client as it should be: resumes where it was, backs off by the close code, sends again under the same id what was not answered. */
export class ChatClient {
  readonly who: string;
  readonly dialog: string;
  readonly role: 'visitor' | 'operator';
  readonly #options: ChatClientOptions;
  readonly #unacked = new Map<string, Unacked>();
  #socket: TestClient | undefined;
  #connected = false;
  #positions: { main?: Position | undefined; internal?: Position | undefined } = {};
  #failures = 0;
  #nextMs: number | undefined;
  #heardMs = 0;
  #pingMs = 0;
  #serial = 0;
  #running = false;

  constructor(options: ChatClientOptions) {
    this.#options = options;
    this.who = options.who;
    this.dialog = options.dialog;
    this.role = options.role;
    const { who, dialog, role, sub } = options;
    options.journal.write({ kind: 'member', who, dialog, role, sub });
  }

  get isLive(): boolean {
    return this.#connected;
  }

  /** Whether it has given up, as the contract tells it to. */
  get hasLeft(): boolean {
    return !this.#running;
  }

  get unackedCount(): number {
    return this.#unacked.size;
  }

  position(track: Track): Position | undefined {
    return this.#positions[track];
  }

  start(): void {
    this.#running = true;
    this.#connect(performance.now());
  }

  /** False where too many wait for an answer already. */
  send(text: string, track: Track = 'main'): boolean {
    if (this.#unacked.size >= MOST_UNACKED || !this.#running) return false;
    this.#serial += 1;
    const id = `${this.who}-${this.#serial}`;
    this.#unacked.set(id, { track, text, dueMs: Number.POSITIVE_INFINITY });
    this.#try(id, performance.now());
    return true;
  }

  /** To be called some times a second: reconnects, resends, pings, and finds a dead connection. */
  tick(nowMs: number): void {
    if (!this.#running) return;
    if (this.#nextMs !== undefined && nowMs >= this.#nextMs) this.#connect(nowMs);
    const patienceMs = this.#connected ? (this.#options.silenceMs ?? 5_000) : CONNECT_MS;
    if (this.#socket !== undefined && nowMs - this.#heardMs > patienceMs) {
      this.#socket.socket.terminate();
      return;
    }
    if (!this.#connected) return;
    if (nowMs - this.#pingMs >= PING_MS) {
      this.#pingMs = nowMs;
      this.#socket?.send({ type: 'ping' });
    }
    for (const [id, { dueMs }] of this.#unacked) if (nowMs >= dueMs) this.#try(id, nowMs);
  }

  /** The connection breaks, and the client knows. */
  drop(): void {
    this.#socket?.socket.terminate();
  }

  /** The network changes: the old connection stays half open and is never heard of again, a new one is made at once. */
  vanish(): void {
    const old = this.#socket;
    if (old === undefined) return;
    old.pauseReading();
    this.#detach(old);
    this.#nextMs = performance.now();
  }

  /** Takes nothing from its connection any more; `resumeReading` ends it. */
  pauseReading(): () => void {
    const socket = this.#socket;
    socket?.pauseReading();
    return () => socket?.resumeReading();
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#nextMs = undefined;
    this.#unacked.clear();
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#detach(socket);
    await socket.terminate();
  }

  #connect(nowMs: number): void {
    const { who, dialog, role, sub, journal, random, nodes } = this.#options;
    const { main, internal } = this.#positions;
    const claims = { ...(main && { main }), ...(internal && { internal }) };
    journal.write({ kind: 'connecting', who, ...claims });
    const join = role === 'visitor' ? asVisitor : asOperator;
    const options = join(random.pick(nodes), dialog, {
      claims: { sub },
      clientId: who,
      keepFrames: false,
      ...(main && { position: main }),
      ...(internal && { notePosition: internal }),
      onFrame: (frame) => {
        if (socket === this.#socket) this.#receive(frame);
      },
    });
    this.#nextMs = undefined;
    this.#heardMs = nowMs;
    this.#pingMs = nowMs;
    const socket = dial(options);
    this.#socket = socket;
    void socket.closed.then((closed) => {
      if (socket === this.#socket) this.#ended(closed);
    });
  }

  #detach(socket: TestClient): void {
    if (this.#socket !== socket) return;
    this.#keepPositions(socket);
    this.#socket = undefined;
    this.#connected = false;
    for (const message of this.#unacked.values()) message.dueMs = Number.POSITIVE_INFINITY;
  }

  #keepPositions(socket: TestClient): void {
    this.#positions = {
      main: socket.position ?? this.#positions.main,
      internal: socket.notePosition ?? this.#positions.internal,
    };
  }

  #ended(closed: Closed): void {
    const { who, journal, random } = this.#options;
    this.#failures = this.#connected ? 0 : this.#failures + 1;
    const why = closed.error ?? (closed.httpStatus === undefined ? closed.reason : `HTTP ${closed.httpStatus}`);
    const was = this.#connected ? 'connected' : 'refused';
    journal.write({ kind: 'closed', who, was, code: closed.code, why });
    if (this.#socket !== undefined) this.#detach(this.#socket);
    if (!this.#running) return;
    const next = afterClose(closed, this.#failures, random);
    if (!next.again) {
      this.#running = false;
      journal.write({ kind: 'left', who });
      return;
    }
    if (next.fresh) this.#positions = {};
    this.#nextMs = performance.now() + next.delayMs;
  }

  #receive(frame: ReceivedFrame): void {
    const { who, role, journal } = this.#options;
    const nowMs = performance.now();
    this.#heardMs = nowMs;
    if (this.#socket !== undefined) this.#keepPositions(this.#socket);
    switch (frame.type) {
      case 'connected': {
        const internal = frame['internal'] as Start | undefined;
        const main = startOf(frame as unknown as Start);
        const notes = internal === undefined ? {} : { internal: startOf(internal) };
        journal.write({ kind: 'connected', who, dialog: String(frame['dialog_id']), main, ...notes });
        this.#connected = true;
        for (const id of this.#unacked.keys()) this.#try(id, nowMs);
        return;
      }
      case 'message':
      case 'note': {
        const { offset = -1, id = '', text = '' } = frame;
        const track = frame.type === 'note' ? 'internal' : 'main';
        journal.write({ kind: 'got', who, track, offset, id, digest: digestOf(text) });
        return;
      }
      case 'reset': {
        const track = isTrack(frame.track) ? frame.track : 'main';
        journal.write({ kind: 'reset', who, track, epoch: String(frame.epoch), offset: frame.offset ?? -1 });
        return;
      }
      case 'ack': {
        const { id = '', offset = -1 } = frame;
        journal.write({ kind: 'acked', who, id, offset, duplicate: frame['duplicate'] === true });
        this.#unacked.delete(id);
        return;
      }
      case 'error':
        this.#refused(frame, nowMs);
        return;
      default:
        if (role === 'visitor' && frame.track === 'internal') journal.write({ kind: 'hinted', who, frame: frame.type });
    }
  }

  #refused(frame: ReceivedFrame, nowMs: number): void {
    const { who, journal } = this.#options;
    const { id = '' } = frame;
    const temporary = frame['temporary'] === true;
    journal.write({ kind: 'refused', who, id, code: String(frame.code), temporary });
    const message = this.#unacked.get(id);
    if (message === undefined) return;
    const waitMs = typeof frame['retry_after_ms'] === 'number' ? frame['retry_after_ms'] : 300;
    if (temporary) message.dueMs = nowMs + waitMs;
    else this.#unacked.delete(id);
  }

  #try(id: string, nowMs: number): void {
    const message = this.#unacked.get(id);
    if (message === undefined || !this.#connected || this.#socket?.isOpen !== true) return;
    const { who, dialog, journal } = this.#options;
    const { track, text } = message;
    message.dueMs = nowMs + RESEND_MS;
    journal.write({ kind: 'sent', who, dialog, track, id, digest: digestOf(text) });
    sentTexts.note(text);
    this.#socket.send({ type: track === 'internal' ? 'note' : 'message', id, text });
  }
}

const startOf = ({ epoch, offset, recovered }: Start): Start => ({ epoch, offset, recovered: recovered === true });
