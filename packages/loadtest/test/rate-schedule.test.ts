import { describe, expect, it } from 'vitest';
import { HeldSchedule, rateSchedule, shareOf } from '../src/rate-schedule.js';

describe('rateSchedule', () => {
  it('spaces events evenly without a ramp', () => {
    const schedule = rateSchedule({ perSecond: 100, rampMs: 0, holdMs: 2_000 });
    expect(schedule.total).toBe(200);
    expect([0, 1, 2, 199].map((n) => schedule.dueMs(n))).toEqual([0, 10, 20, 1990]);
  });

  it('rises in a straight line over the ramp, then holds', () => {
    const schedule = rateSchedule({ perSecond: 100, rampMs: 10_000, holdMs: 5_000 });
    // Half the rate on average over the ramp.
    expect(schedule.total).toBe(500 + 500);
    expect(schedule.dueMs(500)).toBeCloseTo(10_000, 6);
    // After half of the ramp a quarter of its events are due.
    expect(schedule.dueMs(125)).toBeCloseTo(5_000, 6);
    expect(schedule.dueMs(999)).toBeCloseTo(14_990, 6);
  });

  it('never goes back in time', () => {
    const schedule = rateSchedule({ perSecond: 333, rampMs: 700, holdMs: 1_000 });
    for (let n = 1; n < schedule.total; n += 1) expect(schedule.dueMs(n)).toBeGreaterThan(schedule.dueMs(n - 1));
  });

  it('is divided over drivers without a gap or an overlap', () => {
    const whole = rateSchedule({ perSecond: 77, rampMs: 300, holdMs: 1_234 });
    const due = [0, 1, 2].flatMap((driver) => {
      const share = shareOf(whole, driver, 3);
      return Array.from({ length: share.total }, (_, n) => share.dueMs(n));
    });
    expect(due.sort((a, b) => a - b)).toEqual(Array.from({ length: whole.total }, (_, n) => whole.dueMs(n)));
  });
});

describe('HeldSchedule', () => {
  it('goes on until it is told its time, and is then the schedule for it', () => {
    const holding = (holdMs: number) => shareOf(rateSchedule({ perSecond: 100, rampMs: 1_000, holdMs }), 1, 3);
    const held = new HeldSchedule(holding);
    expect(held.total).toBe(Number.POSITIVE_INFINITY);
    held.holdFor(2_000);
    const known = holding(2_000);
    expect(held.total).toBe(known.total);
    for (const n of [0, 10, known.total - 1]) expect(held.dueMs(n)).toBe(known.dueMs(n));
  });
});
