import { describe, expect, it } from 'vitest';
import { createJwks } from '../src/auth/jwks.js';
import { FakeIssuer, jwk, ManualClock, PAIRS } from './auth-fixtures.js';

const first = jwk(PAIRS.ec.publicKey, { kid: 'k1' });
const second = jwk(PAIRS.ed.publicKey, { kid: 'k2' });

const setUp = async (...published: object[]) => {
  const clock = new ManualClock();
  const issuer = new FakeIssuer();
  if (published.length > 0) issuer.publish(...published);
  const jwks = issuer.jwks(clock);
  const status = async (kid: string, algorithm: 'ES256' | 'EdDSA' = 'ES256') =>
    (await jwks.keysFor(algorithm, kid)).status;
  return { clock, issuer, jwks, status };
};

describe('published keys', () => {
  it('are fetched once for all who wait', async () => {
    const { issuer, status } = await setUp(first);
    expect(await Promise.all(Array.from({ length: 20 }, () => status('k1')))).toEqual(Array(20).fill('found'));
    expect(issuer.asked).toBe(1);
  });

  it('are fetched again for an unknown key id, at most every 30 s', async () => {
    const { clock, issuer, status } = await setUp(first);
    expect(await status('k1')).toBe('found');
    issuer.publish(first, second);
    expect(await status('k2', 'EdDSA')).toBe('unknown');
    for (let i = 0; i < 100; i += 1) expect(await status(`made-up-${i}`)).toBe('unknown');
    expect(issuer.asked).toBe(1);
    clock.advance(30_000);
    expect(await status('k2', 'EdDSA')).toBe('found');
    expect(await status('made-up')).toBe('unknown');
    expect(issuer.asked).toBe(2);
  });

  it('serve on while a fetch fails, and an unknown id is then not known for sure', async () => {
    const { clock, issuer, status } = await setUp(first);
    await status('k1');
    issuer.fail();
    clock.advance(30_000);
    expect(await status('k2', 'EdDSA')).toBe('unavailable');
    clock.advance(3_600_000);
    expect(await status('k1')).toBe('found');
    // The failing renewal in the background ends first.
    await expect.poll(() => clock.pending).toBe(0);
    issuer.publish(first, second);
    clock.advance(30_000);
    expect(await status('k2', 'EdDSA')).toBe('found');
  });

  it('are renewed in the background, so that a withdrawn one stops working', async () => {
    const { clock, issuer, jwks, status } = await setUp(first, second);
    await status('k1');
    issuer.publish(second);
    clock.advance(600_000);
    expect(await status('k1')).toBe('found');
    await expect.poll(() => issuer.asked).toBe(2);
    await expect.poll(() => status('k1')).toBe('unknown');
    expect(await jwks.load()).toBe(true);
  });

  it('are unavailable until the first fetch, which is tried again every 5 s', async () => {
    const { clock, issuer, jwks, status } = await setUp();
    issuer.fail();
    expect(await jwks.load()).toBe(false);
    expect(await status('k1')).toBe('unavailable');
    expect(issuer.asked).toBe(1);
    issuer.publish(first);
    clock.advance(5_000);
    expect(await status('k1')).toBe('found');
  });

  it.each<readonly [string, () => Response]>([
    ['a status', () => new Response(JSON.stringify({ keys: [first] }), { status: 503 })],
    ['no JSON', () => new Response('<html>')],
    ['no keys', () => new Response('{}')],
    ['an empty list', () => new Response('{"keys":[]}')],
    ['no usable key', () => new Response('{"keys":[{"kty":"oct","k":"AAAA"}]}')],
    ['a body beyond the bound', () => new Response(`{"keys":[],"x":"${'x'.repeat(300_000)}"}`)],
    ['a deep body', () => new Response(`{"keys":${'['.repeat(5000)}${']'.repeat(5000)}}`)],
    ['no body', () => new Response(null)],
  ])('keep the last good ones when the answer is %s', async (_, answer) => {
    const { clock, issuer, status } = await setUp(first);
    await status('k1');
    issuer.answer = answer;
    clock.advance(30_000);
    expect(await status('other')).toBe('unavailable');
    expect(await status('k1')).toBe('found');
  });

  it('are given up at the deadline by a fetch that ignores its signal, and no timer is left behind', async () => {
    const { clock, issuer, status } = await setUp();
    issuer.answer = () => new Promise<Response>(() => {});
    const waiting = status('k1');
    await expect.poll(() => clock.pending).toBe(1);
    clock.advance(5_000);
    expect(await waiting).toBe('unavailable');
    expect(clock.pending).toBe(0);
  });

  it('are given up at the deadline by a body that never ends', async () => {
    const { clock, issuer, status } = await setUp();
    issuer.answer = () => new Response(new ReadableStream({ start: (c) => c.enqueue(new TextEncoder().encode('{')) }));
    const waiting = status('k1');
    await expect.poll(() => clock.pending).toBe(1);
    clock.advance(5_000);
    expect(await waiting).toBe('unavailable');
  });

  it('are asked for without following redirects', async () => {
    let init: RequestInit | undefined;
    const jwks = createJwks({
      url: 'https://issuer.test/keys',
      clock: new ManualClock(),
      fetch: async (_, given) => {
        init = given;
        return new Response(JSON.stringify({ keys: [first] }));
      },
    });
    expect(await jwks.load()).toBe(true);
    expect(init?.redirect).toBe('error');
    expect(init?.signal).toBeInstanceOf(AbortSignal);
  });
});
