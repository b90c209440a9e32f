import { createHash, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../config/secret.js';
import { bearerToken } from './token-transport.js';

export interface ApiKeys {
  /**
   * The key that an `Authorization` value presents; undefined when it presents none of them. `keyId` is a digest's
   * beginning, the same on every node, fit for logs and limits.
   */
  check(authorization: string | undefined): { readonly keyId: string } | undefined;
}

const digest = (value: string): Buffer => createHash('sha256').update(value).digest();

export const createApiKeys = (keys: readonly Secret[]): ApiKeys => {
  const known = keys.map((key) => ({
    digest: digest(key.reveal()),
    keyId: digest(`replyx api key id\n${key.reveal()}`).toString('hex').slice(0, 12),
  }));
  return {
    check: (authorization) => {
      const presented = digest(bearerToken(authorization) ?? '');
      let found: { readonly keyId: string } | undefined;
      // Every key is compared, whichever matches: the time must not say which, or how much of it.
      for (const key of known) if (timingSafeEqual(key.digest, presented)) found = { keyId: key.keyId };
      return found;
    },
  };
};
