import type { ClientAddress, DialogClaim, Identity, JoinRequest, ResumePoints } from '@replyx/core';
import { type CloseName, type ConnectionKind, isId, parsePosition } from '@replyx/protocol';
import type { Auth } from '../auth/auth.js';
import { pickToken, type TokenPick } from '../auth/token-transport.js';
import type { GatewayConfig } from '../config/gateway-config.js';
import type { Taken } from './address-guard.js';
import { type AssistantLimits, placesOf } from './assistant-limits.js';
import { type AccessRequest, type Authorization, type AuthorizeParts, authorize } from './authorize.js';

/** What a socket's upgrade request says, copied: the request itself is dead after the first await. */
export interface UpgradeRequest extends AccessRequest {
  /** The raw query, without the question mark. */
  readonly query: string;
  readonly version: string;
  readonly address: ClientAddress;
  /** Header lines joined by commas; `undefined` where there is none. */
  readonly protocols: string | undefined;
  readonly authorization: string | undefined;
}

export interface Admitted {
  readonly identity: Identity;
  readonly join: JoinRequest;
}

/**
 * What is decided before the upgrade, at once and without a wait. `refuse`: an HTTP status, cheap, for what no client of ours
 * sends or what an attack does. `upgrade`: everything else; a browser can read a close code but no HTTP status, so who is
 * refused later is upgraded and closed at once.
 */
export type Screening =
  | { readonly screening: 'refuse'; readonly status: 404 | 426; readonly reason: string }
  | { readonly screening: 'upgrade'; readonly protocol: string | undefined; readonly token: TokenPick };

export type Verdict =
  | { readonly verdict: 'admit'; readonly admitted: Admitted }
  /** `delayMs`: what the client is told to wait; the code's own rule where absent. */
  | {
      readonly verdict: 'close';
      readonly code: CloseName;
      readonly reason: string;
      readonly delayMs?: number | undefined;
    };

export interface AdmissionParts extends AuthorizeParts {
  readonly auth: Pick<Auth, 'verifier' | 'publicIdOf'>;
  readonly allowQueryToken: boolean;
  readonly directory: 'strict' | 'open';
  readonly config: Pick<GatewayConfig, 'connections' | 'bans'>;
  /** An assistant's limits, or the node's where there is no assistant. */
  readonly limitsOf: (assistantId: string | undefined) => AssistantLimits;
  /** The node has as many connections as it may; the hub asks again when one joins. */
  readonly isFull: () => boolean;
  /** The node refuses upgrades: what is still being decided must not stay. */
  readonly isLeaving: () => boolean;
  /** Newcomers should go elsewhere. */
  readonly isOverloaded: () => boolean;
  /** Counts the connect, and where its credential was refused what that says of its address. */
  readonly connect: (request: UpgradeRequest, offence?: CloseName) => Promise<Taken>;
  readonly isBanned: (address: ClientAddress) => boolean;
  readonly isLapsed: () => boolean;
  /** What has been revoked of late is not known here. */
  readonly isControlStale: () => boolean;
  readonly connectionId: () => string;
}

/** The request's shape; its address was screened before. */
export const screen = (request: UpgradeRequest, parts: Pick<AdmissionParts, 'allowQueryToken'>): Screening => {
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

const NO_RESUME: ResumePoints = { main: undefined, internal: undefined };

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
  // The first connect of a client asks for nothing.
  const query = request.query === '' ? undefined : new URLSearchParams(request.query);
  const clientId = query?.get('client_id') ?? undefined;
  const { sub, tenant, name, jti, iat } = claims;
  const visitor = claims.type === 'visitor' ? claims : undefined;
  const role = visitor === undefined ? 'manager' : 'user';
  const assistantId = visitor?.assistant_id;
  const limits = parts.limitsOf(assistantId);
  const claim: DialogClaim = {
    tenant,
    directory: parts.directory,
    ...(visitor === undefined ? {} : { assistantId: visitor.assistant_id, visitorId: sub }),
    ...(claims.type === 'operator' && claims.assistants !== undefined ? { assistants: claims.assistants } : {}),
  };
  const holder = { tenant, role, subject: sub, addressKey: request.address.key, assistantId };
  return {
    identity: {
      connectionId: parts.connectionId(),
      dialogId,
      kind,
      tenant,
      member: {
        role,
        id: sub,
        name,
        publicId: claims.type === 'operator' ? parts.auth.publicIdOf(claims) : sub,
      },
      issuedAt: iat,
      expiresAtMs: acceptedUntilMs,
      origin: request.origin,
      tokenIds: visitor?.parent === undefined ? [jti] : [jti, visitor.parent],
      assistantId,
      widgetVersion: visitor?.widget_version,
      addressKey: request.address.key,
    },
    join: {
      claim,
      resume: query === undefined ? NO_RESUME : resumePoints(query, kind),
      clientId: isId(clientId) ? clientId : undefined,
      places: placesOf(holder, limits, parts.config),
      messageLimit: limits.messages,
    },
  };
};

/**
 * Decides whether a connection may be, up to the directory's say, which the hub takes with the registration: this node's state,
 * the address's windows, then the credential. The credential is looked at first, because that costs less than to ask the cluster
 * twice, but says nothing to an address at its limit.
 */
export const admit = async (
  request: UpgradeRequest,
  picked: Pick<TokenPick, 'token' | 'problem'>,
  parts: AdmissionParts,
): Promise<Verdict> => {
  const close = (code: CloseName, reason: string, delayMs?: number): Verdict => ({
    verdict: 'close',
    code,
    reason,
    delayMs,
  });
  if (parts.isFull()) return close('TRY_AGAIN_LATER', 'node_full');
  if (parts.isOverloaded()) return close('TRY_AGAIN_LATER', 'overloaded');
  if (parts.isControlStale()) return close('TRY_AGAIN_LATER', 'control_stale');
  if (parts.isLapsed()) return close('TRY_AGAIN_LATER', 'lapsed');
  const authorization = await authorize(picked, request, parts);
  const offence = authorization.status === 'refused' && authorization.isOffence ? authorization.code : undefined;
  const taken = await parts.connect(request, offence);
  if (taken.status === 'limited') return close('RATE_LIMITED', 'limited', taken.retryAfterMs);
  if (taken.status === 'unavailable') return close('TRY_AGAIN_LATER', 'backplane_away');
  if (authorization.status === 'refused') return close(authorization.code, authorization.reason);
  // A ban that came meanwhile found it nowhere.
  if (parts.isBanned(request.address)) return close('RATE_LIMITED', 'banned');
  if (parts.isLeaving()) return close('SERVICE_RESTART', 'draining');
  return { verdict: 'admit', admitted: admittedBy(authorization, request, parts) };
};
