// Shows on real processes that a limit holds from any number of nodes: bursts around the edges of windows for minutes, on three nodes.
//   npm run report:limits -- [--limit 100] [--window 60] [--minutes 3]
// An admission lies between the moment at which its attempt was sent and the one at which it was answered. A window that admits too much
// is one that holds more than the limit for certain; a refusal that comes too early is one at which room is certain.
import { parseArgs } from 'node:util';
import { ensureBuilt, ensureInstalled } from '../../deploy/local/bootstrap.mjs';

ensureInstalled();
ensureBuilt();
const { operatorToken, startGateway, startRedis, upgradeStatus } = await import('@replyx/testkit');

const { values } = parseArgs({
  options: {
    limit: { type: 'string', default: '100' },
    window: { type: 'string', default: '60' },
    minutes: { type: 'string', default: '3' },
  },
});
const LIMIT = Number(values.limit);
const WINDOW_MS = Number(values.window) * 1_000;
const END_MS = Number(values.minutes) * 60_000;
const EARLY_SHARE = 0.02;

const redis = await startRedis();
const nodes = await Promise.all(
  [1, 2, 3].map((n) =>
    startGateway({
      NODE_ID: `node-${n}`,
      REDIS_URL: redis.url,
      WS_DIRECTORY: 'open',
      WS_TRUSTED_PROXIES: '127.0.0.1',
      WS_RATE_LIMIT_PER_IP: LIMIT,
      WS_RATE_LIMIT_WINDOW: Number(values.window),
      WS_BAN_SCORE: 0,
      WS_MAX_CONNECTIONS_PER_DIALOG: 0,
      WS_NODE_TTL_SECONDS: 3,
    }),
  ),
);
const token = operatorToken({ exp: Math.floor(Date.now() / 1_000) + 86_400 });
const admitted = [];
const refused = [];
let serial = 0;

const attempt = async () => {
  const node = nodes[serial++ % nodes.length];
  const sentMs = performance.now();
  const answer = await upgradeStatus(`${node.wsUrl}/ws/dialogs/d`, {
    'Sec-WebSocket-Protocol': `replyx.v1, replyx.token.${token}`,
    'X-Forwarded-For': '203.0.113.1',
  });
  const entry = { sentMs, answeredMs: performance.now() };
  if (answer.status === 101 && answer.closeCode === undefined) admitted.push(entry);
  else if (answer.status === 429 || answer.closeCode === 4008) refused.push(entry);
  else throw new Error(`an attempt came to ${JSON.stringify(answer)}`);
};

const startMs = performance.now();
const at = (ms) => new Promise((resolve) => setTimeout(resolve, Math.max(0, startMs + ms - performance.now())));
// Just before and just after each edge, and a trickle in between.
for (let edge = 0; edge * WINDOW_MS < END_MS; edge += 1) {
  for (const offset of [-0.01, 0.001, 0.01, 0.25, 0.5, 0.75]) {
    await at((edge + offset) * WINDOW_MS);
    await Promise.all(Array.from({ length: Math.ceil(LIMIT * (Math.abs(offset) < 0.1 ? 1 : 0.2)) }, attempt));
  }
}

/** Admissions that lie within the span for certain. */
const certainlyWithin = (fromMs, toMs) =>
  admitted.filter(({ sentMs, answeredMs }) => sentMs >= fromMs && answeredMs <= toMs).length;
/** Admissions that may count at the moment. */
const possiblyCounting = (sentMs, answeredMs) =>
  admitted.filter((one) => one.answeredMs > sentMs - WINDOW_MS && one.sentMs < answeredMs).length;

const most = Math.max(...admitted.map(({ sentMs }) => certainlyWithin(sentMs, sentMs + WINDOW_MS)));
// A refusal is too early where there was room also by a window that is shorter by the share.
const early = refused.filter(({ sentMs, answeredMs }) => {
  const shorter = admitted.filter(
    (one) => one.answeredMs > sentMs - WINDOW_MS * (1 + EARLY_SHARE) && one.sentMs < answeredMs,
  ).length;
  return shorter < LIMIT && possiblyCounting(sentMs, answeredMs) < LIMIT;
});
console.log(
  `limit ${LIMIT} per ${WINDOW_MS / 1_000} s on 3 nodes: ${admitted.length} admitted, ${refused.length} refused; ` +
    `most admitted in any window ${most}; refusals more than 2 % of the window too early: ${early.length}`,
);
await Promise.all(nodes.map((node) => node.kill()));
await redis.kill();
process.exit(most > LIMIT || early.length > 0 ? 1 : 0);
