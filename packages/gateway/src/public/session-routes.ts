import {
  type AssistantRecord,
  type DialogOwner,
  type DialogRecord,
  type FutureToken,
  isOriginAllowed,
  type OpenDialogResult,
} from '@replyx/core';
import { VISITOR_KINDS, type VisitorKind } from '@replyx/protocol';
import { API_BODIES, type ApiAnswer } from '@replyx/protocol/schemas';
import type { OnRefused } from '../admission/address-guard.js';
import type { Auth } from '../auth/auth.js';
import { VISITOR_TOKEN_TTL_SECONDS } from '../auth/token-minter.js';
import type { ClaimsOf } from '../auth/token-verifier.js';
import { readBody } from '../http/body.js';
import { json } from '../http/http.js';
import { Problem } from '../http/problem.js';
import { type OnForeignOrigin, pickOf, problemOfClose } from './access.js';
import type { PublicCall, PublicRequest, PublicRoute, Refusal } from './public-http.js';
import { refusalProblem } from './refusals.js';
import { VISITOR_ROUTES } from './route-table.js';
import { visitorIds } from './visitor-ids.js';

/** Asked before a session is made; a refusal takes nothing. */
export interface SessionLimits {
  /** For a dialog that is not there yet, of the address and of the assistant. */
  countNewDialog(peer: PublicRequest, assistantId: string): Promise<Refusal | undefined>;
  /** For one that is resumed, or whose token is refreshed: it counts as a connect. */
  countResume(peer: PublicRequest, assistantId: string): Promise<Refusal | undefined>;
}

export interface SessionRoutesParts {
  readonly auth: Pick<Auth, 'verifier' | 'minter'>;
  readonly allowQueryToken: boolean;
  readonly directory: 'strict' | 'open';
  /** Of the hosted page; empty: the request's own host. */
  readonly widgetOrigins: readonly string[];
  /** `tenant`: of whom it is taken to be; how long the answer takes must not tell whether another has it. */
  readonly assistant: (
    assistantId: string,
    tenant?: string,
  ) => Promise<AssistantRecord | undefined> | AssistantRecord | undefined;
  readonly dialog: (dialogId: string) => Promise<DialogRecord | undefined>;
  readonly openDialog: (dialogId: string, owner: DialogOwner, mode: 'make') => Promise<OpenDialogResult>;
  /** The site token: itself, or its widget version. */
  readonly isRevoked: (claims: ClaimsOf<'site'>) => boolean;
  /** Who would be given a token, whatever the time at which others of theirs were revoked. */
  readonly isVisitorRevoked: (visitor: FutureToken) => boolean;
  readonly limits: SessionLimits;
  readonly onForeignOrigin: OnForeignOrigin;
  readonly onRefused: OnRefused;
}

/** The site token of a request, in the order in which a socket's credential is judged. Throws `Problem`. */
const siteClaims = async (
  call: PublicCall,
  kind: VisitorKind,
  parts: SessionRoutesParts,
): Promise<ClaimsOf<'site'>> => {
  const { origin, host } = call;
  const refused = (code: 'AUTH_FAILED' | 'FORBIDDEN_DOMAIN' | 'REVOKED'): Problem => {
    parts.onRefused(code, { ...call.peer.page, address: call.peer.address });
    return new Problem(problemOfClose(code));
  };
  const picked = pickOf(call, parts.allowQueryToken);
  if (picked.problem !== undefined) throw refused('AUTH_FAILED');
  const verified = await parts.auth.verifier.verify(picked.token, { types: ['site'] });
  if (verified.status === 'refused') throw refused('AUTH_FAILED');
  const { claims } = verified;
  if (parts.isRevoked(claims)) throw refused('REVOKED');
  const { allowed_domains: domains } = claims;
  if (!isOriginAllowed({ kind, origin, host, domains, appOrigins: [], widgetOrigins: parts.widgetOrigins })) {
    parts.onForeignOrigin({ kind, origin, host }, origin === undefined ? 'no_origin' : 'foreign_origin');
    throw refused('FORBIDDEN_DOMAIN');
  }
  call.grantOrigin();
  if (verified.status === 'expired') throw new Problem('expired');
  return claims;
};

/**
 * What is wrong with an assistant looks the same, but for a version that its own page can be told to replace. In an open directory it
 * need not be registered.
 */
const checkAssistant = async (claims: ClaimsOf<'site'>, parts: SessionRoutesParts): Promise<void> => {
  const record = await parts.assistant(claims.assistant_id, claims.tenant);
  if (record === undefined && parts.directory === 'open') return;
  if (record === undefined || !record.active || record.tenant !== claims.tenant) throw new Problem('not_found');
  if (claims.widget_version < record.widgetVersion) throw new Problem('revoked');
};

const exchange =
  (kind: VisitorKind, parts: SessionRoutesParts): PublicRoute['handle'] =>
  async (call) => {
    const claims = await siteClaims(call, kind, parts);
    const { secret, name } = readBody(call.body, API_BODIES.session);
    await checkAssistant(claims, parts);
    const { tenant, assistant_id: assistantId } = claims;
    const { dialogId, visitorId } = visitorIds(secret, tenant, assistantId);
    const owner: DialogOwner = { tenant, assistantId, visitorId };
    const future = {
      tenant,
      sub: visitorId,
      dialogId,
      assistantId,
      widgetVersion: claims.widget_version,
      tokenIds: [claims.jti],
    };
    if (parts.isVisitorRevoked(future)) throw new Problem('revoked');
    // Looked at, then counted, then made: what the limit refuses was never there. Two that come at once may both count.
    const isNew = (await parts.dialog(dialogId)) === undefined;
    const { countNewDialog, countResume } = parts.limits;
    const refusal = await (isNew ? countNewDialog : countResume)(call.peer, assistantId);
    if (refusal !== undefined) throw refusalProblem(refusal);
    const opened = await parts.openDialog(dialogId, owner, 'make');
    if (opened === 'conflict' || opened === 'unknown') throw new Problem('not_found');
    const minted = await parts.auth.minter.mint(
      'visitor',
      {
        sub: visitorId,
        tenant,
        assistant_id: assistantId,
        dialog_id: dialogId,
        kind,
        ...(name === undefined ? {} : { name }),
        allowed_domains: claims.allowed_domains,
        widget_version: claims.widget_version,
        parent: claims.jti,
      },
      VISITOR_TOKEN_TTL_SECONDS,
    );
    if (!minted.ok)
      throw new Problem('too_large', "A token with the site token's domains would be larger than a node reads.");
    // Once more after the last wait: the site token or the visitor may have been revoked meanwhile.
    if (parts.isRevoked(claims) || parts.isVisitorRevoked(future)) throw new Problem('revoked');
    return json(201, {
      dialog_id: dialogId,
      visitor_id: visitorId,
      token: minted.token,
      expires_in: minted.expiresInSeconds,
      resumed: opened === 'resumed',
    } satisfies ApiAnswer<'session'>);
  };

/** A visitor's secret and a site token for a dialog and a token of its own. Nothing but the dialog's record is stored. */
export const sessionRoutes = (parts: SessionRoutesParts): PublicRoute[] =>
  VISITOR_KINDS.map((kind) => ({ ...VISITOR_ROUTES[kind].session, handle: exchange(kind, parts) }));
