// Measures the gateway against bare uWebSockets.js + ioredis in one run, interleaved, and writes the table of the README.
//   node test/bench/run.mjs [--rounds 4] [--rate 4000] [--seconds 5] [--connections 5000] [--write]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ensureBuilt, ensureInstalled } from '../../deploy/local/bootstrap.mjs';

ensureInstalled();
ensureBuilt();
const { cpuSecondsOf, guardProcess, internalApi, rssBytesOf, startGateway, startRedis, visitorToken } = await import(
  '@replyx/testkit'
);

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '4' },
    rate: { type: 'string', default: '4000' },
    seconds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '5000' },
    write: { type: 'boolean', default: false },
  },
});
const ROUNDS = Number(values.rounds);
const RATE = Number(values.rate);
const SECONDS = Number(values.seconds);
const CONNECTIONS = Number(values.connections);
const DIALOGS = 200;
const TEXT = 'x'.repeat(200);

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const median = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

const firstLine = async (child) => {
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  return JSON.parse(line);
};

const startBare = async (redis) => {
  const nodes = await Promise.all(
    [0, 1].map(async () => {
      const child = spawn(process.execPath, [here('bare-server.mjs'), redis.url], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      guardProcess(child);
      const { port } = await firstLine(child);
      return { pid: child.pid, url: `ws://127.0.0.1:${port}`, stop: () => child.kill('SIGKILL') };
    }),
  );
  return { nodes, token: () => undefined };
};

const startOurs = async (redis) => {
  const gateways = await Promise.all(
    [1, 2].map((n) =>
      startGateway({
        REDIS_URL: redis.url,
        NODE_ID: `bench-${n}`,
        LOG_LEVEL: 'info',
        WS_NODE_TTL_SECONDS: 3,
        WS_DIRECTORY: 'open',
        // Everything is on; the limits are only high enough not to be what is measured.
        WS_RATE_LIMIT_MESSAGES: 1_000,
        WS_RATE_LIMIT_FRAMES: 10_000,
      }),
    ),
  );
  await internalApi(gateways[0].internalUrl).get('/readyz');
  return {
    nodes: gateways.map((gateway) => ({ pid: gateway.pid, url: gateway.wsUrl, stop: () => gateway.kill() })),
    token: (dialogId) => visitorToken({ dialog_id: dialogId, exp: Math.floor(Date.now() / 1000) + 7_200 }),
  };
};

const KINDS = { bare: startBare, ours: startOurs, control: startBare };

const drive = async (plan, between) => {
  const child = spawn(process.execPath, [here('driver.mjs')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  guardProcess(child);
  child.stdin.write(`${JSON.stringify(plan)}\n`);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error('the driver ended early');
    return JSON.parse(value);
  };
  await next();
  return between({
    go: () => child.stdin.write('\n'),
    next,
    cpu: () => cpuSecondsOf(child.pid),
    end: () => child.kill('SIGKILL'),
  });
};

const inWorld = async (kind, work) => {
  const redis = await startRedis();
  const world = await KINDS[kind](redis);
  try {
    return await work(world, redis);
  } finally {
    for (const node of world.nodes) await node.stop();
    await redis.kill();
  }
};

const dialogsRound = (kind) =>
  inWorld(kind, async ({ nodes, token }, redis) => {
    const pairs = Array.from({ length: DIALOGS }, (_, i) =>
      nodes.map(({ url }) => ({ url: `${url}/ws/site/dialogs/d${i}`, token: token(`d${i}`) })),
    );
    return drive(
      { scenario: 'dialogs', pairs, rate: RATE, seconds: SECONDS, text: TEXT },
      async ({ go, next, cpu, end }) => {
        const server = () => nodes.reduce((sum, { pid }) => sum + cpuSecondsOf(pid), 0);
        const before = { server: server(), redis: redis.cpuSeconds(), driver: cpu() };
        go();
        const result = await next();
        const driver = (cpu() - before.driver) / SECONDS;
        end();
        if (result.received !== result.expected)
          throw new Error(`${kind}: ${result.received} of ${result.expected} arrived`);
        return {
          cpuMicros: ((server() - before.server) * 1e6) / result.sent,
          redisMicros: ((redis.cpuSeconds() - before.redis) * 1e6) / result.sent,
          p50: result.p50,
          p99: result.p99,
          driver,
        };
      },
    );
  });

const idleRound = (kind) =>
  inWorld(kind, async ({ nodes, token }) => {
    const [{ url, pid }] = nodes;
    const target = (prefix) => (_, i) => ({
      url: `${url}/ws/site/dialogs/${prefix}${i}`,
      token: token(`${prefix}${i}`),
    });
    // A warm-up first: the code that runs on a first connection is compiled, and counted as nobody's.
    const warm = await drive(
      { scenario: 'idle', targets: Array.from({ length: 500 }, target('w')) },
      async (driver) => driver,
    );
    const before = { rss: rssBytesOf(pid), cpu: cpuSecondsOf(pid) };
    return drive({ scenario: 'idle', targets: Array.from({ length: CONNECTIONS }, target('i')) }, async ({ end }) => {
      const cpuMicros = ((cpuSecondsOf(pid) - before.cpu) * 1e6) / CONNECTIONS;
      const bytes = (rssBytesOf(pid) - before.rss) / CONNECTIONS;
      end();
      warm.end();
      return { bytes, cpuMicros };
    });
  });

const rounds = async (name, round) => {
  const results = { bare: [], ours: [], control: [] };
  for (let n = 1; n <= ROUNDS; n += 1) {
    for (const kind of Object.keys(KINDS)) {
      const result = await round(kind);
      results[kind].push(result);
      console.log(
        `${name} ${n}/${ROUNDS} ${kind.padEnd(8)}${JSON.stringify(result, (_, v) => (typeof v === 'number' ? Math.round(v * 100) / 100 : v))}`,
      );
    }
  }
  return (kind, field) => median(results[kind].map((result) => result[field]));
};

const row = (what, unit, of, field, digits = 0) => {
  const [bare, ours, control] = ['bare', 'ours', 'control'].map((kind) => of(kind, field));
  return `| ${what} | ${bare.toFixed(digits)} ${unit} | ${ours.toFixed(digits)} ${unit} | ${(ours / bare).toFixed(2)} | ${(control / bare).toFixed(2)} |`;
};

const messages = await rounds('dialogs', dialogsRound);
const connections = await rounds('idle', idleRound);
const table = [
  `Medians of ${ROUNDS} interleaved rounds, Node ${process.versions.node}; bare is uWebSockets.js + ioredis with the same fan-out and nothing else, control a second copy of it.`,
  '',
  '| work | bare | ReplyX | ratio | control |',
  '|---|---|---|---|---|',
  row(
    `server CPU a message (${RATE}/s, two nodes, a socket of each dialog on each, 200-byte text)`,
    'µs',
    messages,
    'cpuMicros',
  ),
  row('Redis CPU a message', 'µs', messages, 'redisMicros'),
  row('latency, p99', 'ms', messages, 'p99', 1),
  row(`memory an idle connection in its own dialog (${CONNECTIONS} of them)`, 'B', connections, 'bytes'),
  row('server CPU a connect', 'µs', connections, 'cpuMicros'),
].join('\n');
console.log(`\n${table}`);

if (values.write) {
  const file = here('../../README.md');
  const text = readFileSync(file, 'utf8');
  const marked = /(<!-- bench:begin -->\n)[\s\S]*(<!-- bench:end -->)/;
  if (!marked.test(text)) throw new Error('README.md has no place for the table');
  writeFileSync(file, text.replace(marked, `$1${table}\n$2`));
}
process.exit(0);
