import { isOfDomains, type RefreshVerdict, type Session } from '@replyx/core';
import type { Auth } from '../auth/auth.js';
import type { AuthorizeParts } from './authorize.js';
import { subjectOfClaims } from './token-subject.js';

/** Judges the token of a `refresh` frame: not revoked, the same type, tenant, subject, kind and dialog, and not older than the present one. */
export const createRefreshJudge =
  ({ verifier }: Pick<Auth, 'verifier'>, isRevoked: AuthorizeParts['isRevoked']) =>
  async (session: Session, token: string): Promise<RefreshVerdict> => {
    const { identity } = session;
    const type = identity.kind === 'operator' ? ('operator' as const) : ('visitor' as const);
    const verified = await verifier.verify<'operator' | 'visitor'>(token, { types: [type] });
    if (verified.status === 'refused') {
      return { ok: false, code: verified.reason === 'keys_unavailable' ? 'unavailable' : 'unauthorized' };
    }
    if (isRevoked(subjectOfClaims(verified.claims, identity.dialogId))) return { ok: false, code: 'revoked' };
    if (verified.status === 'expired') return { ok: false, code: 'expired' };
    const { claims, acceptedUntilMs } = verified;
    const same =
      claims.tenant === identity.tenant &&
      claims.sub === identity.member.id &&
      claims.iat >= identity.issuedAt &&
      (claims.type === 'operator' || (claims.kind === identity.kind && claims.dialog_id === identity.dialogId)) &&
      // The other kinds' origins do not depend on the token.
      (claims.type === 'operator' || claims.kind !== 'site' || isOfDomains(identity.origin, claims.allowed_domains));
    if (!same) return { ok: false, code: 'unauthorized' };
    const parent = claims.type === 'visitor' ? claims.parent : undefined;
    return {
      ok: true,
      issuedAt: claims.iat,
      expiresAtMs: acceptedUntilMs,
      tokenIds: parent === undefined ? [claims.jti] : [claims.jti, parent],
    };
  };
