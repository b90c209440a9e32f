import { parseJsonObject } from '@replyx/protocol/schemas';
import { type CryptoKey, importJWK, type JWK } from 'jose';
import type { AsymmetricAlgorithm } from './token-header.js';

/** A public key and the one algorithm that it verifies. */
export interface JwksKey {
  readonly kid: string | undefined;
  readonly algorithm: AsymmetricAlgorithm;
  readonly key: CryptoKey;
}

const MAX_KEYS = 32;
/** 8192 bits; the cost of a verification grows with the modulus. */
const MAX_MODULUS_CHARS = 1366;
const MAX_EXPONENT_CHARS = 6;

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** The algorithm follows from the kind of key, never from the token. Undefined: a kind that is not accepted. */
const algorithmOf = (jwk: Record<string, unknown>): AsymmetricAlgorithm | undefined => {
  const alg = jwk['alg'];
  const pinned = (algorithm: AsymmetricAlgorithm, ...names: string[]): AsymmetricAlgorithm | undefined =>
    alg === undefined || alg === algorithm || names.includes(String(alg)) ? algorithm : undefined;
  switch (jwk['kty']) {
    case 'RSA': {
      const modulus = text(jwk['n']);
      const exponent = text(jwk['e']);
      if (modulus === undefined || modulus.length > MAX_MODULUS_CHARS) return undefined;
      return exponent === undefined || exponent.length > MAX_EXPONENT_CHARS ? undefined : pinned('RS256');
    }
    case 'EC':
      return jwk['crv'] === 'P-256' ? pinned('ES256') : undefined;
    case 'OKP':
      return jwk['crv'] === 'Ed25519' ? pinned('EdDSA', 'Ed25519') : undefined;
    default:
      return undefined;
  }
};

const importKey = async (jwk: Record<string, unknown>): Promise<JwksKey | undefined> => {
  const algorithm = algorithmOf(jwk);
  // A published private key is known to everybody.
  if (algorithm === undefined || Object.hasOwn(jwk, 'd')) return undefined;
  if (jwk['use'] !== undefined && jwk['use'] !== 'sig') return undefined;
  const operations = jwk['key_ops'];
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return undefined;
  const kid = jwk['kid'];
  if (kid !== undefined && typeof kid !== 'string') return undefined;
  const { kty, crv, n, e, x, y } = jwk;
  const members = Object.entries({ kty, crv, n, e, x, y }).filter(([, value]) => typeof value === 'string');
  try {
    const key = await importJWK(Object.fromEntries(members) as JWK, algorithm);
    if (key instanceof Uint8Array || key.type !== 'public') return undefined;
    const details = key.algorithm as { modulusLength?: number };
    return algorithm === 'RS256' && (details.modulusLength ?? 0) < 2048 ? undefined : { kid, algorithm, key };
  } catch {
    return undefined;
  }
};

/**
 * The usable public keys of a JWKS document: symmetric, private, foreign and malformed keys are left out. Undefined when
 * the document is no JWKS.
 */
export const parseJwks = async (document: string): Promise<readonly JwksKey[] | undefined> => {
  const json = parseJsonObject(document);
  const listed = json.ok && Object.hasOwn(json.value, 'keys') ? json.value['keys'] : undefined;
  if (!Array.isArray(listed)) return undefined;
  const imported = await Promise.all(
    listed
      .slice(0, MAX_KEYS)
      .map((jwk: unknown) =>
        typeof jwk === 'object' && jwk !== null && !Array.isArray(jwk)
          ? importKey(jwk as Record<string, unknown>)
          : undefined,
      ),
  );
  return imported.filter((key) => key !== undefined);
};
