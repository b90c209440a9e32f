import { startGateway, visitorToken } from '@replyx/testkit';

/** Everything is on; the limits are only high enough not to be what is measured. */
const ENVIRONMENT = {
  LOG_LEVEL: 'info',
  // As the README says a node is run.
  NODE_OPTIONS: '--max-semi-space-size=8',
  WS_DIRECTORY: 'open',
  WS_RATE_LIMIT_PER_IP: 1_000,
  WS_RATE_LIMIT_AUTH_FAILURES: 1_000,
  WS_RATE_LIMIT_MESSAGES: 2_000,
  WS_RATE_LIMIT_FRAMES: 100_000,
  WS_MAX_CONNECTIONS_PER_DIALOG: 10_000,
  WS_MAX_CONNECTIONS_PER_USER: 10_000,
  WS_MAX_CONNECTIONS_PER_IP: 10_000,
  WS_MAX_CONNECTIONS_PER_ASSISTANT: 1_000_000,
  WS_MAX_TOTAL_CONNECTIONS: 1_000_000,
  WS_MAX_CLUSTER_CONNECTIONS: 1_000_000,
};

const TOKEN_LIFE_SECONDS = 7_200;
let serial = 0;

/** The visitor of a dialog, who may have several tabs open. */
export const tokenOf = (dialogId, signing) =>
  visitorToken(
    {
      sub: `visitor-of-${dialogId}`,
      dialog_id: dialogId,
      exp: Math.floor(Date.now() / 1000) + TOKEN_LIFE_SECONDS,
    },
    signing,
  );

export const replyx = {
  name: 'ReplyX',
  dialect: 'replyx',
  echoes: true,
  start: async (redisUrl, { env = {} } = {}) => {
    const gateway = await startGateway({ REDIS_URL: redisUrl, NODE_ID: `bench-${++serial}`, ...ENVIRONMENT, ...env });
    return { pid: gateway.pid, port: gateway.port, internalUrl: gateway.internalUrl, stop: () => gateway.kill() };
  },
  target: ({ port }, dialogId, query = '') => ({
    port,
    path: `/ws/site/dialogs/${dialogId}${query}`,
    headers: {
      Origin: 'https://customer.example',
      'Sec-WebSocket-Protocol': `replyx.v1, replyx.token.${tokenOf(dialogId)}`,
    },
  }),
};
