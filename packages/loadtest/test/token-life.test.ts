import { describe, expect, it } from 'vitest';
import { type PlannedSpans, tokenLifeSeconds } from '../src/run/token-life.js';

const MINUTE = 60_000;
const plan = (over: Partial<PlannedSpans>): PlannedSpans => ({
  scenario: 'soak',
  dialogs: 200,
  connectRate: 500,
  rate: 200,
  rampMs: 0,
  durationMs: 30_000,
  settleMs: 10_000,
  quietMs: 0,
  waves: 1,
  spreadMs: 0,
  missed: 10,
  ...over,
});
const none = { sockets: 400, steps: 0, everyMs: 10_000 };

describe('the life of a token', () => {
  it.each([
    ['a soak of ten hours', plan({ durationMs: 600 * MINUTE, rampMs: 30 * MINUTE }), none, 630],
    ['sockets that are opened over two hours', plan({ connectRate: 1 }), { ...none, sockets: 7_200 }, 120],
    ['a flood after a quiet hour', plan({ scenario: 'flood', quietMs: 60 * MINUTE }), none, 60],
    ['ten slow steps', plan({ scenario: 'rolling' }), { ...none, steps: 10 }, 20],
    ['waves of a storm', plan({ scenario: 'storm', waves: 40, spreadMs: 2 * MINUTE }), none, 120],
  ])('lasts for %s', (_, spans, sizes, minutes) => {
    expect(tokenLifeSeconds(spans, sizes)).toBeGreaterThan(minutes * 60);
  });

  it('is short for a short load: nodes may refuse a long one', () => {
    expect(tokenLifeSeconds(plan({}), none)).toBeLessThan(900);
  });
});
