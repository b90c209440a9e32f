import { existsSync } from 'node:fs';
import { memoryCluster } from '@replyx/core';
import { startBackendProgram } from '../cluster/backend-program.js';
import { DEMO_DIALOG, type DemoTokens, makeDemoDialog } from '../cluster/demo-dialog.js';
import { startEmbeddedNode } from '../cluster/embedded-node.js';
import { LocalCluster, type Member } from '../cluster/local-cluster.js';
import type { LocalEnvironment, NodePlan } from '../cluster/local-node.js';
import { freePortOrAny } from '../cluster/ports.js';
import { findRedisServer, startPrivateRedis } from '../cluster/private-redis.js';
import { startProcessNode } from '../cluster/process-node.js';
import { Supervised } from '../cluster/supervised.js';
import type { Env } from '../config/setting-reader.js';
import { StopStack } from '../lifecycle/stop-stack.js';
import { type PageServer, startPageServer } from '../playground/page-server.js';
import { CommandFailure, type CommandIo, parseOptions, UsageError } from './command.js';
import { startFailure } from './serve.js';

export const summary = 'run several nodes on this machine, with a page, a dialog and tokens to try';

const MAX_NODES = 16;

export const help = `Usage: replyx cluster [--nodes 3] [--port 8081] [--page-port 8080] [--no-page] [--backend file] [--memory] [--json]

Runs a cluster on this machine until Ctrl-C: one process a node on the Redis of REDIS_URL, or on a private redis-server or
valkey-server from the PATH that ends with it; with neither, or with --memory, all nodes in this process, in memory. It
registers the dialog "${DEMO_DIALOG}", prints where each node listens and tokens that open it, and serves a page that shows
the dialog from both sides and can kill a node. A node that ends by itself is started again; one that the page killed is
started from there. Everything binds 127.0.0.1.

  --nodes <n>         how many, 1 to ${MAX_NODES} (3)
  --port <port>       public port of the first node; the others follow, and a taken one is replaced by a free one (8081)
  --page-port <port>  port of the page; a taken one is replaced by a free one (8080)
  --no-page           no page, and so no controls
  --backend <file>    a Node program to run beside the cluster, with REPLYX_INTERNAL_URLS (comma-separated), REPLYX_API_KEY
                      and REPLYX_DIALOG in its environment; it gets SIGTERM at the end, and must end with its IPC channel
  --memory            no Redis, whatever there is
  --json              print one JSON object instead of text

Examples:
  replyx cluster
  replyx cluster --nodes 5 --memory --no-page

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
const sharedEnvironment = (
  env: Env,
  io: CommandIo,
  redisUrl: string | undefined,
  pageOrigins: readonly string[],
): Record<string, string> => {
  const secret = () => Buffer.from(io.random.bytes(32)).toString('base64url');
  const given = Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
  const made: Record<string, string> = {};
  for (const name of ['SECRET_KEY', 'SITE_SECRET', 'API_KEYS']) {
    if (given[name] === undefined && given[`${name}_FILE`] === undefined) made[name] = secret();
  }
  const { REDIS_URL: _, CORS_ORIGINS: givenOrigins, ...rest } = given;
  const origins = [...(givenOrigins === undefined ? [] : [givenOrigins]), ...pageOrigins];
  return {
    WS_NODE_TTL_SECONDS: '6',
    WS_DRAIN_WAIT_SECONDS: '0',
    ...rest,
    ...made,
    ...(origins.length === 0 ? {} : { CORS_ORIGINS: origins.join(',') }),
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
  readonly cluster: LocalCluster;
  readonly shared: LocalEnvironment;
}

interface StartParts {
  readonly plans: readonly NodePlan[];
  readonly inMemory: boolean;
  readonly pageOrigins: readonly string[];
  readonly io: CommandIo;
  readonly stops: StopStack;
  readonly log: (line: string) => void;
}

const start = async ({ plans, inMemory, pageOrigins, io, stops, log }: StartParts): Promise<Started> => {
  const { clock, random } = io;
  const server = inMemory ? undefined : findRedisServer(io.env['PATH']);
  const given = inMemory ? undefined : io.env['REDIS_URL'];
  const run = async (
    on: string,
    shared: LocalEnvironment,
    launch: (plan: NodePlan) => ReturnType<typeof startProcessNode>,
  ) => {
    const cluster = new LocalCluster({ plans, launch, clock, onLog: log });
    stops.add('nodes', () => cluster.stop());
    await cluster.start();
    return { on, cluster, shared };
  };
  if (given !== undefined || server !== undefined) {
    let url = given;
    if (url === undefined && server !== undefined) {
      const redis = await startPrivateRedis(server);
      stops.add('redis', () => redis.stop());
      url = redis.url;
    }
    const shared = sharedEnvironment(io.env, io, url, pageOrigins);
    const on = given === undefined ? `a private ${server}` : 'the Redis of REDIS_URL';
    return run(on, shared, (plan) => startProcessNode(shared, plan, log));
  }
  const shared = sharedEnvironment(io.env, io, undefined, pageOrigins);
  const memory = memoryCluster({ clock, random });
  return run('memory, in one process (no Redis)', shared, (plan) => startEmbeddedNode(memory, shared, plan, io));
};

/** A Node program beside the cluster; like a node, it is started again where it ends by itself. */
const startBackend = async (
  file: string,
  members: readonly Member[],
  apiKey: string,
  { io, stops, log }: Pick<StartParts, 'io' | 'stops' | 'log'>,
): Promise<void> => {
  const urls = members.map(({ internalPort }) => `http://127.0.0.1:${internalPort}`);
  const backend = new Supervised({
    name: 'backend',
    launch: () => startBackendProgram(file, urls, apiKey, io.env['PATH'] ?? '', log),
    clock: io.clock,
    onLog: log,
  });
  stops.add('backend', () => backend.stop());
  await backend.start();
};

interface Shown {
  readonly on: string;
  readonly members: readonly Member[];
  readonly tokens: DemoTokens;
  readonly apiKey: string;
  readonly page: string | undefined;
}

const describeJson = ({ on, members, tokens, apiKey, page }: Shown): string =>
  `${JSON.stringify({
    on,
    nodes: members.map(({ id, port, internalPort }) => ({ id, port, internal_port: internalPort })),
    dialog: DEMO_DIALOG,
    tokens,
    api_key: apiKey,
    page: page ?? null,
  })}\n`;

const describe = ({ on, members, tokens, apiKey, page }: Shown): string => {
  const nodes = members.map(
    ({ id, port, internalPort }) => `  ${id}  ws://127.0.0.1:${port}  internal http://127.0.0.1:${internalPort}`,
  );
  const [first] = members;
  return `ReplyX: ${members.length} nodes on ${on}

${nodes.join('\n')}
${page === undefined ? '' : `\nOpen ${page} to see the dialog from both sides, and to kill a node.\n`}
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
    'page-port': { type: 'string' },
    'no-page': { type: 'boolean' },
    backend: { type: 'string' },
    memory: { type: 'boolean' },
    json: { type: 'boolean' },
  });
  const count = wholeNumber(values.nodes, 'nodes', 3, MAX_NODES);
  const base = wholeNumber(values.port, 'port', 8_081, 65_535 - INTERNAL_PORT_STEP - MAX_NODES);
  const pagePort = wholeNumber(values['page-port'], 'page-port', 8_080, 65_535);
  const program = values.backend;
  if (program !== undefined && !existsSync(program))
    throw new UsageError(`--backend ${program}: there is no such file`);
  // Asked for before anything is started: a Ctrl-C during the start must stop what is up by then.
  const asked = stopRequested();
  const stops = new StopStack((step, error) => io.err(`replyx: ${step} did not stop in order: ${String(error)}\n`));
  const log = (line: string) => io.err(`${line}\n`);
  const plans = await Promise.all(
    Array.from({ length: count }, async (_, i) => ({
      id: `node-${i + 1}`,
      port: await freePortOrAny(base + i),
      internalPort: await freePortOrAny(base + INTERNAL_PORT_STEP + i),
    })),
  );
  const startAll = async (): Promise<Shown> => {
    let page: PageServer | undefined;
    if (values['no-page'] !== true) {
      const isTaken = plans.some(({ port, internalPort }) => port === pagePort || internalPort === pagePort);
      // Before the nodes, which must know the origin of its panes.
      page = await startPageServer({
        key: Buffer.from(io.random.bytes(24)).toString('base64url'),
        port: isTaken ? 0 : pagePort,
        onBug: (error) => log(`page: ${String(error)}`),
      });
      stops.add('page', page.stop);
    }
    const parts = { plans, inMemory: values.memory === true, pageOrigins: page?.origins ?? [], io, stops, log };
    const { on, cluster, shared } = await start(parts);
    const { members } = cluster;
    const apiKey = firstApiKey(shared, io);
    const tokens = await makeDemoDialog(`http://127.0.0.1:${members[0]?.internalPort}`, apiKey);
    page?.show({ dialog: DEMO_DIALOG, tokens: { ...tokens }, members: () => cluster.members });
    if (program !== undefined) await startBackend(program, members, apiKey, parts);
    return { on, members, tokens, apiKey, page: page?.url };
  };
  try {
    const shown = await Promise.race([startAll(), asked]);
    if (shown !== undefined) {
      io.out(values.json === true ? describeJson(shown) : describe(shown));
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
