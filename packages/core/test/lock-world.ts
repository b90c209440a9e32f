import { fakeClock, seededRandom } from '@replyx/testkit';
import { createLocks, type Lock, type LockOptions, type Locks } from '../src/locks/index.js';
import { MemoryLockMaster } from '../src/memory/index.js';

/** Some lock masters, and nodes that lock on them, on one clock. */
export const lockWorld = (count: number, seed = 1) => {
  const clock = fakeClock();
  const masters = Array.from({ length: count }, (_, index) => new MemoryLockMaster(clock, `master ${index}`));
  const bugs: unknown[] = [];
  let serial = 0;
  const open = (options: LockOptions = {}): Locks =>
    createLocks({
      masters: masters.map((master) => master.open()),
      clock,
      random: seededRandom(seed * 1_000 + ++serial),
      onBug: (error) => bugs.push(error),
      options,
    });
  /** Values that masters hold under the name. */
  const kept = (name: string): string[] => masters.flatMap((master) => master.valueOf(name) ?? []);
  return { clock, masters, bugs, open, kept };
};

export type LockWorld = ReturnType<typeof lockWorld>;

/** What a promise came to, and when; time passes until then. */
export const outcome = async <T>({ clock }: LockWorld, promise: Promise<T>, limitMs = 60_000) => {
  const startedMs = clock.monotonicMs();
  let settled: { value: T; afterMs: number } | undefined;
  void promise.then((value) => {
    settled = { value, afterMs: clock.monotonicMs() - startedMs };
  });
  await clock.advanceAsync(0);
  while (settled === undefined && clock.monotonicMs() - startedMs < limitMs) await clock.advanceAsync(1);
  if (settled === undefined) throw new Error(`nothing within ${limitMs} ms`);
  return settled as { value: T; afterMs: number };
};

export const acquired = async (world: LockWorld, locks: Locks, name: string, ttlMs = 10_000): Promise<Lock> => {
  const { value } = await outcome(world, locks.acquire(name, { ttlMs }));
  if (value.status !== 'acquired') throw new Error(`expected a lock, got ${value.status}`);
  return value.lock;
};
