import type { Track } from '@replyx/protocol';
import type { Clock, Random } from '../clock.js';
import { Latencies } from '../latencies.js';
import type { Backplane, BackplaneOptions, Delivery, TrackRef } from '../ports.js';
import { collect, LONGEST_WINDOW_MS } from './collect.js';
import { MemoryControl } from './control.js';
import { MemoryDirectory } from './directory.js';
import { MemoryFanout } from './fanout.js';
import { MemoryHandoffs } from './handoffs.js';
import { emptyPartition, MemoryInbox, MemoryInboxWriter } from './inbox.js';
import { MemoryLeases } from './leases.js';
import { MemoryLimiter } from './limiter.js';
import { MemoryLockMaster } from './lock-master.js';
import { MemoryLog } from './log.js';
import { MemoryMembership } from './membership.js';
import { channelOf, MemoryNode } from './node.js';
import { MemoryRoster } from './roster.js';
import {
  type Data,
  type Dialog,
  emptyData,
  emptyDialog,
  expireDialog,
  type InboxPartition,
  type Meta,
  type TrackPlace,
} from './store.js';
import { MemoryStreams } from './streams.js';

export interface MemoryClusterOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Lifetime of a dialog that has no publication yet; default 3600000. */
  readonly presenceTtlMs?: number | undefined;
}

/** A copy of the cluster's data, for `restore`. */
export interface MemorySnapshot {
  readonly data: Data;
}

/** How many operations pass between two looks for what has expired, and how much a look visits: more than came meanwhile. */
const COLLECT_EVERY = 32;
const COLLECT_AT_ONCE = 64;

/** Backplanes of several nodes in one process. Nothing is shared beyond it, and nothing survives it. */
export class MemoryCluster {
  readonly clock: Clock;
  readonly presenceTtlMs: number;
  /** The one lock master of the cluster's nodes. */
  readonly lockMaster: MemoryLockMaster;
  /** The store's present run: a `restore` starts a new one, as a restarted Redis does. */
  run = 1;
  data: Data = emptyData();
  #outage = false;
  #operations = 0;
  #collecting: Iterator<void> | undefined;
  readonly #random: Random;
  readonly #nodes = new Set<MemoryNode>();
  readonly #channels = new Map<string, Set<MemoryNode>>();

  constructor(options: MemoryClusterOptions) {
    this.clock = options.clock;
    this.presenceTtlMs = options.presenceTtlMs ?? 3_600_000;
    this.lockMaster = new MemoryLockMaster(options.clock);
    this.#random = options.random;
    // Of this process alone: there is nobody who could hold more than it does.
    this.data.control.epoch = { name: this.newName(), run: this.run, bornMs: Number.NEGATIVE_INFINITY };
  }

  /** The backplane of one node. */
  open(options: BackplaneOptions): Backplane {
    const node = new MemoryNode(options);
    this.#nodes.add(node);
    const inbox = new MemoryInboxWriter(this, node);
    const log = new MemoryLog(this, node, inbox);
    const control = new MemoryControl(this, node);
    return {
      control,
      log,
      fanout: new MemoryFanout(this, node),
      directory: new MemoryDirectory(this, node, log, control, inbox),
      roster: new MemoryRoster(this, node, inbox, log),
      membership: new MemoryMembership(this, node),
      latencies: new Latencies(),
      limiter: new MemoryLimiter(this, node),
      leases: new MemoryLeases(this, node),
      handoffs: new MemoryHandoffs(this, node, inbox),
      streams: new MemoryStreams(this, node),
      inbox: new MemoryInbox(this, node),
      health: () => {
        const reasons: string[] = [];
        if (this.#outage || node.gone) reasons.push('redis_unreachable');
        if (this.#outage || node.gone || node.deaf) reasons.push('subscriber_away');
        return { ok: reasons.length === 0, reasons };
      },
      close: async () => this.#remove(node),
    };
  }

  // ── for tests ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Empties the store, as FLUSHALL does. */
  flush(): void {
    this.data = emptyData();
    this.#collecting = undefined;
    this.lockMaster.flush();
  }

  snapshot(): MemorySnapshot {
    return { data: structuredClone(this.data) };
  }

  /** Rolls the store back. `sameRun`: as a loss that no new process shows. */
  restore(snapshot: MemorySnapshot, { sameRun = false }: { readonly sameRun?: boolean } = {}): void {
    this.data = structuredClone(snapshot.data);
    this.#collecting = undefined;
    if (!sameRun) this.run++;
  }

  /** Drops every entry of the control stream, as XTRIM does. */
  trimControl(): void {
    const { control } = this.data;
    control.trimmed += control.log.length;
    control.log = [];
  }

  /** Lets keys of a dialog expire now; `log` without a track means both. */
  expire(dialogId: string, what: 'all' | 'log' | 'meta', track?: Track): void {
    const dialog = this.data.dialogs.get(dialogId);
    if (dialog === undefined) return;
    if (what === 'all') this.data.dialogs.delete(dialogId);
    else if (what === 'meta') dialog.meta = undefined;
    else for (const name of track === undefined ? (['main', 'internal'] as const) : [track]) delete dialog.logs[name];
  }

  /** The node is gone without a word: it hears nothing, its calls fail, its heartbeat has lapsed. */
  killNode(incarnation: string): void {
    for (const node of [...this.#nodes]) if (node.incarnation === incarnation) this.#remove(node);
    const beat = this.data.beats.get(incarnation);
    if (beat !== undefined) beat.atMs = Number.NEGATIVE_INFINITY;
  }

  /** While true every call fails and no delivery arrives; afterwards subscriptions are restored. */
  setOutage(outage: boolean): void {
    this.#outage = outage;
    this.lockMaster.faults.down = outage;
    for (const node of this.#nodes) this.setDeaf(node.incarnation, outage);
  }

  /** Interrupts one node's subscriptions, or restores them. */
  setDeaf(incarnation: string, deaf: boolean): void {
    for (const node of this.#nodes) {
      if (node.incarnation !== incarnation || node.deaf === deaf) continue;
      node.deaf = deaf;
      if (!deaf && node.subscriptions.size > 0) node.listener?.onRestored([...node.subscriptions.values()]);
    }
  }

  // ── for the ports ─────────────────────────────────────────────────────────────────────────────────────────────────

  get nowMs(): number {
    return this.clock.nowMs();
  }

  /** Starts every operation of a node. Throws `BackplaneUnavailable`. */
  enter(node: MemoryNode): void {
    node.assertAlive(this.#outage);
    if (++this.#operations % COLLECT_EVERY === 0) this.#collect();
  }

  /** A dialog without what has expired; `undefined` where nothing is kept of it. */
  dialog(dialogId: string): Dialog | undefined {
    const dialog = this.data.dialogs.get(dialogId);
    if (dialog === undefined || !expireDialog(dialog, this.nowMs, LONGEST_WINDOW_MS)) return dialog;
    this.data.dialogs.delete(dialogId);
    return undefined;
  }

  ensureDialog(dialogId: string): Dialog {
    let dialog = this.dialog(dialogId);
    if (dialog === undefined) {
      dialog = emptyDialog();
      this.data.dialogs.set(dialogId, dialog);
    }
    return dialog;
  }

  ensureMeta(dialog: Dialog): Meta {
    dialog.meta ??= { closed: false, places: {}, expiresMs: this.nowMs + this.presenceTtlMs };
    return dialog.meta;
  }

  newName(): string {
    return Array.from(this.#random.bytes(12), (byte) => byte.toString(16).padStart(2, '0')).join('');
  }

  newPlace(): TrackPlace {
    const name = this.newName();
    return { epoch: name, life: name, offset: 0, run: this.run };
  }

  attach(node: MemoryNode, ref: TrackRef): void {
    const channel = channelOf(ref);
    node.subscriptions.set(channel, ref);
    const nodes = this.#channels.get(channel);
    if (nodes === undefined) this.#channels.set(channel, new Set([node]));
    else nodes.add(node);
  }

  detach(node: MemoryNode, ref: TrackRef): void {
    const channel = channelOf(ref);
    node.subscriptions.delete(channel);
    const nodes = this.#channels.get(channel);
    nodes?.delete(node);
    if (nodes?.size === 0) this.#channels.delete(channel);
  }

  send(ref: TrackRef, delivery: Delivery): void {
    for (const node of this.#channels.get(channelOf(ref)) ?? []) node.deliver(delivery);
  }

  inboxPartition(number: number): InboxPartition {
    let partition = this.data.inbox.get(number);
    if (partition === undefined) {
      partition = emptyPartition();
      this.data.inbox.set(number, partition);
    }
    return partition;
  }

  /** Tells those who watch a partition of the inbox, after the call that caused it has returned. */
  wakeInbox(number: number): void {
    for (const node of this.#nodes) {
      const wake = node.deaf ? undefined : node.inboxWakes.get(number);
      if (wake !== undefined) queueMicrotask(wake);
    }
  }

  #remove(node: MemoryNode): void {
    node.gone = true;
    for (const ref of [...node.subscriptions.values()]) this.detach(node, ref);
    this.#nodes.delete(node);
  }

  /** Visits a little at a time, so that what nobody asks for goes too. */
  #collect(): void {
    this.#collecting ??= collect(this.data, () => this.nowMs);
    for (let visited = 0; visited < COLLECT_AT_ONCE; visited++) {
      if (this.#collecting.next().done !== true) continue;
      this.#collecting = undefined;
      return;
    }
  }
}

/** The embedded backplane: open one for every node of this process. */
export const memoryCluster = (options: MemoryClusterOptions): MemoryCluster => new MemoryCluster(options);
