export interface RateOptions {
  /** Events a second once the ramp is over. */
  readonly perSecond: number;
  /** The rate rises from 0 in a straight line over this time. */
  readonly rampMs: number;
  /** Time at the full rate. */
  readonly holdMs: number;
}

/** When each event of an open loop is due, whatever the server does: the n-th from 0, in milliseconds from the start. */
export interface RateSchedule {
  readonly total: number;
  dueMs(n: number): number;
}

export const rateSchedule = ({ perSecond, rampMs, holdMs }: RateOptions): RateSchedule => {
  const inRamp = (perSecond * rampMs) / 2_000;
  return {
    total: Math.floor(inRamp + (perSecond * holdMs) / 1000 + 1e-6),
    // The area under the ramp is perSecond * t^2 / (2 * ramp); past it the events are evenly spaced.
    dueMs: (n) =>
      n < inRamp ? Math.sqrt((2_000 * rampMs * n) / perSecond) : rampMs + ((n - inRamp) * 1000) / perSecond,
  };
};

/** A schedule that is endless until it is told how long its full rate is held, which may be while it goes on. */
export class HeldSchedule implements RateSchedule {
  total: number;
  readonly dueMs: (n: number) => number;
  readonly #holding: (holdMs: number) => RateSchedule;

  /** `holding`: the schedule for a time at the full rate, which may be infinite. */
  constructor(holding: (holdMs: number) => RateSchedule) {
    this.#holding = holding;
    const endless = holding(Number.POSITIVE_INFINITY);
    this.total = endless.total;
    this.dueMs = (n) => endless.dueMs(n);
  }

  /** What was due after it and has been sent already stays sent. */
  holdFor(holdMs: number): void {
    this.total = this.#holding(holdMs).total;
  }
}

/** One driver's share of a schedule: every `drivers`-th event, so that the drivers together keep the whole of it. */
export const shareOf = (schedule: RateSchedule, driver: number, drivers: number): RateSchedule => ({
  total: Math.max(0, Math.ceil((schedule.total - driver) / drivers)),
  dueMs: (n) => schedule.dueMs(driver + n * drivers),
});
