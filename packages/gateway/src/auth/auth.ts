import type { Clock, Random } from '@replyx/core';
import type { AuthConfig } from '../config/gateway-config.js';
import { type ApiKeys, createApiKeys } from './api-keys.js';
import { createJwks, type Fetch, type Jwks, type JwksOptions } from './jwks.js';
import { createKeyring } from './keyring.js';
import { createPublicIds, type PublicIdOf } from './public-id.js';
import { createTokenMinter, type TokenMinter } from './token-minter.js';
import { createTokenVerifier, type TokenVerifier } from './token-verifier.js';

/** Everything a node knows of credentials. */
export interface Auth {
  readonly verifier: TokenVerifier;
  readonly minter: TokenMinter;
  readonly apiKeys: ApiKeys;
  readonly publicIdOf: PublicIdOf;
  /** Where `WS_JWKS_URL` is set; `load` it at the start. */
  readonly jwks: Jwks | undefined;
}

export interface AuthDependencies {
  readonly clock: Clock;
  readonly random: Pick<Random, 'bytes'>;
  readonly fetch: Fetch;
  readonly onJwksFetch?: JwksOptions['onFetch'];
}

export const createAuth = async (
  config: AuthConfig,
  { clock, random, fetch, onJwksFetch }: AuthDependencies,
): Promise<Auth> => {
  const [operatorKeys, siteKeys] = await Promise.all([
    createKeyring(config.operatorKeys),
    createKeyring(config.siteKeys),
  ]);
  const jwks =
    config.jwksUrl === undefined
      ? undefined
      : createJwks({ url: config.jwksUrl, fetch, clock, ...(onJwksFetch !== undefined && { onFetch: onJwksFetch }) });
  const shared = {
    operatorKeys,
    siteKeys,
    issuer: config.issuer,
    audience: config.audience,
    tokenMaxLifeMs: config.tokenMaxLifeMs,
    siteTokenMaxAgeMs: config.siteTokenMaxAgeMs,
    clock,
  };
  return {
    verifier: createTokenVerifier({ ...shared, jwks, clockToleranceMs: config.clockToleranceMs }),
    minter: createTokenMinter({ ...shared, random }),
    apiKeys: createApiKeys(config.apiKeys),
    publicIdOf: createPublicIds(config.publicIdKey),
    jwks,
  };
};
