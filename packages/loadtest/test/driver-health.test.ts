import { describe, expect, it } from 'vitest';
import { DriverHealth } from '../src/driver/driver-health.js';

const BEAT_MS = 20;

describe('DriverHealth', () => {
  const healthAt = () => {
    const now = { ms: 0, cpuMs: 0 };
    const lags: number[] = [];
    const health = new DriverHealth((us) => lags.push(us / 1000), { nowMs: () => now.ms, cpuMs: () => now.cpuMs });
    /** The event loop comes to its beat after so long, having used so much of it. */
    const beat = (afterMs: number, share: number): void => {
      now.ms += afterMs;
      now.cpuMs += afterMs * share;
      health.beat();
    };
    const beats = (ms: number, share: number): void => {
      for (let passed = 0; passed < ms; passed += BEAT_MS) beat(BEAT_MS, share);
    };
    return { health, lags, beat, beats };
  };

  it('counts each beat that a stall kept from its time, not the stall once', () => {
    const { health, lags, beat } = healthAt();
    health.startMeasuring();
    beat(BEAT_MS, 0);
    beat(5 * BEAT_MS, 0);
    expect(lags).toEqual([0, 80, 60, 40, 20, 0]);
  });

  it('tells the lag of the load alone', () => {
    const { health, lags, beat } = healthAt();
    beat(500, 0);
    health.startMeasuring();
    beat(BEAT_MS, 0);
    health.stopMeasuring();
    beat(500, 0);
    expect(lags).toEqual([0]);
  });

  it('is as busy as in its worst seconds, however long it waited besides', () => {
    const { health, beats } = healthAt();
    beats(5_000, 1);
    health.startMeasuring();
    beats(8_000, 0.1);
    beats(2_000, 0.97);
    beats(8_000, 0.1);
    health.stopMeasuring();
    beats(5_000, 1);
    expect(health.busiestShare()).toBeCloseTo(0.97, 2);
  });

  it('says what it knows of a load of less than a second', () => {
    const { health, beats } = healthAt();
    health.startMeasuring();
    beats(400, 0.5);
    health.stopMeasuring();
    expect(health.busiestShare()).toBeCloseTo(0.5, 2);
  });
});
