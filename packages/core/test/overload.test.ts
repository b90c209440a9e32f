import { describe, expect, it } from 'vitest';
import { Overload } from '../src/overload.js';

const looks = (overload: Overload, lags: readonly number[], memoryBytes = 0): boolean[] =>
  lags.map((loopLagMs) => {
    overload.look({ loopLagMs, memoryBytes });
    return overload.reasons.size > 0;
  });

describe('overload', () => {
  it('begins with the third high look in a row and ends with the third calm one', () => {
    const overload = new Overload({ loopLagMs: 500, memoryBytes: 0 });
    expect(looks(overload, [501, 600, 400, 501, 501, 501, 450, 399, 399, 450, 399, 399, 399])).toEqual([
      false,
      false,
      false,
      false,
      false,
      true,
      true,
      true,
      true,
      true,
      true,
      true,
      false,
    ]);
  });

  it('says why, and needs every reason to be over', () => {
    const overload = new Overload({ loopLagMs: 500, memoryBytes: 1_000 });
    for (let i = 0; i < 3; i += 1) overload.look({ loopLagMs: 900, memoryBytes: 1_001 });
    expect([...overload.reasons]).toEqual(['loop_lag', 'memory']);
    for (let i = 0; i < 3; i += 1) overload.look({ loopLagMs: 1, memoryBytes: 1_001 });
    expect([...overload.reasons]).toEqual(['memory']);
  });

  it('is off at 0', () => {
    expect(looks(new Overload({ loopLagMs: 0, memoryBytes: 0 }), [1e6, 1e6, 1e6, 1e6], 1e12)).not.toContain(true);
  });
});
