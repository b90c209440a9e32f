/**
 * What a client does after a close:
 * `never` stays away; `backoff` full jitter 1 s to 30 s; `long_backoff` full jitter 30 s to 5 min; `delay` waits the
 * delay that the `disconnect` frame names, then resumes; `refresh` gets a new token, resumes, attempts not counted;
 * `now` resumes at once; `jitter` resumes after a short random wait.
 */
export type ReconnectMode = 'never' | 'backoff' | 'long_backoff' | 'delay' | 'refresh' | 'now' | 'jitter';

export interface CloseCode {
  readonly code: number;
  readonly name: string;
  readonly reconnect: ReconnectMode;
  readonly means: string;
}

const table = {
  NORMAL: { code: 1000, reconnect: 'never', means: 'The connection is no longer wanted.' },
  GOING_AWAY: { code: 1001, reconnect: 'backoff', means: 'The peer left, or its heartbeat was lost.' },
  PROTOCOL_ERROR: { code: 1002, reconnect: 'never', means: 'The peer broke the protocol.' },
  TOO_LARGE: { code: 1009, reconnect: 'never', means: 'A frame was larger than the contract allows.' },
  INTERNAL_ERROR: { code: 1011, reconnect: 'backoff', means: 'The node failed to serve the connection.' },
  SERVICE_RESTART: { code: 1012, reconnect: 'delay', means: 'The node is being drained.' },
  TRY_AGAIN_LATER: { code: 1013, reconnect: 'backoff', means: 'The node or the cluster is full, or Redis is away.' },
  AUTH_EXPIRED: { code: 4001, reconnect: 'refresh', means: 'A genuine token has expired.' },
  AUTH_FAILED: { code: 4002, reconnect: 'never', means: 'The token is missing, malformed or not genuine.' },
  FORBIDDEN_DOMAIN: { code: 4003, reconnect: 'never', means: 'The Origin is not allowed.' },
  NOT_FOUND: { code: 4004, reconnect: 'never', means: 'There is no such dialog for this token.' },
  REVOKED: { code: 4005, reconnect: 'never', means: 'The token, subject, dialog or widget version was revoked.' },
  CONNECTION_LIMIT: {
    code: 4006,
    reconnect: 'long_backoff',
    means: 'Too many connections of a dialog, user, address or assistant.',
  },
  SESSION_TIMEOUT: {
    code: 4007,
    reconnect: 'now',
    means: 'The connection was idle too long or reached its maximum age.',
  },
  RATE_LIMITED: {
    code: 4008,
    reconnect: 'long_backoff',
    means: 'Too many attempts or frames, or the address was banned.',
  },
  CONFLICT_CONNECTION: {
    code: 4009,
    reconnect: 'never',
    means: 'The same client connected again; the newer connection lives.',
  },
  SLOW_CONSUMER: { code: 4010, reconnect: 'jitter', means: 'The client read more slowly than its outbox allows.' },
  INSUFFICIENT_STATE: {
    code: 4011,
    reconnect: 'jitter',
    means: 'The node lost the state that it needs to serve the connection.',
  },
} as const satisfies Record<string, Omit<CloseCode, 'name'>>;

export type CloseName = keyof typeof table;

/** Every close code that the gateway sends, by name. */
export const CLOSE_CODES: Readonly<Record<CloseName, CloseCode>> = Object.fromEntries(
  Object.entries(table).map(([name, entry]) => [name, Object.freeze({ name, ...entry })]),
) as Record<CloseName, CloseCode>;

const byCode = new Map<number, CloseCode>(Object.values(CLOSE_CODES).map((entry) => [entry.code, entry]));

/** The table's entry of a numeric code; `undefined` for a code that the gateway never sends. */
export const closeCodeOf = (code: number): CloseCode | undefined => byCode.get(code);

/**
 * What a backend may close connections with: codes that say what the client is to do. The others state something of the client or
 * of the node, which only the node knows. The first is the default: clients come back.
 */
export const DISCONNECT_CODES = [
  'GOING_AWAY',
  'NORMAL',
  'SERVICE_RESTART',
  'TRY_AGAIN_LATER',
  'AUTH_EXPIRED',
  'REVOKED',
  'SESSION_TIMEOUT',
  'RATE_LIMITED',
] as const satisfies readonly CloseName[];

export type DisconnectCode = (typeof DISCONNECT_CODES)[number];

/** By name or by number; `undefined` where a backend may not use it. */
export const disconnectCodeOf = (given: string | number): DisconnectCode | undefined =>
  DISCONNECT_CODES.find((name) => name === given || CLOSE_CODES[name].code === given);
