import type { DialogOwner, OpenDialogResult } from '@replyx/core';
import type { CloseName, ErrorName, VisitorKind } from '@replyx/protocol';
import type { OnRefused } from '../admission/address-guard.js';
import type { AccessRequest, Authorization } from '../admission/authorize.js';
import { pickToken, type TokenPick } from '../auth/token-transport.js';
import type { ClaimsOf } from '../auth/token-verifier.js';
import { pathId } from '../http/path-id.js';
import { Problem } from '../http/problem.js';
import type { PublicCall } from './public-http.js';

/** What a close code is as an HTTP answer. */
export const problemOfClose = (code: CloseName): ErrorName => {
  switch (code) {
    case 'AUTH_EXPIRED':
      return 'expired';
    case 'AUTH_FAILED':
      return 'unauthorized';
    case 'FORBIDDEN_DOMAIN':
      return 'forbidden_domain';
    case 'REVOKED':
      return 'revoked';
    case 'NOT_FOUND':
      return 'not_found';
    case 'CONNECTION_LIMIT':
    case 'RATE_LIMITED':
      return 'rate_limited';
    case 'TOO_LARGE':
      return 'too_large';
    case 'TRY_AGAIN_LATER':
    case 'SERVICE_RESTART':
      return 'unavailable';
    default:
      return 'internal';
  }
};

/** Codes that are only given once the origin was found to be allowed. */
const AFTER_ORIGIN: ReadonlySet<CloseName> = new Set(['AUTH_EXPIRED', 'NOT_FOUND']);

/** The refusal of a credential as an answer; where its origin was in order, the page may read it. */
export const refuse = (call: PublicCall, code: CloseName): Problem => {
  if (AFTER_ORIGIN.has(code)) call.grantOrigin();
  return new Problem(problemOfClose(code));
};

export const pickOf = (call: PublicCall, allowQueryToken: boolean): TokenPick =>
  pickToken({
    authorization: call.header('authorization'),
    query: call.query.toString(),
    allowQueryToken,
  });

/** `no_origin` or `foreign_origin`. */
export type OnForeignOrigin = (
  request: { readonly kind: VisitorKind; readonly origin: string | undefined; readonly host: string | undefined },
  reason: string,
) => void;

export interface VisitorAccessParts {
  readonly allowQueryToken: boolean;
  readonly directory: 'strict' | 'open';
  readonly authorize: (picked: TokenPick, request: AccessRequest) => Promise<Authorization>;
  readonly openDialog: (dialogId: string, owner: DialogOwner, mode: 'make' | 'keep') => Promise<OpenDialogResult>;
  /** A request whose origin its credential does not allow. */
  readonly onForeignOrigin: OnForeignOrigin;
  readonly onRefused: OnRefused;
}

export interface Visitor {
  readonly dialogId: string;
  readonly claims: ClaimsOf<'visitor'>;
}

/** Who asks for a dialog without a socket, by the rules of a socket: the credential, then the directory. Throws `Problem`. */
export const createVisitorAccess =
  (parts: VisitorAccessParts) =>
  async (call: PublicCall, kind: VisitorKind): Promise<Visitor> => {
    const dialogId = pathId(call);
    const { origin, host } = call;
    const picked = pickOf(call, parts.allowQueryToken);
    const authorization = await parts.authorize(picked, { kind, dialogId, origin, host });
    const from = { ...call.peer.page, address: call.peer.address };
    if (authorization.status === 'refused') {
      if (authorization.isOffence) parts.onRefused(authorization.code, from);
      if (authorization.code === 'FORBIDDEN_DOMAIN')
        parts.onForeignOrigin({ kind, origin, host }, authorization.reason);
      throw refuse(call, authorization.code);
    }
    call.grantOrigin();
    const { claims } = authorization;
    // The token types of a visitor's route are those of visitors.
    if (claims.type !== 'visitor') throw new Problem('unauthorized');
    const owner = { tenant: claims.tenant, assistantId: claims.assistant_id, visitorId: claims.sub };
    const opened = await parts.openDialog(dialogId, owner, parts.directory === 'open' ? 'make' : 'keep');
    if (opened === 'conflict' || opened === 'unknown') {
      parts.onRefused('NOT_FOUND', from);
      throw new Problem('not_found');
    }
    return { dialogId, claims };
  };
