import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { createJwks, type Fetch, type Jwks } from '../src/auth/jwks.js';
import { createKeyring, type Keyring } from '../src/auth/keyring.js';
import { createTokenVerifier, type TokenVerifier, type TokenVerifierOptions } from '../src/auth/token-verifier.js';
import type { ConfiguredKey } from '../src/config/gateway-config.js';
import { Secret } from '../src/config/secret.js';
import { KEY_A, KEY_B } from './config-fixtures.js';

export const NOW_S = 1_800_000_000;

/** A clock that stands still until it is moved; moving it runs what is due. */
export class ManualClock {
  ms = NOW_S * 1000;
  readonly #tasks = new Set<{ readonly at: number; readonly run: () => void }>();

  nowMs = (): number => this.ms;
  monotonicMs = (): number => this.ms;

  schedule = (delayMs: number, run: () => void): (() => void) => {
    const task = { at: this.ms + delayMs, run };
    this.#tasks.add(task);
    return () => void this.#tasks.delete(task);
  };

  advance(ms: number): void {
    this.ms += ms;
    for (const task of [...this.#tasks].filter(({ at }) => at <= this.ms)) {
      this.#tasks.delete(task);
      task.run();
    }
  }

  get pending(): number {
    return this.#tasks.size;
  }
}

export const base64url = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** Signs whatever it is given, also what no honest issuer would. */
export const hs256 = (
  payload: unknown,
  key: string | Buffer,
  header: unknown = { alg: 'HS256', typ: 'JWT' },
): string => {
  const input = `${base64url(header)}.${base64url(payload)}`;
  return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`;
};

export const asymmetric = (
  payload: unknown,
  key: KeyObject,
  header: { readonly alg: string; readonly kid?: string },
): string => {
  const input = `${base64url(header)}.${base64url(payload)}`;
  const signature =
    header.alg === 'EdDSA'
      ? sign(null, Buffer.from(input), key)
      : sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
};

export const PAIRS = {
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  rsaWeak: generateKeyPairSync('rsa', { modulusLength: 1024 }),
  ec: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ed: generateKeyPairSync('ed25519'),
};

export const jwk = (key: KeyObject, more: object = {}): object => ({ ...key.export({ format: 'jwk' }), ...more });

export const operator = (more: object = {}): Record<string, unknown> => ({
  type: 'operator',
  iat: NOW_S,
  exp: NOW_S + 3600,
  jti: 'j1',
  sub: 'alice',
  tenant: 'acme',
  role: 'agent',
  ...more,
});

export const visitor = (more: object = {}): Record<string, unknown> => ({
  type: 'visitor',
  iat: NOW_S,
  exp: NOW_S + 900,
  jti: 'j2',
  sub: 'v1',
  tenant: 'acme',
  assistant_id: 'bot',
  dialog_id: 'd1',
  kind: 'site',
  allowed_domains: ['shop.test'],
  widget_version: 1,
  ...more,
});

export const site = (more: object = {}): Record<string, unknown> => ({
  type: 'site',
  iat: NOW_S,
  jti: 'j3',
  tenant: 'acme',
  assistant_id: 'bot',
  allowed_domains: 'shop.test, www.shop.test',
  widget_version: 1,
  ...more,
});

export const keys = (...list: readonly (string | readonly [string, string])[]): ConfiguredKey[] =>
  list.map((item) =>
    typeof item === 'string' ? { value: new Secret(item) } : { kid: item[0], value: new Secret(item[1]) },
  );

export const ring = (...list: readonly (string | readonly [string, string])[]): Promise<Keyring> =>
  createKeyring(keys(...list));

/** KEY_A is SECRET_KEY, KEY_B is SITE_SECRET. */
export const verifierWith = async (
  more: Partial<TokenVerifierOptions> = {},
): Promise<{ readonly verifier: TokenVerifier; readonly clock: ManualClock }> => {
  const clock = new ManualClock();
  const verifier = createTokenVerifier({
    operatorKeys: await ring(KEY_A),
    siteKeys: await ring(KEY_B),
    clockToleranceMs: 5000,
    tokenMaxLifeMs: 7_776_000_000,
    siteTokenMaxAgeMs: 7_776_000_000,
    clock,
    ...more,
  });
  return { verifier, clock };
};

/** An issuer whose answer the test sets; counts how often it is asked. */
export class FakeIssuer {
  asked = 0;
  answer: () => Promise<Response> | Response = () => new Response('', { status: 500 });

  publish(...published: readonly object[]): void {
    this.answer = () => new Response(JSON.stringify({ keys: published }));
  }

  fail(): void {
    this.answer = () => Promise.reject(new Error('connection refused'));
  }

  fetch: Fetch = async () => {
    this.asked += 1;
    return this.answer();
  };

  jwks(clock: ManualClock): Jwks {
    return createJwks({ url: 'https://issuer.test/keys', fetch: this.fetch, clock });
  }
}
