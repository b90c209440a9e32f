import type { Backplane, Subject, TakeResult, WindowSpec } from '@replyx/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { freshId, type MakeWorld, nodeInfo, type World } from './world.js';

const MINUTE_MS = 60_000;

const spec = (name: string, limit: number, overrides: Partial<WindowSpec> = {}): WindowSpec => ({
  name,
  limit,
  windowMs: MINUTE_MS,
  cost: 1,
  ...overrides,
});

/** An attempt, and between which two moments of the store it was judged. */
interface Attempt {
  readonly fromMs: number;
  readonly toMs: number;
  readonly cost: number;
  readonly isTaken: boolean;
}

/** Slides a window over all attempts: none may hold more than the limit, and no refusal may have had room for long. */
const faultsOf = (attempts: readonly Attempt[], { limit, windowMs }: WindowSpec): string[] => {
  const faults: string[] = [];
  const taken = attempts.filter(({ isTaken }) => isTaken);
  for (const [i, first] of taken.entries()) {
    let sum = 0;
    for (const last of taken.slice(i)) {
      // Whatever moment of its span each was judged in, they lie within one window.
      if (last.toMs - first.fromMs > windowMs) break;
      sum += last.cost;
    }
    if (sum > limit) faults.push(`${sum} were admitted in the window from ${first.fromMs}`);
  }
  for (const { fromMs, toMs, cost, isTaken } of attempts) {
    if (isTaken) continue;
    // The store counts whole milliseconds.
    const sinceMs = fromMs - windowMs * 1.02 - 1;
    const held = taken.filter((each) => each.toMs >= sinceMs && each.fromMs <= toMs);
    const sum = held.reduce((total, each) => total + each.cost, 0);
    if (sum + cost <= limit) faults.push(`only ${sum} were held at the refusal at ${fromMs}`);
  }
  return faults;
};

export const describeLimiterContract = (name: string, makeWorld: MakeWorld): void => {
  describe(`${name}: limiter`, () => {
    let world: World;
    let a: Backplane;
    let b: Backplane;
    let subject: Subject;

    beforeEach(async () => {
      world = await makeWorld();
      [a, b] = await Promise.all([world.open(), world.open()]);
      subject = { kind: 'ip', key: freshId('10.0.0.1:') };
    });
    afterEach(() => world.close());

    const take = (node: Backplane, ...windows: WindowSpec[]): Promise<TakeResult> =>
      node.limiter.take(subject, windows);
    const statuses = async (results: readonly Promise<TakeResult>[]): Promise<string[]> =>
      (await Promise.all(results)).map(({ status }) => status);

    /** The list of times and the buckets, on both sides of the limit between them. */
    const LIMITS = [1, 3, 128, 129, 1_000];

    test.each(LIMITS)('admits exactly %i of a rush from two nodes', async (limit) => {
      const rush = Array.from({ length: limit + 20 }, (_, i) => take(i % 2 === 0 ? a : b, spec('connects', limit)));
      expect((await statuses(rush)).filter((status) => status === 'taken')).toHaveLength(limit);
    });

    test.each([
      { limit: 10, windowMs: 200, cost: 1 },
      { limit: 7, windowMs: 150, cost: 2 },
      { limit: 300, windowMs: 200, cost: 25 },
      { limit: 150, windowMs: 400, cost: 15 },
    ])(
      'holds $limit per $windowMs ms wherever the window is laid, under bursts at its edges from two nodes',
      async ({ limit, windowMs, cost }) => {
        const window = spec('burst', limit, { windowMs, cost });
        const attempts: Attempt[] = [];
        const attempt = async (): Promise<void> => {
          const fromMs = await world.nowMs();
          const results = await Promise.all([take(a, window), take(b, window)]);
          const toMs = (await world.nowMs()) + 1;
          for (const { status } of results) attempts.push({ fromMs, toMs, cost, isTaken: status === 'taken' });
        };
        const startMs = await world.nowMs();
        // Before, at and after the edges of windows that follow each other, and now and then in the middle of one.
        const offsets = [0, -4, 3, -1, 8, windowMs / 2, -8, 1, 0, windowMs / 3, -2, 5];
        for (const [edge, offset] of offsets.entries()) {
          const waitMs = startMs + edge * windowMs + offset - (await world.nowMs());
          if (waitMs > 0) await world.pass(waitMs);
          for (let i = 0; i < limit / cost / 2 + 3; i++) await attempt();
        }
        // Then without a pause, so that somebody asks whenever room comes.
        const endMs = (await world.nowMs()) + 3 * windowMs;
        while ((await world.nowMs()) < endMs) {
          await attempt();
          await world.pass(1);
        }
        expect(faultsOf(attempts, window)).toEqual([]);
        expect(attempts.filter(({ isTaken }) => !isTaken).length).toBeGreaterThan(10);
        expect(attempts.filter(({ isTaken }) => isTaken).length).toBeGreaterThan(limit / cost);
      },
    );

    test.each([2, 200])('says when there is room again, at a limit of %i', async (limit) => {
      const window = spec('short', limit, { windowMs: 300, cost: limit / 2 });
      await take(a, window);
      await world.pass(20);
      await take(a, window);
      const refused = await take(b, window);
      if (refused.status !== 'refused') throw new Error('expected to be refused');
      expect(refused.window).toBe('short');
      expect(refused.retryAfterMs).toBeGreaterThan(0);
      expect(refused.retryAfterMs).toBeLessThanOrEqual(306);
      await world.pass(refused.retryAfterMs);
      expect(await take(b, window)).toEqual({ status: 'taken' });
    });

    test.each([2, 200])('takes from all windows or from none, at a limit of %i', async (limit) => {
      const [wide, narrow] = [spec('wide', limit), spec('narrow', 1)];
      expect(await take(a, wide, narrow)).toEqual({ status: 'taken' });
      for (let i = 0; i < 10; i++) expect(await take(b, wide, narrow)).toMatchObject({ window: 'narrow' });
      expect(await statuses([take(a, spec('wide', limit, { cost: limit - 1 }))])).toEqual(['taken']);
      expect(await statuses([take(a, wide)])).toEqual(['refused']);
    });

    test('names the window that takes longest, where several refuse', async () => {
      const windows = [spec('short', 1, { windowMs: 30_000 }), spec('long', 1), spec('open', 5)];
      await take(a, ...windows);
      const refused = await take(a, ...windows);
      expect(refused).toMatchObject({ status: 'refused', window: 'long' });
    });

    test.each([2, 200])('only looks where nothing is to be counted, at a limit of %i', async (limit) => {
      const look = spec('look', limit, { cost: 0 });
      for (let i = 0; i < 300; i++) if ((await take(a, look)).status !== 'taken') throw new Error('it counted');
      await take(a, spec('look', limit, { cost: limit }));
      expect(await take(b, look)).toMatchObject({ status: 'refused', window: 'look' });
    });

    test.each([2, 200])('refuses what can never be had, and counts nothing, at a limit of %i', async (limit) => {
      expect(await take(a, spec('much', limit, { cost: limit + 1 }))).toMatchObject({ status: 'refused' });
      expect(await take(a, spec('much', limit, { cost: limit }))).toEqual({ status: 'taken' });
    });

    test('is off at a limit of 0', async () => {
      for (let i = 0; i < 20; i++) expect(await take(a, spec('off', 0))).toEqual({ status: 'taken' });
      expect(await take(a)).toEqual({ status: 'taken' });
      // Nothing was counted while it was off.
      expect(await take(a, spec('off', 1))).toEqual({ status: 'taken' });
    });

    test('keeps subjects and names apart', async () => {
      const window = spec('connects', 1);
      const subjects: Subject[] = [
        subject,
        { ...subject, key: freshId('10.0.0.2:') },
        { kind: 'ip', key: '2001:db8::/64' },
        { kind: 'a', key: 'bot' },
        { kind: 'k', key: 'bot' },
      ];
      for (const each of subjects) expect(await a.limiter.take(each, [window])).toEqual({ status: 'taken' });
      for (const each of subjects) expect(await b.limiter.take(each, [window])).toMatchObject({ status: 'refused' });
      expect(await take(a, spec('sessions', 1))).toEqual({ status: 'taken' });
    });

    describe('the threat score', () => {
      test('adds up over nodes, and falls as points leave the window', async () => {
        const { key } = subject;
        expect(await a.limiter.raise(key, 5, MINUTE_MS)).toEqual({ score: 5, users: 0, bans: 0 });
        expect(await b.limiter.raise(key, 7, MINUTE_MS)).toEqual({ score: 12, users: 0, bans: 0 });
        expect(await b.limiter.raise(key, 0, MINUTE_MS)).toMatchObject({ score: 12 });
        const other = freshId('10.0.0.3:');
        expect(await a.limiter.raise(other, 3, 100)).toMatchObject({ score: 3 });
        await world.pass(110);
        expect(await a.limiter.raise(other, 1, 100)).toMatchObject({ score: 1 });
      });

      test('loses no point under a rush', async () => {
        const rush = await Promise.all(
          Array.from({ length: 60 }, (_, i) => (i % 2 === 0 ? a : b).limiter.raise(subject.key, 2, MINUTE_MS)),
        );
        expect(Math.max(...rush.map(({ score }) => score))).toBe(120);
      });

      test('is cleared by a ban, which is remembered for its time', async () => {
        const { key } = subject;
        await a.limiter.raise(key, 100, MINUTE_MS);
        expect(await a.limiter.countBan(key, 200)).toBe(1);
        // Of two nodes that saw it pass the threshold at once only one has counted it.
        expect(await b.limiter.countBan(key, MINUTE_MS)).toBe(0);
        await b.limiter.raise(key, 100, MINUTE_MS);
        expect(await b.limiter.countBan(key, MINUTE_MS)).toBe(2);
        expect(await b.limiter.raise(key, 1, MINUTE_MS)).toEqual({ score: 1, users: 0, bans: 2 });
        await world.pass(210);
        expect(await a.limiter.raise(key, 1, MINUTE_MS)).toEqual({ score: 2, users: 0, bans: 1 });
      });

      test('comes with the users who are connected from the address, up to four, wherever they are', async () => {
        const { key } = subject;
        for (const node of [a, b, a, b]) await node.membership.beat(nodeInfo(world.incarnationOf(node)));
        const connect = (node: Backplane, connectionId: string, user: string) =>
          node.leases.acquire({
            connectionId,
            user,
            scopes: [{ kind: 'address', key, limit: 100 }],
            atLimit: 'refuse',
          });
        const users = async (): Promise<number> => (await a.limiter.raise(key, 1, MINUTE_MS)).users;
        for (let i = 0; i < 10; i++) await connect(i % 2 === 0 ? a : b, `one-${i}`, 't:user:one');
        expect(await users()).toBe(1);
        await connect(b, 'two', 't:user:two');
        await connect(b, 'three', 't:manager:one');
        expect(await users()).toBe(3);
        await b.leases.release({
          connectionId: 'three',
          user: 't:manager:one',
          scopes: [{ kind: 'address', key, limit: 100 }],
        });
        expect(await users()).toBe(2);
        for (let i = 0; i < 6; i++) await connect(a, `more-${i}`, `t:user:more-${i}`);
        expect(await users()).toBe(4);
      });
    });
  });
};
