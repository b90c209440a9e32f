import { createHmac } from 'node:crypto';
import type { OperatorClaims } from '@replyx/protocol';
import type { Secret } from '../config/secret.js';
import { lengthPrefixed } from './length-prefixed.js';

/** What visitors see as an operator's `sender.id`. */
export type PublicIdOf = (claims: Pick<OperatorClaims, 'tenant' | 'sub' | 'public_id'>) => string;

/**
 * The claim `public_id`, else 22 characters of an HMAC over tenant and `sub`: keyed, because a plain hash of an e-mail
 * address is found by guessing. The key is derived from the configured secret under its own label, so the id says
 * nothing of the signing key. That secret is the last key of `SECRET_KEY`: a rotation puts the new key first, so ids
 * stay while the old one is listed, and stay after it when its value moves to `PUBLIC_ID_SECRET`.
 */
export const createPublicIds = (secret: Secret): PublicIdOf => {
  const key = createHmac('sha256', secret.reveal()).update('replyx operator public id v1').digest();
  return ({ tenant, sub, public_id }) =>
    public_id ?? createHmac('sha256', key).update(lengthPrefixed(tenant, sub)).digest('base64url').slice(0, 22);
};
