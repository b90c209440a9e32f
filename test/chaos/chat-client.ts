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
import { digestOf, type Entry, type HandoffAction, type Journal, type Start, type Track } from './journal.js';
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
  /** Those that the balancer has found dead. Default none. */
  readonly out?: ReadonlySet<WorldNode>;
  /** By what the contract's times to come back are divided. Default 10. */
  readonly haste?: number;
  /** The node of its first connection. */
  readonly first?: WorldNode;
  /** Without a frame for so long, its own pings being answered, it takes the connection for dead. Default 5000. */
  readonly silenceMs?: number;
  /** True: where its token is revoked it comes back with another one. Default false. */
  readonly returns?: boolean;
}

/** A frame that awaits its answer. */
interface Unacked {
  readonly frame: Readonly<Record<string, unknown>>;
  /** Written with each attempt. */
  readonly entry: Extract<Entry, { kind: 'sent' | 'acting' }>;
  dueMs: number;
}

const SILENCE_MS = 5_000;
const HASTE = 10;
/** Share of the silence after which it pings. */
const PING_AFTER = 0.3;
const CONNECT_MS = 10_000;
const RESEND_MS = 4_000;
const MOST_UNACKED = 64;
/** Begins the ids of handoffs. */
const ACT = 'act-';
const REVOKED = 4005;
const RETURN_MS = 300;

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
  #passes = 1;
  #connects = 0;
  #handoff: string | undefined;
  #running = false;
  /** The answers that are being written, as far as they are here. */
  readonly #drafts = new Map<string, string>();

  constructor(options: ChatClientOptions) {
    this.#options = options;
    this.who = options.who;
    this.dialog = options.dialog;
    this.role = options.role;
    const { who, dialog, role, sub } = options;
    options.journal.write({ kind: 'member', who, dialog, role, sub });
  }

  get #silenceMs(): number {
    return this.#options.silenceMs ?? SILENCE_MS;
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

  /** Name of its present token, its `jti`. */
  get pass(): string {
    return `${this.who}-pass-${this.#passes}`;
  }

  /** Streamed answers that have not ended here. */
  get openDrafts(): number {
    return this.#drafts.size;
  }

  /** The state of the handoff, as it was told last. */
  get handoff(): string | undefined {
    return this.#handoff;
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
    const { who, dialog } = this;
    const id = this.#nextId();
    this.#await(
      { type: track === 'internal' ? 'note' : 'message', id, text },
      { kind: 'sent', who, dialog, track, id, digest: digestOf(text) },
    );
    return true;
  }

  /** Asks for a handoff. False where an earlier one of its own is not answered. */
  act(action: HandoffAction): boolean {
    const isActing = [...this.#unacked.values()].some(({ entry }) => entry.kind === 'acting');
    if (isActing || !this.#running) return false;
    const { who, dialog } = this;
    const id = `${ACT}${this.#nextId()}`;
    this.#await({ type: 'handoff', id, action }, { kind: 'acting', who, dialog, id, action });
    return true;
  }

  /** To be called some times a second: reconnects, resends, pings, and finds a dead connection. */
  tick(nowMs: number): void {
    if (!this.#running) return;
    if (this.#nextMs !== undefined && nowMs >= this.#nextMs) this.#connect(nowMs);
    const patienceMs = this.#connected ? this.#silenceMs : CONNECT_MS;
    if (this.#socket !== undefined && nowMs - this.#heardMs > patienceMs) {
      this.#socket.socket.terminate();
      return;
    }
    if (!this.#connected) return;
    if (nowMs - this.#pingMs >= this.#silenceMs * PING_AFTER) {
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

  #nextId(): string {
    this.#serial += 1;
    return `${this.who}-${this.#serial}`;
  }

  #await(frame: Unacked['frame'], entry: Unacked['entry']): void {
    this.#unacked.set(entry.id, { frame, entry, dueMs: Number.POSITIVE_INFINITY });
    this.#try(entry.id, performance.now());
  }

  #connect(nowMs: number): void {
    const { who, dialog, role, sub, journal, random, nodes, out, first } = this.#options;
    const { pass } = this;
    const { main, internal } = this.#positions;
    const claims = { ...(main && { main }), ...(internal && { internal }) };
    const usable = out === undefined ? nodes : nodes.filter((each) => !out.has(each));
    const node = (this.#connects === 0 ? first : undefined) ?? random.pick(usable);
    this.#connects += 1;
    journal.write({ kind: 'connecting', who, ...claims, node: nodes.indexOf(node), pass });
    this.#drafts.clear();
    const join = role === 'visitor' ? asVisitor : asOperator;
    const options = join(node, dialog, {
      claims: { sub, jti: pass },
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
    const next = afterClose(closed, this.#failures, random, this.#options.haste ?? HASTE);
    if (!next.again) {
      journal.write({ kind: 'left', who });
      if (this.#options.returns !== true || closed.code !== REVOKED) {
        this.#running = false;
        return;
      }
      // Now and then it tries the old one once more, which must not open anything.
      if (random.below(3) > 0) this.#passes += 1;
      this.#nextMs = performance.now() + RETURN_MS;
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
        this.#told(frame['handoff']);
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
      case 'delta':
        this.#piece(frame);
        return;
      case 'handoff':
        this.#told(frame);
        return;
      case 'ack': {
        const { id = '', offset = -1 } = frame;
        if (!id.startsWith(ACT))
          journal.write({ kind: 'acked', who, id, offset, duplicate: frame['duplicate'] === true });
        // Another answer to an earlier attempt tells nothing new.
        else if (this.#unacked.has(id)) journal.write({ kind: 'acted', who, id, done: true });
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

  #piece(frame: ReceivedFrame): void {
    const { who, journal } = this.#options;
    const { text = '' } = frame;
    const stream = String(frame['stream_id']);
    const whole = frame['whole'] === true;
    const done = frame['done'] === true;
    const draft = whole ? text : `${this.#drafts.get(stream) ?? ''}${text}`;
    if (done) this.#drafts.delete(stream);
    else this.#drafts.set(stream, draft);
    const reason = frame['reason'] === undefined ? {} : { reason: String(frame['reason']) };
    const index = Number(frame['index']);
    journal.write({ kind: 'delta', who, stream, index, whole, done, ...reason, digest: digestOf(draft) });
  }

  #told(handoff: unknown): void {
    const { who, journal } = this.#options;
    const state = String((handoff as { state?: string } | undefined)?.state ?? 'none');
    this.#handoff = state;
    journal.write({ kind: 'told', who, state });
  }

  #refused(frame: ReceivedFrame, nowMs: number): void {
    const { who, journal } = this.#options;
    const { id = '' } = frame;
    const temporary = frame['temporary'] === true;
    const message = this.#unacked.get(id);
    if (id.startsWith(ACT) && frame.code === 'conflict') {
      if (this.#unacked.delete(id)) journal.write({ kind: 'acted', who, id, done: false });
      return;
    }
    journal.write({ kind: 'refused', who, id, code: String(frame.code), temporary });
    if (message === undefined) return;
    const waitMs = typeof frame['retry_after_ms'] === 'number' ? frame['retry_after_ms'] : 300;
    if (temporary) message.dueMs = nowMs + waitMs;
    else this.#unacked.delete(id);
  }

  #try(id: string, nowMs: number): void {
    const message = this.#unacked.get(id);
    if (message === undefined || !this.#connected || this.#socket?.isOpen !== true) return;
    message.dueMs = nowMs + RESEND_MS;
    this.#options.journal.write(message.entry);
    if ('text' in message.frame) sentTexts.note(message.frame['text']);
    this.#socket.send(message.frame);
  }
}

const startOf = ({ epoch, offset, recovered }: Start): Start => ({ epoch, offset, recovered: recovered === true });
