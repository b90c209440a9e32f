import { fakeClock, seededRandom } from '@replyx/testkit';
import { describe, expect, it } from 'vitest';
import { closePaced } from '../src/paced-close.js';

const world = (count: number, paceMs = 5_000, spreadMs = 15_000) => {
  const clock = fakeClock();
  const closes: { atMs: number; delayMs: number; code: string }[] = [];
  const sessions = Array.from({ length: count }, () => ({
    close: (code: string, delayMs = 0) => closes.push({ atMs: clock.monotonicMs(), delayMs, code }),
  }));
  const closing = closePaced(sessions, { clock, random: seededRandom(3), paceMs, spreadMs });
  return { clock, closes, closing };
};

describe('closing at a pace', () => {
  it('spreads the closes evenly and is through in time', async () => {
    const { clock, closes, closing } = world(1_000);
    await clock.advanceAsync(5_000);
    await closing.done;
    expect(closes).toHaveLength(1_000);
    const perSlice = new Map<number, number>();
    for (const { atMs } of closes) perSlice.set(atMs, (perSlice.get(atMs) ?? 0) + 1);
    expect(Math.max(...perSlice.values())).toBe(10);
    expect(Math.max(...perSlice.keys())).toBe(4_950);
    expect(clock.pending()).toBe(0);
  });

  it('spreads the returns over the whole spread, none later', async () => {
    const { clock, closes } = world(2_000);
    await clock.advanceAsync(5_000);
    const returns = closes.map(({ atMs, delayMs }) => atMs + delayMs).sort((a, b) => a - b);
    expect(returns.at(-1)).toBeLessThanOrEqual(15_000);
    expect(returns.at(-1)).toBeGreaterThan(14_000);
    // No second takes more than three times its even share.
    for (let second = 0; second < 15; second += 1) {
      const inSecond = returns.filter((at) => at >= second * 1_000 && at < (second + 1) * 1_000).length;
      expect(inSecond).toBeLessThan((2_000 / 15) * 3);
    }
    expect(new Set(closes.map(({ code }) => code))).toEqual(new Set(['SERVICE_RESTART']));
  });

  it('closes what is left at once when it is hurried', async () => {
    const { clock, closes, closing } = world(1_000);
    await clock.advanceAsync(1_000);
    const before = closes.length;
    closing.hurry();
    await closing.done;
    expect(before).toBeLessThan(300);
    expect(closes).toHaveLength(1_000);
    expect(clock.pending()).toBe(0);
  });

  it.each([0, 1, 3])('is through at once with %i sessions and no time', async (count) => {
    const { closes, closing } = world(count, 0, 0);
    await closing.done;
    expect(closes).toHaveLength(count);
    expect(closes.every(({ delayMs }) => delayMs === 0)).toBe(true);
  });
});
