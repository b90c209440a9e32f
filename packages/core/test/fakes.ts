import type { Position, Track } from '@replyx/protocol';
import { fakeClock, seededRandom } from '@replyx/testkit';
import { Feed, type OwedAck, type PublicationDelivery, type ResetReason } from '../src/feed.js';
import {
  BackplaneUnavailable,
  type Fanout,
  type FanoutListener,
  type Log,
  type LogEntry,
  type PublishRequest,
  type PublishResult,
  type ReadRequest,
  type ReadResult,
  type TrackRef,
} from '../src/ports.js';
import type { CatchingUp } from '../src/recovery.js';
import { createRetry } from '../src/retry.js';
import type { Transport } from '../src/transport.js';

/** Lets everything that needs no more than promises run to its end. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const textOf = (frame: string | Uint8Array): string =>
  typeof frame === 'string' ? frame : decoder.decode(frame);

/** A call that the test answers by hand. */
export interface Call<Q, R> {
  readonly request: Q;
  answer(result: R): void;
  fail(error: Error): void;
}

export class Calls<Q, R> {
  private readonly waiting: Call<Q, R>[] = [];
  count = 0;

  readonly ask = (request: Q): Promise<R> => {
    this.count += 1;
    return new Promise((resolve, reject) => {
      this.waiting.push({ request, answer: resolve, fail: reject });
    });
  };

  get open(): number {
    return this.waiting.length;
  }

  /** The oldest call without an answer. */
  next(): Call<Q, R> {
    const call = this.waiting.shift();
    if (call === undefined) throw new Error('nothing was asked');
    return call;
  }
}

export class ScriptedLog implements Log {
  readonly reads = new Calls<ReadRequest, ReadResult>();
  readonly publishes = new Calls<PublishRequest, PublishResult>();
  read = this.reads.ask;
  publish = this.publishes.ask;
  erase(): Promise<void> {
    return Promise.resolve();
  }
}

export class ScriptedFanout implements Fanout {
  readonly subscribes = new Calls<readonly TrackRef[], void>();
  readonly unsubscribed: string[] = [];
  readonly emitted: { track: Track; audience: string; frame: string }[] = [];
  listener: FanoutListener | undefined;
  subscribe = this.subscribes.ask;
  listen(listener: FanoutListener): void {
    this.listener = listener;
  }
  unsubscribe(refs: readonly TrackRef[]): void {
    for (const { dialogId, track } of refs) this.unsubscribed.push(`${dialogId}/${track}`);
  }
  emit({ track }: TrackRef, audience: string, frame: string | Uint8Array): Promise<void> {
    this.emitted.push({ track, audience, frame: textOf(frame) });
    return Promise.resolve();
  }
}

export const away = (): BackplaneUnavailable => new BackplaneUnavailable('away');

/** What a store holds of one track, to answer reads from. */
export class TrackModel {
  epoch: string;
  entries: LogEntry[] = [];
  offset = 0;
  historySize = Number.POSITIVE_INFINITY;
  frameBytes = 0;

  constructor(epoch = 'e1', head = 0) {
    this.epoch = epoch;
    for (let i = 0; i < head; i += 1) this.append();
  }

  append(origin = `n1:${this.epoch}:${this.offset + 1}`): LogEntry {
    this.offset += 1;
    const entry = { offset: this.offset, origin, frame: frame(this.epoch, this.offset, this.frameBytes) };
    this.entries.push(entry);
    while (this.entries.length > this.historySize) this.entries.shift();
    return entry;
  }

  delivery(entry: LogEntry): PublicationDelivery {
    return { kind: 'publication', ref: { dialogId: 'd', track: 'main' }, epoch: this.epoch, ...entry };
  }

  /** Appends, and gives what the channel carries of it. */
  publish(origin?: string): PublicationDelivery {
    return this.delivery(this.append(origin));
  }

  read({ after, before, limit }: Omit<ReadRequest, 'dialogId' | 'track'>): ReadResult {
    const { epoch, offset } = this;
    const oldest = this.entries[0]?.offset ?? offset + 1;
    const kept = this.entries.filter((entry) =>
      before === undefined ? entry.offset > (after ?? offset) : entry.offset < before,
    );
    const entries = before === undefined ? kept.slice(0, limit) : kept.slice(Math.max(0, kept.length - limit));
    return { epoch, offset, oldest, entries, more: kept.length > entries.length };
  }
}

export const frame = (epoch: string, offset: number, bytes = 0): Uint8Array =>
  encoder.encode(`${epoch}:${offset}`.padEnd(bytes, '.'));

/** Writes down what it is given, in the order in which it is given. */
export class Recorder implements CatchingUp {
  cursor: number;
  isClosed = false;
  isWritable = true;
  readonly got: string[] = [];
  onDeliver: (() => void) | undefined;
  private waiting: ((writable: boolean) => void)[] = [];

  constructor(cursor = 0) {
    this.cursor = cursor;
  }

  get isWaiting(): boolean {
    return this.waiting.length > 0;
  }

  whenWritable(): Promise<boolean> {
    if (this.isClosed) return Promise.resolve(false);
    if (this.isWritable) return Promise.resolve(true);
    return new Promise((resolve) => {
      this.waiting.push(resolve);
    });
  }

  drain(): void {
    this.isWritable = true;
    for (const resolve of this.waiting.splice(0)) resolve(true);
  }

  close(): void {
    this.isClosed = true;
    for (const resolve of this.waiting.splice(0)) resolve(false);
  }

  together(work: () => void): void {
    work();
  }

  deliver(frame: Uint8Array, ownAck: string | undefined): void {
    if (ownAck !== undefined) this.got.push(ownAck);
    this.got.push(textOf(frame).replace(/\.+$/, ''));
    this.onDeliver?.();
  }

  reset({ epoch, offset }: Position, reason: ResetReason): void {
    this.got.push(`reset ${epoch}:${offset} ${reason}`);
  }
}

export const offsets = (epoch: string, from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, i) => `${epoch}:${from + i}`);

export const makeFeed = () => {
  const clock = fakeClock();
  const log = new ScriptedLog();
  const fanout = new ScriptedFanout();
  const gaps: string[] = [];
  const resets: string[] = [];
  const bugs: unknown[] = [];
  const retry = createRetry(clock, seededRandom(1));
  const feed = new Feed('d', 'main', {
    log,
    fanout,
    retry,
    onGap: (reason) => gaps.push(reason),
    onReset: (reason) => resets.push(reason),
    onBug: (error) => bugs.push(error),
  });
  return { clock, log, fanout, gaps, resets, bugs, retry, feed };
};

/** A live feed at the model's head, with one subscriber attached there. */
export const liveFeed = async (model: TrackModel) => {
  const parts = makeFeed();
  const { feed, fanout, log } = parts;
  const opened = feed.open();
  fanout.subscribes.next().answer();
  await settle();
  log.reads.next().answer(model.read({ limit: 0 }));
  await opened;
  const reader = new Recorder(feed.position.offset);
  feed.attach(reader);
  return { ...parts, reader };
};

export const owedAck = (subscriber: OwedAck['subscriber']): OwedAck => ({ subscriber, frame: 'ack' });

/** A transport whose peer reads as fast as the test lets it. */
export class FakeTransport implements Transport {
  readonly sent: string[] = [];
  /** What each write to the socket carried: one list a cork, one a send outside of it. */
  readonly writes: string[][] = [];
  ended: { code: number; reason: string } | undefined;
  pings = 0;
  buffered = 0;
  stalled = false;
  /** Sends that go through before the transport drops the next. */
  dropsAfter = Number.POSITIVE_INFINITY;
  onEnd: (() => void) | undefined;
  private corked: string[] | undefined;

  send(frame: string | Uint8Array): 'sent' | 'buffered' | 'dropped' {
    if (this.ended !== undefined || this.sent.length >= this.dropsAfter) return 'dropped';
    const text = textOf(frame);
    this.sent.push(text);
    if (this.corked === undefined) this.writes.push([text]);
    else this.corked.push(text);
    if (!this.stalled) return 'sent';
    this.buffered += encoder.encode(text).byteLength;
    return 'buffered';
  }

  bufferedBytes(): number {
    return this.buffered;
  }

  cork(work: () => void): void {
    if (this.corked !== undefined) {
      work();
      return;
    }
    this.corked = [];
    work();
    if (this.corked.length > 0) this.writes.push(this.corked);
    this.corked = undefined;
  }

  ping(): void {
    this.pings += 1;
  }

  end(code: number, reason: string): void {
    if (this.ended !== undefined) return;
    this.ended = { code, reason };
    this.onEnd?.();
  }

  get frames(): Record<string, unknown>[] {
    return this.sent.map((text) => JSON.parse(text) as Record<string, unknown>);
  }
}
