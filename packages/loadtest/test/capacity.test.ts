import { describe, expect, it } from 'vitest';
import { type Demand, holdersOf, type Means, plan } from '../src/plan/capacity.js';
import { measuredCosts, type UnitCosts, withCosts } from '../src/plan/unit-costs.js';

const FREE = Object.fromEntries(Object.keys(measuredCosts()).map((name) => [name, 0])) as UnitCosts;
const DEMAND: Demand = {
  connections: 100_000,
  rate: 1_000,
  perDialog: 2,
  connectsPerSecond: 100,
  refusalsPerSecond: 0,
  textBytes: 200,
  sessionSeconds: 1_000,
  historyTtlSeconds: 1_000,
  historySize: 1_000_000,
  idempotencyTtlSeconds: 600,
};
const MEANS: Means = {
  nodeCpu: 0.5,
  redisCpu: 0.5,
  nodeMemoryBytes: 1e9,
  redisMemoryBytes: 1e9,
  nodeConnections: 1e9,
  spareNodes: 0,
};

describe('holdersOf', () => {
  it('is one for one node or one socket, and goes to the number of sockets in a large cluster', () => {
    expect(holdersOf(1, 5)).toBe(1);
    expect(holdersOf(10, 1)).toBeCloseTo(1, 9);
    expect(holdersOf(2, 2)).toBeCloseTo(1.5, 9);
    expect(holdersOf(1e6, 3)).toBeCloseTo(3, 4);
  });
});

describe('plan', () => {
  it('asks for the nodes that CPU needs, and names it and its cause', () => {
    // 1000/s x 5 ms are 5 cores; at half a core each that is ten nodes.
    const capacity = plan(DEMAND, MEANS, { ...FREE, node_publish: 5_000 });
    expect(capacity.nodes).toBe(10);
    expect(capacity.first).toMatchObject({ name: 'node CPU', needed: 10, used: 1 });
    expect(capacity.first.parts['publishing']).toBeCloseTo(5, 9);
  });

  it('counts what a larger cluster costs more, because it splits the dialogs', () => {
    const costs = { ...FREE, node_receive: 2_000 };
    const capacity = plan(DEMAND, MEANS, costs);
    const needed = (holdersOf(capacity.nodes, 2) * 1_000 * 2_000e-6) / 0.5;
    expect(capacity.nodes).toBeGreaterThanOrEqual(needed);
    expect(capacity.nodes).toBeLessThanOrEqual(Math.ceil(needed) + 1);
  });

  it('asks for the nodes that memory, or the limit of connections, needs', () => {
    const heavy = plan(DEMAND, MEANS, { ...FREE, node_connection: 50_000, node_base: 0 });
    expect(heavy).toMatchObject({ nodes: 5, first: { name: 'node memory' } });
    const limited = plan(DEMAND, { ...MEANS, nodeConnections: 25_000 }, FREE);
    expect(limited).toMatchObject({ nodes: 4, first: { name: 'node connections' } });
  });

  it('adds the nodes that may be away on top', () => {
    expect(plan(DEMAND, { ...MEANS, spareNodes: 2 }, { ...FREE, node_publish: 5_000 }).nodes).toBe(12);
  });

  it('asks for the shards that Redis CPU needs', () => {
    const capacity = plan(DEMAND, MEANS, { ...FREE, redis_publish: 1_000, redis_connect: 5_000 });
    expect(capacity).toMatchObject({ shards: 3, first: { name: 'Redis CPU' } });
  });

  it('asks for the shards that kept messages need, bounded by the size of a history', () => {
    const costs = { ...FREE, redis_message: 4_800 };
    // A million messages of 5,000 bytes.
    expect(plan(DEMAND, MEANS, costs)).toMatchObject({ shards: 5, first: { name: 'Redis memory' } });
    // 50,000 dialogs that keep four messages each.
    expect(plan({ ...DEMAND, historySize: 4 }, MEANS, costs).shards).toBe(1);
  });

  it('grows in proportion', () => {
    const costs = measuredCosts();
    const small = plan({ ...DEMAND, connections: 1e6, rate: 10_000, connectsPerSecond: 1_000 }, MEANS, costs);
    const tenfold = plan({ ...DEMAND, connections: 1e7, rate: 100_000, connectsPerSecond: 10_000 }, MEANS, costs);
    expect(tenfold.nodes / small.nodes).toBeGreaterThan(9);
    expect(tenfold.nodes / small.nodes).toBeLessThan(12);
  });
});

describe('withCosts', () => {
  it('puts given costs in place of the measured ones and refuses what it does not know', () => {
    expect(withCosts({ node_connect: 1 })).toMatchObject({
      ok: true,
      given: ['node_connect'],
      costs: { node_connect: 1 },
    });
    expect(withCosts({ nonsense: 1 })).toMatchObject({ ok: false });
    expect(withCosts({ node_connect: -1 })).toMatchObject({ ok: false });
    expect(withCosts([])).toMatchObject({ ok: false });
  });
});
