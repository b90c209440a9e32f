import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { withCapacityParts } from '../src/plan/capacity-page.js';
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
