import type { Audience, Fanout, FanoutListener, TrackRef } from '@replyx/core';
import { decodeDelivery, encodeEphemeral } from './codec.js';
import { withDeadline } from './deadline.js';
import type { Keys } from './keys.js';
import type { Settings } from './options.js';
import type { Subscriber } from './subscriber.js';
import type { Topology } from './topology.js';

interface Subscription {
  readonly ref: TrackRef;
  readonly slot: number;
  /** The connection that serves the channel now; another after its slot has moved. */
  subscriber: Subscriber;
}

export class RedisFanout implements Fanout {
  readonly #settings: Settings;
  readonly #keys: Keys;
  readonly #topology: Topology;
  readonly #publishCommand: string;
  readonly #subscriptions = new Map<string, Subscription>();
  #listener: FanoutListener | undefined;

  constructor(settings: Settings, keys: Keys, topology: Topology, publishCommand: string) {
    this.#settings = settings;
    this.#keys = keys;
    this.#topology = topology;
    this.#publishCommand = publishCommand;
  }

  listen(listener: FanoutListener): void {
    this.#listener = listener;
  }

  async subscribe(refs: readonly TrackRef[]): Promise<void> {
    try {
      const confirmed = Promise.all(refs.map((ref) => this.#confirmed(this.#assign(ref))));
      await withDeadline(confirmed, this.#settings.commandDeadlineMs, 'subscribing', this.#settings.clock);
    } catch (error) {
      // What was never confirmed is given up; what a broken connection has interrupted is restored with it.
      for (const { dialogId, track } of refs) {
        const channel = this.#keys.channel(dialogId, track);
        if (this.#subscriptions.get(channel)?.subscriber.holds(channel) === false) this.#drop(channel);
      }
      throw error;
    }
  }

  unsubscribe(refs: readonly TrackRef[]): void {
    for (const { dialogId, track } of refs) this.#drop(this.#keys.channel(dialogId, track));
  }

  async emit(ref: TrackRef, audience: Audience, frame: Uint8Array | string): Promise<void> {
    const slot = this.#keys.slotOf(this.#keys.partitionOf(ref.dialogId));
    const channel = this.#keys.channel(ref.dialogId, ref.track);
    await this.#topology.link(slot).command(this.#publishCommand, channel, encodeEphemeral(audience, frame));
  }

  receive(channel: string, payload: Buffer): void {
    const subscription = this.#subscriptions.get(channel);
    if (subscription === undefined || this.#listener === undefined) return;
    let delivery: ReturnType<typeof decodeDelivery>;
    try {
      delivery = decodeDelivery(subscription.ref, payload);
    } catch {
      delivery = undefined;
    }
    if (delivery === undefined) this.#settings.notice('bad_payload', { channel });
    else this.#listener.onDelivery(delivery);
  }

  restored(channels: readonly string[]): void {
    const refs: TrackRef[] = [];
    for (const channel of channels) {
      const subscription = this.#subscriptions.get(channel);
      if (subscription !== undefined) refs.push(subscription.ref);
    }
    if (refs.length === 0) return;
    this.#settings.notice('subscriptions_restored', { channels: refs.length });
    this.#listener?.onRestored(refs);
  }

  /** Slots have moved: their channels are subscribed at their new servers, and what was published between is lost. */
  moved(): void {
    const moving = new Map<Subscriber, string[]>();
    for (const [channel, subscription] of this.#subscriptions) {
      const next = this.#subscriberOf(subscription.slot);
      if (next === undefined || next === subscription.subscriber) continue;
      subscription.subscriber.remove(channel);
      subscription.subscriber = next;
      const channels = moving.get(next);
      if (channels === undefined) moving.set(next, [channel]);
      else channels.push(channel);
    }
    for (const channels of moving.values()) {
      void Promise.all(channels.map((channel) => this.#confirmed(channel))).then(() => this.restored(channels));
    }
  }

  /** Channels that are subscribed or being so. */
  get size(): number {
    return this.#subscriptions.size;
  }

  #subscriberOf(slot: number): Subscriber | undefined {
    try {
      return this.#topology.subscriber(slot);
    } catch {
      return undefined;
    }
  }

  #assign(ref: TrackRef): string {
    const channel = this.#keys.channel(ref.dialogId, ref.track);
    if (!this.#subscriptions.has(channel)) {
      const slot = this.#keys.slotOf(this.#keys.partitionOf(ref.dialogId));
      this.#subscriptions.set(channel, { ref, slot, subscriber: this.#topology.subscriber(slot) });
    }
    return channel;
  }

  async #confirmed(channel: string): Promise<void> {
    for (;;) {
      const subscription = this.#subscriptions.get(channel);
      if (subscription === undefined) return;
      const { subscriber, slot } = subscription;
      await subscriber.add(channel, slot);
      if (this.#subscriptions.get(channel)?.subscriber === subscriber) return;
    }
  }

  #drop(channel: string): void {
    const subscription = this.#subscriptions.get(channel);
    if (subscription === undefined) return;
    this.#subscriptions.delete(channel);
    subscription.subscriber.remove(channel);
  }
}
