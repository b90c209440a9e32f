import type { Backplane, NodeInfo } from '@replyx/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type MakeWorld, patiently, type World } from './world.js';

const NODE_TTL_MS = 500;

export const describeMembershipContract = (name: string, makeWorld: MakeWorld): void => {
  describe(`${name}: membership`, () => {
    let world: World;
    let a: Backplane;
    let b: Backplane;

    beforeEach(async () => {
      world = await makeWorld();
      [a, b] = await Promise.all([world.open({ nodeTtlMs: NODE_TTL_MS }), world.open({ nodeTtlMs: NODE_TTL_MS })]);
    });
    afterEach(() => world.close());

    const infoOf = (node: Backplane, overrides: Partial<NodeInfo> = {}): NodeInfo => ({
      incarnation: world.incarnationOf(node),
      nodeId: 'node',
      version: '0.1.0',
      startedAtMs: 1_767_225_600_000,
      connections: 3,
      dialogs: 2,
      subscriptions: 4,
      loopLagMs: 1.5,
      draining: false,
      ...overrides,
    });
    const beat = (node: Backplane, overrides: Partial<NodeInfo> = {}) => node.membership.beat(infoOf(node, overrides));

    test('shows every node what the others last said', async () => {
      expect(await beat(a)).toEqual({ live: [infoOf(a)], dead: [], lapsed: false });
      await beat(a, { connections: 9, draining: true });
      const seen = await beat(b);
      expect(seen).toMatchObject({ dead: [], lapsed: false });
      expect(seen.live).toHaveLength(2);
      expect(seen.live).toEqual(expect.arrayContaining([infoOf(a, { connections: 9, draining: true }), infoOf(b)]));
    });

    test('takes a silent node for dead until it is forgotten', async () => {
      await beat(a);
      await world.pass(NODE_TTL_MS + 5);
      const dead = [world.incarnationOf(a)];
      expect(await beat(b)).toMatchObject({ live: [infoOf(b)], dead });
      expect(await beat(b)).toMatchObject({ dead });
      await b.membership.forget(world.incarnationOf(a));
      expect(await beat(b)).toMatchObject({ live: [infoOf(b)], dead: [] });
    });

    test('tells a node that beats on nothing unusual', async () => {
      for (let count = 0; count < 4; count++) {
        expect((await beat(a)).lapsed).toBe(false);
        await world.pass(NODE_TTL_MS / 3);
      }
    });

    test.each<[string, () => Promise<void>]>([
      ['was silent for too long', () => world.pass(NODE_TTL_MS + 5)],
      ['was forgotten by another', () => b.membership.forget(world.incarnationOf(a))],
      ['finds the store emptied', () => world.flush()],
    ])('tells a node that %s, once', async (_, happen) => {
      await beat(a);
      await happen();
      const returned = await beat(a);
      expect(returned.lapsed).toBe(true);
      expect(returned.live).toEqual(expect.arrayContaining([infoOf(a)]));
      expect((await beat(a)).lapsed).toBe(false);
    });

    test('tells a node whose newest heartbeat the store has lost', async () => {
      await beat(a);
      const rollBack = await world.saveForRollback();
      await world.pass(5);
      await beat(a);
      await rollBack();
      expect((await patiently(() => beat(a))).lapsed).toBe(true);
      expect((await beat(a)).lapsed).toBe(false);
    });

    test('takes a node that has left in order for a new one', async () => {
      await beat(a);
      await a.membership.forget(world.incarnationOf(a));
      expect((await beat(b)).live).toEqual([infoOf(b)]);
      expect((await beat(a)).lapsed).toBe(false);
    });
  });
};
