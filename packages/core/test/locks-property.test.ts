import { seededRandom } from '@replyx/testkit';
import { expect, test } from 'vitest';
import type { Lock, Locks } from '../src/locks/index.js';
import type { MemoryLockMaster } from '../src/memory/index.js';
import { type LockWorld, lockWorld } from './lock-world.js';

const N = 'name';
/** More by `TEST_SEEDS`. */
const SEEDS = Array.from({ length: Number(process.env['TEST_SEEDS'] ?? 12) }, (_, index) => index + 1);
const RUN_MS = 20_000;

/** One life of the lock, or one fence without it, as its holder saw it. */
interface Hold {
  readonly fence: number;
  readonly askedMs: number;
  readonly takenMs: number;
  /** When it was sure no more: released, lost, or expired. */
  endMs: number;
  readonly isLock: boolean;
}

interface Faults {
  /** Clocks of masters are set, or masters lose everything. Then only the fences protect. */
  readonly clocks: boolean;
}

type Random = ReturnType<typeof seededRandom>;

/** Something goes wrong with a master, or is well again. Most are well most of the time. */
const shake = (master: MemoryLockMaster, random: Random, { clocks }: Faults): void => {
  const { faults } = master;
  const upTo = (ms: number) => (random.float() < 0.1 ? random.below(ms) : random.below(5));
  faults.down = random.float() < 0.12;
  faults.mute = random.float() < 0.08;
  faults.requestDelayMs = () => upTo(400);
  faults.replyDelayMs = () => upTo(400);
  if (faults.stopped) master.resume();
  else faults.stopped = random.float() < 0.1;
  if (clocks && random.float() < 0.1) faults.clockAheadMs = random.below(4_000) - 2_000;
};

/** Takes the lock and gives it up, extends it or lets it go, again and again, and notes what it had. */
const worker = async (world: LockWorld, locks: Locks, random: Random, holds: Hold[]): Promise<void> => {
  const { clock } = world;
  const sleep = (ms: number) => new Promise<void>((resolve) => clock.schedule(ms, resolve));
  const now = () => clock.monotonicMs();
  const note = (askedMs: number, lock: Pick<Lock, 'fence'>, endMs: number, isLock: boolean): Hold => {
    const hold = { fence: lock.fence, askedMs, takenMs: now(), endMs, isLock };
    holds.push(hold);
    return hold;
  };
  while (now() < RUN_MS) {
    const askedMs = now();
    const ttlMs = 200 + random.below(1_500);
    const way = random.below(5);
    if (way === 0) {
      const result = await locks.nextFence(N);
      if (result.status === 'taken') note(askedMs, result, now(), false);
    } else if (way === 1) {
      await locks.withLock(N, { ttlMs, waitMs: random.below(500) }, async (signal, lock) => {
        const hold = note(askedMs, lock, Number.POSITIVE_INFINITY, true);
        const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        await Promise.race([aborted, sleep(random.below(4_000))]);
        hold.endMs = now();
      });
    } else {
      const result = await locks.acquire(N, { ttlMs, waitMs: random.below(500) });
      if (result.status === 'acquired') {
        const { lock } = result;
        const hold = note(askedMs, lock, lock.validUntilMs, true);
        await sleep(random.below(ttlMs));
        if (way === 2 && now() < hold.endMs) {
          const extended = await locks.extend(lock, ttlMs);
          if (extended.status === 'extended' && now() < hold.endMs) hold.endMs = extended.validUntilMs;
          await sleep(random.below(ttlMs));
        }
        if (way !== 3) {
          hold.endMs = Math.min(hold.endMs, now());
          await locks.release(lock);
        }
      }
    }
    await sleep(random.below(60));
  }
};

const run = async (count: number, seed: number, faults: Faults) => {
  const world = lockWorld(count, seed);
  const random = seededRandom(seed);
  const holds: Hold[] = [];
  const nodes = Array.from({ length: 4 }, () => world.open({ masterDeadlineMs: 100 }));
  const workers = nodes.map((node, index) => worker(world, node, seededRandom(seed * 100 + index), holds));
  let ended = false;
  void Promise.all(workers).then(() => {
    ended = true;
  });
  while (!ended) {
    if (world.clock.monotonicMs() < RUN_MS)
      for (const master of world.masters) {
        if (random.float() < 0.3) shake(master, random, faults);
      }
    else
      for (const master of world.masters) {
        Object.assign(master.faults, { down: false, mute: false, requestDelayMs: () => 0, replyDelayMs: () => 0 });
        master.resume();
      }
    await world.clock.advanceAsync(50);
  }
  return { world, holds };
};

/** In the order in which they were taken. */
const checkFences = (holds: readonly Hold[]): void => {
  expect(new Set(holds.map(({ fence }) => fence)).size).toBe(holds.length);
  let highest = 0;
  const byAsked = holds.toSorted((a, b) => a.askedMs - b.askedMs);
  const byTaken = holds.toSorted((a, b) => a.takenMs - b.takenMs);
  let next = 0;
  for (const later of byAsked) {
    for (
      let earlier = byTaken[next];
      earlier !== undefined && earlier.takenMs < later.askedMs;
      earlier = byTaken[++next]
    ) {
      highest = Math.max(highest, earlier.fence);
    }
    expect(later.fence).toBeGreaterThan(highest);
  }
};

const checkExclusion = (holds: readonly Hold[]): void => {
  const locks = holds.filter(({ isLock }) => isLock).toSorted((a, b) => a.takenMs - b.takenMs);
  for (const [index, later] of locks.entries()) {
    const earlier = locks[index - 1];
    if (earlier === undefined) continue;
    expect(later.takenMs).toBeGreaterThanOrEqual(earlier.endMs);
    expect(later.fence).toBeGreaterThan(earlier.fence);
  }
};

for (const count of [1, 3, 4, 5]) {
  test(`over ${count} faulty masters, nobody holds it at once with another, and fences grow`, async () => {
    let total = 0;
    for (const seed of SEEDS) {
      const { world, holds } = await run(count, seed, { clocks: false });
      try {
        checkExclusion(holds);
        checkFences(holds);
        expect(world.bugs).toEqual([]);
        // Nothing of a lost attempt outlives the trouble.
        await world.clock.advanceAsync(10_000);
        expect(world.kept(N)).toEqual([]);
        expect(world.clock.pending()).toBe(0);
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
      }
      total += holds.length;
    }
    expect(total).toBeGreaterThan(SEEDS.length * 20);
  }, 120_000);

  test(`over ${count} masters whose clocks are set back and forth, no two fences are equal, and they grow`, async () => {
    for (const seed of SEEDS) {
      const { holds } = await run(count, seed, { clocks: true });
      try {
        checkFences(holds);
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
      }
    }
  }, 120_000);
}
