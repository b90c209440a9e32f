import type { Clock, Random } from '@replyx/core';
import { BOUNDS, type TokenType } from '@replyx/protocol';
import { parseClaims } from '@replyx/protocol/schemas';
import type { Keyring } from './keyring.js';
import type { ClaimsOf } from './token-verifier.js';

/** Life of a visitor token that the gateway mints; clients refresh it. */
export const VISITOR_TOKEN_TTL_SECONDS = 900;

type SetByMinter = 'type' | 'iat' | 'exp' | 'nbf' | 'iss' | 'aud' | 'jti';

/** The claims that a caller chooses; `jti` is random where absent. */
export type MintClaims<T extends TokenType> = Omit<ClaimsOf<T>, SetByMinter> & { readonly jti?: string };

export type MintResult =
  | {
      readonly ok: true;
      readonly token: string;
      readonly jti: string;
      readonly issuedAtSeconds: number;
      /** Seconds from now. */
      readonly expiresInSeconds: number;
    }
  /** `too_large`: longer than a token may be, so no node would read it. */
  | { readonly ok: false; readonly problem: 'claims' | 'too_long_lived' | 'too_large' };

export interface TokenMinter {
  /**
   * Mints a token that this gateway's verifier accepts. Without `ttlSeconds` a site token carries no `exp` and lives for
   * the maximum age; the other types need one.
   */
  mint<T extends TokenType>(type: T, claims: MintClaims<T>, ttlSeconds?: number): Promise<MintResult>;
}

export interface TokenMinterOptions {
  readonly operatorKeys: Keyring;
  readonly siteKeys: Keyring;
  readonly issuer?: string | undefined;
  readonly audience?: string | undefined;
  readonly tokenMaxLifeMs: number;
  readonly siteTokenMaxAgeMs: number;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly random: Pick<Random, 'bytes'>;
}

export const createTokenMinter = (options: TokenMinterOptions): TokenMinter => {
  const { operatorKeys, siteKeys, issuer, audience, clock, random } = options;
  return {
    mint: async (type, claims, ttlSeconds) => {
      const life = ttlSeconds ?? (type === 'site' ? options.siteTokenMaxAgeMs / 1000 : 0);
      if (!Number.isSafeInteger(life) || life < 1) return { ok: false, problem: 'claims' };
      if (life * 1000 > options.tokenMaxLifeMs) return { ok: false, problem: 'too_long_lived' };
      const issuedAtSeconds = Math.floor(clock.nowMs() / 1000);
      const jti = claims.jti ?? Buffer.from(random.bytes(16)).toString('base64url');
      const payload = parseClaims(type, {
        ...claims,
        type,
        jti,
        iat: issuedAtSeconds,
        ...(ttlSeconds !== undefined && { exp: issuedAtSeconds + ttlSeconds }),
        ...(issuer !== undefined && { iss: issuer }),
        ...(audience !== undefined && { aud: audience }),
      });
      if (payload === undefined) return { ok: false, problem: 'claims' };
      const token = await (type === 'operator' ? operatorKeys : siteKeys).sign(JSON.stringify(payload));
      if (token.length > BOUNDS.tokenChars) return { ok: false, problem: 'too_large' };
      return { ok: true, token, jti, issuedAtSeconds, expiresInSeconds: life };
    },
  };
};
