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

/** All that the calculator knows of what things cost. CPU is of one core, user and system time. */
export const UNIT_COSTS = {
  node_publish: measured(100, 'us', 'node CPU to take, check and append a message, and acknowledge it', 'x'),
  node_receive: measured(20, 'us', 'node CPU for a publication to arrive, for each node that holds the dialog', 'x'),
  node_delivery: measured(15, 'us', 'node CPU to write a publication to one socket', 'x'),
  node_connect: measured(330, 'us', 'node CPU to admit, register and join a connection, and to let it go', 'x'),
  node_recovery: measured(400, 'us', 'node CPU for a client that comes back and recovers 10 messages', 'x'),
  node_refusal: measured(120, 'us', 'node CPU to refuse an attempt with a bad token', 'x'),
  node_idle_hour: measured(2_000, 'us', 'node CPU for an idle connection and hour: heartbeats', 'x'),
  node_connection: measured(5_400, 'bytes', 'node memory for a connection in its own dialog', 'x'),
  node_base: measured(90_000_000, 'bytes', 'node memory before the first connection', 'x'),
  redis_publish: measured(40, 'us', 'Redis CPU to append a message', 'x'),
  redis_fanout: measured(5, 'us', 'Redis CPU to hand a publication to one node', 'x'),
  redis_connect: measured(100, 'us', 'Redis CPU for a connection to come and go', 'x'),
  redis_message: measured(300, 'bytes', 'Redis memory for a kept message with 200 bytes of text, beside its text', 'x'),
  redis_idempotency: measured(150, 'bytes', 'Redis memory for an idempotency key', 'x'),
  redis_dialog: measured(1_000, 'bytes', 'Redis memory for a kept dialog: meta, directory, an empty log', 'x'),
  redis_connection: measured(300, 'bytes', 'Redis memory for a registered connection', 'x'),
  redis_subscription: measured(210, 'bytes', 'Redis memory for a subscribed track of one node', 'x'),
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
