// Shows on real processes how fast a revoked user is gone: many sockets on three nodes, also where one node's link to Redis is cut at
// that moment, and where the control stream is trimmed meanwhile.
//   npm run report:revocation -- [--sockets 1000] [--cut-seconds 3]
// Times are from the request to `POST /v1/revocations`, as the clients see it; those of the node that was cut off from the moment at which
// its link is back. All of it shares one machine: the lag of the clients' own event loop says how much of a time is theirs.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { ensureBuilt, ensureInstalled } from '../../deploy/local/bootstrap.mjs';

ensureInstalled();
ensureBuilt();
const { connect, dial, internalApi, operatorToken, startGateway, startProxy, startRedis, until } = await import(
  '@replyx/testkit'
);

const { values } = parseArgs({
  options: { sockets: { type: 'string', default: '1000' }, 'cut-seconds': { type: 'string', default: '3' } },
});
const SOCKETS = Number(values.sockets);
const CUT_MS = Number(values['cut-seconds']) * 1_000;
/** Within which a node that hears the news closes what falls. */
const DEADLINE_MS = 1_000;
const DIALOGS = 30;
const TALKERS_A_NODE = 3;
const TENANT = 'tenant-1';

const LIMITS_OFF = Object.fromEntries(
  ['RATE_LIMIT_PER_IP', 'RATE_LIMIT_MESSAGES', 'BAN_SCORE', 'MAX_CONNECTIONS_PER_DIALOG', 'MAX_CONNECTIONS_PER_USER']
    .concat('MAX_CONNECTIONS_PER_IP')
    .map((name) => [`WS_${name}`, 0]),
);

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const quantile = (times, share) => {
  const sorted = times.toSorted((a, b) => a - b);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
};

const inParallel = async (count, width, work) => {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: width }, worker));
};

/** One cluster of its own for each scenario, so that none inherits anything. */
const measure = async ({ name, cut, trim }) => {
  const redis = await startRedis();
  const proxy = await startProxy({ port: redis.port });
  const behind = redis.url.replace(`:${redis.port}`, `:${proxy.port}`);
  const nodes = await Promise.all(
    [1, 2, 3].map((n) =>
      startGateway({
        NODE_ID: `node-${n}`,
        REDIS_URL: n === 3 ? behind : redis.url,
        WS_DIRECTORY: 'open',
        WS_NODE_TTL_SECONDS: 3,
        ...LIMITS_OFF,
      }),
    ),
  );
  const [near, , far] = nodes;
  const join = (node, dialogId, claims) =>
    connect({ url: `${node.wsUrl}/ws/dialogs/${dialogId}`, token: operatorToken(claims), keepFrames: false });
  const api = internalApi(near.internalUrl);
  const heads = async () => {
    const read = async (_, i) => (await api.get(`/v1/dialogs/d${i}/messages`)).body.offset ?? 0;
    return (await Promise.all(Array.from({ length: DIALOGS }, read))).reduce((sum, offset) => sum + offset, 0);
  };

  const old = operatorToken({ sub: 'mallory' });
  const clients = [];
  await inParallel(SOCKETS, 20, async (i) => {
    clients[i] = { node: nodes[i % 3], client: await join(nodes[i % 3], `d${i % DIALOGS}`, { sub: 'mallory' }) };
  });
  // One of each node: they are to be there, and heard, when all is over.
  const namesakes = await Promise.all(
    nodes.map((node) => join(node, 'elsewhere', { sub: 'mallory', tenant: 'tenant-2' })),
  );
  let busy = true;
  const talking = clients.slice(0, 3 * TALKERS_A_NODE).map(async ({ client }) => {
    for (let n = 0; busy && client.isOpen; n += 1) {
      await client.publish(`text ${n}`).catch(() => {});
      await sleep(10);
    }
  });

  if (cut) {
    proxy.refuse();
    proxy.cut();
  }
  const lag = monitorEventLoopDelay({ resolution: 5 });
  lag.enable();
  const startedMs = performance.now();
  let healedMs = startedMs;
  const ends = clients.map(async (one) => {
    one.code = (await one.client.closed).code;
    one.closedMs = performance.now();
  });
  const answer = await api.post('/v1/revocations', { sub: 'mallory', tenant: TENANT });
  if (answer.status !== 201) throw new Error(`the revocation was answered ${answer.status}`);
  const answeredMs = performance.now() - startedMs;
  if (trim && (await redis.cli('XTRIM', 'rx:{ctl}:log', 'MAXLEN', 0)) < 1) throw new Error('nothing was trimmed');
  if (cut) {
    await sleep(startedMs + CUT_MS - performance.now());
    healedMs = performance.now();
    await proxy.accept();
  }
  await Promise.all(ends);
  lag.disable();
  busy = false;
  await Promise.all(talking);

  const settled = await heads();
  // With the old token nobody comes in anywhere; the node that was cut off says so once it serves again.
  const refusals = [];
  for (const node of nodes) {
    const serves = () => join(node, 'elsewhere', { sub: 'alice', tenant: 'tenant-2' }).then((client) => client.close());
    await until(serves, { what: 'the node to let others in', everyMs: 100 });
    for (let i = 0; i < 20; i += 1) {
      const { code } = await dial({ url: `${node.wsUrl}/ws/dialogs/d${i}`, token: old }).closed;
      refusals.push(code);
    }
  }
  const untouched = await Promise.all(
    namesakes.map(async (client) => client.isOpen && (await client.publish('still here')).type === 'ack'),
  );
  const after = (await heads()) - settled;

  const report = (where, picked, sinceMs) => {
    const times = picked.map(({ closedMs }) => closedMs - sinceMs);
    return {
      scenario: name,
      sockets: where,
      closed: `${picked.filter(({ code }) => code === 4005).length}/${picked.length}`,
      'p50 ms': quantile(times, 0.5),
      'p99 ms': quantile(times, 0.99),
      'max ms': quantile(times, 1),
    };
  };
  const reached = clients.filter(({ node }) => !cut || node !== far);
  const missed = clients.filter(({ node }) => cut && node === far);
  const rows = [report(cut ? 'nodes that hear it' : 'all nodes', reached, startedMs)];
  if (cut) rows.push(report('node cut off, since its link is back', missed, healedMs));
  const faults = [
    clients.some(({ code }) => code !== 4005) && 'not every socket was closed with 4005',
    rows[0]['p99 ms'] > DEADLINE_MS && `the p99 is over ${DEADLINE_MS} ms`,
    refusals.some((code) => code !== 4005) && `the old token came to ${[...new Set(refusals)]}`,
    after !== 0 && `${after} messages were appended after the last close`,
    untouched.includes(false) && "another tenant's user of the same name was touched",
  ].filter(Boolean);
  console.log(
    `${name}: answered after ${Math.round(answeredMs)} ms, lag of the clients at most ${Math.round(lag.max / 1e6)} ms; ${refusals.length} attempts with the old token: ` +
      `${[...new Set(refusals)].join(', ')}; messages after the last close: ${after}; ` +
      `another tenant's user of the same name: ${untouched.includes(false) ? 'touched' : 'untouched on every node'}`,
  );
  await Promise.all(nodes.map((node) => node.kill()));
  await proxy.close();
  await redis.kill();
  return { rows, faults };
};

console.log(`${SOCKETS} sockets of one user on 3 nodes`);
const results = [];
for (const scenario of [
  { name: 'revoked', cut: false, trim: false },
  { name: `a node's link cut for ${CUT_MS / 1_000} s`, cut: true, trim: false },
  { name: 'cut, and the stream trimmed', cut: true, trim: true },
]) {
  results.push(await measure(scenario));
}
console.table(results.flatMap(({ rows }) => rows));
const faults = results.flatMap((result) => result.faults);
for (const fault of faults) console.log(`FAULT: ${fault}`);
process.exit(faults.length > 0 ? 1 : 0);
