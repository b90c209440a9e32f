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
  private beating: Promise<unknown> = Promise.resolve();
  private clearing: Promise<void> | undefined;
  private dead: readonly string[] = [];
  private lapses = 0;
  private lapsesMended = 0;
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

  /** Milliseconds since the last beat that succeeded was sent; `undefined` before the first. */
  get ageMs(): number | undefined {
    return this.lastOkMs === undefined ? undefined : this.parts.clock.monotonicMs() - this.lastOkMs;
  }

  /**
   * Its heartbeat was gone, and what it holds is not all registered again yet; or it has not been heard for so long that the
   * others may take it for dead, and its list of the living is as old.
   */
  get isLapsed(): boolean {
    return this.mustMend || (this.ageMs ?? 0) >= this.parts.nodeTtlMs;
  }

  private get mustMend(): boolean {
    return this.lapsesMended < this.lapses;
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
    if (this.running) await this.beat();
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
    // A beat that lands after the last word would bring the node back.
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
      this.beat()
        .catch((error: unknown) => this.unlessAway(error))
        .finally(() => this.scheduleNext());
    });
  }

  private beat(): Promise<void> {
    const beat = this.beatOnce();
    this.beating = Promise.allSettled([this.beating, beat]);
    return beat;
  }

  private async beatOnce(): Promise<void> {
    const { backplane, clock, info } = this.parts;
    // The store's time of it is later: nobody takes this node for dead before it does so itself.
    const sentMs = clock.monotonicMs();
    const { live, dead, lapsed } = await backplane.membership.beat(info());
    this.seen = live;
    this.lastOkMs = sentMs;
    this.dead = dead;
    if (lapsed) this.lapses += 1;
    // Not awaited: what a large node left takes longer to clear than a node may be silent, and the next one would be held for
    // dead while it clears up.
    this.clearing ??= this.clear()
      .catch((error: unknown) => this.unlessAway(error))
      .finally(() => {
        this.clearing = undefined;
      });
  }

  /** What an outage cuts short is begun again after a later beat. */
  private async clear(): Promise<void> {
    const { backplane, onLapsed } = this.parts;
    while (this.mustMend && this.running) {
      const upTo = this.lapses;
      await onLapsed();
      this.lapsesMended = upTo;
    }
    for (const incarnation of this.dead) {
      if (!this.running) return;
      await backplane.roster.sweep(incarnation);
      await backplane.membership.forget(incarnation);
    }
  }

  private unlessAway(error: unknown): void {
    if (!(error instanceof BackplaneUnavailable)) this.parts.onBug(error);
  }
}
