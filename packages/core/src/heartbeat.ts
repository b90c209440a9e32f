import type { Clock } from './clock.js';
import { type Backplane, BackplaneUnavailable, type NodeInfo } from './ports.js';

export interface HeartbeatParts {
  readonly backplane: Pick<Backplane, 'membership' | 'roster'>;
  readonly clock: Clock;
  /** A node silent for longer is dead; the beat is three times as frequent. */
  readonly nodeTtlMs: number;
  readonly info: () => NodeInfo;
  /** This node's heartbeat was gone: what it holds must be registered again before it admits more. */
  readonly onLapsed: () => Promise<void>;
  readonly onBug: (error: unknown) => void;
}

/** Tells the cluster that this node lives, learns who else does, and clears up after those that do not. */
export class Heartbeat {
  private readonly parts: HeartbeatParts;
  private seen: readonly NodeInfo[] = [];
  private running = false;
  private cancel: () => void = () => {};
  private beating: Promise<void> = Promise.resolve();
  private lastOkMs: number | undefined;

  constructor(parts: HeartbeatParts) {
    this.parts = parts;
  }

  get intervalMs(): number {
    return this.parts.nodeTtlMs / 3;
  }

  /** The live nodes as of the last beat. */
  get nodes(): readonly NodeInfo[] {
    return this.seen;
  }

  /** Milliseconds since a beat last succeeded; `undefined` before the first. */
  get ageMs(): number | undefined {
    return this.lastOkMs === undefined ? undefined : this.parts.clock.monotonicMs() - this.lastOkMs;
  }

  /**
   * Resolves when this node may take connections: its heartbeat has been visible for one interval, so that no other node's
   * list of the living misses it. At once where it is alone: whoever starts later reads it first. Rejects as the backplane
   * does.
   */
  async start(): Promise<void> {
    this.running = true;
    await this.beat();
    this.scheduleNext();
    if (this.seen.length <= 1) return;
    await new Promise<void>((resolve) => {
      this.parts.clock.schedule(this.intervalMs, resolve);
    });
  }

  /** Beats once more, now: what it tells has changed. */
  async renew(): Promise<void> {
    await this.beat();
  }

  /** Falls silent without a word, as a process that dies does. */
  abandon(): void {
    this.running = false;
    this.cancel();
  }

  /** Leaves the cluster's list. Safe to call twice. */
  async stop(): Promise<void> {
    if (!this.running) return;
    this.running = false;
    this.cancel();
    await this.beating;
    try {
      await this.parts.backplane.membership.forget(this.parts.info().incarnation);
    } catch (error) {
      // Unreachable: the others find out by the TTL.
      if (!(error instanceof BackplaneUnavailable)) throw error;
    }
  }

  private scheduleNext(): void {
    if (!this.running) return;
    this.cancel = this.parts.clock.schedule(this.intervalMs, () => {
      this.beating = this.beat()
        .catch((error: unknown) => {
          if (!(error instanceof BackplaneUnavailable)) this.parts.onBug(error);
        })
        .finally(() => this.scheduleNext());
    });
  }

  private async beat(): Promise<void> {
    const { backplane, clock, info, onLapsed } = this.parts;
    const { live, dead, lapsed } = await backplane.membership.beat(info());
    this.seen = live;
    this.lastOkMs = clock.monotonicMs();
    if (lapsed) await onLapsed();
    for (const incarnation of dead) {
      await backplane.roster.sweep(incarnation);
      await backplane.membership.forget(incarnation);
    }
  }
}
