import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { operatorToken, TEST_SECRET_KEY, TEST_SITE_SECRET, visitorToken } from '../src/index.js';

function open(token: string): { header: Record<string, unknown>; claims: Record<string, unknown>; signature: string } {
  const [header = '', claims = '', signature = ''] = token.split('.');
  const parse = (part: string): Record<string, unknown> => JSON.parse(Buffer.from(part, 'base64url').toString());
  return { header: parse(header), claims: parse(claims), signature };
}

describe('tokens', () => {
  it('are signed over header and claims, each with its own secret', () => {
    for (const [token, secret] of [
      [operatorToken(), TEST_SECRET_KEY],
      [visitorToken(), TEST_SITE_SECRET],
    ] as const) {
      const signed = token.slice(0, token.lastIndexOf('.'));
      expect(open(token).signature).toBe(createHmac('sha256', secret).update(signed).digest('base64url'));
      expect(secret.length).toBeGreaterThanOrEqual(32);
    }
  });

  it('take claims, drop undefined ones, and take header fields', () => {
    const { header, claims } = open(visitorToken({ dialog_id: 'd9', exp: undefined }, { header: { kid: 'k2' } }));
    expect(header).toMatchObject({ alg: 'HS256', kid: 'k2' });
    expect(claims).toMatchObject({ type: 'visitor', dialog_id: 'd9', kind: 'site' });
    expect(claims).not.toHaveProperty('exp');
  });
});
