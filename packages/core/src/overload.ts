/** What a node is measured by; whichever passes its bound sheds load. */
export interface Load {
  /** p99 of the event loop's lag since the last look, in milliseconds. */
  readonly loopLagMs: number;
  /** Resident memory of the process. */
  readonly memoryBytes: number;
}

export interface OverloadBounds {
  /** 0 is off. */
  readonly loopLagMs: number;
  /** 0 is off. */
  readonly memoryBytes: number;
}

export type OverloadReason = 'loop_lag' | 'memory';

/** Looks in a row that must agree: one long collection or one burst is no overload. */
const LOOKS = 3;
/** Calm is below this share of the bound, so that a node at its bound does not flap. */
const CALM_SHARE = 0.8;

/**
 * Whether newcomers should go elsewhere. Who is connected stays: closing them would only move the load, and add to it.
 */
export class Overload {
  private readonly bounds: OverloadBounds;
  private readonly high: Record<OverloadReason, number> = { loop_lag: 0, memory: 0 };
  private readonly calm: Record<OverloadReason, number> = { loop_lag: 0, memory: 0 };
  private readonly active = new Set<OverloadReason>();

  constructor(bounds: OverloadBounds) {
    this.bounds = bounds;
  }

  /** Why load is shed; empty where it is not. */
  get reasons(): ReadonlySet<OverloadReason> {
    return this.active;
  }

  /** One look at the load; to be taken at an even interval. */
  look({ loopLagMs, memoryBytes }: Load): void {
    this.judge('loop_lag', loopLagMs, this.bounds.loopLagMs);
    this.judge('memory', memoryBytes, this.bounds.memoryBytes);
  }

  private judge(reason: OverloadReason, value: number, bound: number): void {
    if (bound === 0) return;
    this.high[reason] = value > bound ? this.high[reason] + 1 : 0;
    this.calm[reason] = value < bound * CALM_SHARE ? this.calm[reason] + 1 : 0;
    if (this.high[reason] >= LOOKS) this.active.add(reason);
    if (this.calm[reason] >= LOOKS) this.active.delete(reason);
  }
}
