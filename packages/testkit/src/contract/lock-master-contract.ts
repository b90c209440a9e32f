import type { LockMaster, LockRequest } from '@replyx/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { freshId } from './world.js';

/** One lock master that the contract suite runs against. */
export interface LockMasterWorld {
  /** A handle of another node on the same master. */
  open(): Promise<LockMaster>;
  /** Returns when so much time of the master has passed. */
  pass(ms: number): Promise<void>;
  /** Time of the master. */
  nowMs(): Promise<number>;
  /** Empties the master. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

const TTL_MS = 60_000;

export const describeLockMasterContract = (name: string, makeWorld: () => Promise<LockMasterWorld>): void => {
  describe(`${name}: lock master`, () => {
    let world: LockMasterWorld;
    let a: LockMaster;
    let b: LockMaster;
    let lock: string;

    beforeEach(async () => {
      world = await makeWorld();
      [a, b] = await Promise.all([world.open(), world.open()]);
      lock = freshId('lock');
    });
    afterEach(() => world.close());

    const ask = (value: string, overrides: Partial<LockRequest> = {}): LockRequest => ({
      name: lock,
      value,
      owner: `owner of ${value}`,
      ttlMs: TTL_MS,
      deadlineMs: 5_000,
      ...overrides,
    });
    const fenceOf = async (value: string, master = a): Promise<number> => {
      const vote = await master.acquire(ask(value));
      if (vote.status !== 'granted') throw new Error(`expected a grant, got ${vote.status}`);
      return vote.fence;
    };

    test('grants a lock to one value, and tells others who holds it', async () => {
      expect(await a.acquire(ask('one'))).toMatchObject({ status: 'granted' });
      expect(await b.acquire(ask('two'))).toEqual({ status: 'held', owner: 'owner of one' });
      expect(await b.acquire(ask('two', { name: `${lock}:other` }))).toMatchObject({ status: 'granted' });
    });

    test.each(['', 'a b', 'Zoë: {x}\u2603'])('keeps the owner %j as it is, and names too', async (owner) => {
      await a.acquire(ask('one', { owner, name: `${lock} {é}:${owner}` }));
      expect(await b.acquire(ask('two', { name: `${lock} {é}:${owner}` }))).toEqual({ status: 'held', owner });
    });

    test('grants the same value again, with a greater fence', async () => {
      const first = await fenceOf('one');
      expect(await fenceOf('one', b)).toBeGreaterThan(first);
    });

    test('a lock ends with its time, and not before', async () => {
      await a.acquire(ask('one', { ttlMs: 300 }));
      expect(await b.acquire(ask('two'))).toMatchObject({ status: 'held' });
      await world.pass(305);
      expect(await b.acquire(ask('two'))).toMatchObject({ status: 'granted' });
    });

    test('extends for the holder only, and not what has ended', async () => {
      await a.acquire(ask('one', { ttlMs: 300 }));
      expect(await b.extend(lock, 'two', TTL_MS)).toBe(false);
      expect(await b.extend(lock, 'one', TTL_MS)).toBe(true);
      await world.pass(305);
      expect(await b.acquire(ask('two'))).toMatchObject({ status: 'held' });
      expect(await a.extend(lock, 'one', 50)).toBe(true);
      await world.pass(55);
      expect(await a.extend(lock, 'one', TTL_MS)).toBe(false);
    });

    test('releases for the holder only, once', async () => {
      await a.acquire(ask('one'));
      expect(await b.release(lock, 'two')).toBe(false);
      expect(await b.release(lock, 'on')).toBe(false);
      expect(await b.acquire(ask('three'))).toMatchObject({ status: 'held' });
      expect(await b.release(lock, 'one')).toBe(true);
      expect(await a.release(lock, 'one')).toBe(false);
      expect(await b.acquire(ask('three'))).toMatchObject({ status: 'granted' });
    });

    test('refuses an attempt that comes after its release, and only that one', async () => {
      expect(await a.release(lock, 'one')).toBe(false);
      expect(await a.acquire(ask('one'))).toEqual({ status: 'refused' });
      expect(await b.acquire(ask('two'))).toMatchObject({ status: 'granted' });
      expect(await b.release(lock, 'two')).toBe(true);
      expect(await b.acquire(ask('two'))).toEqual({ status: 'refused' });
    });

    test('a fence grows with every holder and begins no lower than the time', async () => {
      const before = await world.nowMs();
      let last = before - 1;
      for (const value of ['one', 'two', 'three']) {
        const fence = await fenceOf(value, value === 'two' ? b : a);
        expect(fence).toBeGreaterThan(last);
        last = fence;
        await a.release(lock, value);
      }
    });

    test('a counter that was lost goes on above where it was', async () => {
      const fence = await fenceOf('one');
      await world.pass(5);
      await world.flush();
      expect(await fenceOf('two')).toBeGreaterThan(fence);
    });

    test('raises the counter of a holder, once to the same fence', async () => {
      const fence = (await fenceOf('one')) + 100_000;
      expect(await b.raiseFence({ name: lock, value: 'one', fence })).toEqual({ status: 'raised', fence });
      expect(await b.raiseFence({ name: lock, value: 'one', fence })).toEqual({ status: 'passed', fence });
      expect(await b.raiseFence({ name: lock, value: 'one', fence: 7 })).toEqual({ status: 'passed', fence });
      expect(await b.raiseFence({ name: lock, value: 'two', fence: fence + 1 })).toEqual({ status: 'lost' });
      await a.release(lock, 'one');
      expect(await fenceOf('two')).toBe(fence + 1);
    });

    test('counts without a lock too', async () => {
      const first = await fenceOf('one');
      const taken = await b.raiseFence({ name: lock });
      expect(taken).toMatchObject({ status: 'raised' });
      const fence = taken.status === 'raised' ? taken.fence : 0;
      expect(fence).toBeGreaterThan(first);
      expect(await a.raiseFence({ name: lock, fence })).toEqual({ status: 'passed', fence });
      expect(await a.raiseFence({ name: lock, fence: fence + 5 })).toEqual({ status: 'raised', fence: fence + 5 });
    });

    test('one that is closed rejects, and closes twice', async () => {
      await a.close();
      await a.close();
      await expect(a.acquire(ask('one'))).rejects.toThrow(/reach/);
      expect(await b.acquire(ask('one'))).toMatchObject({ status: 'granted' });
    });
  });
};
