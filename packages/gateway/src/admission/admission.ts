import { type DialogClaim, type Identity, isOriginAllowed, type ResumePoints } from '@replyx/core';
import { type CloseName, type ConnectionKind, isId, parsePosition, type VisitorClaims } from '@replyx/protocol';
import type { Auth } from '../auth/auth.js';
import { pickToken, type TokenPick } from '../auth/token-transport.js';
import type { VerifyResult } from '../auth/token-verifier.js';

/** What a socket's upgrade request says, copied: the request itself is dead after the first await. */
export interface UpgradeRequest {
  readonly kind: ConnectionKind;
  readonly dialogId: string;
  /** The raw query, without the question mark. */
  readonly query: string;
  readonly version: string;
  /** Header lines joined by commas; `undefined` where there is none. */
  readonly protocols: string | undefined;
  readonly authorization: string | undefined;
  readonly origin: string | undefined;
  readonly host: string | undefined;
}

export interface Admitted {
  readonly identity: Identity;
  readonly claim: DialogClaim;
  readonly resume: ResumePoints;
  readonly clientId: string | undefined;
}

/**
 * What is decided before the upgrade, at once and without a wait. `refuse`: an HTTP status, cheap, for what no client of ours
 * sends or what an attack does. `upgrade`: everything else; a browser can read a close code but no HTTP status, so who is
 * refused later is upgraded and closed at once.
 */
export type Screening =
  | { readonly screening: 'refuse'; readonly status: 404 | 426 | 503; readonly reason: string }
  | { readonly screening: 'upgrade'; readonly protocol: string | undefined; readonly token: TokenPick };

export type Verdict =
  | { readonly verdict: 'admit'; readonly admitted: Admitted }
  | { readonly verdict: 'close'; readonly code: CloseName; readonly reason: string };

export interface AdmissionParts {
  readonly auth: Pick<Auth, 'verifier' | 'publicIdOf'>;
  readonly allowQueryToken: boolean;
  readonly directory: 'strict' | 'open';
  /** Origins of the main app, and of the hosted page where they are not the request's own host. */
  readonly origins: { readonly cors: readonly string[]; readonly widget: readonly string[] };
  readonly maxConnections: number;
  readonly isDraining: () => boolean;
  readonly isLapsed: () => boolean;
  readonly connectionCount: () => number;
  readonly connectionId: () => string;
}

/** In the order of cost: this node's own state, then the request's shape. Denials by address have their place here. */
export const screen = (
  request: UpgradeRequest,
  parts: Pick<AdmissionParts, 'isDraining' | 'allowQueryToken'>,
): Screening => {
  if (parts.isDraining()) return { screening: 'refuse', status: 503, reason: 'draining' };
  if (!isId(request.dialogId)) return { screening: 'refuse', status: 404, reason: 'shape' };
  if (request.version !== '13') return { screening: 'refuse', status: 426, reason: 'version' };
  const token = pickToken({
    protocols: request.protocols,
    authorization: request.authorization,
    query: request.query,
    allowQueryToken: parts.allowQueryToken,
  });
  return { screening: 'upgrade', protocol: token.selectedProtocol, token };
};

const resumePoints = (query: URLSearchParams, kind: ConnectionKind): ResumePoints => {
  const one = (name: string) => query.get(name) ?? undefined;
  return {
    main: parsePosition(one('epoch'), one('offset')),
    internal: kind === 'operator' ? parsePosition(one('note_epoch'), one('note_offset')) : undefined,
  };
};

type Valid = Extract<VerifyResult<'operator' | 'visitor'>, { status: 'valid' }>;

const admittedBy = ({ claims, acceptedUntilMs }: Valid, request: UpgradeRequest, parts: AdmissionParts): Admitted => {
  const { kind, dialogId } = request;
  const query = new URLSearchParams(request.query);
  const clientId = query.get('client_id') ?? undefined;
  const { sub, tenant, name, jti, iat } = claims;
  const visitor = claims.type === 'visitor' ? claims : undefined;
  return {
    identity: {
      connectionId: parts.connectionId(),
      dialogId,
      kind,
      tenant,
      member: {
        role: visitor === undefined ? 'manager' : 'user',
        id: sub,
        name,
        publicId: claims.type === 'operator' ? parts.auth.publicIdOf(claims) : sub,
      },
      issuedAt: iat,
      expiresAtMs: acceptedUntilMs,
      origin: request.origin,
      tokenIds: visitor?.parent === undefined ? [jti] : [jti, visitor.parent],
    },
    claim: {
      tenant,
      directory: parts.directory,
      ...(visitor === undefined ? {} : { assistantId: visitor.assistant_id, visitorId: sub }),
      ...(claims.type === 'operator' && claims.assistants !== undefined ? { assistants: claims.assistants } : {}),
    },
    resume: resumePoints(query, kind),
    clientId: isId(clientId) ? clientId : undefined,
  };
};

/** A genuine visitor token opens the dialog and the kind of route that it names; anything else looks like no dialog. */
const opens = (claims: Pick<VisitorClaims, 'dialog_id' | 'kind'>, request: UpgradeRequest): boolean =>
  claims.dialog_id === request.dialogId && claims.kind === request.kind;

/**
 * Decides whether a connection may be, up to the directory's say, which the hub takes with the registration: the token, then
 * where it is used, then
 * what it opens. The checks that need the client's address and the revocation list have their places around the token.
 */
export const admit = async (
  request: UpgradeRequest,
  picked: Pick<TokenPick, 'token' | 'problem'>,
  parts: AdmissionParts,
): Promise<Verdict> => {
  const close = (code: CloseName, reason: string): Verdict => ({ verdict: 'close', code, reason });
  if (picked.problem !== undefined) return close('AUTH_FAILED', picked.problem);
  if (parts.maxConnections > 0 && parts.connectionCount() >= parts.maxConnections) {
    return close('TRY_AGAIN_LATER', 'node_full');
  }
  if (parts.isLapsed()) return close('TRY_AGAIN_LATER', 'lapsed');
  const verified = await parts.auth.verifier.verify<'operator' | 'visitor'>(picked.token, {
    types: [request.kind === 'operator' ? 'operator' : 'visitor'],
  });
  if (verified.status === 'refused') {
    const { reason } = verified;
    return close(reason === 'keys_unavailable' ? 'TRY_AGAIN_LATER' : 'AUTH_FAILED', reason);
  }
  // Before expiry: that a token is genuine is told to nobody but a page that may use it.
  const { claims } = verified;
  const allowed = isOriginAllowed({
    kind: request.kind,
    origin: request.origin,
    host: request.host,
    domains: claims.type === 'visitor' ? claims.allowed_domains : [],
    appOrigins: parts.origins.cors,
    widgetOrigins: parts.origins.widget,
  });
  if (!allowed) return close('FORBIDDEN_DOMAIN', request.origin === undefined ? 'no_origin' : 'foreign_origin');
  if (verified.status === 'expired') return close('AUTH_EXPIRED', 'expired');
  if (claims.type === 'visitor' && !opens(claims, request)) return close('NOT_FOUND', 'other_dialog');
  return { verdict: 'admit', admitted: admittedBy(verified, request, parts) };
};
