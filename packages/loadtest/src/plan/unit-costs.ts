import { MEASURED } from './measured-costs.js';

/** A cost of one thing, and where the number comes from. */
export interface UnitCost {
  readonly value: number;
  readonly unit: 'us' | 'bytes';
  readonly says: string;
  /** How it was measured. */
  readonly how: string;
}

const cost = (name: keyof typeof MEASURED.costs, unit: UnitCost['unit'], says: string, how: string): UnitCost => ({
  value: MEASURED.costs[name],
  unit,
  says,
  how,
});

const MESSAGES = '1,500 messages/s of 200 bytes in 200 dialogs';

/**
 * All that the calculator knows of what things cost: measured by `npm run bench:capacity`, one redis-server beside the nodes, every check and
 * limit on, what is used anyway taken off. CPU is of one core, user and system time. A message costs less the busier a node is, because
 * what arrives together is handled together.
 */
export const UNIT_COSTS = {
  node_publish: cost(
    'node_publish',
    'us',
    'node CPU to take, check and append a message, and acknowledge it',
    `${MESSAGES} held by 1, 2 and 3 nodes: the start of the line`,
  ),
  node_receive: cost(
    'node_receive',
    'us',
    'node CPU for a publication to arrive, for each node that holds the dialog',
    'the same: the slope of the line, less a delivery',
  ),
  node_delivery: cost(
    'node_delivery',
    'us',
    'node CPU to write a publication to one socket',
    'the same on one node: five sockets of a dialog less one',
  ),
  node_connect: cost(
    'node_connect',
    'us',
    'node CPU to admit, register and join a connection, and to let it go',
    '3,000 connections, 50 at a time, that come and go',
  ),
  node_recovery: cost(
    'node_recovery',
    'us',
    'node CPU for a client that comes back and recovers 10 messages, those included',
    '1,500 clients of another node, 250 at a time',
  ),
  node_refusal: cost(
    'node_refusal',
    'us',
    'node CPU to refuse an attempt with a bad token',
    '3,000 attempts, 32 at a time, upgraded and closed',
  ),
  node_idle_hour: cost(
    'node_idle_hour',
    'us',
    'node CPU for an idle connection and hour: pings, checks of positions',
    '2,000, 6,000 and 10,000 idle connections for 50 s each: the slope of the line',
  ),
  node_itself: cost('node_itself', 'us', 'CPU of a node without work, a second', 'the start of the same line'),
  node_connection: cost(
    'node_connection',
    'bytes',
    'node memory for a connection in its own dialog',
    'resident at 2,000, 6,000 and 10,000 idle connections: the slope of the line',
  ),
  node_base: cost('node_base', 'bytes', 'node memory before its connections', 'the start of the same line'),
  redis_publish: cost(
    'redis_publish',
    'us',
    'Redis CPU to append a message',
    `${MESSAGES} held by 1, 2 and 3 nodes: the start of the line`,
  ),
  redis_fanout: cost(
    'redis_fanout',
    'us',
    'Redis CPU to hand a publication to one node',
    'the same: the slope of the line',
  ),
  redis_connect: cost('redis_connect', 'us', 'Redis CPU for a connection to come and go', 'as node_connect'),
  redis_refusal: cost('redis_refusal', 'us', 'Redis CPU to count an attempt with a bad token', 'as node_refusal'),
  redis_idle_hour: cost(
    'redis_idle_hour',
    'us',
    'Redis CPU for an idle connection and hour: checks of positions',
    'as node_idle_hour',
  ),
  redis_node: cost('redis_node', 'us', 'Redis CPU for a node without work, a second', 'as node_itself'),
  redis_message: cost(
    'redis_message',
    'bytes',
    'Redis memory for a kept message, beside its text',
    'MEMORY USAGE of the logs of 100 dialogs with 100 messages',
  ),
  redis_idempotency: cost(
    'redis_idempotency',
    'bytes',
    'Redis memory for an idempotency key',
    'MEMORY USAGE of those of the same messages',
  ),
  redis_dialog: cost(
    'redis_dialog',
    'bytes',
    'Redis memory for a kept dialog in which nobody has written',
    'used_memory with 3,000 dialogs that everybody has left, less without',
  ),
  redis_connection: cost(
    'redis_connection',
    'bytes',
    'Redis memory for a registered connection, its address and user included',
    'used_memory with 3,000 connections less without, less subscriptions',
  ),
  redis_subscription: cost(
    'redis_subscription',
    'bytes',
    'Redis memory for a subscribed track of one node',
    'used_memory of 20,000 channels with names as long',
  ),
} as const satisfies Record<string, UnitCost>;

export type UnitCostName = keyof typeof UNIT_COSTS;
export type UnitCosts = Readonly<Record<UnitCostName, number>>;

export const measuredCosts = (): UnitCosts =>
  Object.fromEntries(Object.entries(UNIT_COSTS).map(([name, { value }]) => [name, value])) as UnitCosts;

/** A message at some nodes that hold its dialog, by the costs, in microseconds. */
export const messageCost = (
  costs: UnitCosts,
  { nodes, sockets }: { readonly nodes: number; readonly sockets: number },
): { readonly node: number; readonly redis: number } => ({
  node: costs.node_publish + nodes * costs.node_receive + sockets * costs.node_delivery,
  redis: costs.redis_publish + nodes * costs.redis_fanout,
});

/** The measured costs with those of a JSON object in their place. Undefined and the reason where it is not one. */
export const withCosts = (
  json: unknown,
):
  | { readonly ok: true; readonly costs: UnitCosts; readonly given: readonly string[] }
  | { readonly ok: false; readonly why: string } => {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    return { ok: false, why: 'it is no JSON object' };
  const costs: Record<string, number> = { ...measuredCosts() };
  for (const [name, value] of Object.entries(json)) {
    if (!Object.hasOwn(UNIT_COSTS, name)) return { ok: false, why: `there is no cost ${JSON.stringify(name)}` };
    if (typeof value !== 'number' || !Number.isFinite(value) || value < 0)
      return { ok: false, why: `${name} is no number from 0` };
    costs[name] = value;
  }
  return { ok: true, costs: costs as UnitCosts, given: Object.keys(json) };
};
