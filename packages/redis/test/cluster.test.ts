import { createLocks, type Lock, type TrackRef } from '@replyx/core';
import { type RedisServer, startRedis, until } from '@replyx/testkit';
import { appended, freshId, patiently, publication, Recorder, settled } from '@replyx/testkit/contract';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openLockMasters } from '../src/index.js';
import { Keys } from '../src/keys.js';
import { SLOTS, slotOfTag } from '../src/slot.js';
import { systemClock, systemRandom } from '../src/system.js';
import { makeRedisWorld, type RedisWorld } from './redis-world.js';

/** Two masters: the first serves the lower half of the slots, the second the upper. */
describe('a Redis Cluster of two masters', () => {
  let first: RedisServer;
  let second: RedisServer;
  let world: RedisWorld;
  let keys: Keys;

  const half = SLOTS / 2;
  const busPort = async (server: RedisServer): Promise<string> =>
    ((await server.cli('CONFIG', 'GET', 'cluster-port')) as string[])[1] ?? '';
  const slotsOf = async (server: RedisServer): Promise<string> => String(await server.cli('CLUSTER', 'SLOTS'));

  beforeEach(async () => {
    const config = ['cluster-require-full-coverage no', 'cluster-node-timeout 2000'];
    [first, second] = await Promise.all([startRedis({ cluster: true, config }), startRedis({ cluster: true, config })]);
    await first.cli('CLUSTER', 'DELSLOTSRANGE', half, SLOTS - 1);
    await second.cli('CLUSTER', 'DELSLOTSRANGE', 0, half - 1);
    // Each starts with a configuration of its own; equal epochs would make them fight over slots.
    await second.cli('CLUSTER', 'SET-CONFIG-EPOCH', 2).catch(() => {});
    await first.cli('CLUSTER', 'MEET', second.host, second.port, await busPort(second));
    await until(
      async () => {
        const maps = await Promise.all([slotsOf(first), slotsOf(second)]);
        return maps.every((map) => map.includes(String(first.port)) && map.includes(String(second.port)));
      },
      { what: 'the two to know each other' },
    );
    world = makeRedisWorld(first, { probeIntervalMs: 100 });
    keys = new Keys(world.prefix, 128);
  });
  afterEach(async () => {
    await world.close();
    await Promise.all([first.kill(), second.kill()]);
  });

  /** A dialog in the lower or the upper half of the slots. */
  const dialogIn = (upper: boolean): string => {
    for (;;) {
      const id = freshId();
      if (keys.slotOf(keys.partitionOf(id)) >= half === upper) return id;
    }
  };

  /** From the first to the second. */
  const moveSlot = async (slot: number): Promise<void> => {
    const [from, to] = await Promise.all([first.cli('CLUSTER', 'MYID'), second.cli('CLUSTER', 'MYID')]);
    await second.cli('CLUSTER', 'SETSLOT', slot, 'IMPORTING', String(from));
    await first.cli('CLUSTER', 'SETSLOT', slot, 'MIGRATING', String(to));
    const moving = (await first.cli('CLUSTER', 'GETKEYSINSLOT', slot, 1_000)) as string[];
    await first.cli('MIGRATE', second.host, second.port, '', 0, 5_000, 'KEYS', ...moving);
    for (const server of [second, first]) await server.cli('CLUSTER', 'SETSLOT', slot, 'NODE', String(to));
  };

  test('serves dialogs of both, live and from history, and both are healthy', async () => {
    const [a, b] = [await world.open(), await world.open()];
    const recorder = new Recorder(b);
    const refs = [false, true].map((upper): TrackRef => ({ dialogId: dialogIn(upper), track: 'main' }));
    await b.fanout.subscribe(refs);
    for (const ref of refs) {
      const { offset } = appended(await a.log.publish(publication(ref.dialogId)));
      expect(offset).toBe(1);
      await settled(a, ref, [recorder]);
      expect((await b.log.read({ ...ref, limit: 10 })).entries).toHaveLength(1);
    }
    expect(recorder.of('publication')).toHaveLength(2);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(a.health()).toEqual({ ok: true, reasons: [] });
    const names = new Set((await Promise.all([first, second].map((each) => each.cli('DBSIZE')))).map(Number));
    expect(names.has(0)).toBe(false);
  });

  test('follows a slot that moves: subscriptions too, with the epoch kept or named anew, and nothing silent', async () => {
    const [a, b] = [await world.open(), await world.open()];
    const recorder = new Recorder(b);
    const dialogId = dialogIn(false);
    const ref: TrackRef = { dialogId, track: 'main' };
    const slot = keys.slotOf(keys.partitionOf(dialogId));
    await b.fanout.subscribe([ref]);
    const before = appended(await a.log.publish(publication(dialogId)));

    await moveSlot(slot);

    const after = appended(await patiently(() => a.log.publish(publication(dialogId))));
    expect(after.offset).toBe(2);
    const page = await patiently(() => b.log.read({ ...ref, limit: 10 }));
    expect(page.entries.map(({ offset }) => offset)).toEqual([1, 2]);
    expect(page.epoch).toBe(after.epoch);
    expect([before.epoch, page.epoch]).toContain(after.epoch);
    await until(() => recorder.restored.length > 0, { what: 'onRestored' });
    expect(recorder.restored).toEqual([ref]);
    recorder.clear();
    appended(await patiently(() => a.log.publish(publication(dialogId))));
    await recorder.atLeast('publication', 1);
    await until(() => a.health().ok && b.health().ok, { what: 'health' });
  });

  test('goes on with one master while the other is away, and with both after it came back', async () => {
    const a = await world.open();
    const [lower, upper] = [dialogIn(false), dialogIn(true)];
    appended(await a.log.publish(publication(lower)));
    const lost = appended(await a.log.publish(publication(upper)));
    const recorder = new Recorder(a);
    await a.fanout.subscribe([lower, upper].map((dialogId) => ({ dialogId, track: 'main' as const })));
    await second.kill();
    await until(() => !a.health().ok, { what: 'bad health' });
    await expect(a.log.publish(publication(upper))).rejects.toThrow('Redis');
    appended(await a.log.publish(publication(lower)));
    await second.start();
    const back = appended(await patiently(() => a.log.publish(publication(upper))));
    expect(back.offset).toBe(1);
    expect(back.epoch).not.toBe(lost.epoch);
    await until(() => recorder.restored.length > 0, { what: 'onRestored' });
    expect(recorder.restored).toEqual([{ dialogId: upper, track: 'main' }]);
    await until(() => a.health().ok, { what: 'health' });
  });

  test('goes on with one master while the other has forgotten its cluster', async () => {
    const a = await world.open();
    const recorder = new Recorder(a);
    const ref: TrackRef = { dialogId: dialogIn(true), track: 'main' };
    await a.fanout.subscribe([ref]);
    appended(await a.log.publish(publication(ref.dialogId)));
    await settled(a, ref, [recorder]);
    recorder.clear();
    await first.flushAll();
    await first.cli('CLUSTER', 'RESET', 'HARD');
    await until(() => !a.health().ok, { what: 'bad health' });
    appended(await a.log.publish(publication(ref.dialogId)));
    await recorder.atLeast('publication', 1);
    expect(recorder.restored).toEqual([]);
  });

  test('is one lock master: a lock lies where its slot is, and fences go on where the slot moves to', async () => {
    const masters = await openLockMasters([first.url], { nodeId: 'node', keyPrefix: world.prefix });
    const bugs: unknown[] = [];
    const locks = createLocks({
      masters,
      clock: systemClock,
      random: systemRandom,
      onBug: (error) => bugs.push(error),
    });
    const take = async (name: string): Promise<Lock> => {
      const result = await locks.acquire(name, { ttlMs: 60_000, waitMs: 20_000 });
      if (result.status !== 'acquired') throw new Error(`expected a lock, got ${result.status}`);
      return result.lock;
    };
    const nameIn = (upper: boolean): string => {
      for (;;) {
        const name = freshId('lock');
        if (slotOfTag(keys.lock(name).tag) >= half === upper) return name;
      }
    };
    const names = [nameIn(false), nameIn(true)];
    const held = await Promise.all(names.map(take));
    for (const [index, server] of [first, second].entries()) {
      const { holder } = keys.lock(names[index] ?? '');
      expect(String(await server.cli('GET', holder))).toContain(held[index]?.id);
    }
    for (const lock of held) expect(await locks.release(lock)).toEqual({ status: 'released' });

    const name = names[0] ?? '';
    await moveSlot(slotOfTag(keys.lock(name).tag));
    const after = await take(name);
    expect(after.fence).toBeGreaterThan(held[0]?.fence ?? 0);
    expect(String(await second.cli('GET', keys.lock(name).holder))).toContain(after.id);
    await locks.stop();
    expect(bugs).toEqual([]);
  });
});

/** A master that was started again without its `nodes.conf`, or was reset, serves nothing until it is given its slots again. */
describe('a Redis Cluster whose only master loses its slots', () => {
  let server: RedisServer;
  let world: RedisWorld;

  beforeEach(async () => {
    server = await startRedis({ cluster: true });
    world = makeRedisWorld(server, { probeIntervalMs: 50 });
  });
  afterEach(async () => {
    await world.close();
    await server.kill();
  });

  test('is not healthy meanwhile, and delivers to those who were subscribed when it has them again', async () => {
    const a = await world.open();
    const recorder = new Recorder(a);
    const ref: TrackRef = { dialogId: freshId(), track: 'main' };
    await a.fanout.subscribe([ref]);
    expect(a.health()).toEqual({ ok: true, reasons: [] });

    await server.cli('CLUSTER', 'DELSLOTSRANGE', 0, SLOTS - 1);
    await until(() => a.health().reasons.includes('redis_unreachable'), { what: 'bad health' });
    await expect(a.log.publish(publication(ref.dialogId))).rejects.toThrow('Redis');

    await server.cli('CLUSTER', 'ADDSLOTSRANGE', 0, SLOTS - 1);
    await until(() => recorder.restored.length > 0, { what: 'onRestored' });
    expect(recorder.restored).toEqual([ref]);
    appended(await patiently(() => a.log.publish(publication(ref.dialogId))));
    await recorder.atLeast('publication', 1);
    await until(() => a.health().ok, { what: 'health' });
  });

  test('is not healthy once it is closed', async () => {
    const a = await world.open();
    await a.close();
    expect(a.health().reasons).toContain('redis_unreachable');
  });
});
