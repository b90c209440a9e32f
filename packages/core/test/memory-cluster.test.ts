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
