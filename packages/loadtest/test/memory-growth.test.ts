import { describe, expect, it } from 'vitest';
import { growthPerHour, MemoryGrowth } from '../src/run/memory-growth.js';

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const usage = (rssBytes: number) => ({ atMs: 0, cpuSeconds: 1, rssBytes });

describe('growthPerHour', () => {
  it('is the slope of memory over the second half', () => {
    const series = Array.from({ length: 100 }, (_, i) => [i * 1_000, i < 50 ? 1e9 : 5e6 + i * 1_000] as const);
    expect(growthPerHour(series)).toBeCloseTo(3_600_000, 3);
    expect(growthPerHour(series.slice(0, 5))).toBeUndefined();
  });

  it('takes its half by time, not by the number of points', () => {
    const dense = Array.from({ length: 1_000 }, (_, i) => [i, 1e9 + i * 1e6] as const);
    const sparse = Array.from({ length: 20 }, (_, i) => [HOUR + i * SECOND, 5e6] as const);
    expect(growthPerHour([...dense, ...sparse])).toBeCloseTo(0, 6);
  });
});

describe('MemoryGrowth', () => {
  it('sees what begins in the second half of a day', () => {
    const growth = new MemoryGrowth();
    for (let atMs = 0; atMs < 24 * HOUR; atMs += SECOND) {
      const leaked = Math.max(0, atMs - 12 * HOUR) / SECOND;
      growth.add(atMs, [usage(1e8 + leaked * 1_000), usage(1e8)]);
    }
    expect((growth.perHour() ?? 0) / 3_600_000).toBeCloseTo(1, 1);
  });

  it('leaves out the moments at which a server gave no figure', () => {
    const growth = new MemoryGrowth();
    for (let second = 0; second < 600; second += 1) {
      const missing = second % 7 === 0 ? undefined : usage(second % 5 === 0 ? 0 : 1e8);
      growth.add(second * SECOND, [usage(1e8), second > 400 ? missing : usage(1e8)]);
    }
    expect(growth.perHour()).toBeCloseTo(0, 6);
  });

  it('is not known without a server', () => {
    const growth = new MemoryGrowth();
    for (let second = 0; second < 100; second += 1) growth.add(second * SECOND, []);
    expect(growth.perHour()).toBeUndefined();
  });
});
