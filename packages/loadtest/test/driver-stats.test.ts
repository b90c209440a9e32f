import { describe, expect, it } from 'vitest';
import { DriverStats } from '../src/driver/driver-stats.js';

describe('DriverStats', () => {
  it('leaves what was due in the ramp out of the percentiles, and in the charts', () => {
    const stats = new DriverStats();
    // Opened before the load, in its ramp, and at its full rate.
    stats.took('connect', 1_000, 1_100);
    stats.startLoad({ rampFromUs: 10_000, quietFromUs: 20_000, measureFromUs: 30_000 });
    for (const dueUs of [15_000, 25_000, 35_000]) {
      stats.took('connect', dueUs, dueUs + 200);
      stats.delivered(dueUs, dueUs + 200);
      stats.acked(dueUs, dueUs + 200);
    }
    const { connect, delivery, quiet, ack } = stats.latencies();
    expect([connect, delivery, quiet, ack].map(({ count }) => count)).toEqual([3, 1, 1, 1]);
    const interval = stats.takeInterval();
    expect([interval.delivery.count, interval.other.count]).toEqual([3, 4]);
  });
});
