import type { DialogClaim, Identity, ResumePoints } from '@replyx/core';
import { type CloseName, type ConnectionKind, isId, parsePosition } from '@replyx/protocol';
import type { Auth } from '../auth/auth.js';
import { pickToken, type TokenPick } from '../auth/token-transport.js';
import { type AccessRequest, type Authorization, type AuthorizeParts, authorize } from './authorize.js';

/** What a socket's upgrade request says, copied: the request itself is dead after the first await. */
export interface UpgradeRequest extends AccessRequest {
  /** The raw query, without the question mark. */
  readonly query: string;
  readonly version: string;
  /** Header lines joined by commas; `undefined` where there is none. */
  readonly protocols: string | undefined;
  readonly authorization: string | undefined;
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

export interface AdmissionParts extends AuthorizeParts {
  readonly auth: Pick<Auth, 'verifier' | 'publicIdOf'>;
  readonly allowQueryToken: boolean;
  readonly directory: 'strict' | 'open';
  readonly maxConnections: number;
  readonly isDraining: () => boolean;
  readonly isLapsed: () => boolean;
  /** What has been revoked of late is not known here. */
  readonly isControlStale: () => boolean;
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

type Authorized = Extract<Authorization, { status: 'authorized' }>;

const admittedBy = (
  { claims, acceptedUntilMs }: Authorized,
  request: UpgradeRequest,
  parts: AdmissionParts,
): Admitted => {
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
      assistantId: visitor?.assistant_id,
      widgetVersion: visitor?.widget_version,
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

/**
 * Decides whether a connection may be, up to the directory's say, which the hub takes with the registration: this node's state,
 * then the credential.
 */
export const admit = async (
  request: UpgradeRequest,
  picked: Pick<TokenPick, 'token' | 'problem'>,
  parts: AdmissionParts,
): Promise<Verdict> => {
  const close = (code: CloseName, reason: string): Verdict => ({ verdict: 'close', code, reason });
  if (parts.maxConnections > 0 && parts.connectionCount() >= parts.maxConnections) {
    return close('TRY_AGAIN_LATER', 'node_full');
  }
  if (parts.isLapsed()) return close('TRY_AGAIN_LATER', 'lapsed');
  if (parts.isControlStale()) return close('TRY_AGAIN_LATER', 'control_stale');
  const authorization = await authorize(picked, request, parts);
  if (authorization.status === 'refused') return close(authorization.code, authorization.reason);
  return { verdict: 'admit', admitted: admittedBy(authorization, request, parts) };
};
