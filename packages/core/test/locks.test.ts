import { describe, expect, it, test } from 'vitest';
import { LockLost, type Locks } from '../src/locks/index.js';
import { acquired, lockWorld, outcome } from './lock-world.js';

const N = 'name';
const TTL_MS = 10_000;
/** The TTL less the drift that is allowed for. */
const VALID_MS = TTL_MS - TTL_MS * 0.01 - 2;

describe.each([1, 3, 4, 5])('over %i masters', (count) => {
  it('one holds a lock, the other is told who, and gets it after the release', async () => {
    const world = lockWorld(count);
    const [a, b] = [world.open(), world.open()];
    const { value } = await outcome(world, a.acquire(N, { ttlMs: TTL_MS, owner: 'worker a' }));
    expect(value).toMatchObject({ status: 'acquired', lock: { name: N, validUntilMs: VALID_MS } });
    expect(await outcome(world, b.acquire(N, { ttlMs: TTL_MS }))).toEqual({
      value: { status: 'held', owner: 'worker a' },
      afterMs: 0,
    });
    const lock = value.status === 'acquired' ? value.lock : undefined;
    if (lock === undefined) return;
    // Any node may: the id is all that it takes.
    expect(await b.release({ name: N, id: lock.id })).toEqual({ status: 'released' });
    expect(await a.release(lock)).toEqual({ status: 'lost' });
    expect(await a.extend(lock, TTL_MS)).toEqual({ status: 'lost' });
    const next = await acquired(world, b, N);
    expect(next.id).not.toBe(lock.id);
    expect(next.fence).toBeGreaterThan(lock.fence);
    expect(world.bugs).toEqual([]);
  });

  it('a lock that nobody extends ends with its TTL', async () => {
    const world = lockWorld(count);
    const first = await acquired(world, world.open(), N);
    const waiter = world.open({ retryMinMs: 1, retryMaxMs: 1 });
    const { value, afterMs } = await outcome(world, waiter.acquire(N, { ttlMs: TTL_MS, waitMs: 30_000 }));
    expect(value).toMatchObject({ status: 'acquired' });
    expect(afterMs).toBe(TTL_MS);
    if (value.status === 'acquired') expect(value.lock.fence).toBeGreaterThan(first.fence);
  });

  it('one that is extended in time does not, and counts from the call', async () => {
    const world = lockWorld(count);
    const [a, b] = [world.open(), world.open()];
    const lock = await acquired(world, a, N);
    await world.clock.advanceAsync(TTL_MS - 1);
    expect(await b.extend(lock, TTL_MS)).toEqual({ status: 'extended', validUntilMs: TTL_MS - 1 + VALID_MS });
    await world.clock.advanceAsync(TTL_MS - 1);
    expect((await outcome(world, b.acquire(N, { ttlMs: TTL_MS }))).value).toMatchObject({ status: 'held' });
    await world.clock.advanceAsync(1);
    expect(await a.extend(lock, TTL_MS)).toEqual({ status: 'lost' });
  });

  it('works while as few as a majority of the masters live, and is refused below that', async () => {
    const world = lockWorld(count);
    const mayFail = Math.ceil(count / 2) - 1;
    for (const master of world.masters.slice(0, mayFail)) master.faults.down = true;
    const [a, b] = [world.open(), world.open()];
    const lock = await acquired(world, a, N);
    expect((await outcome(world, b.acquire(N, { ttlMs: TTL_MS }))).value).toMatchObject({ status: 'held' });
    expect(await a.extend(lock, TTL_MS)).toMatchObject({ status: 'extended' });
    for (const master of world.masters.slice(mayFail, mayFail + 1)) master.faults.down = true;
    expect(await a.extend(lock, TTL_MS)).toEqual({ status: 'unavailable' });
    expect(await a.release(lock)).toEqual({ status: 'unavailable' });
    expect(await outcome(world, b.acquire('other', { ttlMs: TTL_MS }))).toEqual({
      value: { status: 'unavailable' },
      afterMs: 0,
    });
    expect(await b.nextFence(N)).toEqual({ status: 'unavailable' });
    // What is left anywhere goes as soon as its master is back.
    for (const master of world.masters) master.faults.down = false;
    await world.clock.advanceAsync(2_000);
    expect([...world.kept(N), ...world.kept('other')]).toEqual([]);
    expect((await outcome(world, b.acquire(N, { ttlMs: TTL_MS }))).value).toMatchObject({ status: 'acquired' });
  });

  it('a master that hangs costs its deadline, once', async () => {
    const world = lockWorld(count);
    for (const master of world.masters) master.faults.stopped = true;
    const locks = world.open({ masterDeadlineMs: 250 });
    expect(await outcome(world, locks.acquire(N, { ttlMs: TTL_MS }))).toEqual({
      value: { status: 'unavailable' },
      afterMs: 250,
    });
    expect(await outcome(world, locks.release({ name: N, id: '0'.repeat(32) }))).toMatchObject({ afterMs: 250 });
    expect(await outcome(world, locks.extend({ name: N, id: '0'.repeat(32) }, 100))).toEqual({
      value: { status: 'unavailable' },
      afterMs: 100,
    });
  });

  it('an acquire that timed out while the masters hung is not there when they go on', async () => {
    const world = lockWorld(count);
    for (const master of world.masters) master.faults.stopped = true;
    const locks = world.open();
    expect((await outcome(world, locks.acquire(N, { ttlMs: 60_000 }))).value).toEqual({ status: 'unavailable' });
    await world.clock.advanceAsync(1_000);
    for (const master of world.masters) master.resume();
    await world.clock.advanceAsync(0);
    expect(world.kept(N)).toEqual([]);
    expect((await outcome(world, locks.acquire(N, { ttlMs: 60_000 }))).value).toMatchObject({ status: 'acquired' });
  });

  it('a lost answer leaves nothing behind, and its retry is not blocked by it', async () => {
    const world = lockWorld(count);
    const locks = world.open({ masterDeadlineMs: 100 });
    for (const master of world.masters) master.faults.mute = true;
    const attempt = locks.acquire(N, { ttlMs: 60_000, waitMs: 1_000 });
    await world.clock.advanceAsync(50);
    expect(world.kept(N)).toHaveLength(count);
    // The release is carried out, though nobody hears of it.
    await world.clock.advanceAsync(50);
    expect(world.kept(N)).toEqual([]);
    for (const master of world.masters) master.faults.mute = false;
    expect((await outcome(world, attempt)).value).toMatchObject({ status: 'acquired' });
    expect(new Set(world.kept(N)).size).toBe(1);
  });

  it('an acquire that arrives after its release is refused', async () => {
    const world = lockWorld(count);
    const locks = world.open({ masterDeadlineMs: 100 });
    let calls = 0;
    for (const master of world.masters) master.faults.requestDelayMs = () => (++calls <= count ? 5_000 : 0);
    expect((await outcome(world, locks.acquire(N, { ttlMs: 60_000 }))).value).toEqual({ status: 'unavailable' });
    await world.clock.advanceAsync(10_000);
    expect(world.kept(N)).toEqual([]);
  });

  it('answers slower than the TTL are refused, and nothing is kept', async () => {
    const world = lockWorld(count);
    for (const master of world.masters) master.faults.replyDelayMs = () => 400;
    const locks = world.open({ masterDeadlineMs: 2_000 });
    expect(await outcome(world, locks.acquire(N, { ttlMs: 300 }))).toEqual({
      value: { status: 'unavailable' },
      afterMs: 300,
    });
    await world.clock.advanceAsync(500);
    expect(world.kept(N)).toEqual([]);
  });

  it('answers that leave no time are refused too', async () => {
    const world = lockWorld(count);
    for (const master of world.masters) master.faults.replyDelayMs = () => 295;
    const locks = world.open({ masterDeadlineMs: 2_000 });
    expect((await outcome(world, locks.acquire(N, { ttlMs: 300 }))).value).toEqual({ status: 'unavailable' });
    await world.clock.advanceAsync(5_000);
    expect(world.kept(N)).toEqual([]);
  });

  it('a fence that is taken without a lock lies between the holders', async () => {
    const world = lockWorld(count);
    const [a, b] = [world.open(), world.open()];
    let last = 0;
    for (let round = 0; round < 5; round++) {
      const lock = await acquired(world, a, N);
      const { value: taken } = await outcome(world, b.nextFence(N));
      const fence = taken.status === 'taken' ? taken.fence : 0;
      expect(lock.fence).toBeGreaterThan(last);
      expect(fence).toBeGreaterThan(lock.fence);
      last = fence;
      await a.release(lock);
    }
  });
});

describe('fences', () => {
  const only = (world: ReturnType<typeof lockWorld>, ...alive: number[]): void => {
    for (const [index, master] of world.masters.entries()) master.faults.down = !alive.includes(index);
  };

  it('grow although two majorities have one master in common, whatever the counters of the others say', async () => {
    const world = lockWorld(3);
    const locks = world.open();
    // The clock of one master is far ahead: its counter leads.
    for (const master of world.masters.slice(0, 1)) master.faults.clockAheadMs = 1_000_000;
    only(world, 0, 1);
    const first = await acquired(world, locks, N);
    await locks.release(first);
    only(world, 1, 2);
    const second = await acquired(world, locks, N);
    await locks.release(second);
    only(world, 0, 2);
    const third = await acquired(world, locks, N);
    expect(second.fence).toBeGreaterThan(first.fence);
    expect(third.fence).toBeGreaterThan(second.fence);
  });

  it('of takers at the same moment are all different', async () => {
    const world = lockWorld(3);
    for (const [index, master] of world.masters.entries()) master.faults.clockAheadMs = index * 7;
    let turn = 0;
    for (const master of world.masters) master.faults.requestDelayMs = () => (turn = (turn * 7 + 3) % 11);
    const nodes = Array.from({ length: 8 }, () => world.open());
    const taken = nodes.flatMap((node) => [node.nextFence(N), node.acquire(N, { ttlMs: 20, waitMs: 2_000 })] as const);
    const { value } = await outcome(world, Promise.all(taken));
    const fences = value.flatMap((one) => ('lock' in one ? [one.lock.fence] : 'fence' in one ? [one.fence] : []));
    expect(fences.length).toBeGreaterThan(8);
    expect(new Set(fences).size).toBe(fences.length);
  });

  it('go on above the last one when a single master has lost everything', async () => {
    const world = lockWorld(1);
    const locks = world.open();
    const first = await acquired(world, locks, N);
    for (const master of world.masters) master.flush();
    await world.clock.advanceAsync(5);
    expect((await acquired(world, locks, N)).fence).toBeGreaterThan(first.fence);
  });

  it('never fall when the clock of a master is set back or forth', async () => {
    const world = lockWorld(3);
    const locks = world.open();
    let last = 0;
    for (const ahead of [0, 3_600_000, -3_600_000, 50, 0]) {
      for (const master of world.masters.slice(0, 1)) master.faults.clockAheadMs = ahead;
      // A clock that was set back keeps a released lock no longer than it was held.
      const lock = await acquired(world, locks, N);
      expect(lock.fence).toBeGreaterThan(last);
      last = lock.fence;
      await locks.release(lock);
    }
  });
});

describe('contention', () => {
  it('a tie of four masters ends: none holds, all retry, and each gets its turn', async () => {
    const world = lockWorld(4);
    const [a, b] = [world.open(), world.open()];
    // Each reaches two of the masters first.
    let call = 0;
    for (const [index, master] of world.masters.entries()) {
      master.faults.requestDelayMs = () => (++call <= 8 ? (call <= 4 === index < 2 ? 1 : 5) : 1);
    }
    const order: string[] = [];
    const work = (locks: Locks, who: string) =>
      locks.withLock(N, { ttlMs: TTL_MS, waitMs: 5_000 }, async () => {
        expect(new Set(world.kept(N)).size).toBe(1);
        order.push(who);
      });
    const { value, afterMs } = await outcome(world, Promise.all([work(a, 'a'), work(b, 'b')]));
    expect(value.map(({ status }) => status)).toEqual(['done', 'done']);
    expect(order.toSorted()).toEqual(['a', 'b']);
    expect(afterMs).toBeGreaterThan(10);
    expect(afterMs).toBeLessThan(1_000);
  });

  it('retries are spread at random within their bounds', async () => {
    const world = lockWorld(1);
    await acquired(world, world.open(), N);
    const asked: number[] = [];
    for (const master of world.masters)
      master.faults.requestDelayMs = () => {
        asked.push(world.clock.monotonicMs());
        return 0;
      };
    const locks = world.open({ retryMinMs: 20, retryMaxMs: 120 });
    await outcome(world, locks.acquire(N, { ttlMs: TTL_MS, waitMs: 3_000 }));
    const pauses = asked.slice(1, -1).map((atMs, index) => atMs - (asked[index] ?? 0));
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(20);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(120);
    expect(new Set(pauses).size).toBeGreaterThan(10);
  });

  it('a wait ends exactly with its time, with one last attempt', async () => {
    const world = lockWorld(3);
    const first = world.open();
    const lock = await acquired(world, first, N);
    const waiter = world.open();
    expect(await outcome(world, waiter.acquire(N, { ttlMs: TTL_MS, waitMs: 777 }))).toMatchObject({
      value: { status: 'held' },
      afterMs: 777,
    });
    const attempt = waiter.acquire(N, { ttlMs: TTL_MS, waitMs: 777 });
    await world.clock.advanceAsync(776);
    await first.release(lock);
    await world.clock.advanceAsync(1);
    expect(await attempt).toMatchObject({ status: 'acquired' });
  });

  it('a wait ends with its signal, at once and with nothing held', async () => {
    const world = lockWorld(3);
    const first = world.open();
    const lock = await acquired(world, first, N);
    const waiter = world.open();
    const controller = new AbortController();
    const attempt = waiter.acquire(N, { ttlMs: TTL_MS, waitMs: 30_000, signal: controller.signal });
    await world.clock.advanceAsync(100);
    expect(waiter.waiting).toBe(1);
    controller.abort();
    expect(await outcome(world, attempt)).toEqual({ value: { status: 'aborted' }, afterMs: 0 });
    expect(waiter.waiting).toBe(0);
    await first.release(lock);
    await world.clock.advanceAsync(0);
    expect(world.kept(N)).toEqual([]);
    expect(world.clock.pending()).toBe(0);
  });

  it('what is won after the signal is given back', async () => {
    const world = lockWorld(3);
    for (const master of world.masters) master.faults.replyDelayMs = () => 50;
    const controller = new AbortController();
    const attempt = world.open().acquire(N, { ttlMs: TTL_MS, signal: controller.signal });
    await world.clock.advanceAsync(10);
    controller.abort();
    expect((await outcome(world, attempt)).value).toEqual({ status: 'aborted' });
    await world.clock.advanceAsync(100);
    expect(world.kept(N)).toEqual([]);
  });

  it('more callers than may wait are refused', async () => {
    const world = lockWorld(1);
    await acquired(world, world.open(), N);
    const locks = world.open({ maxWaiting: 2 });
    const waits = [1, 2, 3].map(() => locks.acquire(N, { ttlMs: TTL_MS, waitMs: 500 }));
    await world.clock.advanceAsync(0);
    expect(await waits[2]).toEqual({ status: 'unavailable' });
    await world.clock.advanceAsync(500);
    expect(await Promise.all(waits.slice(0, 2))).toMatchObject([{ status: 'held' }, { status: 'held' }]);
  });
});

describe('withLock', () => {
  /** Work that lasts until it is told to end or its signal is aborted; then it says so. */
  const working = () => {
    let end: (value: string) => void = () => {};
    const ended = new Promise<string>((resolve) => {
      end = resolve;
    });
    const work = (signal: AbortSignal) => {
      signal.addEventListener('abort', () => end(String((signal.reason as Error).name)));
      return ended;
    };
    return { work, end: (value: string) => end(value) };
  };

  it('extends as long as the work lasts, and releases after it', async () => {
    const world = lockWorld(3);
    const { work, end } = working();
    const result = world.open().withLock(N, { ttlMs: 3_000 }, work);
    for (let second = 0; second < 60; second++) {
      await world.clock.advanceAsync(1_000);
      expect(new Set(world.kept(N)).size).toBe(1);
    }
    end('fine');
    expect((await outcome(world, result)).value).toEqual({ status: 'done', value: 'fine' });
    await world.clock.advanceAsync(0);
    expect(world.kept(N)).toEqual([]);
    expect(world.clock.pending()).toBe(0);
  });

  it('passes on what the work throws, and releases', async () => {
    const world = lockWorld(3);
    const result = world.open().withLock(N, { ttlMs: 3_000 }, async () => {
      throw new Error('broken');
    });
    await expect(result).rejects.toThrow('broken');
    expect(world.kept(N)).toEqual([]);
  });

  it('does not run the work without the lock', async () => {
    const world = lockWorld(3);
    await acquired(world, world.open(), N);
    let ran = false;
    const result = await world.open().withLock(N, { ttlMs: 3_000 }, async () => {
      ran = true;
    });
    expect([result.status, ran]).toEqual(['held', false]);
  });

  it('aborts at the very moment when the lock is no longer surely held', async () => {
    const world = lockWorld(3);
    const { work } = working();
    const result = world.open().withLock(N, { ttlMs: 3_000 }, work);
    await world.clock.advanceAsync(1_500);
    for (const master of world.masters) master.faults.down = true;
    // Extended at 1000; an attempt of 2000 failed, and those after it.
    const { value, afterMs } = await outcome(world, result);
    expect(value).toEqual({ status: 'lost', value: LockLost.name });
    expect(afterMs).toBe(1_000 + 3_000 - 30 - 2 - 1_500);
  });

  it('survives two failed extensions', async () => {
    const world = lockWorld(3);
    const { work, end } = working();
    const result = world.open().withLock(N, { ttlMs: 3_000 }, work);
    await world.clock.advanceAsync(900);
    for (const master of world.masters) master.faults.down = true;
    await world.clock.advanceAsync(1_900);
    for (const master of world.masters) master.faults.down = false;
    await world.clock.advanceAsync(10_000);
    end('fine');
    expect((await outcome(world, result)).value).toEqual({ status: 'done', value: 'fine' });
  });

  it('aborts as soon as a majority says that it is lost', async () => {
    const world = lockWorld(3);
    const { work } = working();
    const result = world.open().withLock(N, { ttlMs: 3_000 }, work);
    await world.clock.advanceAsync(500);
    for (const master of world.masters.slice(0, 2)) master.flush();
    const { value, afterMs } = await outcome(world, result);
    expect(value).toEqual({ status: 'lost', value: LockLost.name });
    expect(afterMs).toBe(500);
    await world.clock.advanceAsync(0);
    expect(world.kept(N)).toEqual([]);
  });

  it('says that it was lost when the process stood still past the TTL, before any timer could run', async () => {
    const world = lockWorld(1);
    let standStill = (): void => {};
    const result = world.open().withLock(N, { ttlMs: 3_000 }, async () => {
      await new Promise<void>((resolve) => {
        standStill = resolve;
      });
      return 'too late';
    });
    await world.clock.advanceAsync(0);
    // Extended twice without an end in sight, then nothing runs any more.
    const now = world.clock.monotonicMs;
    world.clock.monotonicMs = () => now() + 5_000;
    standStill();
    expect(await result).toEqual({ status: 'lost', value: 'too late' });
  });

  it("hands the caller's abort on to the work", async () => {
    const world = lockWorld(3);
    const controller = new AbortController();
    const { work } = working();
    const result = world.open().withLock(N, { ttlMs: 3_000, signal: controller.signal }, work);
    await world.clock.advanceAsync(500);
    controller.abort(new RangeError('enough'));
    expect((await outcome(world, result)).value).toEqual({ status: 'done', value: 'RangeError' });
    expect(world.kept(N)).toEqual([]);
  });
});

describe('an end', () => {
  it('ends waits, finishes releases within a second and closes the masters', async () => {
    const world = lockWorld(3);
    const [a, b] = [world.open(), world.open()];
    const lock = await acquired(world, a, N);
    const attempt = b.acquire(N, { ttlMs: TTL_MS, waitMs: 30_000 });
    await world.clock.advanceAsync(50);
    const stopped = b.stop();
    expect((await outcome(world, attempt)).value).toEqual({ status: 'unavailable' });
    await stopped;
    await b.stop();
    expect(await b.acquire(N, { ttlMs: TTL_MS })).toEqual({ status: 'unavailable' });
    for (const master of world.masters) master.faults.stopped = true;
    void a.release(lock);
    await world.clock.advanceAsync(300);
    expect((await outcome(world, a.stop())).afterMs).toBeLessThanOrEqual(1_000);
    await world.clock.advanceAsync(2_000);
    expect(world.clock.pending()).toBe(0);
  });

  it('of waits leaves nothing held, and answers callers before it is done', async () => {
    const world = lockWorld(3);
    const locks = world.open();
    const lock = await acquired(world, locks, N);
    const answers: string[] = [];
    for (const name of [N, N, 'free']) {
      void locks.acquire(name, { ttlMs: TTL_MS, waitMs: 30_000 }).then(({ status }) => answers.push(status));
    }
    await outcome(world, locks.endWaits());
    expect(answers).toEqual(['unavailable', 'unavailable', 'unavailable']);
    await world.clock.advanceAsync(0);
    expect(world.kept('free')).toEqual([]);
    // What was given is still renewed and given back.
    expect((await outcome(world, locks.extend(lock, TTL_MS))).value.status).toBe('extended');
    expect((await outcome(world, locks.release(lock))).value.status).toBe('released');
  });

  it('releases that no master confirms are bounded in number and in time', async () => {
    const world = lockWorld(3);
    const locks = world.open({ maxReclaims: 10 });
    for (const master of world.masters) master.faults.down = true;
    await Promise.all(Array.from({ length: 50 }, (_, index) => locks.acquire(`n${index}`, { ttlMs: 1_000 })));
    await world.clock.advanceAsync(0);
    expect(world.clock.pending()).toBeGreaterThan(0);
    expect(world.clock.pending()).toBeLessThanOrEqual(10);
    await world.clock.advanceAsync(20_000);
    expect(world.clock.pending()).toBe(0);
    expect(world.bugs).toEqual([]);
  });
});

test('a bug of a master is told, and counts as a failure', async () => {
  const world = lockWorld(3);
  const bug = new TypeError('broken');
  for (const master of world.masters.slice(0, 1)) {
    master.faults.requestDelayMs = () => {
      throw bug;
    };
  }
  await acquired(world, world.open(), N);
  expect(world.bugs).toContain(bug);
});
