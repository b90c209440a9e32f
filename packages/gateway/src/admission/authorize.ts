import { isOriginAllowed, type TokenSubject } from '@replyx/core';
import type { CloseName, ConnectionKind } from '@replyx/protocol';
import type { Auth } from '../auth/auth.js';
import type { TokenPick } from '../auth/token-transport.js';
import type { ClaimsOf } from '../auth/token-verifier.js';
import type { PageRequest } from './foreign-origin.js';
import { subjectOfClaims } from './token-subject.js';

/** Where a credential is used; the same for a socket, a request and an event stream. */
export interface AccessRequest extends PageRequest {
  readonly kind: ConnectionKind;
  readonly dialogId: string;
}

export interface AuthorizeParts {
  readonly auth: Pick<Auth, 'verifier'>;
  /** Origins of the main app, and of the hosted page where they are not the request's own host. */
  readonly origins: { readonly cors: readonly string[]; readonly widget: readonly string[] };
  readonly isRevoked: (subject: TokenSubject) => boolean;
  /** False where the assistant is registered, and inactive or of another tenant. */
  readonly mayServe: (assistantId: string, tenant: string) => boolean;
}

export type Authorization =
  | {
      readonly status: 'authorized';
      readonly claims: ClaimsOf<'operator' | 'visitor'>;
      readonly acceptedUntilMs: number;
    }
  | {
      readonly status: 'refused';
      readonly code: CloseName;
      /** For metrics and logs: the peer is told the code alone. */
      readonly reason: string;
      /** Whether it is held against the address. */
      readonly isOffence: boolean;
    };

/** A genuine visitor token opens the dialog and the kind of route that it names; anything else looks like no dialog. */
const opens = (claims: ClaimsOf<'visitor'>, request: AccessRequest): boolean =>
  claims.dialog_id === request.dialogId && claims.kind === request.kind;

/** Judges a credential, up to the directory's say: the token, then revocation, then where it is used, then its age, then what it opens. */
export const authorize = async (
  picked: Pick<TokenPick, 'token' | 'problem'>,
  request: AccessRequest,
  parts: AuthorizeParts,
): Promise<Authorization> => {
  const refused = (code: CloseName, reason: string, isOffence = true): Authorization => ({
    status: 'refused',
    code,
    reason,
    isOffence,
  });
  if (picked.problem !== undefined) return refused('AUTH_FAILED', picked.problem);
  const verified = await parts.auth.verifier.verify<'operator' | 'visitor'>(picked.token, {
    types: [request.kind === 'operator' ? 'operator' : 'visitor'],
  });
  if (verified.status === 'refused') {
    const { reason } = verified;
    return refused(reason === 'keys_unavailable' ? 'TRY_AGAIN_LATER' : 'AUTH_FAILED', reason);
  }
  const { claims } = verified;
  if (parts.isRevoked(subjectOfClaims(claims, request.dialogId))) return refused('REVOKED', 'revoked');
  // Before expiry: that a token is genuine is told to nobody but a page that may use it.
  const allowed = isOriginAllowed({
    kind: request.kind,
    origin: request.origin,
    host: request.host,
    domains: claims.type === 'visitor' ? claims.allowed_domains : [],
    appOrigins: parts.origins.cors,
    widgetOrigins: parts.origins.widget,
  });
  if (!allowed) return refused('FORBIDDEN_DOMAIN', request.origin === undefined ? 'no_origin' : 'foreign_origin');
  if (verified.status === 'expired') return refused('AUTH_EXPIRED', 'expired');
  if (claims.type === 'visitor') {
    if (!opens(claims, request)) return refused('NOT_FOUND', 'other_dialog');
    // No fault of the visitors, who come from a page that still has the widget.
    if (!parts.mayServe(claims.assistant_id, claims.tenant)) return refused('NOT_FOUND', 'inactive_assistant', false);
  }
  return { status: 'authorized', claims, acceptedUntilMs: verified.acceptedUntilMs };
};
