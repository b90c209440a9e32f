import { BackplaneUnavailable } from '@replyx/core';
import { Backoff, type HostPort, makeClient } from './connection.js';
import type { Keys } from './keys.js';
import { makeRegistrar } from './lineage.js';
import { Link } from './link.js';
import type { Settings } from './options.js';
import { SLOTS } from './slot.js';
import type { NodeState } from './state.js';
import { Subscriber } from './subscriber.js';
import type { Topology, TopologyEvents } from './topology.js';
import type { RedisAddress } from './url.js';

/** One master, with a data and a subscriber connection of its own. */
interface Master {
  readonly server: HostPort;
  readonly link: Link;
  readonly subscriber: Subscriber;
}

export interface SlotRange {
  readonly first: number;
  readonly last: number;
  readonly server: HostPort;
}

const FIRST_LOOK_MS = 50;
const LOOK_AGAIN_MS = 500;

export const nameOf = ({ host, port }: HostPort): string => `${host}:${port}`;

/** The reply of CLUSTER SLOTS: [first, last, [host, port, …] of the master, replicas …]. */
export const parseSlots = (reply: unknown, asked: HostPort): SlotRange[] =>
  (reply as [number, number, [Buffer | string | null, number]][]).map(([first, last, [host, port]]) => {
    const named = host === null ? '' : String(host);
    // A node that does not know its own address gives none: it is where it was asked.
    return { first, last, server: { host: named === '' || named === '?' ? asked.host : named, port: Number(port) } };
  });

/**
 * Redis Cluster. The gateway routes by itself and follows no redirection: a script carries the lineage of the process that it
 * was made for, and must not run on another. A MOVED is an outage of one call, and has the map read again.
 */
export class ClusterTopology implements Topology {
  readonly #address: RedisAddress;
  readonly #settings: Settings;
  readonly #keys: Keys;
  readonly #state: NodeState;
  readonly #events: TopologyEvents;
  readonly #masters = new Map<string, Master>();
  readonly #owners = new Array<Master | undefined>(SLOTS);
  readonly #ready: Promise<void>;
  #becomeReady: (error?: Error) => void = () => {};
  #looking: Promise<void> | undefined;
  #cancelLook: (() => void) | undefined;
  #lastError: string | undefined;
  #hasMap = false;
  #isAwaited = false;
  #isServed = false;
  #closed = false;

  constructor(address: RedisAddress, settings: Settings, keys: Keys, state: NodeState, events: TopologyEvents) {
    this.#address = address;
    this.#settings = settings;
    this.#keys = keys;
    this.#state = state;
    this.#events = events;
    this.#ready = new Promise((resolve, reject) => {
      this.#becomeReady = (error) => (error === undefined ? resolve() : reject(error));
    });
    this.#ready.catch(() => {});
    this.#lookIn(0);
  }

  link(slot: number): Link {
    return this.#owner(slot).link;
  }

  subscriber(slot: number): Subscriber {
    return this.#owner(slot).subscriber;
  }

  unit(slot: number): number {
    return slot;
  }

  *links(): Generator<Link> {
    for (const { link } of this.#masters.values()) yield link;
  }

  *subscribers(): Generator<Subscriber> {
    for (const { subscriber } of this.#masters.values()) yield subscriber;
  }

  get isServed(): boolean {
    return this.#isServed;
  }

  whenReady(): Promise<void> {
    return this.#ready;
  }

  async probe(): Promise<void> {
    await this.#look();
  }

  lastError(): string | undefined {
    for (const { link } of this.#masters.values()) if (link.lastError !== undefined) return link.lastError;
    return this.#lastError;
  }

  close(): void {
    this.#closed = true;
    this.#cancelLook?.();
    for (const master of this.#masters.values()) this.#drop(master);
    this.#masters.clear();
  }

  #owner(slot: number): Master {
    const owner = this.#owners[slot];
    if (owner === undefined) throw new BackplaneUnavailable('Redis Cluster: no master serves the slot');
    return owner;
  }

  #lookIn(delayMs: number): void {
    if (this.#cancelLook !== undefined || this.#closed) return;
    this.#cancelLook = this.#settings.clock.schedule(delayMs, () => {
      this.#cancelLook = undefined;
      void this.#look();
    });
  }

  /** Reads the map from the first server that has one. */
  #look(): Promise<void> {
    this.#looking ??= this.#readMap().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #readMap(): Promise<void> {
    for (const { server, link } of [...this.#masters.values()]) {
      if (!link.ready) continue;
      try {
        this.#apply(parseSlots(await link.command('CLUSTER', 'SLOTS'), server));
        return;
      } catch (error) {
        this.#lastError = (error as Error).message;
      }
    }
    for (const server of this.#address.hosts) {
      if (this.#closed) return;
      try {
        this.#apply(await this.#ask(server));
        return;
      } catch (error) {
        this.#lastError = (error as Error).message;
      }
    }
    this.#isServed = false;
    this.#lookIn(LOOK_AGAIN_MS);
  }

  async #ask(server: HostPort): Promise<SlotRange[]> {
    const options = { ...this.#settings, nodeId: `${this.#settings.nodeId}:map` };
    const client = makeClient(this.#address, options, new Backoff(this.#settings.random.float), 'map', server);
    client.options.retryStrategy = null;
    let failure: Error | undefined;
    client.on('error', (error: Error) => {
      failure = error;
    });
    try {
      await client.connect();
      return parseSlots(await client.callBuffer('CLUSTER', 'SLOTS'), server);
    } catch (error) {
      throw failure ?? error;
    } finally {
      client.disconnect();
    }
  }

  #apply(ranges: readonly SlotRange[]): void {
    if (this.#closed) return;
    // A server that has forgotten its cluster says nothing of the others: what they serve goes on.
    if (ranges.length === 0) throw new BackplaneUnavailable('Redis Cluster: the server knows of no slots');
    const before = [...this.#owners];
    const serving = new Set<string>();
    this.#owners.fill(undefined);
    for (const range of ranges) {
      const { first, last, server } = range;
      const name = nameOf(server);
      serving.add(name);
      let master = this.#masters.get(name);
      if (master === undefined) {
        master = this.#connect(range);
        this.#masters.set(name, master);
      }
      this.#owners.fill(master, first, last + 1);
    }
    const isFirst = !this.#hasMap;
    this.#hasMap = true;
    if (!isFirst && before.some((owner, slot) => owner !== this.#owners[slot])) {
      this.#settings.notice('cluster_changed', { masters: serving.size });
      this.#events.onMoved();
    }
    for (const [name, master] of this.#masters) {
      if (serving.has(name)) continue;
      this.#masters.delete(name);
      this.#drop(master);
    }
    for (const master of this.#masters.values()) this.#keepProbe(master);
    this.#isServed = this.#needed().every((slot) => this.#owners[slot] !== undefined);
    if (!this.#isServed) {
      this.#lastError = 'CLUSTERDOWN some hash slots are not served';
      this.#lookIn(LOOK_AGAIN_MS);
    } else if (!this.#isAwaited) {
      this.#isAwaited = true;
      void this.#whenMastersReady();
    }
  }

  /** A probe's channel must lie in a slot that its own server serves. */
  #keepProbe(master: Master): void {
    const owned = (slot: number): boolean => this.#owners[slot] === master;
    if (owned(master.subscriber.probeSlot)) return;
    const { channel, slot } = this.#keys.probeWhere(this.#settings.incarnation, owned);
    master.subscriber.moveProbe(channel, slot);
  }

  #drop({ link, subscriber }: Master): void {
    link.close();
    subscriber.close();
  }

  #needed(): number[] {
    return [...this.#keys.slots, this.#keys.nodesSlot, this.#keys.controlSlot];
  }

  async #whenMastersReady(): Promise<void> {
    try {
      const masters = [...new Set(this.#needed().map((slot) => this.#owner(slot)))];
      await Promise.all(masters.flatMap(({ link, subscriber }) => [link.whenReady(), subscriber.whenReady()]));
      this.#becomeReady();
    } catch (error) {
      this.#becomeReady(error as Error);
    }
  }

  #connect({ server, first, last }: SlotRange): Master {
    const keys = this.#keys;
    const settings = this.#settings;
    const stale = (): void => this.#lookIn(FIRST_LOOK_MS);
    const dataBackoff = new Backoff(settings.random.float);
    const link = new Link({
      label: nameOf(server),
      client: makeClient(this.#address, settings, dataBackoff, 'data', server),
      backoff: dataBackoff,
      settings,
      register: makeRegistrar(settings, keys, this.#state, () => this.#owner(keys.nodesSlot).link),
      onMisplaced: stale,
    });
    const subscriberBackoff = new Backoff(settings.random.float);
    const probe = keys.probeWhere(settings.incarnation, (candidate) => candidate >= first && candidate <= last);
    const subscriber = new Subscriber({
      label: nameOf(server),
      client: makeClient(this.#address, settings, subscriberBackoff, 'subscriber', server),
      backoff: subscriberBackoff,
      settings,
      sharded: true,
      probe,
      publishProbe: async (channel) => Number(await link.command('SPUBLISH', channel, '')),
      onMisplaced: stale,
      onPayload: this.#events.onPayload,
      onRestored: this.#events.onRestored,
    });
    link.connect();
    subscriber.connect();
    return { server, link, subscriber };
  }
}
