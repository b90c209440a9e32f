// A client of one dialog, for the public protocol only: connect, resume, reload, send until acknowledged. No dependencies.

// What to do after a close, where no `disconnect` frame said it. A code that is not listed is a lost link: back off.
export const MODE_OF_CODE = {
  1000: 'never',
  1001: 'backoff',
  1002: 'never',
  1009: 'never',
  1011: 'backoff',
  1012: 'delay',
  1013: 'backoff',
  4001: 'refresh',
  4002: 'never',
  4003: 'never',
  4004: 'never',
  4005: 'never',
  4006: 'long_backoff',
  4007: 'now',
  4008: 'long_backoff',
  4009: 'never',
  4010: 'jitter',
  4011: 'jitter',
};

const CONNECT_DEADLINE_MS = 10_000;
const PONG_DEADLINE_MS = 10_000;
const JITTER_MS = 3_000;

// "Full jitter": anywhere between nothing and a bound that doubles.
const backoffMs = (attempt, firstMs, longestMs) => Math.random() * Math.min(longestMs, firstMs * 2 ** attempt);

/** Milliseconds to wait before the next attempt; undefined: stay away. `attempt` counts those that failed in a row. */
export const reconnectDelay = (mode, attempt, delayMs = 0) => {
  if (mode === 'never') return undefined;
  if (mode === 'long_backoff') return 30_000 + backoffMs(attempt, 30_000, 270_000);
  if (mode === 'delay' && attempt === 0) return delayMs;
  if (mode === 'jitter' && attempt === 0) return Math.random() * JITTER_MS;
  // Something is wrong where a first attempt at once has failed too.
  if ((mode === 'now' || mode === 'refresh') && attempt === 0) return 0;
  return backoffMs(attempt, 1_000, 30_000);
};

const newId = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, '0')).join('');

/**
 * Events, each a CustomEvent with `detail`:
 * `state`        {state: connecting | open | waiting | closed, ...}
 * `frame`        every frame, as it came
 * `publication`  {track, frame, source: live | history}; may come twice, so keep them by `frame.offset`
 * `reset`        {track, epoch}: forget this track's publications, a page of history follows
 */
export class DialogClient extends EventTarget {
  /** Where this copy stands in each track; what to resume from. */
  positions = { main: undefined, internal: undefined };
  state = 'closed';

  #options;
  #clientId = newId();
  #socket;
  #life = 0; // one number a connection, so that what an earlier one still waits for is told apart
  #attempt = 0;
  #outbox = []; // {frame, resolve, reject}, oldest first; the first one is under way
  #requests = new Map(); // id -> {resolve, reject}, for answers other than an acknowledgement
  #goodbye; // the `disconnect` frame of this connection
  #retryTimer;
  #sendTimer;
  #quietTimer;
  #pingMs = 25_000;

  /** `address()` gives the socket's URL and `token()` a valid token; both are asked before every attempt and may wait. */
  constructor({ address, token }) {
    super();
    this.#options = { address, token };
  }

  start() {
    if (this.state === 'closed') this.#connect();
  }

  /** Sends a `message` or a `note`; resolves with its `ack`. It is sent again under the same id until it is answered. */
  publish(type, text) {
    return new Promise((resolve, reject) => {
      this.#outbox.push({ frame: { type, id: newId(), text }, resolve, reject });
      if (this.#outbox.length === 1) this.#sendNext();
    });
  }

  /** A page of history, `{before}` or `{after}` an offset; rejects when the connection ends first. */
  history(query) {
    const id = newId();
    return new Promise((resolve, reject) => {
      this.#requests.set(id, { resolve, reject });
      if (!this.#send({ type: 'history', id, ...query })) this.#failRequests();
    });
  }

  /** Ephemeral: worth nothing later, so it is dropped where there is no connection. */
  typing(state) {
    this.#send({ type: 'typing', state });
  }

  /** Forgets the link, as when the network is gone, and connects again after `delayMs`. */
  drop(delayMs, reason) {
    if (this.state === 'closed') return;
    this.#abandon();
    this.#waitAndConnect(delayMs, reason);
  }

  async #connect() {
    const life = ++this.#life;
    this.#enter('connecting');
    let url;
    let token;
    try {
      url = new URL(await this.#options.address());
      token = await this.#options.token();
    } catch (error) {
      if (life === this.#life) this.#lost('backoff', error.message);
      return;
    }
    if (life !== this.#life) return;
    const { main, internal } = this.positions;
    url.searchParams.set('client_id', this.#clientId);
    if (main) for (const key of ['epoch', 'offset']) url.searchParams.set(key, main[key]);
    if (internal) for (const key of ['epoch', 'offset']) url.searchParams.set(`note_${key}`, internal[key]);

    // A browser can't set headers on a socket: the token travels as a second subprotocol.
    const socket = new WebSocket(url, ['replyx.v1', `replyx.token.${token}`]);
    this.#socket = socket;
    this.#goodbye = undefined;
    this.#watchQuiet(CONNECT_DEADLINE_MS, () => this.#lost('backoff', 'no answer'));
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    socket.onclose = ({ code }) => {
      this.#lost(MODE_OF_CODE[code] ?? 'backoff', code === 1006 ? 'link lost' : `code ${code}`);
    };
  }

  #receive(frame) {
    if (this.state === 'open') this.#expectLife();
    switch (frame.type) {
      case 'connected':
        this.#joined(frame);
        break;
      case 'message':
        this.#published('main', frame);
        break;
      case 'note':
        this.#published('internal', frame);
        break;
      case 'ack':
        this.#settle(frame.id, (entry) => entry.resolve(frame));
        break;
      case 'history':
        this.#requests.get(frame.id)?.resolve(frame);
        this.#requests.delete(frame.id);
        break;
      case 'error':
        this.#refused(frame);
        break;
      case 'reset':
        this.positions[frame.track] = { epoch: frame.epoch, offset: frame.offset };
        this.#reload(frame.track);
        break;
      case 'disconnect':
        this.#goodbye = frame;
        break;
    }
    this.#emit('frame', frame);
  }

  #joined(frame) {
    this.#attempt = 0;
    this.#pingMs = frame.ping_interval_ms;
    const places = [
      ['main', frame],
      ['internal', frame.internal],
    ].filter(([, place]) => place !== undefined);
    for (const [track, { epoch, offset }] of places) this.positions[track] = { epoch, offset };
    this.#enter('open', { connected: frame });
    this.#expectLife();
    // Recovered publications follow and move the position on. Not recovered: the copy starts here, from history.
    for (const [track, { recovered }] of places) if (!recovered) this.#reload(track);
    this.#sendNext();
  }

  #published(track, frame) {
    this.positions[track].offset = frame.offset;
    this.#emit('publication', { track, frame, source: 'live' });
  }

  // Live publications go on arriving meanwhile: they are told apart by offset, not by order.
  async #reload(track) {
    const life = this.#life;
    const { epoch } = this.positions[track];
    this.#emit('reset', { track, epoch });
    for (;;) {
      try {
        const page = await this.history({ track, limit: 100 });
        // Another epoch: a `reset` for it is on its way, and loads it.
        if (page.epoch !== epoch) return;
        for (const frame of page.messages) this.#emit('publication', { track, frame, source: 'history' });
        return;
      } catch {
        // The connection ended: the next one must not resume from a position whose past is missing here.
        if (life !== this.#life) this.positions[track] = undefined;
        if (life !== this.#life || this.positions[track]?.epoch !== epoch) return;
        await new Promise((resolve) => setTimeout(resolve, 1_000));
      }
    }
  }

  // One at a time: what is refused for a while stays ahead of what was written after it.
  #sendNext() {
    clearTimeout(this.#sendTimer);
    const [first] = this.#outbox;
    if (first) this.#send(first.frame);
  }

  #refused({ id, code, message, temporary, retry_after_ms: retryAfterMs = 1_000 }) {
    // Without an id it is about a frame that the server did not read: perhaps this one.
    if (temporary && this.#outbox[0] && (id === undefined || id === this.#outbox[0].frame.id)) {
      // The same id again: if the first try did get through after all, the answer says `duplicate`.
      clearTimeout(this.#sendTimer);
      this.#sendTimer = setTimeout(() => this.#sendNext(), retryAfterMs);
      return;
    }
    const error = Object.assign(new Error(message), { code });
    this.#settle(id, (entry) => entry.reject(error));
    this.#requests.get(id)?.reject(error);
    this.#requests.delete(id);
  }

  #settle(id, how) {
    if (this.#outbox[0]?.frame.id !== id) return;
    how(this.#outbox.shift());
    this.#sendNext();
  }

  #send(frame) {
    if (this.state !== 'open') return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  // A link can die without a word. Quiet for a ping interval: ask; no answer: it is dead.
  #expectLife() {
    this.#watchQuiet(this.#pingMs, () => {
      this.#send({ type: 'ping' });
      this.#watchQuiet(PONG_DEADLINE_MS, () => this.#lost('backoff', 'no answer'));
    });
  }

  #watchQuiet(ms, then) {
    clearTimeout(this.#quietTimer);
    this.#quietTimer = setTimeout(then, ms);
  }

  #lost(mode, why) {
    // What the server said last counts more than the code, which a proxy may have made up.
    const { mode: toldMode = mode, delay_ms: toldDelayMs } = this.#goodbye?.reconnect ?? {};
    const reason = this.#goodbye?.reason ?? why;
    this.#abandon();
    const delayMs = reconnectDelay(toldMode, this.#attempt, toldDelayMs);
    this.#attempt += 1;
    if (delayMs === undefined) this.#enter('closed', { reason });
    else this.#waitAndConnect(delayMs, reason);
  }

  #waitAndConnect(delayMs, reason) {
    this.#enter('waiting', { delayMs, reason });
    this.#retryTimer = setTimeout(() => this.#connect(), delayMs);
  }

  // The close of a dead link takes its time: nothing of it may reach us any more.
  #abandon() {
    for (const timer of [this.#retryTimer, this.#sendTimer, this.#quietTimer]) clearTimeout(timer);
    this.#life += 1;
    this.#goodbye = undefined;
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket) {
      socket.onmessage = null;
      socket.onclose = null;
      socket.close();
    }
    this.state = 'waiting';
    this.#failRequests();
  }

  #failRequests() {
    const error = new Error('not connected');
    for (const { reject } of this.#requests.values()) reject(error);
    this.#requests.clear();
  }

  #enter(state, detail = {}) {
    this.state = state;
    this.#emit('state', { state, ...detail });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
