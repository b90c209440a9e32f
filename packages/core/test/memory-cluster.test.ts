import { fakeClock, seededRandom } from '@replyx/testkit';
import { appended, CONTRACT_OPTIONS, publication, Recorder, textOf } from '@replyx/testkit/contract';
import { describe, expect, test } from 'vitest';
import { type MemoryCluster, memoryCluster } from '../src/memory/index.js';
import { BackplaneUnavailable } from '../src/ports.js';

const setUp = () => {
  const clock = fakeClock();
  const cluster = memoryCluster({ clock, random: seededRandom(7) });
  const open = (incarnation: string, overrides = {}) =>
    cluster.open({ ...CONTRACT_OPTIONS, incarnation, nodeId: incarnation, ...overrides });
  return { clock, cluster, open };
};

const ref = { dialogId: 'd', track: 'main' } as const;

/** Microtasks settle before a macrotask runs. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the sliding window in memory', () => {
  test.each([1, 2, 3, 4, 5])('over random attempts (seed %i) is exact at every moment', async (seed) => {
    const { clock, open } = setUp();
    const random = seededRandom(seed);
    const node = open('a');
    const recorder = new Recorder(node);
    await node.fanout.subscribe([ref]);
    const [windowLimit, windowMs] = [1 + random.below(8), 50 + random.below(200)];
    const refusals: { atMs: number; retryAfterMs: number }[] = [];
    for (let attempt = 0; attempt < 800; attempt++) {
      clock.advance(random.below(3) === 0 ? random.below(windowMs) : random.below(8));
      const result = await node.log.publish(publication('d', { windowLimit, windowMs }));
      if (result.status === 'rate_limited') refusals.push({ atMs: clock.nowMs(), retryAfterMs: result.retryAfterMs });
    }
    await settle();
    const times = recorder
      .of('publication')
      .map(({ frame }) => (JSON.parse(textOf(frame)) as { timestamp: number }).timestamp);
    times.forEach((time, index) => {
      const earlier = times[index - windowLimit];
      if (earlier !== undefined) expect(time - earlier).toBeGreaterThan(windowMs);
    });
    expect(refusals.length).toBeGreaterThan(20);
    for (const { atMs, retryAfterMs } of refusals) {
      const oldest = times.filter((time) => time <= atMs).at(-windowLimit) ?? Number.NaN;
      expect(atMs - oldest).toBeLessThanOrEqual(windowMs);
      expect(atMs + retryAfterMs - oldest).toBe(windowMs + 1);
    }
  });
});

describe('the limiter in memory', () => {
  test.each([1, 2, 3, 4, 5, 6])('over random attempts (seed %i) holds at every moment', async (seed) => {
    const { clock, cluster, open } = setUp();
    const random = seededRandom(seed);
    const nodes = [open('a'), open('b')];
    const isExact = seed % 2 === 0;
    const limit = isExact ? 1 + random.below(128) : 129 + random.below(500);
    const windowMs = 100 + random.below(2_000);
    const most = Math.ceil(limit / 4);
    const taken: { atMs: number; cost: number }[] = [];
    const refusals: { atMs: number; cost: number; retryAfterMs: number }[] = [];
    const sumSince = (sinceMs: number) =>
      taken.filter(({ atMs }) => atMs >= sinceMs).reduce((sum, { cost }) => sum + cost, 0);
    for (let attempt = 0; attempt < 2_000; attempt++) {
      clock.advance(random.below(20) === 0 ? random.below(windowMs) : random.below(windowMs / 16));
      const cost = 1 + random.below(most);
      const atMs = clock.nowMs();
      const spec = { name: 'w', limit, windowMs, cost };
      const result = await random.pick(nodes).limiter.take({ kind: 'a', key: 'k' }, [spec]);
      if (result.status === 'refused') refusals.push({ atMs, cost, retryAfterMs: result.retryAfterMs });
      else taken.push({ atMs, cost });
      // Every window ends where something came, and holds whole milliseconds.
      expect(sumSince(atMs - windowMs)).toBeLessThanOrEqual(limit);
      if (result.status !== 'refused') continue;
      const early = isExact ? 0 : windowMs / 50;
      expect(sumSince(atMs - windowMs - early) + cost).toBeGreaterThan(limit);
      // The wait is the exact one: a moment before it there is no room, then there is.
      const look = async (ms: number) => {
        const later = memoryCluster({ clock: fakeClock(atMs + ms), random });
        later.restore({ data: snapshot.data });
        const node = later.open({ ...CONTRACT_OPTIONS, incarnation: 'c', nodeId: 'c' });
        return (await node.limiter.take({ kind: 'a', key: 'k' }, [spec])).status;
      };
      if (refusals.length % 20 !== 0) continue;
      const snapshot = cluster.snapshot();
      expect(await look(result.retryAfterMs - 1)).toBe('refused');
      expect(await look(result.retryAfterMs)).toBe('taken');
    }
    expect(refusals.length).toBeGreaterThan(20);
    expect(taken.length).toBeGreaterThan(20);
  });

  test('keeps nothing of windows, bans and places whose time is over, also under ever new addresses', async () => {
    const { clock, cluster, open } = setUp();
    const node = open('a', { leaseTtlMs: 10_000 });
    const { data } = cluster;
    let most = 0;
    for (let i = 0; i < 20_000; i++) {
      const key = `10.${i}`;
      await node.limiter.take({ kind: 'ip', key }, [{ name: 'w', limit: 5, windowMs: 1_000, cost: 1 }]);
      if (i % 10 === 0) await node.limiter.countBan(key, 1_000);
      const scopes = [{ kind: 'address', key, limit: 5 }] as const;
      if (i % 10 === 0) await node.leases.acquire({ connectionId: 'c', user: 'u', scopes, atLimit: 'refuse' });
      clock.advance(1);
      most = Math.max(most, data.windows.size);
    }
    expect(most).toBeLessThan(8_000);
    clock.advance(20_000);
    for (let touch = 0; touch < 8_000; touch++) await node.directory.assistant('none');
    expect([data.windows.size, data.bans.size, data.places.size]).toEqual([0, 0, 0]);
  });
});

describe('the in-memory cluster', () => {
  test('refuses every call in an outage, hears nothing, and restores subscriptions after it', async () => {
    const { cluster, open } = setUp();
    const [a, b] = [open('a'), open('b')];
    const recorder = new Recorder(b);
    await b.fanout.subscribe([ref]);
    cluster.setOutage(true);
    expect(b.health()).toEqual({ ok: false, reasons: ['redis_unreachable', 'subscriber_away'] });
    await expect(a.log.publish(publication('d'))).rejects.toBeInstanceOf(BackplaneUnavailable);
    await expect(b.fanout.subscribe([ref])).rejects.toBeInstanceOf(BackplaneUnavailable);
    cluster.setOutage(false);
    expect(recorder.restored).toEqual([ref]);
    expect(b.health().ok).toBe(true);
    await a.log.publish(publication('d'));
    await settle();
    expect(recorder.of('publication')).toHaveLength(1);
  });

  test('loses what is published while a node is deaf, and says so', async () => {
    const { cluster, open } = setUp();
    const [a, b] = [open('a'), open('b')];
    const [toA, toB] = [new Recorder(a), new Recorder(b)];
    await Promise.all([a, b].map((node) => node.fanout.subscribe([ref])));
    cluster.setDeaf('b', true);
    await a.log.publish(publication('d'));
    cluster.setDeaf('b', false);
    await settle();
    expect(toA.of('publication')).toHaveLength(1);
    expect([toB.of('publication'), toB.restored]).toEqual([[], [ref]]);
    expect(toA.restored).toEqual([]);
  });

  test('a killed node hears nothing and fails every call', async () => {
    const { cluster, open } = setUp();
    const [a, b] = [open('a'), open('b')];
    const recorder = new Recorder(b);
    await b.fanout.subscribe([ref]);
    cluster.killNode('b');
    await a.log.publish(publication('d'));
    await settle();
    expect(recorder.deliveries).toEqual([]);
    await expect(b.log.publish(publication('d'))).rejects.toBeInstanceOf(BackplaneUnavailable);
  });

  test('keeps nothing of dialogs whose time is over, also of those nobody asks for', async () => {
    const { clock, cluster, open } = setUp();
    const node = open('a', { historyTtlMs: 1_000, idempotencyTtlMs: 1_000 });
    for (let index = 0; index < 300; index++) {
      appended(await node.log.publish(publication(`d${index}`, { windowLimit: 5, windowMs: 1_000 })));
      await node.log.read({ dialogId: `empty${index}`, track: 'main', limit: 0 });
    }
    expect(held(cluster)).toBe(600);
    clock.advance(2 * 86_400_000);
    for (let touch = 0; touch < 2_000; touch++) await node.directory.assistant('none');
    expect(held(cluster)).toBe(0);
  });

  test('two nodes of one process are one cluster, two clusters are not', async () => {
    const [one, another] = [setUp(), setUp()];
    appended(await one.open('a').log.publish(publication('d')));
    expect((await one.open('b').log.read({ ...ref, limit: 0 })).offset).toBe(1);
    expect((await another.open('a').log.read({ ...ref, limit: 0 })).offset).toBe(0);
  });
});

const held = (cluster: MemoryCluster): number => cluster.data.dialogs.size;
