import { describe, expect, it } from 'vitest';
import { attemptResult, attemptResults } from '../src/attempt-result.js';
import { noFaults } from '../src/dialog-check.js';
import { DriverStats } from '../src/driver/driver-stats.js';
import type { LoadPlan } from '../src/load-plan.js';
import { verdictsOf } from '../src/report/verdict.js';
import { gatherMeasures } from '../src/run/gather-measures.js';
import type { RunResult } from '../src/run/run-result.js';

describe('attemptResult', () => {
  it.each([
    ['bad-token', 'close 4002', 'refused'],
    ['bad-token', 'http 429', 'refused'],
    ['bad-token', 'admitted', 'admitted'],
    ['bad-token', 'no answer', 'unanswered'],
    ['bad-token', 'ECONNREFUSED', 'failed'],
    ['bad-token', 'EADDRNOTAVAIL', 'failed'],
    ['bad-token', 'cut', 'failed'],
    ['bad-token', 'not http', 'failed'],
    ['bad-token', 'too long', 'failed'],
    ['garbage', 'cut', 'refused'],
    ['garbage', 'not http', 'refused'],
    ['garbage', 'http 400', 'refused'],
    ['garbage', 'ECONNREFUSED', 'failed'],
  ] as const)('%s that ends with %s is %s', (kind, outcome, result) => {
    expect(attemptResult(kind, outcome)).toBe(result);
  });

  it('is failed for what was counted under no name of its own', () => {
    expect(attemptResults({ 'garbage: cut': 2, other: 3 })).toEqual({
      refused: 2,
      admitted: 0,
      unanswered: 0,
      failed: 3,
    });
  });
});

describe('a flood', () => {
  const measuresOf = (attempts: Record<string, number>) => {
    const at = (atMs: number) => ({ atMs, usages: [{ atMs, cpuSeconds: atMs / 10_000, rssBytes: 1e8 }] });
    return gatherMeasures({
      plan: { scenario: 'flood', quietMs: 0 } as LoadPlan,
      turns: { before: at(0), connected: at(0), loadStart: at(0), measureStart: undefined, loadEnd: at(10_000) },
      hasServers: true,
      counts: { ...new DriverStats().counts, attempts },
      faults: noFaults(),
      away: 0,
      connectionsAtStart: 0,
      joinedAtStart: 0,
      latencies: {},
      drivers: { cpuShare: 0, lagP99Ms: 0, lateP99Ms: 0, limited: false },
      growthPerHour: undefined,
      failedSteps: 0,
    });
  };
  const verdictOf = (measures: Record<string, number>) =>
    verdictsOf({
      scenario: 'flood',
      counts: new DriverStats().counts,
      faults: noFaults(),
      measures,
      steps: [],
    } as unknown as RunResult);

  it('that reached nobody is not one that was refused, and costs a server nothing', () => {
    const measures = measuresOf({ 'bad-token: EADDRNOTAVAIL': 40, 'bad-token: ECONNREFUSED': 10 });
    expect(measures).toMatchObject({ attempts: 50, attempts_refused: 0, attempts_failed: 50, admitted: 0 });
    expect(measures).not.toHaveProperty('cpu_us_per_attempt');
    expect(verdictOf(measures)).toEqual([{ ok: false, text: expect.stringContaining('50 failed') }]);
  });

  it('costs by what the servers refused', () => {
    const measures = measuresOf({ 'bad-token: close 4002': 100, 'bad-token: EADDRNOTAVAIL': 900 });
    expect(measures['cpu_us_per_attempt']).toBeCloseTo(10_000, 3);
    expect(verdictOf({ ...measures, attempts_failed: 0 })).toMatchObject([{ ok: true }]);
  });
});
