import { fakeClock } from '@replyx/testkit';
import { describe, expect, it } from 'vitest';
import { LocalDenials } from '../src/local-denials.js';

describe('local denials', () => {
  it('hold to the millisecond and count the attempts', () => {
    const clock = fakeClock();
    const denials = new LocalDenials(clock, 10);
    expect(denials.check('a')).toBeUndefined();
    denials.deny('a', 1_000);
    expect(denials.check('a')).toBe(1_000);
    clock.advance(999);
    expect(denials.check('a')).toBe(1);
    expect(denials.hits('a')).toBe(2);
    clock.advance(1);
    expect(denials.check('a')).toBeUndefined();
    expect(denials.hits('a')).toBe(0);
  });

  it('are not shortened by a later, shorter one, and keep their count when they grow', () => {
    const clock = fakeClock();
    const denials = new LocalDenials(clock, 10);
    denials.deny('a', 1_000);
    denials.check('a');
    denials.deny('a', 10);
    expect(denials.check('a')).toBe(1_000);
    denials.deny('a', 5_000);
    expect(denials.check('a')).toBe(5_000);
    expect(denials.hits('a')).toBe(3);
  });

  it('count only those that are denied now', () => {
    const clock = fakeClock();
    const denials = new LocalDenials(clock, 10);
    for (const [key, ms] of [
      ['a', 100],
      ['b', 200],
      ['c', 300],
    ] as const)
      denials.deny(key, ms);
    expect(denials.size).toBe(3);
    clock.advance(200);
    expect(denials.size).toBe(1);
  });

  it('keep an attacker at its limit while 50,000 addresses pass that nobody denied', () => {
    const clock = fakeClock();
    const denials = new LocalDenials(clock, 100);
    denials.deny('attacker', 60_000);
    for (let i = 0; i < 50_000; i += 1) expect(denials.check(`passer-${i}`)).toBeUndefined();
    expect(denials.check('attacker')).toBe(60_000);
    expect(denials.size).toBe(1);
  });

  it('stay bounded under more attackers than they hold, and keep the longest denied', () => {
    const clock = fakeClock();
    const denials = new LocalDenials(clock, 100);
    denials.deny('worst', 3_600_000);
    for (let i = 0; i < 10_000; i += 1) denials.deny(`attacker-${i}`, 1_000 + (i % 7));
    expect(denials.size).toBe(100);
    expect(denials.check('worst')).toBe(3_600_000);
  });
});
