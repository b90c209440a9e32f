import { describe, expect, it } from 'vitest';
import { CpuShares } from '../src/run/cpu-shares.js';

const told = (atMs: number, cpuSeconds: number) => ({ atMs, cpuSeconds, rssBytes: 1e8 });

describe('CpuShares', () => {
  it('are by the time between two answers, and stay until the next', () => {
    const shares = new CpuShares();
    // Asked every 5 s, looked at every second; half a core, then a quarter.
    const at = (second: number) => told(Math.floor(second / 5) * 5_000, [0, 2.5, 3.75][Math.floor(second / 5)] ?? 0);
    const seen = Array.from({ length: 15 }, (_, second) => shares.next([at(second)])[0]);
    expect(seen).toEqual([...Array(5).fill(null), ...Array(5).fill(0.5), ...Array(5).fill(0.25)]);
  });

  it('are unknown while a server is away, and when it has been restarted', () => {
    const shares = new CpuShares();
    shares.next([told(0, 10), told(0, 10)]);
    expect(shares.next([undefined, told(1_000, 10.5)])).toEqual([null, 0.5]);
    expect(shares.next([told(2_000, 11), told(2_000, 0.1)])).toEqual([0.5, null]);
    expect(shares.next([told(3_000, 12), told(3_000, 0.2)])).toEqual([1, expect.closeTo(0.1, 9)]);
  });
});
