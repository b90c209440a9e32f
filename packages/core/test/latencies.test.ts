import { describe, expect, it } from 'vitest';
import { LATENCY_BOUNDS_SECONDS, Latencies } from '../src/latencies.js';

describe('latencies', () => {
  it('fall into the bucket whose bound they do not pass', () => {
    const latencies = new Latencies();
    for (const ms of [0, 0.5, 0.6, 2_500, 2_501]) latencies.observe('publish', ms);
    latencies.observe('read', 3);
    const entries = new Map(latencies.entries());
    const buckets = entries.get('publish')?.buckets ?? [];
    expect(buckets).toHaveLength(LATENCY_BOUNDS_SECONDS.length + 1);
    expect(buckets[0]).toBe(2);
    expect(buckets[1]).toBe(1);
    expect(buckets.slice(-2)).toEqual([1, 1]);
    expect(entries.get('publish')?.sumSeconds).toBeCloseTo(5.0021);
    expect(entries.get('read')?.buckets.reduce((sum, count) => sum + count)).toBe(1);
  });
});
