import type { TokenType } from '@replyx/protocol';
import { describe, expect, it } from 'vitest';
import {
  asymmetric,
  base64url,
  FakeIssuer,
  hs256,
  jwk,
  NOW_S,
  operator,
  PAIRS,
  site,
  verifierWith,
  visitor,
} from './auth-fixtures.js';
import { KEY_A, KEY_B, KEY_C } from './config-fixtures.js';

const H = { alg: 'HS256', typ: 'JWT' };
const raw = (payload: string, key: string): string => {
  const header = base64url(H);
  return hs256(payload, key, JSON.parse(Buffer.from(header, 'base64url').toString()));
};
const json = (claims: Record<string, unknown>): string => JSON.stringify(claims);
const without = (claims: Record<string, unknown>, ...names: string[]): Record<string, unknown> =>
  Object.fromEntries(Object.entries(claims).filter(([name]) => !names.includes(name)));
const rsaPem = PAIRS.rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString();
const rsaDer = PAIRS.rsa.publicKey.export({ type: 'spki', format: 'der' });
/** The last character of 32 bytes carries two bits that mean nothing. */
const respelt = (token: string): string => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return token.slice(0, -1) + alphabet.charAt(alphabet.indexOf(token.slice(-1)) + 1);
};
const good = hs256(operator(), KEY_A);
const [, goodPayload = '', goodSignature = ''] = good.split('.');

type Row = readonly [name: string, token: string | undefined, type: TokenType, outcome: string];

const rows: readonly Row[] = [
  // Accepted
  ['an operator token', good, 'operator', 'valid'],
  ['a visitor token', hs256(visitor(), KEY_B), 'visitor', 'valid'],
  ['a site token without exp, its domains as text', hs256(site(), KEY_B), 'site', 'valid'],
  ['typ absent', hs256(operator(), KEY_A, { alg: 'HS256' }), 'operator', 'valid'],
  ['typ in lower case', hs256(operator(), KEY_A, { alg: 'HS256', typ: 'jwt' }), 'operator', 'valid'],
  ['typ at+jwt', hs256(operator(), KEY_A, { alg: 'HS256', typ: 'at+jwt' }), 'operator', 'valid'],
  ['claims that are not of the contract', hs256(operator({ email: 'a@b' }), KEY_A), 'operator', 'valid'],
  ['iat in the future within the tolerance', hs256(operator({ iat: NOW_S + 5 }), KEY_A), 'operator', 'valid'],
  ['exp in the past within the tolerance', hs256(operator({ exp: NOW_S - 4 }), KEY_A), 'operator', 'valid'],
  ['exactly the longest life', hs256(operator({ exp: NOW_S + 7_776_000 }), KEY_A), 'operator', 'valid'],
  [
    '__proto__ among the claims',
    raw(`${json(operator()).slice(0, -1)},"__proto__":{"role":"root"}}`, KEY_A),
    'operator',
    'valid',
  ],

  // Expired: everything else is right
  ['an expired token', hs256(operator({ iat: NOW_S - 7200, exp: NOW_S - 3600 }), KEY_A), 'operator', 'expired'],
  ['exp just past the tolerance', hs256(operator({ exp: NOW_S - 5 }), KEY_A), 'operator', 'expired'],
  ['an expired visitor token', hs256(visitor({ exp: NOW_S - 60 }), KEY_B), 'visitor', 'expired'],
  ['a site token past its age', hs256(site({ iat: NOW_S - 7_776_006 }), KEY_B), 'site', 'expired'],
  ['a site token past its exp', hs256(site({ exp: NOW_S - 60 }), KEY_B), 'site', 'expired'],
  ['expired, wrong key', hs256(operator({ exp: NOW_S - 60 }), KEY_C), 'operator', 'not_genuine'],
  ['expired, wrong type', hs256(visitor({ exp: NOW_S - 60 }), KEY_B), 'site', 'wrong_type'],
  ['expired, a claim missing', hs256(without(operator({ exp: NOW_S - 60 }), 'tenant'), KEY_A), 'operator', 'claims'],
  ['expired, too long lived', hs256(operator({ iat: 0, exp: NOW_S - 60 }), KEY_A), 'operator', 'too_long_lived'],
  [
    'expired, nbf in the future',
    hs256(operator({ exp: NOW_S - 60, nbf: NOW_S + 60 }), KEY_A),
    'operator',
    'not_yet_valid',
  ],
  [
    'expired, iat in the future',
    hs256(operator({ iat: NOW_S + 60, exp: NOW_S - 60 }), KEY_A),
    'operator',
    'issued_in_future',
  ],

  // The key
  ['no token', undefined, 'operator', 'missing'],
  ['an empty token', '', 'operator', 'missing'],
  ['wrong key', hs256(operator(), KEY_C), 'operator', 'not_genuine'],
  ["a visitor's claims signed with the operators' key", hs256(visitor(), KEY_A), 'visitor', 'not_genuine'],
  ["an operator's claims signed with the site key", hs256(operator(), KEY_B), 'operator', 'not_genuine'],
  ["a visitor's token where an operator's is expected", hs256(visitor(), KEY_B), 'operator', 'not_genuine'],
  ["an operator's token where a visitor's is expected", good, 'visitor', 'not_genuine'],
  ["a site token where a visitor's is expected", hs256(site(), KEY_B), 'visitor', 'wrong_type'],
  ["a visitor's token where a site token is expected", hs256(visitor(), KEY_B), 'site', 'wrong_type'],
  ["visitor claims under the operators' key as operator", hs256(visitor(), KEY_A), 'operator', 'wrong_type'],
  [
    'a changed payload',
    `${base64url(H)}.${base64url(operator({ role: 'root' }))}.${goodSignature}`,
    'operator',
    'not_genuine',
  ],
  ['a cut signature', good.slice(0, -4), 'operator', 'not_genuine'],
  ['the same signature in other characters', respelt(good), 'operator', 'not_genuine'],

  // The algorithm
  ['alg none, no signature', `${base64url({ alg: 'none' })}.${goodPayload}.`, 'operator', 'malformed'],
  [
    'alg none, some signature',
    `${base64url({ alg: 'none' })}.${goodPayload}.${goodSignature}`,
    'operator',
    'algorithm',
  ],
  ['alg None', `${base64url({ alg: 'None' })}.${goodPayload}.${goodSignature}`, 'operator', 'algorithm'],
  ['alg absent', hs256(operator(), KEY_A, { typ: 'JWT' }), 'operator', 'algorithm'],
  ['alg a list', hs256(operator(), KEY_A, { alg: ['HS256'] }), 'operator', 'algorithm'],
  ['alg hs256', hs256(operator(), KEY_A, { alg: 'hs256' }), 'operator', 'algorithm'],
  ['alg HS512', hs256(operator(), KEY_A, { alg: 'HS512' }), 'operator', 'algorithm'],
  ['alg PS256', hs256(operator(), KEY_A, { alg: 'PS256' }), 'operator', 'algorithm'],
  ['alg RS256 over an HMAC', hs256(operator(), KEY_A, { alg: 'RS256' }), 'operator', 'not_genuine'],
  ['RS256 confusion, public key as PEM', hs256(operator(), rsaPem), 'operator', 'not_genuine'],
  ['RS256 confusion, public key as DER', hs256(operator(), rsaDer), 'operator', 'not_genuine'],
  [
    'RS256 confusion under the key id',
    hs256(operator(), rsaPem, { alg: 'HS256', kid: 'rsa' }),
    'operator',
    'not_genuine',
  ],

  // The header
  ['unknown kid', hs256(operator(), KEY_A, { ...H, kid: 'other' }), 'operator', 'not_genuine'],
  ['kid a path', hs256(operator(), '', { ...H, kid: '../../../dev/null' }), 'operator', 'not_genuine'],
  ['kid SQL', hs256(operator(), KEY_A, { ...H, kid: "x' UNION SELECT 'key" }), 'operator', 'malformed'],
  ['kid __proto__', hs256(operator(), KEY_A, { ...H, kid: '__proto__' }), 'operator', 'not_genuine'],
  ['kid constructor', hs256(operator(), KEY_A, { ...H, kid: 'constructor' }), 'operator', 'not_genuine'],
  ['kid empty', hs256(operator(), KEY_A, { ...H, kid: '' }), 'operator', 'malformed'],
  ['kid a number', hs256(operator(), KEY_A, { ...H, kid: 1 }), 'operator', 'malformed'],
  ['kid too long', hs256(operator(), KEY_A, { ...H, kid: 'k'.repeat(65) }), 'operator', 'malformed'],
  ['jku', hs256(operator(), KEY_A, { ...H, jku: 'https://evil.test/keys' }), 'operator', 'malformed'],
  ['jwk', hs256(operator(), KEY_A, { ...H, jwk: { kty: 'oct', k: 'AAAA' } }), 'operator', 'malformed'],
  ['x5u', hs256(operator(), KEY_A, { ...H, x5u: 'https://evil.test/cert' }), 'operator', 'malformed'],
  ['x5c', hs256(operator(), KEY_A, { ...H, x5c: ['AAAA'] }), 'operator', 'malformed'],
  ['crit', hs256(operator(), KEY_A, { ...H, crit: ['exp'], exp: 1 }), 'operator', 'malformed'],
  ['b64', hs256(operator(), KEY_A, { ...H, b64: true }), 'operator', 'malformed'],
  ['zip', hs256(operator(), KEY_A, { ...H, zip: 'DEF' }), 'operator', 'malformed'],
  ['enc', hs256(operator(), KEY_A, { ...H, enc: 'A256GCM' }), 'operator', 'malformed'],
  ['typ JWE', hs256(operator(), KEY_A, { alg: 'HS256', typ: 'JWE' }), 'operator', 'malformed'],
  ['typ null', hs256(operator(), KEY_A, { alg: 'HS256', typ: null }), 'operator', 'malformed'],
  ['a repeated alg', hs256(operator(), KEY_A, '{"alg":"none","alg":"HS256"}'), 'operator', 'malformed'],
  ['a header that is a list', hs256(operator(), KEY_A, '["HS256"]'), 'operator', 'malformed'],
  ['a header that is no JSON', hs256(operator(), KEY_A, 'HS256'), 'operator', 'malformed'],
  ['a large header', hs256(operator(), KEY_A, { ...H, x: 'x'.repeat(1000) }), 'operator', 'malformed'],
  [
    'a deep header',
    hs256(operator(), KEY_A, `{"alg":"HS256","x":${'['.repeat(50)}${']'.repeat(50)}}`),
    'operator',
    'malformed',
  ],

  // The form
  ['100 KB', hs256(operator({ name: 'x'.repeat(100_000) }), KEY_A), 'operator', 'malformed'],
  ['white space before', ` ${good}`, 'operator', 'malformed'],
  ['a line feed after', `${good}\n`, 'operator', 'malformed'],
  ['padding', `${good}=`, 'operator', 'malformed'],
  ['two parts', `${base64url(H)}.${goodPayload}`, 'operator', 'malformed'],
  ['four parts', `${good}.x`, 'operator', 'malformed'],
  ['five parts of an encrypted token', `${base64url({ alg: 'dir', enc: 'A256GCM' })}..a.b.c`, 'operator', 'malformed'],
  ['a JSON serialization', JSON.stringify({ payload: goodPayload, signature: goodSignature }), 'operator', 'malformed'],
  ['words', 'undefined', 'operator', 'malformed'],

  // The claims
  ['type missing', hs256(without(operator(), 'type'), KEY_A), 'operator', 'wrong_type'],
  ['type unknown', hs256(operator({ type: 'admin' }), KEY_A), 'operator', 'wrong_type'],
  ['type a list', hs256(operator({ type: ['operator'] }), KEY_A), 'operator', 'wrong_type'],
  ['type repeated', raw(`{"type":"visitor",${json(operator()).slice(1)}`, KEY_A), 'operator', 'malformed'],
  ['sub repeated', raw(`{"sub":"bob",${json(operator()).slice(1)}`, KEY_A), 'operator', 'malformed'],
  [
    'type only in __proto__',
    raw(`${json(without(operator(), 'type')).slice(0, -1)},"__proto__":{"type":"operator"}}`, KEY_A),
    'operator',
    'wrong_type',
  ],
  ['payload a list', hs256([], KEY_A), 'operator', 'malformed'],
  ['payload no JSON', raw('hello', KEY_A), 'operator', 'malformed'],
  [
    'payload nested deeply',
    raw(`${json(operator()).slice(0, -1)},"x":${'['.repeat(2000)}${']'.repeat(2000)}}`, KEY_A),
    'operator',
    'malformed',
  ],
  ['exp missing', hs256(without(operator(), 'exp'), KEY_A), 'operator', 'claims'],
  ['exp missing, visitor', hs256(without(visitor(), 'exp'), KEY_B), 'visitor', 'claims'],
  ['exp as text', hs256(operator({ exp: String(NOW_S + 60) }), KEY_A), 'operator', 'claims'],
  ['exp infinite', raw(json(operator({ exp: 'E' })).replace('"E"', '1e999'), KEY_A), 'operator', 'claims'],
  ['exp negative', hs256(operator({ exp: -1 }), KEY_A), 'operator', 'claims'],
  ['exp null', hs256(site({ exp: null }), KEY_B), 'site', 'claims'],
  ['iat missing', hs256(without(operator(), 'iat'), KEY_A), 'operator', 'claims'],
  ['jti missing', hs256(without(operator(), 'jti'), KEY_A), 'operator', 'claims'],
  ['sub missing', hs256(without(operator(), 'sub'), KEY_A), 'operator', 'claims'],
  ['sub a number', hs256(operator({ sub: 7 }), KEY_A), 'operator', 'claims'],
  ['sub an object', hs256(operator({ sub: { id: 'a' } }), KEY_A), 'operator', 'claims'],
  ['sub empty', hs256(operator({ sub: '' }), KEY_A), 'operator', 'claims'],
  ['sub with a line feed', hs256(operator({ sub: 'a\nb' }), KEY_A), 'operator', 'claims'],
  ['sub with NUL', hs256(operator({ sub: 'a\u0000b' }), KEY_A), 'operator', 'claims'],
  [
    'sub with a lone surrogate',
    raw(json(operator({ sub: 'S' })).replace('"S"', '"\\ud800"'), KEY_A),
    'operator',
    'malformed',
  ],
  ['sub too long', hs256(operator({ sub: 'x'.repeat(129) }), KEY_A), 'operator', 'claims'],
  ['tenant with a colon', hs256(operator({ tenant: 'a:b' }), KEY_A), 'operator', 'claims'],
  ['dialog id a path', hs256(visitor({ dialog_id: '../x' }), KEY_B), 'visitor', 'claims'],
  ['kind unknown', hs256(visitor({ kind: 'operator' }), KEY_B), 'visitor', 'claims'],
  ['nbf in the future', hs256(operator({ nbf: NOW_S + 60 }), KEY_A), 'operator', 'not_yet_valid'],
  ['iat in the future', hs256(operator({ iat: NOW_S + 6 }), KEY_A), 'operator', 'issued_in_future'],
  ['a site token with iat in the future', hs256(site({ iat: NOW_S + 60 }), KEY_B), 'site', 'issued_in_future'],
  ['life one second too long', hs256(operator({ exp: NOW_S + 7_776_001 }), KEY_A), 'operator', 'too_long_lived'],
  ['a site token with a far exp', hs256(site({ exp: NOW_S + 999_999_999 }), KEY_B), 'site', 'too_long_lived'],
];

describe('a token', () => {
  it.each(rows)('%s', async (_, token, type, outcome) => {
    const issuer = new FakeIssuer();
    issuer.publish(jwk(PAIRS.rsa.publicKey, { kid: 'rsa' }));
    const { verifier, clock } = await verifierWith();
    // With published keys and without: neither may open what the other refuses.
    const { verifier: withJwks } = await verifierWith({ jwks: issuer.jwks(clock) });
    for (const judge of [verifier, withJwks]) {
      const result = await judge.verify(token, { types: [type] });
      expect(result.status === 'refused' ? result.reason : result.status).toBe(outcome);
    }
  });

  it('says nothing of itself when it is refused', async () => {
    const { verifier } = await verifierWith();
    expect(await verifier.verify(hs256(operator(), KEY_C), { types: ['operator'] })).toEqual({
      status: 'refused',
      reason: 'not_genuine',
    });
  });
});

describe('an accepted token', () => {
  it('gives its claims, copied field by field, and its times', async () => {
    const { verifier } = await verifierWith();
    expect(
      await verifier.verify(hs256(operator({ email: 'x', name: 'Alice' }), KEY_A), { types: ['operator'] }),
    ).toEqual({
      status: 'valid',
      claims: operator({ name: 'Alice' }),
      expiresAtMs: (NOW_S + 3600) * 1000,
      acceptedUntilMs: (NOW_S + 3605) * 1000,
    });
    const result = await verifier.verify(hs256(site(), KEY_B), { types: ['site'] });
    expect(result).toMatchObject({
      status: 'valid',
      claims: { allowed_domains: ['shop.test', 'www.shop.test'] },
      expiresAtMs: (NOW_S + 7_776_000) * 1000,
    });
  });

  it('may be one of several types, each bound to its own key', async () => {
    const { verifier } = await verifierWith();
    const types = ['operator', 'visitor', 'site'] as const;
    expect((await verifier.verify(good, { types })).status).toBe('valid');
    expect((await verifier.verify(hs256(visitor(), KEY_B), { types })).status).toBe('valid');
    expect(await verifier.verify(hs256(visitor(), KEY_A), { types })).toMatchObject({ reason: 'wrong_type' });
    expect(await verifier.verify(hs256(operator(), KEY_B), { types })).toMatchObject({ reason: 'wrong_type' });
  });
});

describe('issuer and audience', () => {
  it.each([
    ['right', { iss: 'me', aud: 'replyx' }, 'valid'],
    ['audience among several', { iss: 'me', aud: ['x', 'replyx'] }, 'valid'],
    ['no issuer', { aud: 'replyx' }, 'issuer'],
    ['another issuer', { iss: 'me/', aud: 'replyx' }, 'issuer'],
    ['no audience', { iss: 'me' }, 'audience'],
    ['another audience', { iss: 'me', aud: 'replyx2' }, 'audience'],
    ['an empty list', { iss: 'me', aud: [] }, 'audience'],
    ['another audience, expired', { iss: 'me', aud: 'x', exp: NOW_S - 60 }, 'audience'],
    ['an audience that is no text', { iss: 'me', aud: [1] }, 'claims'],
  ])('%s', async (_, more, outcome) => {
    const { verifier } = await verifierWith({ issuer: 'me', audience: 'replyx' });
    const result = await verifier.verify(hs256(operator(more), KEY_A), { types: ['operator'] });
    expect(result.status === 'refused' ? result.reason : result.status).toBe(outcome);
  });

  it('hold for visitors too', async () => {
    const { verifier } = await verifierWith({ issuer: 'me' });
    expect(await verifier.verify(hs256(visitor(), KEY_B), { types: ['visitor'] })).toMatchObject({ reason: 'issuer' });
  });
});

describe('published keys', () => {
  const published = [
    jwk(PAIRS.rsa.publicKey, { kid: 'rsa', alg: 'RS256', use: 'sig' }),
    jwk(PAIRS.ec.publicKey, { kid: 'ec' }),
    jwk(PAIRS.ed.publicKey, { kid: 'ed', key_ops: ['verify'] }),
    jwk(PAIRS.rsaWeak.publicKey, { kid: 'weak' }),
    jwk(PAIRS.rsa.privateKey, { kid: 'private' }),
    jwk(PAIRS.rsa.publicKey, { kid: 'enc', use: 'enc' }),
    jwk(PAIRS.rsa.publicKey, { kid: 'rs512', alg: 'RS512' }),
    { kty: 'oct', kid: 'oct', alg: 'HS256', k: base64url(KEY_C) },
    { kty: 'RSA', kid: 'broken', n: '%%', e: 'AQAB' },
    null,
    'text',
  ] as object[];
  const signed = (pair: 'rsa' | 'ec' | 'ed' | 'rsaWeak', alg: string, kid?: string, more: object = {}): string =>
    asymmetric(operator(more), PAIRS[pair].privateKey, kid === undefined ? { alg } : { alg, kid });

  it.each<readonly [string, string, TokenType, string]>([
    ['RS256', signed('rsa', 'RS256', 'rsa'), 'operator', 'valid'],
    ['ES256', signed('ec', 'ES256', 'ec'), 'operator', 'valid'],
    ['EdDSA', signed('ed', 'EdDSA', 'ed'), 'operator', 'valid'],
    ['no kid', signed('ec', 'ES256'), 'operator', 'valid'],
    ['expired', signed('rsa', 'RS256', 'rsa', { exp: NOW_S - 60 }), 'operator', 'expired'],
    ['SECRET_KEY beside them', good, 'operator', 'valid'],
    ['HS256 with a published kid', hs256(operator(), KEY_A, { alg: 'HS256', kid: 'rsa' }), 'operator', 'not_genuine'],
    [
      'HS256 with a published symmetric key',
      hs256(operator(), KEY_C, { alg: 'HS256', kid: 'oct' }),
      'operator',
      'not_genuine',
    ],
    ["another key's kid", signed('rsa', 'RS256', 'ec'), 'operator', 'not_genuine'],
    ['ES256 named RS256', signed('ec', 'RS256', 'ec'), 'operator', 'not_genuine'],
    ['a weak key', signed('rsaWeak', 'RS256', 'weak'), 'operator', 'not_genuine'],
    ['a published private key', signed('rsa', 'RS256', 'private'), 'operator', 'not_genuine'],
    ['an encryption key', signed('rsa', 'RS256', 'enc'), 'operator', 'not_genuine'],
    ['a key of another algorithm', signed('rsa', 'RS256', 'rs512'), 'operator', 'not_genuine'],
    [
      'never for visitors',
      asymmetric(visitor(), PAIRS.ec.privateKey, { alg: 'ES256', kid: 'ec' }),
      'visitor',
      'not_genuine',
    ],
    [
      'visitor claims as operator',
      asymmetric(visitor(), PAIRS.ec.privateKey, { alg: 'ES256', kid: 'ec' }),
      'operator',
      'wrong_type',
    ],
  ])('%s', async (_, token, type, outcome) => {
    const issuer = new FakeIssuer();
    issuer.publish(...published);
    const { clock } = await verifierWith();
    const { verifier } = await verifierWith({ jwks: issuer.jwks(clock) });
    const result = await verifier.verify(token, { types: [type] });
    expect(result.status === 'refused' ? result.reason : result.status).toBe(outcome);
  });
});
