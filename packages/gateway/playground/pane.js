// One pane: a DialogClient and what it shows. It knows nothing but what its connection tells it.
import { DialogClient } from './client.js';

const CUT_MS = 10_000;
const BURST = 200;
const SHOWN_MESSAGES = 1_000;
/** A start of typing is told again while it lasts; a notice that is not renewed ends by itself. */
const TYPING_EVERY_MS = 3_000;
const TYPING_LIFE_MS = 10_000;

const ROLE_NAMES = { user: 'Visitor', assistant: 'Assistant', manager: 'Operator', system: 'System' };
const nameOf = ({ role, name }) => name ?? ROLE_NAMES[role];
const keyOf = ({ role, id, name }) => `${role}:${id ?? name}`;
const shortEpoch = (epoch) => epoch.slice(0, 6);

const element = (name, className, text) => {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
};

/** Offsets order one track; between two tracks only their times compare. */
const isAfter = (a, b) =>
  a.track === b.track ? a.frame.offset > b.frame.offset : a.frame.timestamp > b.frame.timestamp;

export class Pane {
  /** Publications of `main` by offset. */
  messages = new Map();
  #client;
  #parts;
  #title;
  #rows = []; // {track, frame, row}, as shown
  #present = new Map();
  #typing = new Map(); // who -> {name, timer}
  #noteCount = 0;
  #recovery = { expected: 0, seen: 0, heads: {} };
  #wakeMs = 0;
  #typedMs = 0;
  #burstText = '';
  #role;
  #onChange;

  /** `pick()` resolves the address to connect to and shows, by `setNode`, whose it is. */
  constructor({ title, isOperator, isQuiet, token, pick, onChange }) {
    this.#title = title;
    this.#onChange = onChange;
    const root = document.getElementById('pane').content.cloneNode(true).firstElementChild;
    const find = (selector) => root.querySelector(selector);
    this.#parts = { root, find };
    const id = title.toLowerCase().replaceAll(/[^a-z]+/g, '-');
    find('h2').textContent = title;
    find('h2').id = `${id}-title`;
    root.setAttribute('aria-labelledby', `${id}-title`);
    find('.log').setAttribute('aria-label', `Messages, ${title}`);
    // It scrolls: the arrow keys must reach it.
    find('.log').tabIndex = 0;
    // It says what the first tab says already.
    if (isQuiet) find('.log').setAttribute('aria-live', 'off');
    find('label').textContent = isOperator ? 'Answer, or a note for operators only' : 'Message';
    find('label').htmlFor = `${id}-text`;
    find('input').id = `${id}-text`;
    if (!isOperator) find('.write-note').remove();

    this.#client = new DialogClient({ address: () => pick(this), token: () => token });
    this.#client.addEventListener('state', ({ detail }) => this.#showState(detail));
    this.#client.addEventListener('frame', ({ detail }) => this.#frame(detail));
    this.#client.addEventListener('publication', ({ detail }) => this.#publication(detail));
    this.#client.addEventListener('reset', ({ detail }) => this.#reset(detail.track));
    find('form').addEventListener('submit', (event) => this.#submit(event));
    find('input').addEventListener('input', () => this.#typed());
    find('.cut').addEventListener('click', () => this.#client.drop(CUT_MS, 'cut off'));
    find('.burst').addEventListener('click', () => this.#burst());
    setInterval(() => this.#countDown(), 500);
  }

  get root() {
    return this.#parts.root;
  }

  get title() {
    return this.#title;
  }

  start() {
    this.#client.start();
  }

  setNode(id, isHome) {
    const badge = this.#parts.find('.node-badge');
    badge.textContent = id;
    badge.classList.toggle('moved', !isHome);
    badge.title = isHome ? 'Its own node' : 'Its own node is down: resumed here';
  }

  #showState({ state, connected, delayMs, reason }) {
    const { root } = this.#parts;
    root.dataset.state = state;
    root.querySelector('.cut').disabled = state === 'closed' || state === 'waiting';
    this.#wakeMs = state === 'waiting' ? Date.now() + delayMs : 0;
    if (connected) this.#joined(connected);
    if (state !== 'open') {
      for (const who of [...this.#typing.keys()]) this.#stopTyping(who);
    }
    const texts = { connecting: 'connecting', open: 'connected', waiting: reason, closed: `closed: ${reason}` };
    this.#show('.state', texts[state]);
    this.#countDown();
  }

  #countDown() {
    const leftS = Math.max(0, Math.ceil((this.#wakeMs - Date.now()) / 1000));
    // Apart from the state: seconds that pass are no news for a screen reader.
    this.#show('.wait', this.#wakeMs === 0 ? '' : `, back in ${leftS} s`);
  }

  #joined(connected) {
    this.#role = connected.role;
    const places = { main: connected, ...(connected.internal ? { internal: connected.internal } : {}) };
    const all = Object.values(places);
    this.#recovery = {
      whole: all.every((place) => place.recovered),
      isFirst: this.messages.size === 0,
      expected: all.reduce((sum, place) => sum + (place.recovered ? place.head - place.offset : 0), 0),
      seen: 0,
      heads: Object.fromEntries(Object.entries(places).map(([track, place]) => [track, place.head])),
    };
    this.#showRecovery();
    this.#showPosition();
  }

  #showRecovery() {
    const { whole, isFirst, expected, seen } = this.#recovery;
    const text = whole
      ? `${seen} of ${expected}, whole`
      : isFirst
        ? 'a fresh start, from history'
        : 'not whole: loaded again from history';
    this.#show('.recovered', text);
  }

  #showPosition() {
    const { main } = this.#client.positions;
    this.#show('.position', main ? `${shortEpoch(main.epoch)} · ${main.offset}` : 'none yet');
  }

  #frame(frame) {
    if (frame.type === 'presence') {
      if (frame.state === 'snapshot') this.#present.clear();
      for (const user of frame.users) {
        if (frame.state === 'leave') this.#present.delete(keyOf(user));
        else this.#present.set(keyOf(user), nameOf(user));
      }
      this.#show('.present', [...this.#present.values()].join(', ') || 'nobody');
    } else if (frame.type === 'typing') {
      const who = keyOf(frame.sender);
      this.#stopTyping(who);
      // A visitor is not told apart from itself in another tab; who types here knows it.
      const isMine = frame.sender.role === this.#role && Date.now() - this.#typedMs < TYPING_LIFE_MS;
      if (frame.state === 'start' && !isMine) {
        const timer = setTimeout(() => this.#stopTyping(who), TYPING_LIFE_MS);
        this.#typing.set(who, { name: nameOf(frame.sender), timer });
      }
      this.#showTyping();
    } else if (frame.type === 'error' && frame.code === 'rate_limited' && this.#burstText !== '') {
      const waitS = Math.ceil((frame.retry_after_ms ?? 1_000) / 1000);
      this.#show('.progress', `${this.#burstText}; the limit is reached, the rest follows in ${waitS} s`);
    }
  }

  #stopTyping(who) {
    clearTimeout(this.#typing.get(who)?.timer);
    this.#typing.delete(who);
    this.#showTyping();
  }

  #showTyping() {
    const names = [...this.#typing.values()].map(({ name }) => name);
    this.#show('.typing', names.length === 0 ? '' : `${names.join(', ')} typing…`);
  }

  #publication({ track, frame, source }) {
    if (source === 'live' && this.#recovery.heads[track] >= frame.offset) {
      this.#recovery.seen += 1;
      this.#showRecovery();
    }
    this.#showPosition();
    if (this.#rows.some((entry) => entry.track === track && entry.frame.offset === frame.offset)) return;
    if (track === 'main') this.messages.set(frame.offset, frame);
    else this.#show('.notes', `${++this.#noteCount} received`);
    this.#stopTyping(keyOf(frame.sender));
    this.#insert({ track, frame, row: this.#row(track, frame) });
    this.#onChange();
  }

  #row(track, frame) {
    const row = element('div', `message ${track === 'internal' ? 'note' : frame.sender.role}`, '');
    const head = element('p', 'message-head', '');
    head.append(
      element('span', 'who', track === 'internal' ? `${nameOf(frame.sender)}, note` : nameOf(frame.sender)),
      element('span', 'offset', `${track === 'internal' ? 'n' : ''}${frame.offset}`),
    );
    row.append(head, element('p', 'text', frame.text));
    return row;
  }

  #insert(entry) {
    const log = this.#parts.find('.log');
    const wasAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    let at = this.#rows.length;
    while (at > 0 && isAfter(this.#rows[at - 1], entry)) at -= 1;
    log.insertBefore(entry.row, this.#rows[at]?.row ?? null);
    this.#rows.splice(at, 0, entry);
    if (this.#rows.length > SHOWN_MESSAGES) {
      const [oldest] = this.#rows.splice(0, 1);
      oldest.row.remove();
      if (oldest.track === 'main') this.messages.delete(oldest.frame.offset);
    }
    if (wasAtEnd) log.scrollTop = log.scrollHeight;
  }

  #reset(track) {
    for (const entry of this.#rows) if (entry.track === track) entry.row.remove();
    this.#rows = this.#rows.filter((entry) => entry.track !== track);
    if (track === 'main') this.messages.clear();
    else this.#noteCount = 0;
    this.#onChange();
  }

  #submit(event) {
    event.preventDefault();
    const input = this.#parts.find('input');
    const text = input.value.trim();
    if (text === '') return;
    input.value = '';
    this.#typedMs = 0;
    this.#client.publish(event.submitter?.value === 'note' ? 'note' : 'message', text).then(
      () => this.#show('.progress', this.#burstText),
      (error) => this.#show('.progress', `not sent: ${error.message}`),
    );
  }

  #typed() {
    if (this.#parts.find('input').value === '') {
      this.#typedMs = 0;
      this.#client.typing('stop');
    } else if (Date.now() - this.#typedMs > TYPING_EVERY_MS) {
      this.#typedMs = Date.now();
      this.#client.typing('start');
    }
  }

  async #burst() {
    const button = this.#parts.find('.burst');
    const log = this.#parts.find('.log');
    button.disabled = true;
    // Read out when it is over, not two hundred times.
    log.setAttribute('aria-busy', 'true');
    let acknowledged = 0;
    const show = () => {
      this.#burstText = `${acknowledged} of ${BURST} acknowledged`;
      this.#show('.progress', this.#burstText);
    };
    show();
    const sending = Array.from({ length: BURST }, (_, i) =>
      this.#client.publish('message', `burst ${i + 1} of ${BURST}`),
    );
    const each = sending.map((sent) =>
      sent.then(() => {
        acknowledged += 1;
        show();
      }),
    );
    await Promise.allSettled(each);
    this.#burstText = '';
    log.removeAttribute('aria-busy');
    button.disabled = false;
  }

  #show(selector, text) {
    const part = this.#parts.find(selector);
    if (part.textContent !== text) part.textContent = text;
  }
}
