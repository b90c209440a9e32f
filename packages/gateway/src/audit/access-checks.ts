import { type Check, troubleIf } from './check.js';

const DAY_MS = 86_400_000;
const MOST_TOLERANCE_MS = 60_000;
const MOST_TOKEN_LIFE_MS = 90 * DAY_MS;
const MOST_AGE_MS = DAY_MS;

const plainHttp = (name: string, origins: readonly string[]) =>
  origins
    .filter((origin) => !origin.startsWith('https://'))
    .map((origin) => ({ subject: name, detail: `names ${origin}` }));

const days = (ms: number): string => `${Math.round(ms / DAY_MS)} days`;

/** Who gets in: tokens, origins, the directory. */
export const ACCESS_CHECKS: readonly Check[] = [
  {
    id: 'RX201',
    severity: 'medium',
    title: 'Tokens are taken from the query',
    why: 'Proxies, balancers and browsers write addresses to their logs and histories, with the token in them.',
    remedy: 'Set `WS_ALLOW_QUERY_TOKEN=false`; clients send the token in `Sec-WebSocket-Protocol`.',
    find: ({ config }) => troubleIf(config.auth.allowQueryToken, 'WS_ALLOW_QUERY_TOKEN', 'is true'),
  },
  {
    id: 'RX202',
    severity: 'low',
    title: 'No origin is set for operators',
    why: 'An operator in a browser is refused, from the main app too.',
    remedy: 'Name the origins of the main app in `CORS_ORIGINS`.',
    find: ({ config }) => troubleIf(config.origins.cors.length === 0, 'CORS_ORIGINS', 'is empty'),
  },
  {
    id: 'RX203',
    severity: 'medium',
    title: 'An origin of operators is not https',
    why: 'Whoever sits on the network can change that page and act as its operator.',
    remedy: 'Serve the main app by https, and name only `https://` origins.',
    find: ({ config }) => plainHttp('CORS_ORIGINS', config.origins.cors),
  },
  {
    id: 'RX204',
    severity: 'medium',
    title: 'An origin of the hosted page is not https',
    why: 'Whoever sits on the network can change that page and read what its visitors write.',
    remedy: 'Serve the hosted page by https, and name only `https://` origins.',
    find: ({ config }) => plainHttp('WS_WIDGET_ORIGINS', config.origins.widget),
  },
  {
    id: 'RX205',
    severity: 'low',
    title: "The hosted page's origin is taken from the request",
    why: 'A name that its owner points at this gateway then counts as its own.',
    remedy: "Name the page's origins in `WS_WIDGET_ORIGINS`.",
    find: ({ config }) => troubleIf(config.origins.widget.length === 0, 'WS_WIDGET_ORIGINS', 'is empty'),
  },
  {
    id: 'RX206',
    severity: 'high',
    title: 'Tokens make dialogs and assistants',
    why: "With an open directory the first token of a dialog fixes its tenant: tenants who do not trust each other can take each other's names.",
    remedy: 'Set `WS_DIRECTORY=strict` and register assistants and dialogs by the API.',
    find: ({ config }) => troubleIf(config.directory === 'open', 'WS_DIRECTORY', 'is open'),
  },
  {
    id: 'RX207',
    severity: 'high',
    title: "An issuer's keys are fetched without TLS",
    why: 'Whoever sits on the network can put in a key of their own and sign as any operator.',
    remedy: 'Give an `https://` address.',
    find: ({ jwksOverHttp }) => troubleIf(jwksOverHttp, 'WS_JWKS_URL', 'is an http:// address'),
  },
  {
    id: 'RX208',
    severity: 'low',
    title: 'The clock tolerance is large',
    why: 'Expired tokens work for so much longer.',
    remedy: 'Synchronize clocks and leave it at a few seconds.',
    find: ({ config }) =>
      troubleIf(
        config.auth.clockToleranceMs > MOST_TOLERANCE_MS,
        'WS_TOKEN_CLOCK_TOLERANCE_SECONDS',
        `is ${config.auth.clockToleranceMs / 1000}, more than ${MOST_TOLERANCE_MS / 1000}`,
      ),
  },
  {
    id: 'RX209',
    severity: 'medium',
    title: 'Tokens may live very long',
    why: 'A stolen token works as long, and every revocation must be kept as long.',
    remedy: 'Lower `WS_TOKEN_MAX_LIFE_SECONDS`; clients refresh.',
    find: ({ config }) =>
      troubleIf(
        config.auth.tokenMaxLifeMs > MOST_TOKEN_LIFE_MS,
        'WS_TOKEN_MAX_LIFE_SECONDS',
        `allows ${days(config.auth.tokenMaxLifeMs)}, more than ${days(MOST_TOKEN_LIFE_MS)}`,
      ),
  },
  {
    id: 'RX210',
    severity: 'low',
    title: 'Connections may grow very old',
    why: 'Connections never move to new nodes by themselves, and what is only checked at admission is checked as seldom.',
    remedy: 'Leave `WS_CONNECTION_MAX_AGE_SECONDS` at a day or less; clients resume at once.',
    find: ({ config }) =>
      troubleIf(
        config.connections.maxAgeMs > MOST_AGE_MS,
        'WS_CONNECTION_MAX_AGE_SECONDS',
        `allows ${days(config.connections.maxAgeMs)}, more than ${days(MOST_AGE_MS)}`,
      ),
  },
];
