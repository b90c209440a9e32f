import { describe, expect, it } from 'vitest';
import { describeFault, FAULT_KINDS, planOf, type Round } from './plan.js';

const take = (rounds: Generator<Round>, count: number): Round[] =>
  Array.from({ length: count }, () => rounds.next().value as Round);

describe('a plan', () => {
  it('is the same for the same seed and kinds, and another for another seed', () => {
    expect(take(planOf(42), 200)).toEqual(take(planOf(42), 200));
    expect(take(planOf(42), 200)).not.toEqual(take(planOf(43), 200));
  });

  it('names every kind once in as many rounds as there are kinds', () => {
    for (const seed of [1, 2, 3]) {
      const firsts = take(planOf(seed), FAULT_KINDS.length * 2).map(({ faults }) => faults[0]?.kind);
      expect(firsts.slice(0, FAULT_KINDS.length).toSorted()).toEqual(FAULT_KINDS.toSorted());
      expect(firsts.slice(FAULT_KINDS.length).toSorted()).toEqual(FAULT_KINDS.toSorted());
    }
  });

  it('strikes one node once in a round, joins nothing to what all share, and is bounded in time', () => {
    for (const { faults, settles, pauseMs } of take(planOf(7), 1_000)) {
      expect(faults.length).toBeLessThanOrEqual(2);
      expect(pauseMs).toBeLessThanOrEqual(1_400);
      for (const { holdMs } of faults) expect(holdMs).toBeLessThanOrEqual(8_000);
      const [first, second] = faults;
      if (first?.kind.startsWith('redis-') || first?.kind === 'rolling-restart') {
        expect(second).toBeUndefined();
        expect(settles).toBe(true);
      }
      if (second !== undefined) expect(second.node % 3).not.toBe((first?.node ?? 0) % 3);
    }
  });

  it('can be of some kinds only, and not of none', () => {
    expect(new Set(take(planOf(1, ['client-herd']), 20).map(({ faults }) => faults[0]?.kind))).toEqual(
      new Set(['client-herd']),
    );
    expect(() => planOf(1, []).next()).toThrow('a plan needs a kind of fault');
  });

  it('is told in words', () => {
    const fault = { kind: 'net-one-way', node: 4, direction: 'up', holdMs: 500, share: 0.5 } as const;
    expect(describeFault(fault, 3)).toBe('net-one-way node-2 up 500 ms');
    expect(describeFault({ ...fault, kind: 'client-herd', holdMs: 0 }, 3)).toBe('client-herd 50 %');
  });
});
