import type { Clock, Random } from './clock.js';
import { DeliverySlots } from './delivery-slots.js';
import { type InboxDelivery, type InboxNotice, InboxPartition, type InboxStats } from './inbox-partition.js';
import type { Inbox, InboxStanding } from './inbox-port.js';
import type { NodeInfo } from './ports.js';
import { ownerOf } from './rendezvous.js';

export interface InboxDispatcherParts extends InboxDelivery {
  readonly inbox: Inbox;
  readonly incarnation: string;
  /** The live nodes as of the last heartbeat. */
  readonly nodes: () => readonly Pick<NodeInfo, 'incarnation' | 'draining'>[];
  readonly clock: Clock;
  readonly random: Pick<Random, 'float'>;
  /** A node whose lease is not renewed for so long does not serve any more; it is renewed three times as often. */
  readonly leaseTtlMs: number;
  readonly onNotice: (notice: InboxNotice) => void;
  readonly onBug: (error: unknown) => void;
}

const ASSIGN_MS = 1_000;
/** Attempts of a node at once, and of one assistant. */
const SLOTS = { total: 128, perAssistant: 8 } as const;
/** How long a partition that goes to another node waits for attempts under way. */
const HANDOVER_MS = 5_000;
/** Names that a summary gives. */
const MOST_NAMES = 20;

export const createInboxStats = (): InboxStats => ({
  deliveries: { delivered: 0, refused: 0, timeout: 0, unreachable: 0, forbidden: 0 },
  dropped: 0,
  died: 0,
  leasesLost: 0,
});

/**
 * A node's share of the inbox: the partitions that fall to it among the live nodes. Two nodes may hold themselves for the owner of a
 * partition for a moment; its lease lets one of them serve it.
 */
export class InboxDispatcher {
  readonly stats: InboxStats = createInboxStats();
  private readonly parts: InboxDispatcherParts;
  private readonly slots = new DeliverySlots(SLOTS);
  private readonly served = new Map<number, InboxPartition>();
  /** Partitions that are being given up. */
  private readonly leaving = new Map<number, Promise<void>>();
  private known = '';
  private running = false;
  private cancel: () => void = () => {};

  constructor(parts: InboxDispatcherParts) {
    this.parts = parts;
  }

  /** Partitions that fall to this node. */
  get partitions(): readonly number[] {
    return [...this.served.keys()];
  }

  start(): void {
    this.running = true;
    const turn = (): void => {
      if (!this.running) return;
      try {
        this.assign();
      } catch (error) {
        this.parts.onBug(error);
      }
      this.cancel = this.parts.clock.schedule(ASSIGN_MS, turn);
    };
    turn();
  }

  /** An assistant's record has changed. */
  reconsider(assistantId: string): void {
    for (const partition of this.served.values()) partition.reconsider(assistantId);
  }

  /** Waits for attempts under way, for at most so long, and gives everything up. Safe to call twice. */
  async stop(patienceMs: number): Promise<void> {
    this.running = false;
    this.cancel();
    this.parts.inbox.watch([], () => {});
    for (const number of [...this.served.keys()]) this.leave(number, patienceMs);
    await Promise.all(this.leaving.values());
  }

  /** Ends without a word, as a process that dies does. */
  abandon(): void {
    this.running = false;
    this.cancel();
    for (const partition of this.served.values()) partition.abandon();
    this.served.clear();
  }

  /** The partitions that this node serves, together. */
  get standing(): InboxStanding {
    const all = [...this.served.values()].flatMap(({ standing }) => standing ?? []);
    const sum = (read: (one: InboxStanding) => number): number => all.reduce((total, one) => total + read(one), 0);
    return {
      entries: sum(({ entries }) => entries),
      parkedDialogs: sum(({ parkedDialogs }) => parkedDialogs),
      deadLetters: sum(({ deadLetters }) => deadLetters),
      oldestMs: Math.max(0, ...all.map(({ oldestMs }) => oldestMs)),
      full: [...new Set(all.flatMap(({ full }) => full))].sort().slice(0, MOST_NAMES),
    };
  }

  private assign(): void {
    const { incarnation, nodes, inbox } = this.parts;
    const live = nodes();
    const staying = live.filter(({ draining }) => !draining);
    // Where all leave, those that are still there go on.
    const names = (staying.length > 0 ? staying : live).map((node) => node.incarnation).sort();
    const known = names.join('\n');
    if (known === this.known) return;
    this.known = known;
    const mine: number[] = [];
    for (let number = 0; number < inbox.partitions; number += 1) {
      if (ownerOf(number, names) === incarnation) mine.push(number);
    }
    const wanted = new Set(mine);
    for (const number of [...this.served.keys()]) if (!wanted.has(number)) this.leave(number, HANDOVER_MS);
    for (const number of mine) this.enter(number);
    inbox.watch(mine, (number) => this.served.get(number)?.nudge());
  }

  private enter(number: number): void {
    if (this.served.has(number)) return;
    const partition = new InboxPartition({ ...this.parts, partition: number, slots: this.slots, stats: this.stats });
    this.served.set(number, partition);
    const left = this.leaving.get(number) ?? Promise.resolve();
    void left.then(() => {
      if (this.served.get(number) === partition) partition.start();
    });
  }

  private leave(number: number, patienceMs: number): void {
    const partition = this.served.get(number);
    if (partition === undefined) return;
    this.served.delete(number);
    const before = this.leaving.get(number) ?? Promise.resolve();
    const leaving = before
      .then(() => partition.stop(patienceMs))
      .catch(this.parts.onBug)
      .finally(() => {
        if (this.leaving.get(number) === leaving) this.leaving.delete(number);
      });
    this.leaving.set(number, leaving);
  }
}
