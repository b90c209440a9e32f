import type { UnitCosts } from './unit-costs.js';

/** What a cluster must carry, and what its parts may use. Times in seconds, shares of 1. */
export interface Demand {
  readonly connections: number;
  /** Messages a second. */
  readonly rate: number;
  readonly perDialog: number;
  readonly connectsPerSecond: number;
  readonly refusalsPerSecond: number;
  readonly textBytes: number;
  /** How long a dialog lives before another takes its connections' place. */
  readonly sessionSeconds: number;
  readonly historyTtlSeconds: number;
  readonly historySize: number;
  readonly idempotencyTtlSeconds: number;
}

export interface Means {
  /** Share of a core that a node, and a Redis shard, may use. */
  readonly nodeCpu: number;
  readonly redisCpu: number;
  readonly nodeMemoryBytes: number;
  readonly redisMemoryBytes: number;
  /** WS_MAX_TOTAL_CONNECTIONS. */
  readonly nodeConnections: number;
  /** Nodes that may be away. */
  readonly spareNodes: number;
}

/** What one resource is used for, each part in the resource's unit. */
export interface Resource {
  readonly name: 'node CPU' | 'node memory' | 'node connections' | 'Redis CPU' | 'Redis memory';
  readonly unit: 'cores' | 'bytes' | 'connections';
  readonly parts: Readonly<Record<string, number>>;
  readonly total: number;
  /** What one node or shard offers of it. */
  readonly each: number;
  /** How many this resource alone asks for. */
  readonly needed: number;
  /** Its use at the planned size, of what may be used. */
  readonly used: number;
}

export interface Capacity {
  readonly nodes: number;
  readonly shards: number;
  readonly resources: readonly Resource[];
  /** The resource that is used most at the planned size: the first to give out when the load grows. */
  readonly first: Resource;
  /** Nodes that hold a dialog, on average. */
  readonly holders: number;
  /** Bytes a second that leave all nodes, and the Redis shards. */
  readonly nodeEgress: number;
  readonly redisEgress: number;
  /** Seconds until the clients of a dead node have recovered elsewhere, by CPU alone. */
  readonly recoverySeconds: number;
}

const MICRO = 1e-6;
/** A publication's frame and channel header around its text, and a WebSocket header. */
const FRAME_BYTES = 200;
/** Partitions of dialogs: more shards than these stand idle. */
export const PARTITIONS = 128;

/** How many of `nodes` hold a dialog whose sockets fall on them at random. */
export const holdersOf = (nodes: number, perDialog: number): number => nodes * (1 - (1 - 1 / nodes) ** perDialog);

const sum = (parts: Readonly<Record<string, number>>): number =>
  Object.values(parts).reduce((all, part) => all + part, 0);

/** Messages that are kept at any time: those of the history's life, at most the history's size of each dialog that lived in it. */
const keptMessages = (demand: Demand): { messages: number; dialogs: number } => {
  const { connections, perDialog, rate, sessionSeconds, historyTtlSeconds, historySize } = demand;
  const open = connections / perDialog;
  const dialogs = open * Math.max(1, historyTtlSeconds / sessionSeconds);
  return { dialogs, messages: Math.min(rate * historyTtlSeconds, dialogs * historySize) };
};

const nodeCpu = (demand: Demand, costs: UnitCosts, nodes: number, holders: number): Record<string, number> => ({
  'the nodes themselves': nodes * costs.node_itself * MICRO,
  publishing: demand.rate * costs.node_publish * MICRO,
  receiving: demand.rate * holders * costs.node_receive * MICRO,
  deliveries: demand.rate * demand.perDialog * costs.node_delivery * MICRO,
  connects: demand.connectsPerSecond * costs.node_connect * MICRO,
  refusals: demand.refusalsPerSecond * costs.node_refusal * MICRO,
  'idle connections': (demand.connections * costs.node_idle_hour * MICRO) / 3_600,
});

const redisCpu = (demand: Demand, costs: UnitCosts, nodes: number, holders: number): Record<string, number> => ({
  'the nodes themselves': nodes * costs.redis_node * MICRO,
  appending: demand.rate * costs.redis_publish * MICRO,
  'fan-out': demand.rate * holders * costs.redis_fanout * MICRO,
  connects: demand.connectsPerSecond * costs.redis_connect * MICRO,
  refusals: demand.refusalsPerSecond * costs.redis_refusal * MICRO,
  'checks of positions': (demand.connections * costs.redis_idle_hour * MICRO) / 3_600,
});

const redisMemory = (demand: Demand, costs: UnitCosts, holders: number): Record<string, number> => {
  const { connections, perDialog, rate, textBytes, idempotencyTtlSeconds } = demand;
  const kept = keptMessages(demand);
  return {
    history: kept.messages * (costs.redis_message + textBytes),
    dialogs: kept.dialogs * costs.redis_dialog,
    'idempotency keys': rate * idempotencyTtlSeconds * costs.redis_idempotency,
    connections: connections * costs.redis_connection,
    subscriptions: (connections / perDialog) * holders * costs.redis_subscription,
  };
};

const atLeastOne = (value: number): number => Math.max(1, Math.ceil(value - 1e-9));

const resource = (
  name: Resource['name'],
  unit: Resource['unit'],
  parts: Readonly<Record<string, number>>,
  each: number,
  count: number,
): Resource => {
  const total = sum(parts);
  return { name, unit, parts, total, each, needed: atLeastOne(total / each), used: total / (each * count) };
};

/** More of anything than this is no cluster; the search for a number ends there. */
export const MOST = 1e9;

/**
 * How many nodes and shards carry the demand within the means, and what of them gives out first. A node must be allowed more CPU and memory
 * than it takes by itself. Where numbers are no longer finite, or nodes or shards are more than `MOST`, there is no plan.
 */
export const plan = (demand: Demand, means: Means, costs: UnitCosts): Capacity => {
  const memoryEach = Math.max(1, means.nodeMemoryBytes - costs.node_base);
  const nodeParts = (nodes: number) => {
    const holders = holdersOf(nodes, demand.perDialog);
    return { holders, cpu: nodeCpu(demand, costs, nodes, holders) };
  };
  const memory = { connections: demand.connections * costs.node_connection };
  const byMemory = atLeastOne(memory.connections / memoryEach);
  const byConnections = atLeastOne(demand.connections / means.nodeConnections);
  // More nodes split the dialogs more, which costs more: the number is raised until it carries itself.
  let carrying = Math.max(byMemory, byConnections);
  const itself = costs.node_itself * MICRO;
  for (;;) {
    const used = sum(nodeParts(carrying).cpu);
    if (!(used > carrying * means.nodeCpu) || carrying > MOST) break;
    // What there is to do besides the nodes themselves, by what each has left for it.
    carrying = Math.max(carrying + 1, Math.floor((used - carrying * itself) / (means.nodeCpu - itself)));
  }
  const nodes = carrying + means.spareNodes;
  const { holders, cpu } = nodeParts(nodes);

  const onRedis = { cpu: redisCpu(demand, costs, nodes, holders), memory: redisMemory(demand, costs, holders) };
  const shards = Math.max(
    atLeastOne(sum(onRedis.cpu) / means.redisCpu),
    atLeastOne(sum(onRedis.memory) / means.redisMemoryBytes),
  );
  const resources = [
    // The use is stated with the spare nodes away: that is when it must hold.
    resource('node CPU', 'cores', cpu, means.nodeCpu, carrying),
    resource('node memory', 'bytes', memory, memoryEach, carrying),
    resource('node connections', 'connections', { connections: demand.connections }, means.nodeConnections, carrying),
    resource('Redis CPU', 'cores', onRedis.cpu, means.redisCpu, shards),
    resource('Redis memory', 'bytes', onRedis.memory, means.redisMemoryBytes, shards),
  ] as const;
  const frame = FRAME_BYTES + demand.textBytes;
  const others = Math.max(1, nodes - 1);
  const spareCpu = Math.max(0.01, others * 1 - sum(cpu));
  return {
    nodes,
    shards,
    resources,
    first: resources.reduce<Resource>((first, one) => (one.used > first.used ? one : first), resources[0]),
    holders,
    nodeEgress: demand.rate * demand.perDialog * frame,
    redisEgress: demand.rate * holders * frame,
    recoverySeconds: ((demand.connections / nodes) * costs.node_recovery * MICRO) / spareCpu,
  };
};
