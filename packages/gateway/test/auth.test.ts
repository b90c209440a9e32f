import { describe, expect, it } from 'vitest';
import { createApiKeys } from '../src/auth/api-keys.js';
import { createAuth } from '../src/auth/auth.js';
import { createPublicIds } from '../src/auth/public-id.js';
import { createTokenMinter } from '../src/auth/token-minter.js';
import { pickToken, type TokenCarriers } from '../src/auth/token-transport.js';
import { Secret } from '../src/config/secret.js';
import { hs256, keys, ManualClock, NOW_S, operator, ring, verifierWith } from './auth-fixtures.js';
import { API_KEY, KEY_A, KEY_B, KEY_C } from './config-fixtures.js';

describe('where a token travels', () => {
  const picked = { selectedProtocol: 'replyx.v1' } as const;
  it.each<readonly [string, Partial<TokenCarriers>, object]>([
    ['nowhere', {}, {}],
    ['subprotocol', { protocols: 'replyx.v1, replyx.token.a.b.c' }, { ...picked, token: 'a.b.c' }],
    ['subprotocols in another order', { protocols: 'replyx.token.a.b.c,replyx.v1' }, { ...picked, token: 'a.b.c' }],
    ['subprotocol alone: nothing is selected', { protocols: 'replyx.token.a.b.c' }, { token: 'a.b.c' }],
    ['version alone', { protocols: 'replyx.v1' }, picked],
    ['unknown protocols', { protocols: 'chat, replyx.v2' }, {}],
    ['another case is another protocol', { protocols: 'REPLYX.V1' }, {}],
    ['empty token subprotocol', { protocols: 'replyx.v1, replyx.token.' }, { ...picked, problem: 'malformed' }],
    ['Authorization', { authorization: 'Bearer a.b.c' }, { token: 'a.b.c' }],
    ['Authorization in lower case', { authorization: 'bearer  a.b.c ' }, { token: 'a.b.c' }],
    ['another scheme', { authorization: 'Basic YTpi' }, {}],
    ['Bearer without a token', { authorization: 'Bearer' }, { problem: 'malformed' }],
    ['Bearer with two words', { authorization: 'Bearer a b' }, { problem: 'malformed' }],
    ['two Authorization lines', { authorization: 'Bearer a, Bearer a' }, { problem: 'malformed' }],
    ['query', { query: 'epoch=e&token=a.b.c' }, { token: 'a.b.c' }],
    ['site query', { query: 'site_token=a.b.c' }, { token: 'a.b.c' }],
    ['an empty query token', { query: 'token=' }, {}],
    ['query not allowed', { query: 'token=a.b.c', allowQueryToken: false }, {}],
    [
      'the same twice',
      { protocols: 'replyx.v1,replyx.token.a', authorization: 'Bearer a', query: 'token=a' },
      { ...picked, token: 'a' },
    ],
    ['two subprotocols', { protocols: 'replyx.token.a,replyx.token.b' }, { problem: 'conflicting' }],
    [
      'subprotocol and header',
      { protocols: 'replyx.v1,replyx.token.a', authorization: 'Bearer b' },
      { ...picked, problem: 'conflicting' },
    ],
    ['header and query', { authorization: 'Bearer b', query: 'token=a' }, { problem: 'conflicting' }],
    ['both query names', { query: 'token=a&site_token=b' }, { problem: 'conflicting' }],
    ['one query name twice', { query: 'token=a&token=b' }, { problem: 'conflicting' }],
    [
      'another token in a query that is not allowed',
      { authorization: 'Bearer b', query: 'token=a', allowQueryToken: false },
      { token: 'b' },
    ],
  ])('%s', (_, carriers, expected) => {
    expect(pickToken({ allowQueryToken: true, ...carriers })).toEqual(expected);
  });
});

describe('a keyring', () => {
  const signs = async (key: string, kid?: string) =>
    hs256(operator(), key, { alg: 'HS256', ...(kid !== undefined && { kid }) });

  it.each<readonly [string, string, string | undefined, string]>([
    ['the first key by its id', KEY_A, 'new', 'valid'],
    ['the old key by its id', KEY_B, 'old', 'valid'],
    ['the first key without an id', KEY_A, undefined, 'valid'],
    ['the old key without an id', KEY_B, undefined, 'valid'],
    ["one key under the other's id", KEY_B, 'new', 'not_genuine'],
    ['a key that was removed', KEY_C, undefined, 'not_genuine'],
    ['an id that was removed', KEY_C, 'older', 'not_genuine'],
  ])('%s', async (_, key, kid, outcome) => {
    const { verifier } = await verifierWith({
      operatorKeys: await ring(['new', KEY_A], ['old', KEY_B]),
      siteKeys: await ring(KEY_C),
    });
    const result = await verifier.verify(await signs(key, kid), { types: ['operator'] });
    expect(result.status === 'refused' ? result.reason : result.status).toBe(outcome);
  });

  it('signs with its first key and names it', async () => {
    const token = await (await ring(['new', KEY_A], ['old', KEY_B])).sign(JSON.stringify(operator()));
    expect(JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())).toEqual({
      alg: 'HS256',
      typ: 'JWT',
      kid: 'new',
    });
    expect(token).toBe(hs256(operator(), KEY_A, { alg: 'HS256', typ: 'JWT', kid: 'new' }));
  });
});

describe('minting', () => {
  const minterWith = async (more = {}) =>
    createTokenMinter({
      operatorKeys: await ring(['k1', KEY_A]),
      siteKeys: await ring(KEY_B),
      tokenMaxLifeMs: 7_776_000_000,
      siteTokenMaxAgeMs: 3_600_000,
      clock: new ManualClock(),
      random: { bytes: (length) => new Uint8Array(length).fill(9) },
      ...more,
    });
  const alice = { sub: 'alice', tenant: 'acme', role: 'agent' };

  it('makes what the verifier accepts', async () => {
    const minted = await (await minterWith({ issuer: 'me', audience: 'replyx' })).mint('operator', alice, 60);
    const { verifier } = await verifierWith({
      operatorKeys: await ring(['k1', KEY_A]),
      issuer: 'me',
      audience: 'replyx',
    });
    expect(minted).toMatchObject({
      ok: true,
      expiresInSeconds: 60,
      issuedAtSeconds: NOW_S,
      jti: 'CQkJCQkJCQkJCQkJCQkJCQ',
    });
    expect(await verifier.verify(minted.ok ? minted.token : '', { types: ['operator'] })).toMatchObject({
      status: 'valid',
      claims: { ...alice, iss: 'me', aud: 'replyx', iat: NOW_S, exp: NOW_S + 60 },
    });
  });

  it('gives a site token no exp unless asked, and says how long it lives', async () => {
    const minter = await minterWith();
    const claims = { tenant: 'acme', assistant_id: 'bot', allowed_domains: ['a.test'], widget_version: 0 };
    expect(await minter.mint('site', claims)).toMatchObject({ ok: true, expiresInSeconds: 3600 });
    const minted = await minter.mint('site', claims, 60);
    expect(minted).toMatchObject({ ok: true, expiresInSeconds: 60 });
  });

  it.each([
    ['claims', { ...alice, tenant: 'a:b' }, 60],
    ['claims', alice, undefined],
    ['claims', alice, 0],
    ['claims', alice, 1.5],
    ['too_long_lived', alice, 7_776_001],
    ['too_large', { ...alice, assistants: Array.from({ length: 200 }, (_, i) => `${'x'.repeat(100)}${i}`) }, 60],
  ])('refuses %s', async (problem, claims, ttl) => {
    expect(await (await minterWith()).mint('operator', claims, ttl)).toEqual({ ok: false, problem });
  });
});

describe('API keys', () => {
  const apiKeys = createApiKeys([new Secret(API_KEY), new Secret(KEY_A)]);

  it('accept any of the keys and name it by a digest', () => {
    const first = apiKeys.check(`Bearer ${API_KEY}`);
    const second = apiKeys.check(`bearer ${KEY_A}`);
    expect(first?.keyId).toMatch(/^[0-9a-f]{12}$/);
    expect(second?.keyId).not.toBe(first?.keyId);
    expect(createApiKeys([new Secret(KEY_A)]).check(`Bearer ${KEY_A}`)).toEqual(second);
  });

  it.each([
    undefined,
    '',
    'Bearer',
    'Bearer ',
    `Bearer ${API_KEY}x`,
    `Bearer ${API_KEY.slice(1)}`,
    API_KEY,
    `Basic ${API_KEY}`,
    `Bearer ${API_KEY} ${KEY_A}`,
  ])('refuse %s', (authorization) => {
    expect(apiKeys.check(authorization)).toBeUndefined();
  });
});

describe("an operator's public id", () => {
  const publicIdOf = createPublicIds(new Secret(KEY_A));

  it('is the claim where there is one', () => {
    expect(publicIdOf({ tenant: 'acme', sub: 'alice', public_id: 'op-1' })).toBe('op-1');
  });

  it('is else 22 characters that depend on tenant, subject and key', () => {
    const id = publicIdOf({ tenant: 'acme', sub: 'alice' });
    expect(id).toMatch(/^[\w-]{22}$/);
    expect(publicIdOf({ tenant: 'acme', sub: 'alice' })).toBe(id);
    const others = [
      publicIdOf({ tenant: 'acme', sub: 'bob' }),
      publicIdOf({ tenant: 'acm', sub: 'ealice' }),
      createPublicIds(new Secret(KEY_B))({ tenant: 'acme', sub: 'alice' }),
    ];
    expect(new Set([id, ...others]).size).toBe(4);
  });
});

it('everything is made from one configuration', async () => {
  const auth = await createAuth(
    {
      operatorKeys: keys(KEY_A),
      siteKeys: keys(KEY_B),
      apiKeys: [new Secret(API_KEY)],
      publicIdKey: new Secret(KEY_A),
      clockToleranceMs: 5000,
      tokenMaxLifeMs: 3_600_000,
      siteTokenMaxAgeMs: 3_600_000,
      allowQueryToken: false,
    },
    {
      clock: new ManualClock(),
      random: { bytes: (length) => new Uint8Array(length) },
      fetch: () => Promise.reject(new Error('no network')),
    },
  );
  const minted = await auth.minter.mint('operator', { sub: 'a', tenant: 't', role: 'r' }, 60);
  expect(await auth.verifier.verify(minted.ok ? minted.token : '', { types: ['operator'] })).toMatchObject({
    status: 'valid',
  });
  expect(auth.jwks).toBeUndefined();
});
