import type { ErrorName } from '@replyx/protocol';
import {
  type API_BODIES,
  type ApiAnswerName,
  controlQuery,
  deadLetterQuery,
  historyQuery,
} from '@replyx/protocol/schemas';
import type { z } from 'zod';

/** One successful answer: its body by the name of its schema, or what it is where no schema of ours says it. */
export interface RouteAnswer {
  readonly means: string;
  readonly body?: ApiAnswerName | 'text' | 'document' | 'page' | 'events';
}

/** What a route is, without its handler: what documents and tables are made from. */
export interface RouteDescription {
  readonly method: 'get' | 'post' | 'put' | 'del';
  /** `:name` marks a parameter. */
  readonly path: string;
  /** True where the caller needs no API key. */
  readonly open?: boolean;
  /** The operation's name in generated clients. */
  readonly id: string;
  readonly tag:
    | 'dialogs'
    | 'assistants'
    | 'inbox'
    | 'tokens'
    | 'control'
    | 'cluster'
    | 'node'
    | 'documents'
    | 'visitors';
  readonly summary: string;
  readonly body?: keyof typeof API_BODIES;
  readonly query?: z.ZodObject;
  readonly answers: Readonly<Record<number, RouteAnswer>>;
  /** Error codes beyond those that follow from the key, the path, the body and the backplane. */
  readonly problems: readonly ErrorName[];
  /** Whether it needs the backplane, and so may answer `unavailable`. */
  readonly usesBackplane: boolean;
}

/** Every route of the internal listener. */
export const ROUTES = {
  publish: {
    method: 'post',
    path: '/v1/dialogs/:id/messages',
    id: 'publishMessage',
    tag: 'dialogs',
    summary: 'Publishes a message, or a note with `track` `internal`; safe to repeat with the same `id`.',
    body: 'publish',
    answers: { 201: { means: 'It is appended, now or by an earlier call (`duplicate`).', body: 'published' } },
    problems: ['conflict', 'stale_fence', 'closed'],
    usesBackplane: true,
  },
  history: {
    method: 'get',
    path: '/v1/dialogs/:id/messages',
    id: 'readHistory',
    tag: 'dialogs',
    summary: 'A page of publications in ascending order: `before` or `after` an offset, not both; else the newest.',
    query: historyQuery,
    answers: {
      200: { means: 'The page. It may be shorter than `limit`; `more` says whether there is more.', body: 'history' },
    },
    problems: ['bad_frame'],
    usesBackplane: true,
  },
  event: {
    method: 'post',
    path: '/v1/dialogs/:id/events',
    id: 'sendEvent',
    tag: 'dialogs',
    summary:
      'Sends a frame that no history keeps to all sockets of the dialog, or to operators with `track` `internal`.',
    body: 'event',
    answers: { 202: { means: 'It was handed to the nodes.', body: 'accepted' } },
    problems: [],
    usesBackplane: true,
  },
  handoff: {
    method: 'post',
    path: '/v1/dialogs/:id/handoff',
    id: 'changeHandoff',
    tag: 'dialogs',
    summary:
      'Asks for an operator, or takes that back; safe to repeat with the same `id`. Operators take and release by their sockets.',
    body: 'handoff',
    answers: { 200: { means: 'The handoff as it stands.', body: 'handoff' } },
    problems: ['conflict', 'closed'],
    usesBackplane: true,
  },
  getHandoff: {
    method: 'get',
    path: '/v1/dialogs/:id/handoff',
    id: 'readHandoff',
    tag: 'dialogs',
    summary: 'The handoff of a dialog, and its fence.',
    answers: { 200: { means: 'The handoff as it stands.', body: 'handoff' } },
    problems: [],
    usesBackplane: true,
  },
  stream: {
    method: 'post',
    path: '/v1/dialogs/:id/stream',
    id: 'writeStream',
    tag: 'dialogs',
    summary:
      "An assistant's answer while it is written: `start` it, `append` pieces in order of `index` from 0, `finish` it with its message or `abort` it. Each step is safe to repeat.",
    body: 'stream',
    answers: { 200: { means: 'The stream after the step.', body: 'stream' } },
    problems: ['conflict', 'stale_fence', 'closed', 'rate_limited'],
    usesBackplane: true,
  },
  presence: {
    method: 'get',
    path: '/v1/dialogs/:id/presence',
    id: 'readPresence',
    tag: 'dialogs',
    summary: 'Who is connected to the dialog, and to which node.',
    answers: { 200: { means: 'Every live connection.', body: 'presence' } },
    problems: [],
    usesBackplane: true,
  },
  putDialog: {
    method: 'put',
    path: '/v1/dialogs/:id',
    id: 'putDialog',
    tag: 'dialogs',
    summary: 'Registers a dialog, or replaces its record; `closed` ends publishing in it.',
    body: 'dialog',
    answers: { 200: { means: 'The record as it is stored.', body: 'dialog' } },
    problems: ['conflict'],
    usesBackplane: true,
  },
  getDialog: {
    method: 'get',
    path: '/v1/dialogs/:id',
    id: 'getDialog',
    tag: 'dialogs',
    summary: "A dialog's record.",
    answers: { 200: { means: 'The record.', body: 'dialog' } },
    problems: [],
    usesBackplane: true,
  },
  deleteDialog: {
    method: 'del',
    path: '/v1/dialogs/:id',
    id: 'deleteDialog',
    tag: 'dialogs',
    summary: 'Erases a dialog with its history; its sockets are closed with 4004.',
    answers: { 204: { means: 'It is gone.' } },
    problems: [],
    usesBackplane: true,
  },
  acquireLock: {
    method: 'post',
    path: '/v1/dialogs/:id/lock',
    id: 'acquireLock',
    tag: 'dialogs',
    summary:
      'Locks a dialog for one worker, waiting up to `wait_ms` where another has it; `fence` goes with every write.',
    body: 'lock',
    answers: { 201: { means: 'The dialog is locked, for `expires_in_ms` unless it is renewed.', body: 'lock' } },
    problems: ['conflict'],
    usesBackplane: true,
  },
  renewLock: {
    method: 'put',
    path: '/v1/dialogs/:id/lock/:lock_id',
    id: 'renewLock',
    tag: 'dialogs',
    summary: 'Lets a lock live for `ttl_ms` from now, at any node; `conflict` where it is lost.',
    body: 'renewLock',
    answers: { 200: { means: 'The lock lives on.', body: 'renewedLock' } },
    problems: ['conflict'],
    usesBackplane: true,
  },
  releaseLock: {
    method: 'del',
    path: '/v1/dialogs/:id/lock/:lock_id',
    id: 'releaseLock',
    tag: 'dialogs',
    summary: 'Gives a lock up, at any node; `conflict` where it was lost before.',
    answers: { 204: { means: 'Nobody holds it.' } },
    problems: ['conflict'],
    usesBackplane: true,
  },
  putAssistant: {
    method: 'put',
    path: '/v1/assistants/:id',
    id: 'putAssistant',
    tag: 'assistants',
    summary: 'Registers an assistant, or replaces its record.',
    body: 'assistant',
    answers: { 200: { means: 'The record as it is stored.', body: 'assistant' } },
    problems: [],
    usesBackplane: true,
  },
  getAssistant: {
    method: 'get',
    path: '/v1/assistants/:id',
    id: 'getAssistant',
    tag: 'assistants',
    summary: "An assistant's record.",
    answers: { 200: { means: 'The record.', body: 'assistant' } },
    problems: [],
    usesBackplane: true,
  },
  deleteAssistant: {
    method: 'del',
    path: '/v1/assistants/:id',
    id: 'deleteAssistant',
    tag: 'assistants',
    summary: 'Forgets an assistant.',
    answers: { 204: { means: 'It is gone.' } },
    problems: [],
    usesBackplane: true,
  },
  listDeadLetters: {
    method: 'get',
    path: '/v1/dead-letters',
    id: 'listDeadLetters',
    tag: 'inbox',
    summary: "A page of what assistants' webhooks did not take in any attempt, the newest first.",
    query: deadLetterQuery,
    answers: { 200: { means: 'The page.', body: 'deadLetters' } },
    problems: ['bad_frame'],
    usesBackplane: true,
  },
  replayDeadLetter: {
    method: 'post',
    path: '/v1/dead-letters/:id/replay',
    id: 'replayDeadLetter',
    tag: 'inbox',
    summary: 'Delivers a dead letter again, behind what waits of its dialog.',
    answers: { 202: { means: 'It waits for its delivery, as a new entry.', body: 'accepted' } },
    problems: [],
    usesBackplane: true,
  },
  discardDeadLetter: {
    method: 'del',
    path: '/v1/dead-letters/:id',
    id: 'discardDeadLetter',
    tag: 'inbox',
    summary: 'Forgets a dead letter.',
    answers: { 204: { means: 'It is gone.' } },
    problems: [],
    usesBackplane: true,
  },
  mintToken: {
    method: 'post',
    path: '/v1/tokens',
    id: 'mintToken',
    tag: 'tokens',
    summary: 'Mints a token of any type from its claims.',
    body: 'token',
    answers: { 201: { means: 'The token, and the seconds for which it lives.', body: 'token' } },
    problems: [],
    usesBackplane: false,
  },
  revoke: {
    method: 'post',
    path: '/v1/revocations',
    id: 'revoke',
    tag: 'control',
    summary:
      'Revokes tokens and what was minted from them; connections that use them are closed with 4005 on every node. Never narrower or shorter than an earlier one of the same subject.',
    body: 'revocation',
    answers: { 201: { means: 'The revocation as it is stored.', body: 'revocation' } },
    problems: [],
    usesBackplane: true,
  },
  listRevocations: {
    method: 'get',
    path: '/v1/revocations',
    id: 'listRevocations',
    tag: 'control',
    summary: 'A page of the revocations in force, the newest first.',
    query: controlQuery,
    answers: { 200: { means: 'The page.', body: 'revocations' } },
    problems: ['bad_frame'],
    usesBackplane: true,
  },
  liftRevocation: {
    method: 'del',
    path: '/v1/revocations/:id',
    id: 'liftRevocation',
    tag: 'control',
    summary: 'Lifts a revocation.',
    answers: { 204: { means: 'It is lifted, on every node within a second.' } },
    problems: [],
    usesBackplane: true,
  },
  ban: {
    method: 'post',
    path: '/v1/bans',
    id: 'ban',
    tag: 'control',
    summary:
      'Bans an address or a network, at the widest /8 (IPv6: /16), at the narrowest /64 in IPv6; another ban of it is replaced.',
    body: 'ban',
    answers: { 201: { means: 'The ban as it is stored.', body: 'ban' } },
    problems: [],
    usesBackplane: true,
  },
  listBans: {
    method: 'get',
    path: '/v1/bans',
    id: 'listBans',
    tag: 'control',
    summary: 'A page of the bans in force, those by threat score too, the newest first.',
    query: controlQuery,
    answers: { 200: { means: 'The page.', body: 'bans' } },
    problems: ['bad_frame'],
    usesBackplane: true,
  },
  liftBan: {
    method: 'del',
    path: '/v1/bans/:id',
    id: 'liftBan',
    tag: 'control',
    summary: 'Lifts a ban.',
    answers: { 204: { means: 'It is lifted, on every node within a second.' } },
    problems: [],
    usesBackplane: true,
  },
  disconnect: {
    method: 'post',
    path: '/v1/disconnect',
    id: 'disconnect',
    tag: 'control',
    summary:
      'Closes connections on every node, with the name or number of a close code: by default 1001, after which clients come back.',
    body: 'disconnect',
    answers: {
      202: {
        means: 'It was handed to the nodes; one that is cut off at this moment may never hear of it.',
        body: 'accepted',
      },
    },
    problems: [],
    usesBackplane: true,
  },
  drain: {
    method: 'post',
    path: '/v1/drain',
    id: 'drainNode',
    tag: 'cluster',
    summary: 'Has a node leave without loss, as by SIGTERM: not ready, a wait, closes at a pace, exit 0.',
    body: 'drain',
    answers: {
      202: { means: 'The node was told; `GET /v1/cluster` shows it draining, then no more.', body: 'accepted' },
    },
    problems: ['not_found'],
    usesBackplane: true,
  },
  cluster: {
    method: 'get',
    path: '/v1/cluster',
    id: 'readCluster',
    tag: 'cluster',
    summary: "The live nodes, as this node's last heartbeat found them.",
    answers: { 200: { means: 'The nodes.', body: 'cluster' } },
    problems: [],
    usesBackplane: false,
  },
  openapi: {
    method: 'get',
    path: '/v1/openapi.json',
    id: 'readOpenApi',
    tag: 'documents',
    summary: 'The OpenAPI 3.1 document of the HTTP routes.',
    answers: { 200: { means: 'The document.', body: 'document' } },
    problems: [],
    usesBackplane: false,
  },
  asyncapi: {
    method: 'get',
    path: '/v1/asyncapi.json',
    id: 'readAsyncApi',
    tag: 'documents',
    summary: 'The AsyncAPI 3.0 document of the frames.',
    answers: { 200: { means: 'The document.', body: 'document' } },
    problems: [],
    usesBackplane: false,
  },
  live: {
    method: 'get',
    path: '/livez',
    open: true,
    id: 'isAlive',
    tag: 'node',
    summary: 'Whether the process lives.',
    answers: { 200: { means: 'It lives.', body: 'live' } },
    problems: [],
    usesBackplane: false,
  },
  ready: {
    method: 'get',
    path: '/readyz',
    open: true,
    id: 'isReady',
    tag: 'node',
    summary: 'Whether the node should be given connections.',
    answers: {
      200: { means: 'It should.', body: 'ready' },
      503: { means: 'It should not, for the `reasons`.', body: 'ready' },
    },
    problems: [],
    usesBackplane: false,
  },
  metrics: {
    method: 'get',
    path: '/metrics',
    open: true,
    id: 'readMetrics',
    tag: 'node',
    summary: 'Metrics in the text format of Prometheus.',
    answers: { 200: { means: 'The metrics.', body: 'text' } },
    problems: [],
    usesBackplane: false,
  },
} as const satisfies Record<string, RouteDescription>;

/** Every error code that a route may answer with, each once. */
export const problemsOf = (route: RouteDescription): ErrorName[] => [
  ...new Set<ErrorName>([
    ...(route.body === undefined ? [] : (['bad_frame'] as const)),
    ...(route.open === true ? [] : (['unauthorized'] as const)),
    ...(route.path.includes('/:') ? (['not_found'] as const) : []),
    ...route.problems,
    ...(route.method === 'get' ? [] : (['too_large'] as const)),
    'internal',
    ...(route.usesBackplane ? (['unavailable'] as const) : []),
  ]),
];
