import {
  type GatewayProcess,
  type ProcessEnv,
  type RedisOptions,
  type RedisServer,
  startGateway,
  startProxy,
  startRedis,
  type TcpProxy,
  TEST_ASSISTANT,
  TEST_TENANT,
  until,
} from '@replyx/testkit';
import { at, nodeOfProcess, type World, type WorldNode } from '../integration/world.js';

/** Nothing but faults may stand in the way, and what a fault costs shall show within a run of seconds. */
const ENVIRONMENT: ProcessEnv = {
  WS_RATE_LIMIT_PER_IP: 0,
  WS_RATE_LIMIT_MESSAGES: 0,
  WS_RATE_LIMIT_FRAMES: 0,
  WS_RATE_LIMIT_HTTP: 0,
  WS_RATE_LIMIT_AUTH_FAILURES: 0,
  WS_BAN_SCORE: 0,
  WS_MAX_CONNECTIONS_PER_DIALOG: 0,
  WS_MAX_CONNECTIONS_PER_USER: 0,
  WS_MAX_CONNECTIONS_PER_IP: 0,
  WS_NODE_TTL_SECONDS: 3,
  WS_HISTORY_SIZE: 100_000,
  WS_IDEMPOTENCY_TTL_SECONDS: 3_600,
  WS_DRAIN_WAIT_SECONDS: 1,
  WS_DRAIN_SPREAD_SECONDS: 1,
  WS_DRAIN_GRACE_SECONDS: 15,
};

export interface ClusterOptions {
  readonly nodes?: number;
  readonly redis?: RedisOptions;
  readonly env?: ProcessEnv;
  /** Where the nodes find their Redis, once it runs; by default each through a proxy of its own. */
  readonly redisUrl?: (redis: RedisServer) => Promise<string>;
}

/** Real node processes on one Redis, with a proxy between each node and it. */
export interface ChaosCluster extends World {
  /** As many as nodes; unused where a `redisUrl` was given. */
  readonly proxies: readonly TcpProxy[];
  readonly redis: RedisServer;
  /** Undoes what stands: network faults and stopped or dead processes. */
  heal(): Promise<void>;
  /** Resolves when every node says that it is ready. Guard: 90 s. */
  ready(): Promise<void>;
  /** Registers dialogs as a backend does; tries all nodes until each has been taken. */
  register(dialogs: readonly string[]): Promise<void>;
}

/** Rejects where the node does not answer within 2 s. */
export const isReady = async (process: GatewayProcess): Promise<boolean> => {
  const response = await fetch(`${process.internalUrl}/readyz`, { signal: AbortSignal.timeout(2_000) });
  return response.status === 200;
};

const register = async (nodes: readonly WorldNode[], dialog: string): Promise<void> => {
  let turn = 0;
  await until(
    async () => {
      const { api } = at(nodes, turn++);
      const { status } = await api.put(`/v1/dialogs/${dialog}`, { tenant: TEST_TENANT, assistant_id: TEST_ASSISTANT });
      return status === 200;
    },
    { what: `dialog ${dialog} to be registered`, everyMs: 50 },
  );
};

export const startChaosCluster = async (options: ClusterOptions = {}): Promise<ChaosCluster> => {
  const { env = {} } = options;
  const redis = await startRedis(options.redis ?? { appendonly: true, appendfsync: 'always' });
  const proxies = await Promise.all(Array.from({ length: options.nodes ?? 3 }, () => startProxy({ port: redis.port })));
  const redisUrl = await options.redisUrl?.(redis);
  const processes = await Promise.all(
    proxies.map((proxy, i) =>
      startGateway({
        ...ENVIRONMENT,
        NODE_ID: `node-${i + 1}`,
        REDIS_URL: redisUrl ?? `redis://${proxy.address}`,
        ...env,
      }),
    ),
  );
  const nodes = processes.map(nodeOfProcess);
  return {
    nodes,
    processes,
    proxies,
    redis,
    heal: async () => {
      if (redis.running) await redis.resume();
      else await redis.start();
      for (const proxy of proxies) {
        proxy.heal();
        await proxy.accept();
      }
      for (const process of processes) process.resume();
      await Promise.all(processes.filter(({ running }) => !running).map((process) => process.restart('kill')));
    },
    ready: async () => {
      await until(async () => (await Promise.all(processes.map(isReady))).every(Boolean), {
        what: 'every node to be ready',
        hangGuardMs: 90_000,
        everyMs: 50,
      });
    },
    register: async (dialogs) => {
      for (const dialog of dialogs) await register(nodes, dialog);
    },
    close: async () => {
      await Promise.all(processes.map((process) => process.kill()));
      await Promise.all(proxies.map((proxy) => proxy.close()));
      await redis.kill();
    },
  };
};
