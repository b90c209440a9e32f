import { isOfDomains, type RefreshVerdict, type Session } from '@replyx/core';
import type { Auth } from '../auth/auth.js';
import type { ClaimsOf } from '../auth/token-verifier.js';
import type { AuthorizeParts } from './authorize.js';
import { subjectOfClaims } from './token-subject.js';

export interface RefreshJudgeParts {
  readonly auth: Pick<Auth, 'verifier'>;
  readonly isRevoked: AuthorizeParts['isRevoked'];
  /** What has been revoked of late is not known here. */
  readonly isControlStale: () => boolean;
}

/** Whether the token opens what the session's first one opened, from where it is used. */
const opensTheSame = (claims: ClaimsOf<'operator' | 'visitor'>, { identity, dialogAssistantId }: Session): boolean => {
  if (claims.tenant !== identity.tenant || claims.sub !== identity.member.id) return false;
  if (claims.type === 'operator') {
    const { assistants } = claims;
    return assistants === undefined || (dialogAssistantId !== undefined && assistants.includes(dialogAssistantId));
  }
  return (
    claims.kind === identity.kind &&
    claims.dialog_id === identity.dialogId &&
    claims.assistant_id === identity.assistantId &&
    // The other kinds' origins do not depend on the token.
    (claims.kind !== 'site' || isOfDomains(identity.origin, claims.allowed_domains))
  );
};

/**
 * Judges the token of a `refresh` frame: not revoked, the same type, tenant, subject, kind, dialog and assistant, and not older than the
 * present one. As for newcomers, nothing is accepted while what was revoked of late is not known.
 */
export const createRefreshJudge =
  ({ auth, isRevoked, isControlStale }: RefreshJudgeParts) =>
  async (session: Session, token: string): Promise<RefreshVerdict> => {
    const { identity } = session;
    const type = identity.kind === 'operator' ? ('operator' as const) : ('visitor' as const);
    const verified = await auth.verifier.verify<'operator' | 'visitor'>(token, { types: [type] });
    if (verified.status === 'refused') {
      return { ok: false, code: verified.reason === 'keys_unavailable' ? 'unavailable' : 'unauthorized' };
    }
    if (isRevoked(subjectOfClaims(verified.claims, identity.dialogId))) return { ok: false, code: 'revoked' };
    if (isControlStale()) return { ok: false, code: 'unavailable' };
    if (verified.status === 'expired') return { ok: false, code: 'expired' };
    const { claims, acceptedUntilMs } = verified;
    if (claims.iat < identity.issuedAt || !opensTheSame(claims, session)) return { ok: false, code: 'unauthorized' };
    const parent = claims.type === 'visitor' ? claims.parent : undefined;
    return {
      ok: true,
      issuedAt: claims.iat,
      expiresAtMs: acceptedUntilMs,
      tokenIds: parent === undefined ? [claims.jti] : [claims.jti, parent],
    };
  };
