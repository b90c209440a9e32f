import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { withCapacityParts } from '../src/plan/capacity-page.js';
import { MEASURED } from '../src/plan/measured-costs.js';
import { measuredCosts, messageCost } from '../src/plan/unit-costs.js';

describe('docs/capacity.md', () => {
  it('holds what the measured costs say (node packages/loadtest/scripts/write-docs.mjs writes it)', () => {
    const page = readFileSync(new URL('../docs/capacity.md', import.meta.url), 'utf8');
    expect(withCapacityParts(page)).toBe(page);
  });

  it('has a place for each part', () => {
    expect(() => withCapacityParts('no place')).toThrow('no place for');
  });
});

it('a message costs its publisher once, and each node and socket that has it', () => {
  const none = Object.fromEntries(Object.keys(measuredCosts()).map((name) => [name, 0]));
  const costs = {
    ...(none as ReturnType<typeof measuredCosts>),
    ...{ node_publish: 100, node_receive: 10, node_delivery: 1, redis_publish: 50, redis_fanout: 5 },
  };
  expect(messageCost(costs, { nodes: 3, sockets: 6 })).toEqual({ node: 136, redis: 65 });
});

/** The rows are kept with three digits. */
const ROUNDING = 0.01;

/** By least squares, as the command that measures does it. */
const lineThrough = (points: readonly { readonly x: number; readonly y: number }[]) => {
  const mean = (of: (point: { readonly x: number; readonly y: number }) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [x, y] = [mean((point) => point.x), mean((point) => point.y)];
  const slope =
    points.reduce((sum, point) => sum + (point.x - x) * (point.y - y), 0) /
    points.reduce((sum, point) => sum + (point.x - x) ** 2, 0);
  return { slope, start: y - slope * x };
};

describe('the measured costs', () => {
  const { costs, messages, idle, loads } = MEASURED;

  it('come with rows that a machine can have used', () => {
    for (const row of [...messages, ...idle, ...loads])
      for (const [field, value] of Object.entries(row)) expect(value, field).toBeGreaterThan(0);
    expect(new Set(messages.map(({ nodes }) => nodes)).size).toBeGreaterThanOrEqual(3);
    expect(idle.length).toBeGreaterThanOrEqual(3);
    expect(loads.length).toBeGreaterThanOrEqual(2);
  });

  it('are those of the rows beside them', () => {
    const spread = messages.filter(({ nodes, sockets }) => nodes === sockets);
    const publishing = lineThrough(spread.map(({ nodes, redis }) => ({ x: nodes, y: redis })));
    const staying = lineThrough(idle.map(({ connections, server }) => ({ x: connections, y: server })));
    const keeping = lineThrough(idle.map(({ connections, memory }) => ({ x: connections, y: memory })));
    const largest = Math.max(...messages.map(({ redis }) => redis));
    expect(Math.abs(publishing.start - costs.redis_publish)).toBeLessThan(ROUNDING * largest);
    expect(Math.abs(publishing.slope - costs.redis_fanout)).toBeLessThan(ROUNDING * largest);
    expect(Math.abs(staying.start / costs.node_itself - 1)).toBeLessThan(ROUNDING);
    expect(Math.abs(keeping.slope / costs.node_connection - 1)).toBeLessThan(ROUNDING);
    expect(Math.abs(keeping.start / costs.node_base - 1)).toBeLessThan(ROUNDING);
  });
});
