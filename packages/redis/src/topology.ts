import type { Link } from './link.js';
import type { Subscriber } from './subscriber.js';

/** Which connections serve a cluster slot; a Redis that is no cluster serves all with one of each. */
export interface Topology {
  /** Throws `BackplaneUnavailable` while nobody is known to serve the slot. */
  link(slot: number): Link;
  subscriber(slot: number): Subscriber;
  /** One script may take keys of all slots that have the same unit. */
  unit(slot: number): number;
  links(): Iterable<Link>;
  subscribers(): Iterable<Subscriber>;
  /** Whether somebody is known to serve every slot that keys lie in. */
  readonly isServed: boolean;
  /** Resolves when every slot is served; rejects with `BackplaneUnsupported`. */
  whenReady(): Promise<void>;
  /** Runs with every probe. */
  probe(): Promise<void>;
  /** The newest connection error, for a message. */
  lastError(): string | undefined;
  close(): void;
}

/** What a topology tells those who use it. */
export interface TopologyEvents {
  onPayload(channel: string, payload: Buffer): void;
  onRestored(channels: readonly string[]): void;
  /** Slots have moved to other servers. */
  onMoved(): void;
}
