import { BackplaneUnavailable } from '@replyx/core';
import type { Redis } from 'ioredis';
import type { Backoff } from './connection.js';
import { cut } from './connection.js';
import {
  BackplaneUnsupported,
  isAnswer,
  isCrossSlot,
  isDeadline,
  isDemoted,
  isMisplaced,
  isMissingScript,
  outage,
} from './errors.js';
import { identify, type ServerIdentity } from './identity.js';
import type { Settings } from './options.js';
import { CallDeadlines, type ScriptArgument, ScriptCall } from './script-call.js';
import { SCRIPTS, type Script } from './scripts.js';
import { WriteRhythm } from './write-rhythm.js';

type Argument = string | number | Buffer;

/** Names a stretch of Redis's data in which nothing was lost, and when the cluster first saw it. */
export interface Lineage {
  readonly name: string;
  readonly seenMs: number;
}

/** A process that this link was connected to, as far as a proof of continuity needs it. */
export interface Predecessor {
  readonly identity: string;
}

/** Asks the cluster which lineage a process continues. */
export type RegisterRun = (link: Link, identity: string, predecessor: Predecessor | undefined) => Promise<Lineage>;

interface Opened {
  readonly stream: unknown;
  readonly address: string;
  readonly identity: string;
  readonly durable: boolean;
  readonly lineage: Lineage;
  readonly evictsBy: string | undefined;
  readonly evictedKeys: number;
}

/** So many times in a row no answer: the connection is dead without knowing it. */
const DEADLINES_BEFORE_CUT = 3;
/** Calls that miss their deadline closer to each other are one miss: they were made, or found late, together. */
const MISSES_APART_MS = 50;

/**
 * One data connection to one Redis process. No script runs on it before the lineage of that very process is known: a
 * connection leads to one process for its whole life, so the lineage is bound to the connection's stream.
 */
export class Link {
  readonly label: string;
  readonly #client: Redis;
  readonly #backoff: Backoff;
  readonly #settings: Settings;
  readonly #register: RegisterRun;
  readonly #onMisplaced: () => void;
  readonly #waiting = new Set<(error: Error | undefined) => void>();
  #opened: Opened | undefined;
  #last: Opened | undefined;
  #probing: Promise<void> | undefined;
  readonly #callDeadlines: CallDeadlines;
  readonly #rhythm: WriteRhythm;
  #spansSlots = true;
  #missedDeadlines = 0;
  #missedMs = Number.NEGATIVE_INFINITY;
  #failing = false;
  #closed = false;
  #lastError: string | undefined;
  #unsupported: BackplaneUnsupported | undefined;

  constructor(parts: {
    label: string;
    client: Redis;
    backoff: Backoff;
    settings: Settings;
    register: RegisterRun;
    onMisplaced: () => void;
  }) {
    this.label = parts.label;
    this.#client = parts.client;
    this.#backoff = parts.backoff;
    this.#settings = parts.settings;
    this.#rhythm = new WriteRhythm(parts.settings.clock);
    this.#callDeadlines = new CallDeadlines(parts.settings.clock, parts.settings.commandDeadlineMs);
    this.#register = parts.register;
    this.#onMisplaced = parts.onMisplaced;
    this.#client.on('error', (error: Error) => {
      this.#lastError = error.message;
    });
    this.#client.on('ready', () => void this.#open());
    this.#client.on('close', () => this.#lose());
  }

  connect(): void {
    this.#client.connect().catch(() => {});
  }

  /** Answers, and its lineage is known. */
  get ready(): boolean {
    return this.#opened !== undefined && this.#opened.stream === this.#client.stream && this.#client.status === 'ready';
  }

  /** Ready, and the last command was answered in time. */
  get healthy(): boolean {
    return this.ready && !this.#failing;
  }

  /** Whether one script may take keys of several slots. */
  get spansSlots(): boolean {
    return this.#spansSlots;
  }

  get lastError(): string | undefined {
    return this.#lastError;
  }

  /** Resolves when the link is ready; rejects with `BackplaneUnsupported`, never with an outage. */
  whenReady(): Promise<void> {
    if (this.ready) return Promise.resolve();
    if (this.#unsupported !== undefined) return Promise.reject(this.#unsupported);
    return new Promise((resolve, reject) => {
      this.#waiting.add((error) => (error === undefined ? resolve() : reject(error)));
    });
  }

  /** Of the process that a script called now will run on. Throws `BackplaneUnavailable` while it is not known. */
  lineage(): Lineage {
    if (!this.ready) throw this.#away();
    return (this.#opened as Opened).lineage;
  }

  /** Runs a script; the reply is in buffers. Rejects with `BackplaneUnavailable`. */
  run(script: Script, keys: readonly string[], args: readonly ScriptArgument[]): Promise<unknown> {
    return this.ready ? this.#evaluate(script, keys, args) : Promise.reject(this.#away());
  }

  /** Calls `work` right before the next write, in a few milliseconds at the latest: the scripts it runs leave in that write. */
  beforeWrite(work: () => void, order?: 'first' | 'rest'): void {
    if (this.ready) this.#rhythm.beforeWrite(this.#client.stream, work, order);
    else setImmediate(work);
  }

  /** As `run`, also while the lineage of this link is not known: for the script that tells it. */
  async runUnidentified(script: Script, keys: readonly string[], args: readonly ScriptArgument[]): Promise<unknown> {
    if (this.#client.status !== 'ready') throw this.#away();
    return this.#evaluate(script, keys, args);
  }

  /** One plain command; the reply is in buffers. Rejects with `BackplaneUnavailable`. */
  async command(name: string, ...args: Argument[]): Promise<unknown> {
    // Not before the process is identified: it may be a replica that lags.
    if (!this.ready) throw this.#away();
    return this.#guard(() => this.#client.callBuffer(name, ...(args as string[])));
  }

  /** Finds out whether the process still answers and is the one it was. */
  probe(): Promise<void> {
    this.#probing ??= this.#probeNow().finally(() => {
      this.#probing = undefined;
    });
    return this.#probing;
  }

  async #probeNow(): Promise<void> {
    const opened = this.#opened;
    if (opened === undefined || !this.ready) return;
    const server = await this.#guard(() => identify(this.#client));
    if (this.#opened !== opened) return;
    if (server.identity !== opened.identity || !server.master) {
      this.#reopen();
      return;
    }
    this.#noteEviction(server, opened);
    const { evictsBy, evictedKeys } = server;
    this.#opened = { ...opened, durable: opened.durable && server.durable, evictsBy, evictedKeys };
  }

  #noteEviction(now: ServerIdentity, before: Pick<Opened, 'evictsBy' | 'evictedKeys'> | undefined): void {
    const { notice } = this.#settings;
    const server = this.label;
    if (now.evictsBy !== undefined && now.evictsBy !== before?.evictsBy)
      notice('redis_may_evict', { server, policy: now.evictsBy });
    const keys = now.evictedKeys - (before?.evictedKeys ?? now.evictedKeys);
    if (keys > 0) notice('redis_evicted', { server, keys });
  }

  close(): void {
    this.#closed = true;
    this.#opened = undefined;
    this.#settle(this.#away());
    this.#client.disconnect();
    cut(this.#client);
  }

  async #evaluate(script: Script, keys: readonly string[], args: readonly ScriptArgument[]): Promise<unknown> {
    const { stream } = this.#client;
    const { clock, latencies } = this.#settings;
    const sinceMs = clock.monotonicMs();
    const call = new ScriptCall(script, keys, args);
    this.#rhythm.join(stream);
    this.#callDeadlines.add(call);
    try {
      const reply = await this.#client.sendCommand(call);
      latencies.observe(script.name, clock.monotonicMs() - sinceMs);
      this.#answered();
      return reply;
    } catch (error) {
      // Scripts are loaded on every connection, so this is after a SCRIPT FLUSH. The arguments may name the lineage of the
      // process that was asked first: they are not for another.
      if (!isMissingScript(error) || this.#client.stream !== stream) throw this.#failed(stream, error);
      return this.#guard(() => this.#client.callBuffer('EVAL', script.text, call.keyCount, ...keys, ...args));
    } finally {
      this.#callDeadlines.remove(call);
    }
  }

  async #guard<T>(task: () => Promise<T>): Promise<T> {
    const { stream } = this.#client;
    try {
      const reply = await task();
      this.#answered();
      return reply;
    } catch (error) {
      throw this.#failed(stream, error);
    }
  }

  #answered(): void {
    this.#missedDeadlines = 0;
    this.#failing = false;
  }

  /** What its caller is told. */
  #failed(stream: unknown, error: unknown): Error {
    if (this.#client.stream === stream) this.#judge(error);
    return outage(error);
  }

  #judge(error: unknown): void {
    this.#failing = !isAnswer(error);
    if (isAnswer(error)) this.#missedDeadlines = 0;
    if (isCrossSlot(error)) this.#spansSlots = false;
    if (isDemoted(error)) {
      this.#onMisplaced();
      this.#reopen();
    } else if (isMisplaced(error)) {
      this.#onMisplaced();
      // Perhaps the whole server was demoted: then it gets another identity before it serves again.
      if (this.ready) this.probe().catch(() => {});
    } else if (isDeadline(error)) this.#miss();
  }

  #miss(): void {
    const nowMs = this.#settings.clock.monotonicMs();
    if (nowMs - this.#missedMs < MISSES_APART_MS || this.#client.stream.destroyed) return;
    this.#missedMs = nowMs;
    this.#missedDeadlines += 1;
    if (this.#missedDeadlines < DEADLINES_BEFORE_CUT) return;
    this.#missedDeadlines = 0;
    this.#settings.notice('redis_lost', { server: this.label, reason: 'no answer within the deadline' });
    cut(this.#client);
  }

  async #open(): Promise<void> {
    const { stream } = this.#client;
    try {
      const server = await identify(this.#client);
      if (!server.master) throw new BackplaneUnavailable('Redis: the server is a replica');
      await Promise.all(Object.values(SCRIPTS).map(({ text }) => this.#client.call('SCRIPT', 'LOAD', text)));
      const address = `${stream.remoteAddress}:${stream.remotePort}`;
      const lineage = await this.#register(this, server.identity, this.#predecessor(server, address));
      if (this.#closed || this.#client.stream !== stream) return;
      const { identity, durable, evictsBy, evictedKeys } = server;
      this.#opened = { stream, address, identity, durable, lineage, evictsBy, evictedKeys };
      this.#last = this.#opened;
      if (server.clustered) this.#spansSlots = false;
      this.#missedDeadlines = 0;
      this.#failing = false;
      this.#unsupported = undefined;
      this.#backoff.reset();
      this.#settings.notice('redis_ready', { server: this.label, lineage: lineage.name });
      this.#noteEviction(server, undefined);
      this.#settle(undefined);
    } catch (error) {
      if (this.#closed || this.#client.stream !== stream) return;
      this.#lastError = error instanceof Error ? error.message : String(error);
      this.#settings.notice('redis_refused', { server: this.label, reason: this.#lastError });
      if (isMisplaced(error)) this.#onMisplaced();
      if (error instanceof BackplaneUnsupported) {
        this.#unsupported = error;
        this.#settle(error);
      }
      cut(this.#client);
    }
  }

  /** The process before this one, where nothing that it acknowledged can be lost in this one as far as the servers say. */
  #predecessor(server: ServerIdentity, address: string): Predecessor | undefined {
    const last = this.#last;
    if (last === undefined || last.address !== address || server.promoted) return undefined;
    return last.durable && server.durable ? { identity: last.identity } : undefined;
  }

  #lose(): void {
    if (this.#opened === undefined) return;
    this.#last = this.#opened;
    this.#opened = undefined;
    if (!this.#closed) this.#settings.notice('redis_lost', { server: this.label, reason: this.#lastError ?? 'closed' });
  }

  /** A new connection, so that the process behind it is identified again. */
  #reopen(): void {
    if (this.#opened !== undefined) this.#last = this.#opened;
    this.#opened = undefined;
    cut(this.#client);
  }

  #settle(error: Error | undefined): void {
    for (const settle of [...this.#waiting]) settle(error);
    this.#waiting.clear();
  }

  #away(): BackplaneUnavailable {
    return new BackplaneUnavailable(`Redis at ${this.label} is not reachable`);
  }
}
