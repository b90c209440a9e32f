import { describe, expect, it } from 'vitest';
import type { TokenType } from '../src/claims.js';
import { parseClaims } from '../src/schemas/claims.js';

const OPERATOR = { type: 'operator', iat: 1, exp: 2, jti: 'j', sub: 's', tenant: 't', role: 'agent' };
const SITE = {
  type: 'site',
  iat: 1,
  jti: 'j',
  tenant: 't',
  assistant_id: 'a',
  allowed_domains: ['x.com'],
  widget_version: 0,
};
const VISITOR = { ...SITE, type: 'visitor', exp: 2, sub: 's', dialog_id: 'd', kind: 'site' };
const EXAMPLES = { operator: OPERATOR, site: SITE, visitor: VISITOR } as const;
const TYPES = Object.keys(EXAMPLES) as TokenType[];

describe('parseClaims', () => {
  it.each(TYPES)('takes the least of %s', (type) => {
    expect(parseClaims(type, EXAMPLES[type])).toEqual(EXAMPLES[type]);
  });

  it.each(TYPES)('needs every claim of %s', (type) => {
    for (const name of Object.keys(EXAMPLES[type])) {
      const { [name as 'type']: _, ...rest } = EXAMPLES[type];
      expect(parseClaims(type, rest), name).toBeUndefined();
    }
  });

  it('takes no token for one of another type', () => {
    for (const type of TYPES) {
      for (const other of TYPES) if (other !== type) expect(parseClaims(type, EXAMPLES[other])).toBeUndefined();
    }
  });

  it('drops claims that are not of the contract', () => {
    expect(parseClaims('operator', { ...OPERATOR, admin: true, __proto__: { role: 'x' } })).toEqual(OPERATOR);
  });

  it.each<[string, string | readonly string[], readonly string[]]>([
    ['a list', ['a.com', 'b.com'], ['a.com', 'b.com']],
    ['comma-separated text', 'a.com, b.com ,,c.com', ['a.com', 'b.com', 'c.com']],
    ['empty text', '', []],
    ['an empty list', [], []],
  ])('reads allowed domains from %s', (_, allowed_domains, expected) => {
    expect(parseClaims('site', { ...SITE, allowed_domains })?.allowed_domains).toEqual(expected);
  });

  it.each<[TokenType, string, unknown]>([
    ['operator', 'iat', '1'],
    ['operator', 'iat', -1],
    ['operator', 'iat', Number.POSITIVE_INFINITY],
    ['operator', 'exp', null],
    ['operator', 'jti', ''],
    ['operator', 'jti', 'j\n'],
    ['operator', 'sub', 'x'.repeat(129)],
    ['operator', 'sub', 7],
    ['operator', 'tenant', 'a b'],
    ['operator', 'role', ''],
    ['operator', 'assistants', 'a'],
    ['operator', 'assistants', ['a', 'b c']],
    ['operator', 'public_id', ''],
    ['operator', 'name', 'a\u0000'],
    ['site', 'allowed_domains', { 0: 'x.com' }],
    ['site', 'allowed_domains', [1]],
    ['site', 'allowed_domains', new Array(101).fill('x.com')],
    ['site', 'allowed_domains', new Array(101).fill('x.com').join(',')],
    ['site', 'allowed_domains', 'x'.repeat(254)],
    ['site', 'widget_version', -1],
    ['site', 'widget_version', 1.5],
    ['visitor', 'kind', 'operator'],
    ['visitor', 'dialog_id', '../x'],
    ['visitor', 'parent', ''],
  ])('refuses %s with %s %j', (type, name, value) => {
    expect(parseClaims(type, { ...EXAMPLES[type], [name]: value })).toBeUndefined();
  });

  it.each([undefined, null, 1, 'x', [], true])('refuses a payload of %j without a throw', (payload) => {
    for (const type of TYPES) expect(parseClaims(type, payload)).toBeUndefined();
  });
});
