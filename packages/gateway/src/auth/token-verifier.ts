import type { Clock } from '@replyx/core';
import type { Claims, TokenType } from '@replyx/protocol';
import { parseClaims, parseJsonObject } from '@replyx/protocol/schemas';
import { type CryptoKey, compactVerify } from 'jose';
import type { Jwks } from './jwks.js';
import type { Keyring } from './keyring.js';
import { type AsymmetricAlgorithm, readTokenHeader } from './token-header.js';

export type ClaimsOf<T extends TokenType> = Extract<Claims, { readonly type: T }>;

/**
 * Why a token is refused. For metrics and logs only: a peer is told `unauthorized`, whichever it was, except that
 * `keys_unavailable` is temporary.
 */
export type TokenRefusal =
  | 'missing'
  | 'malformed'
  | 'algorithm'
  | 'not_genuine'
  | 'wrong_type'
  | 'claims'
  | 'issuer'
  | 'audience'
  | 'not_yet_valid'
  | 'issued_in_future'
  | 'too_long_lived'
  | 'keys_unavailable';

export type VerifyResult<T extends TokenType = TokenType> =
  | {
      readonly status: 'valid';
      readonly claims: ClaimsOf<T>;
      /** What the token says: `exp`, or `iat` plus the maximum age. */
      readonly expiresAtMs: number;
      /** `expiresAtMs` plus the clock tolerance: from then on it is expired here. */
      readonly acceptedUntilMs: number;
    }
  /** Genuine and right in everything but its age. Says nothing of revocation. */
  | { readonly status: 'expired'; readonly claims: ClaimsOf<T>; readonly expiresAtMs: number }
  | { readonly status: 'refused'; readonly reason: TokenRefusal };

export interface TokenVerifier {
  /** Judges a token that must be of one of `types`. Never rejects. */
  verify<T extends TokenType>(
    token: string | undefined,
    expected: { readonly types: readonly T[] },
  ): Promise<VerifyResult<T>>;
}

export interface TokenVerifierOptions {
  /** `SECRET_KEY`: operator tokens. */
  readonly operatorKeys: Keyring;
  /** `SITE_SECRET`: site and visitor tokens. */
  readonly siteKeys: Keyring;
  /** Public keys of an issuer of operator tokens. */
  readonly jwks?: Jwks | undefined;
  readonly issuer?: string | undefined;
  readonly audience?: string | undefined;
  readonly clockToleranceMs: number;
  readonly tokenMaxLifeMs: number;
  readonly siteTokenMaxAgeMs: number;
  readonly clock: Pick<Clock, 'nowMs'>;
}

/** Which tokens a key may sign: what an operator's key signed is never a visitor, and the reverse. */
type Purpose = 'operator' | 'site';

const PURPOSE: Record<TokenType, Purpose> = { operator: 'operator', site: 'site', visitor: 'site' };

interface Genuine {
  readonly purpose: Purpose;
  readonly payload: Uint8Array;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

const refused = (reason: TokenRefusal): { readonly status: 'refused'; readonly reason: TokenRefusal } => ({
  status: 'refused',
  reason,
});

const payloadOf = async (
  token: string,
  algorithm: AsymmetricAlgorithm,
  key: CryptoKey,
): Promise<Uint8Array | undefined> => {
  try {
    return (await compactVerify(token, key, { algorithms: [algorithm] })).payload;
  } catch {
    return undefined;
  }
};

const parsePayload = (payload: Uint8Array): Record<string, unknown> | undefined => {
  try {
    const json = parseJsonObject(decoder.decode(payload));
    return json.ok ? json.value : undefined;
  } catch {
    return undefined;
  }
};

export const createTokenVerifier = (options: TokenVerifierOptions): TokenVerifier => {
  const { operatorKeys, siteKeys, jwks, issuer, audience, clock } = options;
  const toleranceMs = options.clockToleranceMs;

  const signedBySecret = (
    token: string,
    kid: string | undefined,
    purposes: ReadonlySet<Purpose>,
  ): Genuine | undefined => {
    for (const purpose of purposes) {
      for (const key of (purpose === 'operator' ? operatorKeys : siteKeys).keysFor(kid)) {
        const payload = key.payloadOf(token);
        if (payload !== undefined) return { purpose, payload };
      }
    }
    return undefined;
  };

  const signedByIssuer = async (
    token: string,
    algorithm: AsymmetricAlgorithm,
    kid: string | undefined,
  ): Promise<Genuine | 'keys_unavailable' | undefined> => {
    const found = await jwks?.keysFor(algorithm, kid);
    if (found?.status === 'unavailable') return 'keys_unavailable';
    for (const key of found?.status === 'found' ? found.keys : []) {
      const payload = await payloadOf(token, algorithm, key);
      if (payload !== undefined) return { purpose: 'operator', payload };
    }
    return undefined;
  };

  const judge = <T extends TokenType>(
    payload: Record<string, unknown>,
    purpose: Purpose,
    types: readonly T[],
  ): VerifyResult<T> => {
    const named = Object.hasOwn(payload, 'type') ? payload['type'] : undefined;
    const type = types.find((candidate) => candidate === named && PURPOSE[candidate] === purpose);
    if (type === undefined) return refused('wrong_type');
    const claims = parseClaims(type, payload) as ClaimsOf<T> | undefined;
    if (claims === undefined) return refused('claims');
    if (issuer !== undefined && claims.iss !== issuer) return refused('issuer');
    if (
      audience !== undefined &&
      !(typeof claims.aud === 'string' ? [claims.aud] : (claims.aud ?? [])).includes(audience)
    ) {
      return refused('audience');
    }
    const nowMs = clock.nowMs();
    const issuedAtMs = claims.iat * 1000;
    if (issuedAtMs > nowMs + toleranceMs) return refused('issued_in_future');
    if (claims.nbf !== undefined && claims.nbf * 1000 > nowMs + toleranceMs) return refused('not_yet_valid');
    const expiresAtMs = claims.exp === undefined ? issuedAtMs + options.siteTokenMaxAgeMs : claims.exp * 1000;
    if (expiresAtMs - issuedAtMs > options.tokenMaxLifeMs) return refused('too_long_lived');
    const acceptedUntilMs = expiresAtMs + toleranceMs;
    // Expiry comes last: only a token that is right in everything else may be called expired.
    if (nowMs >= acceptedUntilMs) return { status: 'expired', claims, expiresAtMs };
    return { status: 'valid', claims, expiresAtMs, acceptedUntilMs };
  };

  return {
    verify: async (token, { types }) => {
      if (token === undefined || token === '') return refused('missing');
      const header = readTokenHeader(token);
      if (!header.ok) return refused(header.reason);
      const purposes = new Set(types.map((type) => PURPOSE[type]));
      const { algorithm, kid } = header;
      // The algorithm picks the kind of key: secrets verify HS256 only, public keys never do.
      const genuine =
        algorithm === 'HS256'
          ? signedBySecret(token, kid, purposes)
          : purposes.has('operator')
            ? await signedByIssuer(token, algorithm, kid)
            : undefined;
      if (genuine === 'keys_unavailable') return refused('keys_unavailable');
      if (genuine === undefined) return refused('not_genuine');
      const payload = parsePayload(genuine.payload);
      return payload === undefined ? refused('malformed') : judge(payload, genuine.purpose, types);
    },
  };
};
