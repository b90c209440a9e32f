import {
  type Backplane,
  boundPage,
  coarseWait,
  type Hub,
  historyMessages,
  type MessageWindow,
  type Random,
} from '@replyx/core';
import { BOUNDS, VISITOR_KINDS, type VisitorKind } from '@replyx/protocol';
import { API_BODIES, type ApiAnswer, visitorHistoryQuery } from '@replyx/protocol/schemas';
import { readBody, readQuery } from '../http/body.js';
import { json } from '../http/http.js';
import { Problem } from '../http/problem.js';
import { publishProblem } from '../http/publish-problem.js';
import type { Visitor } from './access.js';
import type { PublicCall, PublicRoute } from './public-http.js';
import { VISITOR_ROUTES } from './route-table.js';

export interface MessageRoutesParts {
  readonly log: Pick<Backplane['log'], 'read'>;
  readonly hub: Pick<Hub, 'append' | 'feed'>;
  readonly directory: 'strict' | 'open';
  readonly random: Random;
  readonly visitor: (call: PublicCall, kind: VisitorKind) => Promise<Visitor>;
  /** The visitor's token. */
  readonly isRevoked: (claims: Visitor['claims']) => boolean;
  /** The sender's window, by assistant. */
  readonly windowOf: (assistantId: string) => MessageWindow;
  readonly hasInbox: (assistantId: string) => boolean;
}

/** Bytes of frames in one history answer. */
const MAX_PAGE_BYTES = 1_048_576;

const history =
  (kind: VisitorKind, { visitor, isRevoked, log, hub }: MessageRoutesParts): PublicRoute['handle'] =>
  async (call) => {
    const { dialogId, claims } = await visitor(call, kind);
    const { after, before, limit = BOUNDS.historyPageDefault } = readQuery(call.query, visitorHistoryQuery);
    const range = after === undefined ? { before: before ?? Number.MAX_SAFE_INTEGER } : { after };
    const known = hub.feed(dialogId, 'main')?.known;
    const read = await log.read({ dialogId, track: 'main', known, ...range, limit });
    // Once more after the last wait: it may have been revoked meanwhile.
    if (isRevoked(claims)) throw new Problem('revoked');
    const page = boundPage(read, after === undefined ? 'before' : 'after', MAX_PAGE_BYTES);
    const { epoch, offset, more } = page;
    return {
      status: 200,
      type: 'application/json',
      body: `{"messages":${historyMessages(page)},${JSON.stringify({ epoch, offset, more }).slice(1)}`,
    };
  };

const send =
  (
    kind: VisitorKind,
    { visitor, isRevoked, hub, directory, random, windowOf, hasInbox }: MessageRoutesParts,
  ): PublicRoute['handle'] =>
  async (call) => {
    const { dialogId, claims } = await visitor(call, kind);
    const { id, text, meta } = readBody(call.body, API_BODIES.visitorMessage);
    // Once more after the last wait before the append: it may have been revoked meanwhile.
    if (isRevoked(claims)) throw new Problem('revoked');
    const result = await hub.append({
      dialogId,
      track: 'main',
      scope: { role: 'user', id: claims.sub },
      sender: { role: 'user', id: claims.sub, name: claims.name },
      content: { id, text, meta },
      window: windowOf(claims.assistant_id),
      mustExist: directory === 'strict',
      inbox: hasInbox(claims.assistant_id) ? claims.assistant_id : undefined,
    });
    if (result.status === 'rate_limited') {
      throw new Problem('rate_limited', undefined, coarseWait(result.retryAfterMs, random));
    }
    if (result.status !== 'appended' && result.status !== 'duplicate') throw publishProblem(result.status);
    const { epoch, offset, status } = result;
    return json(201, { id, epoch, offset, duplicate: status === 'duplicate' } satisfies ApiAnswer<'published'>);
  };

/** A visitor's dialog without a socket; window, idempotency and ownership are those of a socket. */
export const messageRoutes = (parts: MessageRoutesParts): PublicRoute[] =>
  VISITOR_KINDS.flatMap((kind) => [
    { ...VISITOR_ROUTES[kind].history, handle: history(kind, parts) },
    { ...VISITOR_ROUTES[kind].send, handle: send(kind, parts) },
  ]);
