import {
  type Backplane,
  createLocks,
  dialogLockName,
  type Lock,
  type LockMaster,
  type LockOptions,
  type Locks,
} from '@replyx/core';
import {
  type RedisServer,
  type RespValue,
  startProxy,
  startRedis,
  type TcpProxy,
  until,
  within,
} from '@replyx/testkit';
import { freshId, publication } from '@replyx/testkit/contract';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openLockMasters } from '../src/index.js';
import { systemClock, systemRandom } from '../src/system.js';
import { makeRedisWorld } from './redis-world.js';

const TTL_MS = 10_000;
const HANG_MS = 20_000;

let servers: RedisServer[];
let proxies: TcpProxy[];
let opened: Locks[];
let bugs: unknown[];
let name: string;

beforeAll(async () => {
  servers = await Promise.all(Array.from({ length: 4 }, () => startRedis()));
  proxies = await Promise.all(servers.map(({ port }) => startProxy({ port })));
});
afterAll(async () => {
  await Promise.all(proxies.map((proxy) => proxy.close()));
  await Promise.all(servers.map((server) => server.kill()));
});
beforeEach(() => {
  opened = [];
  bugs = [];
  name = freshId('lock');
});
afterEach(async () => {
  for (const proxy of proxies) proxy.heal();
  await Promise.all(servers.map((server) => server.resume()));
  await Promise.all(opened.map((locks) => locks.stop()));
  expect(bugs).toEqual([]);
});

const at = <T>(items: readonly T[], index: number): T => items[index] as T;
const direct = (count: number): string[] => servers.slice(0, count).map(({ url }) => url);
const proxied = (count: number): string[] => proxies.slice(0, count).map(({ address }) => `redis://${address}`);

/** A node's locks on these masters, all of which it has reached. */
const open = async (urls: readonly string[], options: LockOptions = {}): Promise<Locks> => {
  const masters: LockMaster[] = await openLockMasters(urls, { nodeId: 'node', openDeadlineMs: HANG_MS });
  const locks = createLocks({
    masters,
    clock: systemClock,
    random: systemRandom,
    onBug: (error) => bugs.push(error),
    options,
  });
  opened.push(locks);
  return locks;
};

const acquire = async (locks: Locks, waitMs = 0, ttlMs = TTL_MS): Promise<Lock> => {
  const result = await locks.acquire(name, { ttlMs, waitMs });
  if (result.status !== 'acquired') throw new Error(`expected a lock, got ${result.status}`);
  return result.lock;
};

/** Holders of any lock on a server. */
const holders = async (server: RedisServer): Promise<string[]> =>
  ((await server.cli('KEYS', '*:holder')) as RespValue[]).map(String);
const noneHeld = (on: readonly RedisServer[]) =>
  until(async () => (await Promise.all(on.map(holders))).every((keys) => keys.length === 0), {
    what: 'no key of a lock anywhere',
  });

const timed = async <T>(task: Promise<T>): Promise<{ value: T; ms: number }> => {
  const started = performance.now();
  const value = await within(task, HANG_MS, () => 'it hangs');
  return { value, ms: performance.now() - started };
};
const report = (what: string, times: readonly number[]): void => {
  const sorted = times.toSorted((a, b) => a - b);
  const quantile = (part: number) => (sorted[Math.floor((sorted.length - 1) * part)] ?? 0).toFixed(1);
  console.log(`${what}: p50 ${quantile(0.5)} ms, p99 ${quantile(0.99)} ms, max ${quantile(1)} ms (${sorted.length})`);
};

/** Runs many holders against each other and checks that they never meet and that their fences grow. */
const contend = async (nodes: readonly Locks[], rounds: number): Promise<number[]> => {
  const waits: number[] = [];
  let inside = 0;
  let last = 0;
  await Promise.all(
    nodes.map(async (locks) => {
      for (let round = 0; round < rounds; round++) {
        const { value, ms } = await timed(locks.acquire(name, { ttlMs: TTL_MS, waitMs: HANG_MS }));
        if (value.status !== 'acquired') throw new Error(`expected a lock, got ${value.status}`);
        waits.push(ms);
        inside += 1;
        expect(inside).toBe(1);
        expect(value.lock.fence).toBeGreaterThan(last);
        last = value.lock.fence;
        inside -= 1;
        await locks.release(value.lock);
      }
    }),
  );
  return waits;
};

describe.each([1, 3])('over %i masters', (count) => {
  test('holders follow each other, with growing fences, and leave nothing', async () => {
    const nodes = await Promise.all([1, 2, 3].map(() => open(direct(count))));
    report(`${count} masters, 3 contenders, wait`, await contend(nodes, 15));
    await noneHeld(servers);
  });

  test('a lock is extended while the work lasts', async () => {
    const [a, b] = await Promise.all([open(direct(count)), open(direct(count))]);
    const result = a.withLock(name, { ttlMs: 600 }, async (signal, lock) => {
      const end = performance.now() + 1_500;
      let tries = 0;
      while (performance.now() < end) {
        expect(await b.acquire(name, { ttlMs: TTL_MS })).toMatchObject({ status: 'held' });
        tries += 1;
      }
      return { tries, aborted: signal.aborted, fence: lock.fence };
    });
    expect(await result).toMatchObject({ status: 'done', value: { aborted: false } });
    await noneHeld(servers);
  });

  test('an acquire that timed out while Redis stood still leaves no key when it goes on', async () => {
    const locks = await open(direct(count));
    await acquire(locks).then((lock) => locks.release(lock));
    const stopped = servers.slice(0, count);
    await Promise.all(stopped.map((server) => server.pause()));
    const { value, ms } = await timed(locks.acquire(name, { ttlMs: 60_000 }));
    expect(value).toEqual({ status: 'unavailable' });
    console.log(`${count} of ${count} masters stopped: refused after ${ms.toFixed(0)} ms`);
    await Promise.all(stopped.map((server) => server.resume()));
    // Everything that was sent has been carried out when this is answered.
    await Promise.all(stopped.map((server) => server.cli('PING')));
    await noneHeld(stopped);
    const next = await until(() => acquire(locks), { what: 'a lock' });
    await locks.release(next);
  });

  test('also where whoever asked is gone meanwhile', async () => {
    const locks = await open(direct(count));
    await acquire(locks).then((lock) => locks.release(lock));
    const stopped = servers.slice(0, count);
    await Promise.all(stopped.map((server) => server.pause()));
    const asked = locks.acquire(name, { ttlMs: 60_000 });
    await timed(asked);
    // Nobody is left who could release.
    await locks.stop();
    await Promise.all(stopped.map((server) => server.resume()));
    await Promise.all(stopped.map((server) => server.cli('PING')));
    await noneHeld(stopped);
  });

  test('replies slower than the TTL are refused, and no key is left', async () => {
    const locks = await open(proxied(count), { masterDeadlineMs: 5_000 });
    for (const proxy of proxies) proxy.delay(700, 'down');
    const { value, ms } = await timed(locks.acquire(name, { ttlMs: 500 }));
    expect(value).toEqual({ status: 'unavailable' });
    console.log(`replies after 700 ms, TTL 500 ms: refused after ${ms.toFixed(0)} ms`);
    await noneHeld(servers);
  });

  test('a lost reply leaves nothing behind, and the retry gets the lock', async () => {
    const locks = await open(proxied(count));
    await acquire(locks).then((lock) => locks.release(lock));
    const lost = proxies.slice(0, count).map((proxy) => proxy.dropReplies(1));
    const { value } = await timed(locks.acquire(name, { ttlMs: 60_000, waitMs: HANG_MS }));
    expect(value).toMatchObject({ status: 'acquired' });
    expect(lost.map((dropped) => dropped())).toEqual(lost.map(() => 1));
    if (value.status !== 'acquired') return;
    const held = async (): Promise<string[]> => {
      const all = servers.slice(0, count).map(async (server) => {
        const keys = await holders(server);
        return Promise.all(keys.map(async (key) => String(await server.cli('GET', key))));
      });
      return (await Promise.all(all)).flat();
    };
    // A majority gives the lock: the last master may still be on its way to forget what was lost.
    const isHis = async () => (await held()).every((holder) => holder.includes(value.lock.id));
    await until(isHis, { what: 'no other holder on any master' });
    await locks.release(value.lock);
    await noneHeld(servers);
  });

  test('a fence without a lock lies between the holders', async () => {
    const locks = await open(direct(count));
    const first = await acquire(locks);
    await locks.release(first);
    const taken = await locks.nextFence(name);
    const second = await acquire(locks);
    const fence = taken.status === 'taken' ? taken.fence : 0;
    expect(fence).toBeGreaterThan(first.fence);
    expect(second.fence).toBeGreaterThan(fence);
    await locks.release(second);
  });
});

describe('with masters away', () => {
  test('two of three: refused within a bound, the loop goes on, the third keeps nothing', async () => {
    const locks = await open(direct(3));
    const stopped = servers.slice(0, 2);
    await Promise.all(stopped.map((server) => server.pause()));
    let worstLagMs = 0;
    let last = performance.now();
    const ticker = setInterval(() => {
      worstLagMs = Math.max(worstLagMs, performance.now() - last - 5);
      last = performance.now();
    }, 5);
    const times: number[] = [];
    for (let round = 0; round < 10; round++) {
      const { value, ms } = await timed(locks.acquire(name, { ttlMs: TTL_MS }));
      expect(value).toEqual({ status: 'unavailable' });
      times.push(ms);
    }
    clearInterval(ticker);
    report('2 of 3 masters stopped, refusal', times);
    console.log(`loop lag meanwhile: at most ${worstLagMs.toFixed(1)} ms`);
    await Promise.all(stopped.map((server) => server.resume()));
    await noneHeld(servers);
    const lock = await until(() => acquire(locks), { what: 'a lock' });
    await locks.release(lock);
  });

  test('one of three: contenders get their turn all the same', async () => {
    const nodes = await Promise.all([1, 2, 3, 4].map(() => open(direct(3))));
    await at(servers, 1).pause();
    report('1 of 3 masters stopped, 4 contenders, wait', await contend(nodes, 12));
    await at(servers, 1).resume();
    await noneHeld(servers);
  });

  test('fences grow although each holder has another majority', async () => {
    const locks = await open(direct(3));
    let last = 0;
    for (const away of [2, 0, 1, 2, 1, 0]) {
      await at(servers, away).pause();
      const lock = await until(() => acquire(locks, 1_000), { what: 'a lock on the other two' });
      expect(lock.fence).toBeGreaterThan(last);
      last = lock.fence;
      await locks.release(lock);
      await at(servers, away).resume();
    }
  });

  test('four of which two say yes to each: a tie ends', async () => {
    const nodes = await Promise.all([1, 2].map(() => open(direct(4))));
    report('4 masters, 2 contenders, wait', await contend(nodes, 20));
    await noneHeld(servers);
  });

  test('a start does not wait for one that is away, and takes it in when it comes', async () => {
    const gone = await startRedis();
    await gone.kill();
    const notices: string[] = [];
    const masters = await openLockMasters([at(servers, 0).url, gone.url], {
      nodeId: 'node',
      openDeadlineMs: 200,
      onNotice: (event, { server }) => notices.push(`${event} ${String(server)}`),
    });
    expect(notices).toContain(`lock_master_lost 127.0.0.1:${gone.port}`);
    await gone.start();
    await until(() => notices.includes(`lock_master_ready 127.0.0.1:${gone.port}`), { what: 'the other master' });
    await Promise.all(masters.map((master) => master.close()));
    await gone.kill();
  });

  test('a black-holed connection is replaced', async () => {
    const masters = await openLockMasters(proxied(1), {
      nodeId: 'node',
      commandDeadlineMs: 300,
      probeIntervalMs: 200,
    });
    const locks = createLocks({
      masters,
      clock: systemClock,
      random: systemRandom,
      onBug: (error) => bugs.push(error),
    });
    opened.push(locks);
    const before = at(proxies, 0).accepted;
    at(proxies, 0).blackhole();
    await until(() => at(proxies, 0).accepted > before, { what: 'a new connection' });
    at(proxies, 0).heal();
    await until(() => acquire(locks), { what: 'a lock' });
  });
});

describe('what a fence protects', () => {
  let backplane: Backplane;
  beforeAll(async () => {
    backplane = await makeRedisWorld(at(servers, 0)).open();
  });
  afterAll(() => backplane.close());

  test('a holder that stood still past its TTL writes nothing once another has written, 100 times', async () => {
    const [paused, other] = await Promise.all([open(direct(3)), open(direct(3))]);
    const dialogId = freshId();
    name = dialogLockName(dialogId);
    const write = (fence: number) => backplane.log.publish(publication(dialogId, { fence }));
    const seen = new Set<string>();
    let written = 0;
    for (let round = 0; round < 100; round++) {
      const stale = await acquire(paused, HANG_MS, 40);
      // It goes on as if no time had passed; its lock ends meanwhile, and another takes it.
      const fresh = await acquire(other, HANG_MS);
      expect(fresh.fence).toBeGreaterThan(stale.fence);
      written += (await write(fresh.fence)).status === 'appended' ? 1 : 0;
      seen.add((await write(stale.fence)).status);
      await other.release(fresh);
    }
    expect(written).toBe(100);
    expect([...seen]).toEqual(['stale_fence']);
  });
});
