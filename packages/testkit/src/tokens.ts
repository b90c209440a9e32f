import { createHmac, randomUUID } from 'node:crypto';

/** Fixed secrets of the tests; as long as the gateway demands (32 bytes and more), and nothing more than that. */
export const TEST_SECRET_KEY = 'test-secret-key-of-operators-0123456789abcdef';
export const TEST_SITE_SECRET = 'test-secret-of-sites-and-visitors-0123456789abcdef';
export const TEST_API_KEY = 'test-api-key-of-the-backend-0123456789abcdef';

/** Defaults that `operatorToken`, `visitorToken` and `siteToken` share, so that their tokens fit each other. */
export const TEST_TENANT = 'tenant-1';
export const TEST_ASSISTANT = 'assistant-1';
export const TEST_DOMAIN = 'customer.example';
export const TEST_ORIGIN = `https://${TEST_DOMAIN}`;

/** A claim that is given as undefined is left out, so a default can be removed. */
export type Claims = Readonly<Record<string, unknown>>;

export interface Signing {
  readonly secret?: string;
  /** Joins and overrides `alg` and `typ`; `kid` for instance. The signature stays HMAC-SHA256 whatever `alg` says. */
  readonly header?: Claims;
}

function base64url(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/**
 * A JWT signed with HMAC-SHA256, made with nothing but node:crypto: the tests do not trust the library that the
 * gateway verifies with. It signs whatever it is given, also what the gateway must refuse.
 */
export function signToken(claims: Claims, secret: string, header: Claims = {}): string {
  const signed = `${base64url({ alg: 'HS256', typ: 'JWT', ...header })}.${base64url(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

/** Now in whole seconds, as `iat` and `exp` count. */
export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

function lived(seconds: number): Claims {
  const iat = nowSeconds();
  return { iat, exp: iat + seconds, jti: randomUUID() };
}

/** Signed with `TEST_SECRET_KEY`, valid for an hour, of tenant `tenant-1`. */
export function operatorToken(claims: Claims = {}, signing: Signing = {}): string {
  return signToken(
    { type: 'operator', ...lived(3600), sub: 'operator-1', tenant: TEST_TENANT, role: 'operator', ...claims },
    signing.secret ?? TEST_SECRET_KEY,
    signing.header,
  );
}

/** Signed with `TEST_SITE_SECRET`, valid for 15 minutes, kind `site`, dialog `dialog-1`, domain `customer.example`. */
export function visitorToken(claims: Claims = {}, signing: Signing = {}): string {
  return signToken(
    {
      type: 'visitor',
      ...lived(900),
      sub: 'visitor-1',
      tenant: TEST_TENANT,
      assistant_id: TEST_ASSISTANT,
      dialog_id: 'dialog-1',
      kind: 'site',
      allowed_domains: [TEST_DOMAIN],
      widget_version: 1,
      ...claims,
    },
    signing.secret ?? TEST_SITE_SECRET,
    signing.header,
  );
}

/** Signed with `TEST_SITE_SECRET`, valid for 90 days: what stands in the page of a customer. */
export function siteToken(claims: Claims = {}, signing: Signing = {}): string {
  return signToken(
    {
      type: 'site',
      ...lived(7_776_000),
      tenant: TEST_TENANT,
      assistant_id: TEST_ASSISTANT,
      allowed_domains: [TEST_DOMAIN],
      widget_version: 1,
      ...claims,
    },
    signing.secret ?? TEST_SITE_SECRET,
    signing.header,
  );
}
