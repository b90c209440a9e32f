/** A cost of one thing, and where the number comes from. */
export interface UnitCost {
  readonly value: number;
  readonly unit: 'us' | 'bytes';
  readonly says: string;
  /** `measured`: by the command that stands beside it, on the machine that the README names; `given`: by --costs. */
  readonly source: 'measured' | 'given';
  readonly how: string;
}

const measured = (value: number, unit: UnitCost['unit'], says: string, how: string): UnitCost => ({
  value,
  unit,
  says,
  source: 'measured',
  how,
});

const MESSAGES = 'dialogs --dialogs 200 --rate 1500 --duration 12s';

/**
 * All that the calculator knows of what things cost: medians of a shared machine with two slow cores (Xeon, Node 20.20), one
 * redis-server beside the nodes, every check and limit on. CPU is of one core, user and system time. A message costs less the busier
 * a node is, because what arrives together is handled together: these are of a node that is a fifth busy.
 */
export const UNIT_COSTS = {
  node_publish: measured(
    41,
    'us',
    'node CPU to take, check and append a message, and acknowledge it',
    `${MESSAGES} --per-dialog 1, one node, less receiving and delivery`,
  ),
  node_receive: measured(
    93,
    'us',
    'node CPU for a publication to arrive, for each node that holds the dialog',
    `${MESSAGES} --per-dialog 2, two nodes, less one node with --per-dialog 1 and a delivery`,
  ),
  node_delivery: measured(
    6.7,
    'us',
    'node CPU to write a publication to one socket',
    `${MESSAGES}, one node, --per-dialog 5 less --per-dialog 1`,
  ),
  node_connect: measured(
    1_770,
    'us',
    'node CPU to admit, register and join a connection, and to let it go',
    'connects --rate 200 --duration 14s, two nodes',
  ),
  node_recovery: measured(
    2_160,
    'us',
    'node CPU for a client that comes back and recovers 10 messages, those included',
    'storm --connections 2000 --spread 8s, two nodes',
  ),
  node_refusal: measured(
    580,
    'us',
    'node CPU to refuse an attempt with a bad token',
    'flood --attempt-rate 500 --duration 10s, two nodes',
  ),
  node_idle_hour: measured(
    3_500,
    'us',
    'node CPU for an idle connection and hour: heartbeats',
    'idle --duration 60s, one node, --connections 4000 less --connections 10',
  ),
  node_itself: measured(9_800, 'us', 'CPU of a node without work, a second', 'idle --connections 10 --duration 60s'),
  node_connection: measured(
    6_350,
    'bytes',
    'node memory for a connection in its own dialog',
    'idle --connections 4000, one node',
  ),
  node_base: measured(125_000_000, 'bytes', 'node memory before its connections', 'idle --connections 4000, one node'),
  redis_publish: measured(
    62,
    'us',
    'Redis CPU to append a message',
    `${MESSAGES} --per-dialog 1, one node, less a node's fan-out`,
  ),
  redis_fanout: measured(
    13,
    'us',
    'Redis CPU to hand a publication to one node',
    `${MESSAGES}, two nodes with --per-dialog 2 less one with 1`,
  ),
  redis_connect: measured(
    375,
    'us',
    'Redis CPU for a connection to come and go',
    'connects --rate 200, 14 s less 4 s, two nodes',
  ),
  redis_message: measured(
    292,
    'bytes',
    'Redis memory for a kept message, beside its text',
    'dialogs --rate 1000 --duration 20s --keep: MEMORY USAGE of the logs',
  ),
  redis_idempotency: measured(
    200,
    'bytes',
    'Redis memory for an idempotency key',
    'the same run: MEMORY USAGE of the keys',
  ),
  redis_dialog: measured(
    500,
    'bytes',
    'Redis memory for a kept dialog: record, meta, an empty log',
    'used_memory over 5,000 new dialogs, and MEMORY USAGE',
  ),
  redis_connection: measured(
    1_150,
    'bytes',
    'Redis memory for a registered connection, its address and user included',
    'used_memory under idle --connections 2000, less dialogs and subscriptions',
  ),
  redis_subscription: measured(
    210,
    'bytes',
    'Redis memory for a subscribed track of one node',
    'used_memory a channel',
  ),
} as const satisfies Record<string, UnitCost>;

export type UnitCostName = keyof typeof UNIT_COSTS;
export type UnitCosts = Readonly<Record<UnitCostName, number>>;

export const measuredCosts = (): UnitCosts =>
  Object.fromEntries(Object.entries(UNIT_COSTS).map(([name, { value }]) => [name, value])) as UnitCosts;

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
    if (typeof value !== 'number' || !(value >= 0)) return { ok: false, why: `${name} is no number from 0` };
    costs[name] = value;
  }
  return { ok: true, costs: costs as UnitCosts, given: Object.keys(json) };
};
