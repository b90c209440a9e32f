import { BackplaneUnavailable } from '@replyx/core';
import type { Redis } from 'ioredis';
import { Backoff, cut, type HostPort, makeClient } from '../connection.js';
import { withDeadline } from '../deadline.js';
import { isDeadline, isMissingScript, outage } from '../errors.js';
import type { Settings } from '../options.js';
import type { Script } from '../scripts.js';
import { describeAddress, type RedisAddress } from '../url.js';

export type LockSettings = Pick<
  Settings,
  'nodeId' | 'commandDeadlineMs' | 'probeIntervalMs' | 'clock' | 'random' | 'notice'
>;

/** Where a lock master's scripts run: one server, or a whole cluster. */
export interface LockRunner {
  /** Where it is, without credentials. */
  readonly label: string;
  readonly ready: boolean;
  /** The newest connection error, for a message. */
  readonly lastError: string | undefined;
  whenReady(): Promise<void>;
  /** Names the server that a script with this hash tag runs on, as far as it is known: each has its own clock. */
  serverOf(tag: string): string;
  /** Runs a script whose keys carry the hash tag, within the command deadline. Rejects with `BackplaneUnavailable`. */
  run(tag: string, script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>;
  close(): void;
}

/** A connection of its own to one server. It reconnects for ever and queues nothing. */
export class LockClient implements LockRunner {
  readonly label: string;
  readonly #settings: LockSettings;
  readonly #client: Redis;
  readonly #waiting = new Set<() => void>();
  #probing: Promise<void> | undefined;
  #cancelProbe: () => void = () => {};
  #wasReady = false;
  #closed = false;
  #lastError: string | undefined;

  /** `server`: one of a cluster's, where the address names only the seeds. */
  constructor(address: RedisAddress, settings: LockSettings, server?: HostPort) {
    this.label = describeAddress(server === undefined ? address : { ...address, hosts: [server] });
    this.#settings = settings;
    const backoff = new Backoff(settings.random.float);
    const client = makeClient(address, settings, backoff, 'lock', server);
    this.#client = client;
    // One that was demoted answers READONLY: the sentinels name another.
    client.options.reconnectOnError = (error) => /^(?:READONLY|MASTERDOWN)/.test(error.message);
    client.on('error', (error: Error) => {
      this.#lastError = error.message;
    });
    client.on('ready', () => {
      backoff.reset();
      this.#wasReady = true;
      settings.notice('lock_master_ready', { server: this.label });
      this.#wakeAll();
    });
    client.on('close', () => {
      if (!this.#wasReady || this.#closed) return;
      this.#wasReady = false;
      settings.notice('lock_master_lost', { server: this.label, reason: this.#lastError ?? 'closed' });
    });
    client.connect().catch(() => {});
    this.#probeLater();
  }

  get ready(): boolean {
    return !this.#closed && this.#client.status === 'ready';
  }

  get lastError(): string | undefined {
    return this.#lastError;
  }

  /** Also resolves when it is closed. */
  whenReady(): Promise<void> {
    if (this.ready || this.#closed) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  serverOf(): string {
    return this.label;
  }

  run(_: string, script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    const rest = [keys.length, ...keys, ...args];
    return this.#guard(async () => {
      try {
        return await this.#client.call('EVALSHA', script.sha, ...rest);
      } catch (error) {
        if (!isMissingScript(error)) throw error;
        return await this.#client.call('EVAL', script.text, ...rest);
      }
    });
  }

  /** One plain command. Rejects with `BackplaneUnavailable`. */
  command(name: string, ...args: string[]): Promise<unknown> {
    return this.#guard(() => this.#client.call(name, ...args));
  }

  close(): void {
    this.#closed = true;
    this.#cancelProbe();
    this.#wakeAll();
    this.#client.disconnect();
    cut(this.#client);
  }

  async #guard<T>(task: () => Promise<T>): Promise<T> {
    if (!this.ready) throw new BackplaneUnavailable(`Redis at ${this.label} is not reachable`);
    try {
      return await this.#bounded(task());
    } catch (error) {
      if (isDeadline(error) || error instanceof BackplaneUnavailable) void this.#probe();
      throw outage(error);
    }
  }

  #bounded<T>(promise: Promise<T>): Promise<T> {
    return withDeadline(promise, this.#settings.commandDeadlineMs, 'a lock command', this.#settings.clock);
  }

  #wakeAll(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  #probeLater(): void {
    this.#cancelProbe = this.#settings.clock.schedule(this.#settings.probeIntervalMs, () => {
      void this.#probe().then(() => {
        if (!this.#closed) this.#probeLater();
      });
    });
  }

  /** A black-holed connection looks ready: one that does not answer a probe is replaced. */
  #probe(): Promise<void> {
    this.#probing ??= this.#probeNow().finally(() => {
      this.#probing = undefined;
    });
    return this.#probing;
  }

  async #probeNow(): Promise<void> {
    if (!this.ready) return;
    const { stream } = this.#client;
    try {
      await this.#bounded(this.#client.ping());
    } catch {
      if (this.#client.stream === stream && !this.#closed) cut(this.#client);
    }
  }
}
