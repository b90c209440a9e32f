import { once } from 'node:events';
import {
  type ConnectOptions,
  connect,
  type GatewayProcess,
  type InternalApi,
  internalApi,
  operatorToken,
  type ProcessEnv,
  publicationKey,
  type ReceivedFrame,
  type RedisOptions,
  type RedisServer,
  startGateway,
  startRedis,
  TEST_API_KEY,
  TEST_ASSISTANT,
  TEST_ORIGIN,
  TEST_SECRET_KEY,
  TEST_SITE_SECRET,
  TEST_TENANT,
  type TestClient,
  visitorToken,
} from '@replyx/testkit';
import { startCluster } from './processes.js';

export interface WorldNode {
  readonly wsUrl: string;
  readonly internalUrl: string;
  readonly api: InternalApi;
}

/** A cluster under test, whatever it runs on. */
export interface World {
  readonly nodes: readonly WorldNode[];
  /** Those that have a process of their own. */
  readonly processes: readonly GatewayProcess[];
  readonly redis: RedisServer | undefined;
  close(): Promise<void>;
}

/** Limits that would stand in the way of a test that is about something else. */
const UNLIMITED: ProcessEnv = {
  WS_RATE_LIMIT_MESSAGES: 0,
  WS_RATE_LIMIT_FRAMES: 0,
  WS_RATE_LIMIT_PER_IP: 0,
  // A machine that is shared lags for reasons of others.
  WS_SHED_LAG_MS: 0,
  WS_RATE_LIMIT_AUTH_FAILURES: 0,
  WS_RATE_LIMIT_HTTP: 0,
  WS_MAX_CONNECTIONS_PER_DIALOG: 0,
  WS_MAX_CONNECTIONS_PER_USER: 0,
  WS_MAX_CONNECTIONS_PER_IP: 0,
  WS_NODE_TTL_SECONDS: 3,
  WS_DRAIN_WAIT_SECONDS: 0,
};

const nodeOf = (wsUrl: string, internalUrl: string): WorldNode => ({
  wsUrl,
  internalUrl,
  api: internalApi(internalUrl),
});

/** Ports may change when a process is restarted; addresses are read when they are used. */
export const nodeOfProcess = (process: GatewayProcess): WorldNode => ({
  get wsUrl() {
    return process.wsUrl;
  },
  get internalUrl() {
    return process.internalUrl;
  },
  get api() {
    return internalApi(process.internalUrl);
  },
});

export interface WorldOptions {
  readonly nodes?: number;
  readonly redis?: RedisOptions;
  readonly env?: ProcessEnv;
}

/** Several gateway processes on one Redis of the test's own. */
export const startWorld = async ({
  nodes: count = 3,
  redis: options = {},
  env = {},
}: WorldOptions = {}): Promise<World> => {
  const redis = await startRedis(options);
  const processes = await Promise.all(
    Array.from({ length: count }, (_, i) =>
      startGateway({ NODE_ID: `node-${i + 1}`, REDIS_URL: redis.url, ...UNLIMITED, ...env }),
    ),
  );
  return {
    nodes: processes.map(nodeOfProcess),
    processes,
    redis,
    close: async () => {
      await Promise.all(processes.map((process) => process.kill()));
      await redis.kill();
    },
  };
};

/** Several nodes in one process, on the backplane in memory. */
export const startMemoryWorld = async ({ nodes = 3, env = {} }: Omit<WorldOptions, 'redis'> = {}): Promise<World> => {
  const { child, started } = await startCluster<{ nodes: { port: number; internal_port: number }[] }>(
    ['--memory', '--nodes', String(nodes)],
    {
      PATH: process.env['PATH'] ?? '',
      SECRET_KEY: TEST_SECRET_KEY,
      SITE_SECRET: TEST_SITE_SECRET,
      API_KEYS: TEST_API_KEY,
      ...Object.fromEntries(Object.entries({ ...UNLIMITED, ...env }).map(([name, value]) => [name, String(value)])),
    },
  );
  return {
    nodes: started.nodes.map(({ port, internal_port }) =>
      nodeOf(`ws://127.0.0.1:${port}`, `http://127.0.0.1:${internal_port}`),
    ),
    processes: [],
    redis: undefined,
    close: async () => {
      const ended = once(child, 'close');
      child.kill('SIGTERM');
      await ended;
    },
  };
};

/** What names a publication: an id is unique for its sender only. */
export const keyOf = (frame: ReceivedFrame): string =>
  publicationKey(frame['sender'] as { role: string; id: string }, String(frame.id));

export const at = <T>(items: readonly T[], index: number): T => {
  const item = items[index % items.length];
  if (item === undefined) throw new Error('the list is empty');
  return item;
};

/** Registers a dialog, and its assistant, as a backend does. */
export const makeDialog = async (
  world: World,
  dialogId: string,
  record: Record<string, unknown> = {},
): Promise<void> => {
  const { api } = at(world.nodes, 0);
  const answer = await api.put(`/v1/dialogs/${dialogId}`, {
    tenant: TEST_TENANT,
    assistant_id: TEST_ASSISTANT,
    ...record,
  });
  if (answer.status !== 200)
    throw new Error(`the dialog was not made: ${answer.status} ${JSON.stringify(answer.body)}`);
};

type Joining = Partial<Omit<ConnectOptions, 'url' | 'token'>> & { readonly claims?: Record<string, unknown> };

/** How a visitor connects: for `connect`, or for `dial` where a refusal is expected. */
export const asVisitor = (node: WorldNode, dialogId: string, { claims, ...rest }: Joining = {}): ConnectOptions => ({
  url: `${node.wsUrl}/ws/site/dialogs/${dialogId}`,
  token: visitorToken({ dialog_id: dialogId, ...claims }),
  origin: TEST_ORIGIN,
  ...rest,
});

export const asOperator = (node: WorldNode, dialogId: string, { claims, ...rest }: Joining = {}): ConnectOptions => ({
  url: `${node.wsUrl}/ws/dialogs/${dialogId}`,
  token: operatorToken(claims),
  ...rest,
});

export const joinVisitor = (node: WorldNode, dialogId: string, options: Joining = {}): Promise<TestClient> =>
  connect(asVisitor(node, dialogId, options));

export const joinOperator = (node: WorldNode, dialogId: string, options: Joining = {}): Promise<TestClient> =>
  connect(asOperator(node, dialogId, options));

/** Runs `work` over the items, at most `width` at once. */
export const inParallel = async <T>(
  items: readonly T[],
  width: number,
  work: (item: T, index: number) => Promise<void>,
) => {
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next;
      next += 1;
      await work(items[index] as T, index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
};
