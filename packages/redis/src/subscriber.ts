import type { Redis } from 'ioredis';
import { type Backoff, cut } from './connection.js';
import { isMisplaced } from './errors.js';
import type { Settings } from './options.js';

/** `sharded` for Redis Cluster: SSUBSCRIBE, the channels of one slot a call. */
export interface SubscriberParts {
  readonly label: string;
  readonly client: Redis;
  readonly backoff: Backoff;
  readonly settings: Settings;
  readonly sharded: boolean;
  /** A private channel of this connection, and how to publish to it: resolves how many connections received it. */
  readonly probe: { readonly channel: string; readonly slot: number };
  publishProbe(channel: string): Promise<number>;
  /** A server that is no longer the channel's. */
  onMisplaced(): void;
  onPayload(channel: string, payload: Buffer): void;
  /** These channels were interrupted and are subscribed again. */
  onRestored(channels: readonly string[]): void;
}

interface Entry {
  readonly channel: string;
  readonly slot: number;
  /** `kept`: was confirmed before the connection was lost. */
  state: 'new' | 'sent' | 'confirmed' | 'kept';
  /** Until it is confirmed; a node holds many that are. */
  waiting: { readonly confirmed: Promise<void>; readonly confirm: () => void } | undefined;
}

const CHANNELS_A_CALL = 200;
/** How long the map of a cluster may take to be read again. */
const MAP_MS = 200;

const makeEntry = (channel: string, slot: number): Entry => {
  let confirm = (): void => {};
  const confirmed = new Promise<void>((resolve) => {
    confirm = resolve;
  });
  return { channel, slot, state: 'new', waiting: { confirmed, confirm } };
};

const confirmed = ({ waiting }: Entry): Promise<void> => waiting?.confirmed ?? Promise.resolve();

const settle = (entry: Entry): void => {
  entry.waiting?.confirm();
  entry.waiting = undefined;
};

/**
 * One subscriber connection: batches the subscribes of a tick, restores all after a reconnect, and proves itself by a probe
 * that it must receive.
 */
export class Subscriber {
  readonly label: string;
  readonly #parts: SubscriberParts;
  readonly #client: Redis;
  readonly #settings: Settings;
  readonly #entries = new Map<string, Entry>();
  readonly #removed = new Map<string, number>();
  #probe: { readonly channel: string; readonly slot: number };
  #added: Entry[] = [];
  #flushing = false;
  #restored = false;
  #heardMs = 0;
  /** Whether a probe that Redis has sent on was not received. */
  #awaiting = false;
  #silent = false;
  #checking = false;
  #closed = false;

  constructor(parts: SubscriberParts) {
    this.#parts = parts;
    this.label = parts.label;
    this.#client = parts.client;
    this.#settings = parts.settings;
    this.#client.on('error', () => {});
    this.#client.on('ready', () => void this.#restore());
    this.#client.on('close', () => this.#lose());
    this.#client.on(parts.sharded ? 'smessageBuffer' : 'messageBuffer', (channel: Buffer, payload: Buffer) => {
      this.#receive(channel.toString('utf8'), payload);
    });
    this.#client.on('moved', () => this.#slotMoved());
    this.#probe = parts.probe;
    void this.add(parts.probe.channel, parts.probe.slot);
  }

  connect(): void {
    this.#client.connect().catch(() => {});
  }

  /** Connected, with every channel subscribed. */
  get ready(): boolean {
    return this.#restored && this.#client.status === 'ready';
  }

  /** Has not received its probes for too long. */
  get silent(): boolean {
    return this.#silent;
  }

  whenReady(): Promise<void> {
    return confirmed(this.#entries.get(this.#probe.channel) as Entry);
  }

  get probeSlot(): number {
    return this.#probe.slot;
  }

  moveProbe(channel: string, slot: number): void {
    this.remove(this.#probe.channel);
    this.#probe = { channel, slot };
    this.#awaiting = false;
    void this.add(channel, slot);
  }

  /** Resolves when the channel is subscribed, however long that takes; the caller brings the deadline. */
  add(channel: string, slot: number): Promise<void> {
    let entry = this.#entries.get(channel);
    if (entry === undefined) {
      entry = makeEntry(channel, slot);
      this.#entries.set(channel, entry);
      this.#added.push(entry);
      this.#flushSoon();
    }
    return confirmed(entry);
  }

  remove(channel: string): void {
    const entry = this.#entries.get(channel);
    if (entry === undefined) return;
    this.#entries.delete(channel);
    this.#removed.set(channel, entry.slot);
    settle(entry);
    this.#flushSoon();
  }

  /** Whether the channel is subscribed, or is being restored. */
  holds(channel: string): boolean {
    const state = this.#entries.get(channel)?.state;
    return state === 'confirmed' || state === 'kept';
  }

  /** Publishes to itself and judges what came back of the last time. */
  async probe(): Promise<void> {
    if (!this.ready) return;
    const { stream } = this.#client;
    const silentMs = this.#settings.clock.monotonicMs() - this.#heardMs;
    if (this.#awaiting && silentMs > this.#settings.subscriberSilenceMs) {
      this.#die(`no probe for ${Math.round(silentMs)} ms`);
      return;
    }
    const sentMs = this.#settings.clock.monotonicMs();
    const receivers = await this.#parts.publishProbe(this.#probe.channel);
    if (this.#client.stream !== stream || !this.ready) return;
    // Redis counts its own connections, and drops a slow subscriber's without a word to it.
    if (receivers === 0) this.#die('the server does not know the subscription');
    else if (this.#heardMs < sentMs) this.#awaiting = true;
  }

  close(): void {
    this.#closed = true;
    this.#restored = false;
    for (const entry of this.#entries.values()) settle(entry);
    this.#entries.clear();
    this.#client.disconnect();
    cut(this.#client);
  }

  #receive(channel: string, payload: Buffer): void {
    if (channel !== this.#probe.channel) {
      this.#parts.onPayload(channel, payload);
      return;
    }
    this.#heardMs = this.#settings.clock.monotonicMs();
    this.#awaiting = false;
    this.#silent = false;
  }

  #die(reason: string): void {
    this.#silent = true;
    this.#restored = false;
    this.#awaiting = false;
    this.#settings.notice('subscriber_silent', { server: this.label, reason });
    cut(this.#client);
  }

  #lose(): void {
    const was = this.#restored;
    this.#restored = false;
    for (const [channel, entry] of this.#entries) {
      if (entry.state === 'confirmed') {
        const again = makeEntry(channel, entry.slot);
        again.state = 'kept';
        this.#entries.set(channel, again);
      } else if (entry.state === 'sent') {
        entry.state = 'new';
      }
    }
    this.#removed.clear();
    if (was && !this.#closed) this.#settings.notice('subscriber_lost', { server: this.label });
  }

  async #restore(): Promise<void> {
    const { stream } = this.#client;
    const all = [...this.#entries.values()];
    const interrupted = all.filter(({ state }) => state === 'kept').map(({ channel }) => channel);
    try {
      await this.#subscribe(all);
    } catch {
      return;
    }
    if (this.#closed || this.#client.stream !== stream || this.#client.status !== 'ready') return;
    this.#parts.backoff.reset();
    this.#restored = true;
    this.#silent = false;
    this.#awaiting = false;
    this.#heardMs = this.#settings.clock.monotonicMs();
    this.#settings.notice('subscriber_ready', { server: this.label, channels: all.length });
    this.#tellRestored(interrupted);
  }

  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    // Whoever comes within one turn of the event loop shares a command and a write.
    setImmediate(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    // While there is no connection the entries wait for #restore.
    if (this.#closed || this.#client.status !== 'ready') return;
    const leaving = [...this.#removed].filter(([channel]) => !this.#entries.has(channel));
    this.#removed.clear();
    for (const call of this.#calls(leaving.map(([channel, slot]) => ({ channel, slot })))) {
      const channels = call.map(({ channel }) => channel);
      const done = this.#parts.sharded ? this.#client.sunsubscribe(...channels) : this.#client.unsubscribe(...channels);
      done.catch(() => {});
    }
    const coming = this.#added.filter((entry) => entry.state === 'new');
    this.#added = [];
    // All at once: of several slots none waits for another's answer.
    for (const call of this.#calls(coming)) this.#subscribe(call).catch(() => {});
  }

  /** A failure cuts the connection, so that everything is subscribed again. */
  async #subscribe(entries: readonly Entry[]): Promise<void> {
    const { stream } = this.#client;
    for (const entry of entries) if (entry.state === 'new') entry.state = 'sent';
    try {
      let left = entries;
      while (left.length > 0) {
        left = await this.#subscribeOnce(left, stream);
        if (left.length === 0) return;
        // They are moved away when the map has been read, or are tried again: the slot may be coming.
        this.#parts.onMisplaced();
        await new Promise<void>((resolve) => this.#settings.clock.schedule(MAP_MS, resolve));
      }
    } catch (error) {
      if (this.#client.stream === stream && !this.#closed) cut(this.#client);
      throw error;
    }
  }

  /** Resolves those that this server does not serve. */
  async #subscribeOnce(entries: readonly Entry[], stream: unknown): Promise<Entry[]> {
    const misplaced: Entry[] = [];
    for (const call of this.#calls(entries)) {
      if (this.#client.stream !== stream) throw new Error('the connection was lost');
      // What was removed while earlier calls ran must not be subscribed after its UNSUBSCRIBE.
      const current = call.filter((entry) => this.#entries.get(entry.channel) === entry);
      if (current.length === 0) continue;
      const channels = current.map(({ channel }) => channel);
      try {
        if (this.#parts.sharded) await this.#client.ssubscribe(...channels);
        else await this.#client.subscribe(...channels);
      } catch (error) {
        if (!isMisplaced(error)) throw error;
        misplaced.push(...current);
        continue;
      }
      for (const entry of current) {
        entry.state = 'confirmed';
        settle(entry);
      }
    }
    return misplaced;
  }

  /** A slot has left the server, which drops its channels by itself; it may also have come back by now. */
  #slotMoved(): void {
    this.#parts.onMisplaced();
    if (this.#checking) return;
    this.#checking = true;
    this.#settings.clock.schedule(MAP_MS, () => {
      this.#checking = false;
      this.#subscribeDropped();
    });
  }

  #subscribeDropped(): void {
    const known = this.#client.condition?.subscriber;
    if (this.#closed || !this.ready || !known) return;
    const held = new Set(known.channels('ssubscribe'));
    const dropped: Entry[] = [];
    for (const { channel, slot, state } of [...this.#entries.values()]) {
      if (state !== 'confirmed' || held.has(channel)) continue;
      const again = makeEntry(channel, slot);
      again.state = 'kept';
      this.#entries.set(channel, again);
      dropped.push(again);
    }
    if (dropped.length === 0) return;
    this.#subscribe(dropped).then(
      () => this.#tellRestored(dropped.map(({ channel }) => channel)),
      () => {},
    );
  }

  #tellRestored(channels: readonly string[]): void {
    const still = channels.filter((channel) => channel !== this.#probe.channel && this.#entries.has(channel));
    if (still.length > 0) this.#parts.onRestored(still);
  }

  *#calls<T extends { readonly channel: string; readonly slot: number }>(entries: Iterable<T>): Generator<T[]> {
    const groups = new Map<number, T[]>();
    for (const entry of entries) {
      const key = this.#parts.sharded ? entry.slot : 0;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [entry]);
      else group.push(entry);
    }
    for (const group of groups.values()) {
      for (let start = 0; start < group.length; start += CHANNELS_A_CALL) {
        yield group.slice(start, start + CHANNELS_A_CALL);
      }
    }
  }
}
