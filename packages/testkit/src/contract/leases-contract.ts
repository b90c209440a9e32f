import type { Backplane, Lease, LeaseKind, LeaseResult, LeaseScope, NodeInfo } from '@replyx/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { freshId, type MakeWorld, nodeInfo, patiently, type World } from './world.js';

const NODE_TTL_MS = 500;
const KINDS: readonly LeaseKind[] = ['user', 'address', 'assistant', 'cluster'];

export const describeLeasesContract = (name: string, makeWorld: MakeWorld): void => {
  describe(`${name}: leases`, () => {
    let world: World;
    let a: Backplane;
    let b: Backplane;
    let c: Backplane;

    beforeEach(async () => {
      world = await makeWorld();
      [a, b, c] = (await Promise.all(
        [1, 2, 3].map(() => world.open({ nodeTtlMs: NODE_TTL_MS, leaseTtlMs: 60_000 })),
      )) as [Backplane, Backplane, Backplane];
      await beatAll(a, b, c);
    });
    afterEach(() => world.close());

    const info = (node: Backplane): NodeInfo => nodeInfo(world.incarnationOf(node));
    /** Every node knows of every other, and of the dead. */
    const beatAll = async (...nodes: Backplane[]): Promise<void> => {
      for (const node of [...nodes, ...nodes]) await node.membership.beat(info(node));
    };

    const scopeOf = (kind: LeaseKind, limit: number, key = freshId(kind)): LeaseScope => ({
      kind,
      key: kind === 'cluster' ? '' : key,
      limit,
    });
    const USER = 'tenant:user:Zoë 😀 {x}:y';
    const lease = (connectionId: string, ...scopes: LeaseScope[]): Lease => ({ connectionId, user: USER, scopes });
    const acquire = (node: Backplane, connectionId: string, ...scopes: LeaseScope[]): Promise<LeaseResult> =>
      node.leases.acquire({ ...lease(connectionId, ...scopes), atLimit: 'refuse' });
    const replace = (node: Backplane, connectionId: string, ...scopes: LeaseScope[]): Promise<LeaseResult> =>
      node.leases.acquire({ ...lease(connectionId, ...scopes), atLimit: 'replace' });
    /** How many more places there are; takes none. */
    const room = async (node: Backplane, scope: LeaseScope): Promise<number> => {
      const taken: string[] = [];
      for (;;) {
        const connectionId = freshId('room');
        if ((await acquire(node, connectionId, scope)).status === 'full') break;
        taken.push(connectionId);
      }
      for (const connectionId of taken) await node.leases.release(lease(connectionId, scope));
      return taken.length;
    };

    test.each(KINDS)('of a %s are taken up to the limit over all nodes, and given back', async (kind) => {
      const scope = scopeOf(kind, 3);
      expect(await acquire(a, 'c1', scope)).toEqual({ status: 'leased' });
      expect(await acquire(b, 'c2', scope)).toEqual({ status: 'leased' });
      expect(await acquire(c, 'c3', scope)).toEqual({ status: 'leased' });
      for (const node of [a, b, c]) expect(await acquire(node, 'c4', scope)).toEqual({ status: 'full', kind });
      await b.leases.release(lease('c2', scope));
      expect(await acquire(a, 'c4', scope)).toEqual({ status: 'leased' });
      expect(await acquire(b, 'c5', scope)).toEqual({ status: 'full', kind });
      if (kind !== 'cluster') expect(await acquire(b, 'c5', scopeOf(kind, 1))).toEqual({ status: 'leased' });
    });

    test.each(KINDS)('of a %s are exactly twenty in a rush of sixty from three nodes', async (kind) => {
      const scope = scopeOf(kind, 20);
      const rush = await Promise.all(
        Array.from({ length: 60 }, (_, i) => acquire([a, b, c][i % 3] as Backplane, `c${i}`, scope)),
      );
      expect(rush.filter(({ status }) => status === 'leased')).toHaveLength(20);
      expect(await room(a, scope)).toBe(0);
    });

    test('are never more than any limit in a rush for several scopes at once, and nothing of the refused is held', async () => {
      const scopes = [scopeOf('user', 20), scopeOf('address', 25), scopeOf('assistant', 22), scopeOf('cluster', 30)];
      const rush = await Promise.all(
        Array.from({ length: 60 }, (_, i) => acquire([a, b, c][i % 3] as Backplane, `c${i}`, ...scopes)),
      );
      const count = rush.filter(({ status }) => status === 'leased').length;
      expect(count).toBeLessThanOrEqual(20);
      expect(count).toBeGreaterThan(10);
      for (const scope of scopes) expect(await room(b, scope)).toBe(scope.limit - count);
    });

    test('are taken in every scope or in none', async () => {
      const [wide, narrow] = [scopeOf('user', 10), scopeOf('address', 1)];
      expect(await acquire(a, 'c1', wide, narrow)).toEqual({ status: 'leased' });
      for (let i = 0; i < 30; i++) {
        expect(await acquire(b, `more-${i}`, wide, narrow)).toEqual({ status: 'full', kind: 'address' });
      }
      expect(await room(c, wide)).toBe(9);
    });

    test('are not taken at a limit of 0', async () => {
      const off = scopeOf('user', 0);
      for (let i = 0; i < 5; i++) expect(await acquire(a, `c${i}`, off)).toEqual({ status: 'leased' });
      expect(await room(a, { ...off, limit: 2 })).toBe(2);
      expect(await acquire(a, 'none')).toEqual({ status: 'leased' });
      await a.leases.release(lease('c1', off));
      await a.leases.restore([lease('c1', off)]);
      expect(await room(a, { ...off, limit: 2 })).toBe(2);
    });

    test('are one for a connection, however often it asks and gives back', async () => {
      const scope = scopeOf('user', 2);
      for (let i = 0; i < 3; i++) expect(await acquire(a, 'c1', scope)).toEqual({ status: 'leased' });
      expect(await room(b, scope)).toBe(1);
      await acquire(b, 'c2', scope);
      expect(await acquire(a, 'c1', scope)).toEqual({ status: 'leased' });
      for (let i = 0; i < 3; i++) await a.leases.release(lease('c1', scope));
      expect(await room(b, scope)).toBe(1);
      await a.leases.release(lease('never', scope, scopeOf('address', 5)));
      expect(await room(b, scope)).toBe(1);
    });

    describe('of a user whose oldest connection gives way', () => {
      test('pass to the newcomer, wherever the oldest is', async () => {
        const scope = scopeOf('user', 3);
        for (const [index, node] of [b, a, c].entries()) {
          await acquire(node, `c${index}`, scope);
          await world.pass(2);
        }
        expect(await replace(a, 'c3', scope)).toEqual({ status: 'leased', replaced: 'c0' });
        await world.pass(2);
        expect(await replace(c, 'c4', scope)).toEqual({ status: 'leased', replaced: 'c1' });
        expect(await room(b, scope)).toBe(0);
        // The one that gave way ends, and gives back what it has no more.
        await b.leases.release(lease('c0', scope));
        expect(await room(b, scope)).toBe(0);
        expect(await replace(c, 'c4', scope)).toEqual({ status: 'leased' });
      });

      test('are not asked for while there is room', async () => {
        const scope = scopeOf('user', 2);
        expect(await replace(a, 'c0', scope)).toEqual({ status: 'leased' });
        expect(await replace(b, 'c1', scope)).toEqual({ status: 'leased' });
      });

      test('stay with the oldest where another scope refuses the newcomer', async () => {
        const [user, address] = [scopeOf('user', 1), scopeOf('address', 1)];
        await acquire(a, 'c0', user, address);
        const elsewhere = scopeOf('address', 1);
        await acquire(b, 'another', elsewhere);
        expect(await replace(b, 'c1', user, elsewhere)).toMatchObject({ status: 'full' });
        expect(await acquire(c, 'c2', user)).toEqual({ status: 'full', kind: 'user' });
        expect(await replace(b, 'c1', user, scopeOf('address', 1))).toEqual({ status: 'leased', replaced: 'c0' });
      });

      test('are the only ones: every other scope refuses', async () => {
        for (const kind of KINDS.filter((each) => each !== 'user')) {
          const scope = scopeOf(kind, 1);
          await acquire(a, 'c0', scope);
          expect(await replace(a, 'c1', scope)).toEqual({ status: 'full', kind });
        }
      });

      test('are as many as before after a rush, each with one that gave way', async () => {
        const scope = scopeOf('user', 10);
        for (let i = 0; i < 10; i++) await acquire([a, b, c][i % 3] as Backplane, `old-${i}`, scope);
        await world.pass(2);
        const rush = await Promise.all(
          Array.from({ length: 10 }, (_, i) => replace([a, b, c][i % 3] as Backplane, `new-${i}`, scope)),
        );
        const replaced = rush.map((result) => (result.status === 'leased' ? result.replaced : 'full'));
        expect(replaced.sort()).toEqual(Array.from({ length: 10 }, (_, i) => `old-${i}`));
        expect(await room(a, scope)).toBe(0);
      });
    });

    test('of a dead node count no more, and the others keep theirs', async () => {
      const scope = scopeOf('user', 5);
      await acquire(a, 'mine', scope);
      for (let i = 0; i < 4; i++) await acquire(b, `c${i}`, scope);
      await world.kill(b);
      expect(await room(a, scope)).toBe(0);
      await world.pass(NODE_TTL_MS + 5);
      await beatAll(a, c);
      expect(await room(a, scope)).toBe(4);
      expect(await room(c, scope)).toBe(4);
      await a.membership.forget(world.incarnationOf(b));
      await beatAll(a, c);
      expect(await room(c, scope)).toBe(4);
    });

    test('of a node that was only silent are neither freed for good nor doubled when it restores them', async () => {
      const scopes = [scopeOf('user', 6), scopeOf('address', 6), scopeOf('cluster', 6)];
      const held = [0, 1, 2].map((i) => lease(`c${i}`, ...scopes));
      for (const { connectionId } of held) await acquire(b, connectionId, ...scopes);
      await acquire(a, 'mine', ...scopes);
      await world.pass(NODE_TTL_MS + 5);
      await beatAll(a, c);
      for (const scope of scopes) expect(await room(a, scope)).toBe(5);
      // Who takes it for dead writes to the same scopes meanwhile.
      await acquire(a, 'passing', ...scopes);
      await a.leases.release(lease('passing', ...scopes));
      expect((await b.membership.beat(info(b))).lapsed).toBe(true);
      await b.leases.restore(held);
      await b.leases.restore(held);
      await beatAll(a, b, c);
      for (const scope of scopes) for (const node of [a, b, c]) expect(await room(node, scope)).toBe(2);
      for (const each of held) await b.leases.release(each);
      for (const scope of scopes) expect(await room(c, scope)).toBe(5);
    });

    test('are restored after the store was emptied, also past the limit', async () => {
      const scopes = [scopeOf('user', 300), scopeOf('address', 300)];
      const held = Array.from({ length: 250 }, (_, i) => lease(`c${i}`, ...scopes));
      await a.leases.restore(held.slice(0, 10));
      await world.flush();
      await beatAll(a, b, c);
      for (const scope of scopes) expect(await acquire(b, 'new', scope)).toEqual({ status: 'leased' });
      await a.leases.restore(held);
      for (const scope of scopes) expect(await room(c, scope)).toBe(49);
      await a.leases.restore(Array.from({ length: 60 }, (_, i) => lease(`more-${i}`, ...scopes)));
      for (const scope of scopes) expect(await room(c, scope)).toBe(0);
      await a.leases.restore([]);
      for (const each of held) await a.leases.release(each);
      for (const scope of scopes) expect(await room(c, scope)).toBe(239);
    });

    test('whose release was lost end with the longest life of a connection, while others stay', async () => {
      const short = await world.open({ nodeTtlMs: 60_000, leaseTtlMs: 100 });
      for (const node of [short, a, short, a]) await node.membership.beat({ ...info(node), nodeId: 'short' });
      const scope = scopeOf('address', 2);
      await acquire(short, 'lost', scope);
      await world.pass(1_500);
      await acquire(short, 'kept', scope);
      expect(await acquire(short, 'more', scope)).toMatchObject({ status: 'full' });
      await world.pass(700);
      expect(await room(short, scope)).toBe(1);
    });

    test('follow a store that was rolled back once they are restored', async () => {
      const scope = scopeOf('user', 4);
      await acquire(a, 'gone', scope);
      const rollBack = await world.saveForRollback();
      await a.leases.release(lease('gone', scope));
      await acquire(a, 'here', scope);
      await rollBack();
      await patiently(() => a.leases.restore([lease('here', scope)]));
      // What the rollback brought back lasts until its time is over.
      expect(await patiently(() => room(a, scope))).toBe(2);
      await a.leases.release(lease('gone', scope));
      expect(await room(a, scope)).toBe(3);
    });
  });
};
