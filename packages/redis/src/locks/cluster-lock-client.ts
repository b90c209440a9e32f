import { BackplaneUnavailable } from '@replyx/core';
import { nameOf, parseSlots, type SlotRange } from '../cluster.js';
import type { HostPort } from '../connection.js';
import type { Script } from '../scripts.js';
import { SLOTS, slotOfTag } from '../slot.js';
import { describeAddress, type RedisAddress } from '../url.js';
import { LockClient, type LockRunner, type LockSettings } from './lock-client.js';

interface Server {
  readonly place: HostPort;
  readonly client: LockClient;
}

const LOOK_AGAIN_MS = 500;

/** A Redis Cluster as one lock master: each lock lies on the server of its slot. It follows no redirection, but looks anew. */
export class ClusterLockClient implements LockRunner {
  readonly label: string;
  readonly #address: RedisAddress;
  readonly #settings: LockSettings;
  readonly #servers = new Map<string, Server>();
  readonly #owners = new Array<LockClient | undefined>(SLOTS);
  readonly #waiting = new Set<() => void>();
  #looking: Promise<void> | undefined;
  #cancelLook: () => void = () => {};
  #ready = false;
  #closed = false;

  constructor(address: RedisAddress, settings: LockSettings) {
    this.label = describeAddress(address);
    this.#address = address;
    this.#settings = settings;
    for (const place of address.hosts) this.#serverAt(place);
    void this.#look();
  }

  get ready(): boolean {
    return this.#ready && !this.#closed;
  }

  get lastError(): string | undefined {
    for (const { client } of this.#servers.values()) if (client.lastError !== undefined) return client.lastError;
    return undefined;
  }

  whenReady(): Promise<void> {
    if (this.#ready || this.#closed) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  serverOf(tag: string): string {
    return this.#owners[slotOfTag(tag)]?.label ?? '';
  }

  async run(
    tag: string,
    script: Script,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<unknown> {
    const owner = this.#owners[slotOfTag(tag)];
    if (owner === undefined || this.#closed) {
      throw new BackplaneUnavailable(`Redis Cluster at ${this.label} is not reachable`);
    }
    try {
      return await owner.run(tag, script, keys, args);
    } catch (error) {
      // Moved, or away: another may serve the slot by now.
      if (error instanceof BackplaneUnavailable) void this.#look();
      throw error;
    }
  }

  close(): void {
    this.#closed = true;
    this.#cancelLook();
    this.#wakeAll();
    for (const { client } of this.#servers.values()) client.close();
  }

  #serverAt(place: HostPort): Server {
    const name = nameOf(place);
    let server = this.#servers.get(name);
    if (server === undefined) {
      server = { place, client: new LockClient(this.#address, this.#settings, place) };
      this.#servers.set(name, server);
      // What could not be asked before can be now.
      void server.client.whenReady().then(() => {
        if (!this.#closed) void this.#look();
      });
    }
    return server;
  }

  /** Reads the map from the first server that answers, and again after a while. */
  #look(): Promise<void> {
    this.#looking ??= this.#readMap().finally(() => {
      this.#looking = undefined;
      if (this.#closed) return;
      this.#cancelLook();
      const { clock, probeIntervalMs } = this.#settings;
      this.#cancelLook = clock.schedule(this.#ready ? probeIntervalMs : LOOK_AGAIN_MS, () => void this.#look());
    });
    return this.#looking;
  }

  async #readMap(): Promise<void> {
    for (const { place, client } of [...this.#servers.values()]) {
      if (!client.ready) continue;
      try {
        const ranges = parseSlots(await client.command('CLUSTER', 'SLOTS'), place);
        if (!this.#closed) this.#apply(ranges);
        return;
      } catch {
        // Away, or no member any more: the next one.
      }
    }
  }

  #apply(ranges: readonly SlotRange[]): void {
    const serving = new Set(this.#address.hosts.map(nameOf));
    this.#owners.fill(undefined);
    for (const { first, last, server } of ranges) {
      serving.add(nameOf(server));
      this.#owners.fill(this.#serverAt(server).client, first, last + 1);
    }
    for (const [name, { client }] of this.#servers) {
      if (serving.has(name)) continue;
      this.#servers.delete(name);
      client.close();
    }
    if (ranges.length === 0) return;
    this.#ready = true;
    this.#wakeAll();
  }

  #wakeAll(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}
