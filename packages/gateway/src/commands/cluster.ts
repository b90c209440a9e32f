import { memoryCluster } from '@replyx/core';
import { DEMO_DIALOG, type DemoTokens, makeDemoDialog } from '../cluster/demo-dialog.js';
import { startEmbeddedNode } from '../cluster/embedded-node.js';
import type { LocalEnvironment, LocalNode, NodePlan } from '../cluster/local-node.js';
import { freePortOrAny } from '../cluster/ports.js';
import { findRedisServer, startPrivateRedis } from '../cluster/private-redis.js';
import { startProcessNode } from '../cluster/process-node.js';
import type { Env } from '../config/setting-reader.js';
import { StopStack } from '../lifecycle/stop-stack.js';
import { CommandFailure, type CommandIo, parseOptions, UsageError } from './command.js';
import { startFailure } from './serve.js';

export const summary = 'run several nodes on this machine, with a dialog and tokens to try';

const MAX_NODES = 16;

export const help = `Usage: replyx cluster [--nodes 3] [--port 8081] [--memory] [--json]

Runs a cluster on this machine until Ctrl-C: one process a node on the Redis of REDIS_URL, or on a private redis-server or
valkey-server from the PATH that ends with it; with neither, or with --memory, all nodes in this process, in memory. It
registers the dialog "${DEMO_DIALOG}" and prints where each node listens and tokens that open it.

  --nodes <n>    how many, 1 to ${MAX_NODES} (3)
  --port <port>  public port of the first node; the others follow, and a taken one is replaced by a free one (8081)
  --memory       no Redis, whatever there is
  --json         print one JSON object instead of text

Every other setting is that of replyx serve, from the environment. Exit code: 0 stopped, 1 could not start, 2 usage.
`;

const INTERNAL_PORT_STEP = 1_010;

const wholeNumber = (text: string | undefined, name: string, fallback: number, max: number): number => {
  if (text === undefined) return fallback;
  if (!/^\d{1,5}$/.test(text) || Number(text) < 1 || Number(text) > max)
    throw new UsageError(`--${name} takes 1 to ${max}`);
  return Number(text);
};

/** The environment that all nodes share: the caller's, with secrets made where it has none. */
const sharedEnvironment = (env: Env, io: CommandIo, redisUrl: string | undefined): Record<string, string> => {
  const secret = () => Buffer.from(io.random.bytes(32)).toString('base64url');
  const given = Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
  const made: Record<string, string> = {};
  for (const name of ['SECRET_KEY', 'SITE_SECRET', 'API_KEYS']) {
    if (given[name] === undefined && given[`${name}_FILE`] === undefined) made[name] = secret();
  }
  const { REDIS_URL: _, ...rest } = given;
  return {
    WS_NODE_TTL_SECONDS: '6',
    WS_DRAIN_WAIT_SECONDS: '0',
    ...rest,
    ...made,
    ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl }),
  };
};

const firstApiKey = (shared: LocalEnvironment, io: CommandIo): string => {
  const file = shared['API_KEYS_FILE'];
  const keys = shared['API_KEYS'] ?? (file === undefined ? '' : io.readFile(file));
  return keys.split(',')[0]?.trim() ?? '';
};

interface Started {
  readonly on: string;
  readonly nodes: readonly LocalNode[];
  readonly shared: LocalEnvironment;
}

const start = async (
  plans: readonly NodePlan[],
  inMemory: boolean,
  io: CommandIo,
  stops: StopStack,
): Promise<Started> => {
  const server = inMemory ? undefined : findRedisServer(io.env['PATH']);
  const given = inMemory ? undefined : io.env['REDIS_URL'];
  const keep = (node: LocalNode): LocalNode => {
    stops.add(node.id, () => node.stop());
    return node;
  };
  if (given !== undefined || server !== undefined) {
    let url = given;
    if (url === undefined && server !== undefined) {
      const redis = await startPrivateRedis(server);
      stops.add('redis', () => redis.stop());
      url = redis.url;
    }
    const shared = sharedEnvironment(io.env, io, url);
    const log = (line: string) => io.err(`${line}\n`);
    const starting = await Promise.allSettled(plans.map((plan) => startProcessNode(shared, plan, log).then(keep)));
    const nodes = starting.map((one) => {
      if (one.status === 'rejected') throw one.reason;
      return one.value;
    });
    return { on: given === undefined ? `a private ${server}` : 'the Redis of REDIS_URL', nodes, shared };
  }
  const shared = sharedEnvironment(io.env, io, undefined);
  const cluster = memoryCluster({ clock: io.clock, random: io.random });
  const nodes = await Promise.all(plans.map((plan) => startEmbeddedNode(cluster, shared, plan, io).then(keep)));
  return { on: 'memory, in one process (no Redis)', nodes, shared };
};

const describe = (started: Started, tokens: DemoTokens, apiKey: string): string => {
  const nodes = started.nodes.map(
    ({ id, port, internalPort }) => `  ${id}  ws://127.0.0.1:${port}  internal http://127.0.0.1:${internalPort}`,
  );
  const [first] = started.nodes;
  return `ReplyX: ${started.nodes.length} nodes on ${started.on}

${nodes.join('\n')}

Dialog "${DEMO_DIALOG}"; connect to any node, with the subprotocols "replyx.v1, replyx.token.<token>":
  visitor   /ws/site/dialogs/${DEMO_DIALOG}
  ${tokens.visitor}
  operator  /ws/dialogs/${DEMO_DIALOG}
  ${tokens.operator}

Publish as a backend would:
  curl -s http://127.0.0.1:${first?.internalPort}/v1/dialogs/${DEMO_DIALOG}/messages -H "Authorization: Bearer ${apiKey}" \\
    -d '{"sender":{"role":"assistant","id":"bot"},"text":"Hello"}'

Ctrl-C stops it.
`;
};

const stopRequested = (): Promise<void> =>
  new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
  });

export const run = async (args: readonly string[], io: CommandIo): Promise<number> => {
  const { values } = parseOptions(args, {
    nodes: { type: 'string' },
    port: { type: 'string' },
    memory: { type: 'boolean' },
    json: { type: 'boolean' },
  });
  const count = wholeNumber(values.nodes, 'nodes', 3, MAX_NODES);
  const base = wholeNumber(values.port, 'port', 8_081, 65_535 - INTERNAL_PORT_STEP - MAX_NODES);
  // Asked for before anything is started: a Ctrl-C during the start must stop what is up by then.
  const asked = stopRequested();
  const stops = new StopStack((step, error) => io.err(`replyx: ${step} did not stop in order: ${String(error)}\n`));
  const plans = await Promise.all(
    Array.from({ length: count }, async (_, i) => ({
      id: `node-${i + 1}`,
      port: await freePortOrAny(base + i),
      internalPort: await freePortOrAny(base + INTERNAL_PORT_STEP + i),
    })),
  );
  try {
    const started = await Promise.race([start(plans, values.memory === true, io, stops), asked]);
    if (started !== undefined) {
      const [first] = started.nodes;
      const apiKey = firstApiKey(started.shared, io);
      const tokens = await makeDemoDialog(`http://127.0.0.1:${first?.internalPort}`, apiKey);
      const { nodes, on } = started;
      io.out(
        values.json === true
          ? `${JSON.stringify({ on, nodes: nodes.map(({ id, port, internalPort }) => ({ id, port, internal_port: internalPort })), dialog: DEMO_DIALOG, tokens, api_key: apiKey })}\n`
          : describe(started, tokens, apiKey),
      );
      await asked;
    }
  } catch (error) {
    if (error instanceof CommandFailure) throw error;
    throw startFailure(error) ?? error;
  } finally {
    await stops.stop();
  }
  return 0;
};
