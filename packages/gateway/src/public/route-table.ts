import { BOUNDS, type ErrorName, VISITOR_KINDS, type VisitorKind } from '@replyx/protocol';
import { visitorHistoryQuery } from '@replyx/protocol/schemas';
import { schemaName } from '../http/json-schemas.js';
import type { PublicRouteDescription } from './public-http.js';

/** What any request may be refused with, by its address or by its credential. */
const ALWAYS = ['expired', 'not_allowed', 'forbidden_domain', 'revoked', 'rate_limited'] as const satisfies ErrorName[];

const WHO: Readonly<Record<VisitorKind, string>> = {
  site: "by a script on a customer's site",
  widget: 'by the hosted page',
};

const named = (verb: string, kind: VisitorKind, noun: string): string => `${verb}${schemaName(kind, noun)}`;

/** The routes of one kind of visitor. */
const routesOf = (kind: VisitorKind) =>
  ({
    session: {
      kind,
      method: 'post',
      path: `/api/${kind}/sessions`,
      id: named('open', kind, 'Session'),
      tag: 'visitors',
      endpoint: 'sessions',
      summary: `Starts a visitor's dialog, resumes it, or refreshes the token, ${WHO[kind]}; site token and its Origin.`,
      body: 'session',
      maxBodyBytes: BOUNDS.sessionBodyBytes,
      answers: { 201: { means: 'The dialog, the same for the same secret, and a token for it.', body: 'session' } },
      problems: [...ALWAYS, 'not_found'],
      usesBackplane: true,
    },
    history: {
      kind,
      method: 'get',
      path: `/api/${kind}/dialogs/:dialog_id/messages`,
      id: named('read', kind, 'History'),
      tag: 'visitors',
      endpoint: 'messages',
      summary: `A page of the dialog's messages, ${WHO[kind]}: \`before\` or \`after\` an offset, not both; else the newest.`,
      query: visitorHistoryQuery,
      answers: { 200: { means: 'The page; `more` says whether there is more.', body: 'history' } },
      problems: ['bad_frame', ...ALWAYS],
      usesBackplane: true,
    },
    send: {
      kind,
      method: 'post',
      path: `/api/${kind}/dialogs/:dialog_id/messages`,
      id: named('send', kind, 'Message'),
      tag: 'visitors',
      endpoint: 'messages',
      summary: `Sends a message without a socket, ${WHO[kind]}; safe to repeat with the same \`id\`.`,
      body: 'visitorMessage',
      maxBodyBytes: BOUNDS.messageBodyBytes,
      answers: { 201: { means: 'It is appended, now or by an earlier call (`duplicate`).', body: 'published' } },
      problems: ['conflict', 'closed', ...ALWAYS],
      usesBackplane: true,
    },
    events: {
      kind,
      method: 'get',
      path: `/api/${kind}/dialogs/:dialog_id/events`,
      id: named('follow', kind, 'Dialog'),
      tag: 'visitors',
      endpoint: 'events',
      summary: `The frames of a socket as server-sent events, ${WHO[kind]}; \`Last-Event-ID\` resumes.`,
      answers: {
        200: { means: 'A frame of /v1/asyncapi.json in each `data` line; `disconnect` is the last.', body: 'events' },
      },
      problems: ALWAYS,
      usesBackplane: true,
    },
  }) as const satisfies Record<string, PublicRouteDescription>;

export const VISITOR_ROUTES = {
  site: routesOf('site'),
  widget: routesOf('widget'),
} as const satisfies Record<VisitorKind, ReturnType<typeof routesOf>>;

export const PAGE_ROUTE = {
  method: 'get',
  path: '/widget/:assistant_id',
  open: true,
  id: 'openWidgetPage',
  tag: 'visitors',
  endpoint: 'page',
  summary:
    "The hosted page, for frames in pages of the assistant's domains; its site token comes in the fragment `#token=`.",
  answers: {
    200: { means: 'The page.', body: 'page' },
    404: { means: 'There is no such page.', body: 'page' },
  },
  problems: ['not_allowed', 'rate_limited'],
  usesBackplane: true,
} as const satisfies PublicRouteDescription;

/** Every described route of the public listener but the sockets. */
export const PUBLIC_ROUTES: readonly PublicRouteDescription[] = [
  ...VISITOR_KINDS.flatMap((kind) => Object.values(VISITOR_ROUTES[kind])),
  PAGE_ROUTE,
];
