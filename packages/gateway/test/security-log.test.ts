import { fakeClock } from '@replyx/testkit';
import { describe, expect, it } from 'vitest';
import { createSecurityLog, sampleOf } from '../src/observability/security-log.js';

describe('a sample of what a stranger sent', () => {
  it.each<[string, string, string]>([
    ['plain text stays', "1' OR '1'='1", "1' OR '1'='1"],
    ['control characters and other scripts are escaped', 'a\nb\u001b[31m\u2028é', 'a\\u000ab\\u001b[31m\\u2028\\u00e9'],
    ['what could be a credential is left out', 'x eyJhbGciOiJIUzI1NiJ9abcdefgh.eyJzdWIi.sig y', 'x [redacted] y'],
    ['a long run is left out', 'k'.repeat(5_000), '[redacted]'],
  ])('%s', (_, text, sample) => {
    expect(sampleOf(text)).toBe(sample);
  });

  it('is bounded', () => {
    expect(sampleOf('a b '.repeat(1_000)).length).toBe(64);
    expect(sampleOf('\u0000'.repeat(1_000)).length).toBe(64);
  });
});

describe('the security log', () => {
  it('writes a flood as twenty lines and a count', () => {
    const clock = fakeClock();
    const lines: { fields: Record<string, unknown>; event: string }[] = [];
    const warn = (fields: Record<string, unknown>, event: string) => lines.push({ fields, event });
    const log = createSecurityLog({ warn }, clock);
    for (let i = 0; i < 1_000; i += 1) log('credential_refused', { address: '8.8.8.8' });
    log('address_banned', { address: '8.8.8.8' });
    expect(lines).toHaveLength(21);
    clock.advance(10_000);
    log('credential_refused', { address: '8.8.8.8' });
    expect(lines.at(-1)).toEqual({
      event: 'credential_refused',
      fields: { security: true, address: '8.8.8.8', suppressed: 980 },
    });
    log('credential_refused', {});
    expect(lines.at(-1)?.fields).toEqual({ security: true });
  });

  it('writes every ban', () => {
    const lines: string[] = [];
    const log = createSecurityLog(
      { warn: (fields, event) => lines.push(`${event} ${fields['address']}`) },
      fakeClock(),
    );
    for (let i = 0; i < 100; i += 1) log('address_banned', { address: `8.8.8.${i}` });
    expect(lines).toEqual(Array.from({ length: 100 }, (_, i) => `address_banned 8.8.8.${i}`));
  });
});
