import { describe, expect, it } from 'vitest';
import { judge, parseAssertion } from '../src/assertion.js';
import { UsageError } from '../src/command.js';

describe('parseAssertion', () => {
  it.each([
    ['p99<200', 'p99', '<', 200],
    ['p99<0.2s', 'p99', '<', 200],
    ['ack_p999 <= 1500us', 'ack_p999', '<=', 1.5],
    ['lost=0', 'lost', '=', 0],
    ['rate>=1.5k', 'rate', '>=', 1_500],
    ['driver_cpu<80%', 'driver_cpu', '<', 0.8],
    ['rss_per_connection<5KiB', 'rss_per_connection', '<', 5_120],
    ['closes.1006 == 0', 'closes.1006', '==', 0],
    ['errors.rate_limited!=0', 'errors.rate_limited', '!=', 0],
  ] as const)('reads %s', (text, name, operator, bound) => {
    expect(parseAssertion(text)).toEqual({ text, name, operator, bound });
  });

  it.each([
    '',
    'p99',
    'p99<',
    '<200',
    'p99<x',
    'p99=>3',
    'lost=0ms',
    'p99<2KiB',
    'nothing<1',
    'closes.<1',
    '__proto__<1',
  ])('refuses %j as a usage error', (text) => {
    expect(() => parseAssertion(text)).toThrow(UsageError);
  });
});

describe('judge', () => {
  const outcome = (text: string, measures: Record<string, number>) => judge([parseAssertion(text)], measures)[0];

  it('holds and fails by the operator', () => {
    expect(outcome('p99<200', { p99: 199.9 })).toMatchObject({ ok: true, value: 199.9 });
    expect(outcome('p99<200', { p99: 200 })).toMatchObject({ ok: false });
    expect(outcome('lost!=0', { lost: 0 })).toMatchObject({ ok: false });
  });

  it('fails for what was not measured, because a threshold that looks at nothing would always pass', () => {
    expect(outcome('recovery_p99<200', { p99: 1 })).toEqual({ text: 'recovery_p99<200', value: null, ok: false });
  });

  it('takes a code that did not occur for 0', () => {
    expect(outcome('closes.1006=0', {})).toMatchObject({ ok: true, value: 0 });
  });
});
