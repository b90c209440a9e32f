import {
  type BackplaneOptions,
  BackplaneUnavailable,
  type Delivery,
  type FanoutListener,
  type NodeInfo,
  type TrackRef,
} from '../ports.js';

export const channelOf = ({ dialogId, track }: TrackRef): string => `${dialogId}/${track}`;

/** One node of the in-memory cluster: its subscriptions, its queue of deliveries, and what it knows of the others. */
export class MemoryNode {
  readonly options: BackplaneOptions;
  readonly subscriptions = new Map<string, TrackRef>();
  listener: FanoutListener | undefined;
  /** Live incarnations by the last heartbeat; itself always. */
  live: ReadonlySet<string>;
  lastInfo: NodeInfo | undefined;
  /** Killed or closed: it hears nothing and every call fails. */
  gone = false;
  /** Its subscriptions are down: what is published is lost to it. */
  deaf = false;
  /** Whom to wake for what partition of the inbox. */
  inboxWakes: ReadonlyMap<number, () => void> = new Map();
  #queue: Delivery[] = [];

  constructor(options: BackplaneOptions) {
    this.options = options;
    this.live = new Set([options.incarnation]);
  }

  get incarnation(): string {
    return this.options.incarnation;
  }

  /** Delivers in order, after the call that caused it has returned. */
  deliver(delivery: Delivery): void {
    if (this.gone || this.deaf) return;
    if (this.#queue.push(delivery) === 1) queueMicrotask(() => this.#drain());
  }

  assertAlive(outage: boolean): void {
    if (this.gone || outage) throw new BackplaneUnavailable('the in-memory backplane is not reachable');
  }

  #drain(): void {
    const queue = this.#queue;
    this.#queue = [];
    for (const delivery of queue) if (!this.gone) this.listener?.onDelivery(delivery);
  }
}
