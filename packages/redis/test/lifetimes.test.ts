import type { Member } from '@replyx/core';
import { type RedisServer, startRedis } from '@replyx/testkit';
import { appended, freshId, nodeInfo, publication } from '@replyx/testkit/contract';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeRedisWorld, type RedisWorld } from './redis-world.js';

const OPERATOR: Member = { role: 'manager', id: 'o', publicId: 'p' };
const DAY_MS = 86_400_000;
const OPTIONS = { historyTtlMs: 7 * DAY_MS, idempotencyTtlMs: 600_000, nodeTtlMs: 15_000 };

let server: RedisServer;
let world: RedisWorld;
let dialogId: string;

beforeAll(async () => {
  server = await startRedis();
});
beforeEach(() => {
  world = makeRedisWorld(server, OPTIONS);
  dialogId = freshId();
});
afterEach(() => world.close());
afterAll(() => server.kill());

const ttls = async (): Promise<Map<string, number>> => {
  const found = new Map<string, number>();
  for (const key of (await server.cli('KEYS', `${world.prefix}:*`)) as string[]) {
    found.set(key.slice(world.prefix.length + 1), Number(await server.cli('PTTL', key)));
  }
  return found;
};
/** The one key that ends so, without the prefix. */
const ttlOf = async (end: string): Promise<number> => Number(await server.cli('PTTL', await keyOf(end)));
const keyOf = async (end: string): Promise<string> => {
  const [key] = (await server.cli('KEYS', `${world.prefix}:*${end}`)) as string[];
  if (key === undefined) throw new Error(`no key ends with ${end}`);
  return key;
};

test('every key has a lifetime but those of the directory and of the control plane, which are bounded', async () => {
  const node = await world.open();
  const claim = { tenant: 't', directory: 'open' } as const;
  await node.membership.beat(nodeInfo(world.incarnationOf(node)));
  await node.roster.register({ dialogId, connectionId: 'c', member: OPERATOR, claim });
  for (const track of ['main', 'internal'] as const) {
    await node.log.publish(
      publication(dialogId, { track, sender: OPERATOR, windowLimit: 5, windowMs: 10_000, fence: 1 }),
    );
    await node.roster.mark({ dialogId, track, member: OPERATOR, offset: 1 });
  }
  for (const limit of [5, 500]) {
    await node.limiter.take({ kind: 'ip', key: '10.0.0.1' }, [
      { name: `w${limit}`, limit, windowMs: 10_000, cost: 1 },
      { name: `x${limit}`, limit, windowMs: 20, cost: 1 },
    ]);
  }
  await node.limiter.raise('10.0.0.2', 1, 10_000);
  await node.limiter.countBan('10.0.0.1', 10_000);
  const lease = { connectionId: 'c', user: 't:user:u' };
  const scopes = (['user', 'address', 'assistant', 'cluster'] as const).map((kind) => ({ kind, key: 'k', limit: 5 }));
  await node.leases.acquire({ ...lease, scopes, atLimit: 'refuse' });
  await node.leases.restore([{ ...lease, connectionId: 'd', scopes: scopes.map((each) => ({ ...each, key: 'l' })) }]);
  await node.log.read({ dialogId: freshId(), track: 'main', limit: 1 });
  await node.roster.renew([{ dialogId: freshId(), connectionId: 'c', member: OPERATOR }]);
  const known = freshId();
  await node.directory.putDialog(known, { tenant: 't', closed: false });
  await node.log.publish(publication(known));
  await node.directory.putAssistant('bot', {
    tenant: 't',
    active: true,
    allowedDomains: [],
    widgetVersion: 0,
    inbox: false,
  });
  const found = await ttls();
  expect(found.size).toBeGreaterThan(15);
  const lasting = [...found].filter(([, ttl]) => ttl === -1).map(([key]) => key.replace(/^\{p\d+\}/, '{p}'));
  expect(lasting.sort()).toEqual(['{ctl}:assistants', '{ctl}:epoch', '{ctl}:log', `{p}:d:${known}:meta`]);
});

describe('meta', () => {
  test('of a dialog that a visitor opened lives an hour while it is empty, and opening it again gives it another', async () => {
    const node = await world.open();
    const owner = { tenant: 't', assistantId: 'a', visitorId: 'v' };
    await node.directory.openDialog(dialogId, owner, 'make');
    expect(await ttlOf(':meta')).toBeGreaterThan(3_590_000);
    expect(await ttlOf(':meta')).toBeLessThanOrEqual(3_600_000);
    await server.cli('PEXPIRE', await keyOf(':meta'), 60_000);
    await node.directory.openDialog(dialogId, owner, 'keep');
    expect(await ttlOf(':meta')).toBeGreaterThan(3_590_000);
  });

  test('of a dialog that a visitor opened lives as long as its history, and that of the directory for ever', async () => {
    const node = await world.open();
    const owner = { tenant: 't', assistantId: 'a', visitorId: 'v' };
    await node.directory.openDialog(dialogId, owner, 'make');
    await node.log.publish(publication(dialogId));
    await node.directory.openDialog(dialogId, owner, 'make');
    expect(await ttlOf(':meta')).toBeGreaterThan(7 * DAY_MS);
    await node.directory.putDialog(dialogId, { ...owner, closed: false });
    await node.directory.openDialog(dialogId, owner, 'make');
    expect(await ttlOf(':meta')).toBe(-1);
  });

  test('lives an hour while the dialog is empty, and renewing gives it another', async () => {
    const node = await world.open();
    await node.roster.register({
      dialogId,
      connectionId: 'c',
      member: OPERATOR,
      claim: { tenant: 't', directory: 'open' },
    });
    expect(await ttlOf(':meta')).toBeGreaterThan(3_590_000);
    await server.cli('PEXPIRE', await keyOf(':meta'), 60_000);
    await node.roster.renew([{ dialogId, connectionId: 'c', member: OPERATOR }]);
    expect(await ttlOf(':meta')).toBeGreaterThan(3_590_000);
  });

  test('outlives the log and the idempotency keys, also where these outlive the log', async () => {
    const node = await world.open({ historyTtlMs: 60_000, idempotencyTtlMs: 3 * DAY_MS });
    appended(await node.log.publish(publication(dialogId)));
    const found = [...(await ttls())];
    const meta = found.find(([key]) => key.endsWith(':meta'))?.[1] ?? 0;
    for (const [key, ttl] of found) if (key.includes(':main:')) expect(meta).toBeGreaterThan(ttl + DAY_MS / 2);
  });

  test('loses its lifetime when the directory puts it, and keeps none however it is used', async () => {
    const node = await world.open();
    await node.log.publish(publication(dialogId));
    await node.directory.putDialog(dialogId, { tenant: 't', closed: false });
    await node.log.publish(publication(dialogId, { track: 'internal' }));
    await node.roster.register({
      dialogId,
      connectionId: 'c',
      member: OPERATOR,
      claim: { tenant: 't', directory: 'strict' },
    });
    await node.roster.renew([{ dialogId, connectionId: 'c', member: OPERATOR }]);
    await node.log.erase(dialogId);
    await node.log.publish(publication(dialogId));
    expect(await ttlOf(':meta')).toBe(-1);
  });

  test('keeps the lifetime that it has when the dialog is erased', async () => {
    const node = await world.open();
    await node.roster.register({
      dialogId,
      connectionId: 'c',
      member: OPERATOR,
      claim: { tenant: 't', directory: 'open' },
    });
    await node.log.erase(dialogId);
    expect(await ttlOf(':meta')).toBeGreaterThan(3_590_000);
  });
});

test('the log never expires early and is renewed seldom', async () => {
  const node = await world.open();
  appended(await node.log.publish(publication(dialogId)));
  const first = await ttlOf(':main:log');
  expect(first).toBeGreaterThan(OPTIONS.historyTtlMs);
  const writes = async (): Promise<number> =>
    Number(/cmdstat_pexpire:calls=(\d+)/.exec(String(await server.cli('INFO', 'commandstats')))?.[1]);
  const before = await writes();
  for (let sent = 0; sent < 20; sent++) appended(await node.log.publish(publication(dialogId)));
  expect((await writes()) - before).toBe(0);
  expect(await ttlOf(':main:log')).toBeGreaterThan(OPTIONS.historyTtlMs);
});

describe('a window', () => {
  const windowMs = 10_000;
  const take = async (limit: number, cost = 1): Promise<void> => {
    const node = await world.open();
    await node.limiter.take({ kind: 'ip', key: '10.0.0.1' }, [{ name: 'w', limit, windowMs, cost }]);
  };

  test.each([
    [5, ':w:w'],
    [500, ':b:w'],
  ])('of a limit of %i lives as long as it is needed, and little longer', async (limit, end) => {
    await take(limit);
    expect(await ttlOf(end)).toBeGreaterThan(windowMs);
    expect(await ttlOf(end)).toBeLessThan(windowMs * 1.2);
    await server.cli('PEXPIRE', await keyOf(end), windowMs - 1);
    await take(limit);
    expect(await ttlOf(end)).toBeGreaterThan(windowMs);
  });

  test('of a large limit holds no more buckets than fit, whatever comes', async () => {
    const node = await world.open();
    const subject = { kind: 'a', key: 'bot' } as const;
    const spec = { name: 'many', limit: 1_000_000, windowMs: 640, cost: 1 };
    const end = (await world.nowMs()) + 1_500;
    while ((await world.nowMs()) < end) await node.limiter.take(subject, [spec]);
    expect(Number(await server.cli('HLEN', await keyOf(':b:many')))).toBeLessThanOrEqual(69);
  });

  test('of a large limit goes on when its length is changed, longer or shorter', async () => {
    const node = await world.open();
    const take = (windowMs: number, cost: number) =>
      node.limiter.take({ kind: 'a', key: 'bot' }, [{ name: 'changed', limit: 200, windowMs, cost }]);
    expect(await take(20_000, 60)).toEqual({ status: 'taken' });
    await world.pass(700);
    expect(await take(20_000, 60)).toEqual({ status: 'taken' });
    expect(await take(60_000, 81)).toMatchObject({ status: 'refused' });
    expect(await take(60_000, 60)).toEqual({ status: 'taken' });
    expect(await ttlOf(':b:changed')).toBeGreaterThan(60_000);
    expect(await take(20_000, 21)).toMatchObject({ status: 'refused' });
    // They leave it by their buckets' ends, and the longest bucket was of 937 ms.
    await world.pass(2_000);
    expect(await take(500, 200)).toEqual({ status: 'taken' });
    expect(await take(500, 1)).toMatchObject({ status: 'refused' });
  });

  test.each([
    [5, ':w:w'],
    [500, ':b:w'],
  ])('of a limit of %i forgets what a clock that was set back has left', async (limit, end) => {
    await take(limit, limit);
    const key = await keyOf(end);
    const later = String((await world.nowMs()) + 5 * windowMs);
    await server.cli('DEL', key);
    if (limit === 5) for (let i = 0; i < limit; i++) await server.cli('LPUSH', key, later);
    else await server.cli('HSET', key, later, limit, 'n', limit, 'o', later, 's', Math.floor(windowMs / 64));
    const node = await world.open();
    const spec = { name: 'w', limit, windowMs, cost: limit };
    expect(await node.limiter.take({ kind: 'ip', key: '10.0.0.1' }, [spec])).toEqual({ status: 'taken' });
  });
});

describe('places', () => {
  const scope = { kind: 'address', key: '10.0.0.1', limit: 3 } as const;
  const acquire = (node: Awaited<ReturnType<RedisWorld['open']>>, connectionId: string) =>
    node.leases.acquire({ connectionId, user: `user of ${connectionId}`, scopes: [scope], atLimit: 'refuse' });

  test('live a little longer than the longest connection, and leave nothing when they are given back', async () => {
    const node = await world.open({ leaseTtlMs: 1_000_000 });
    await acquire(node, 'c1');
    for (const [key, ttl] of await ttls()) {
      if (!key.startsWith('{ip:')) continue;
      expect(ttl, key).toBeGreaterThan(1_000_000);
      expect(ttl, key).toBeLessThan(1_100_000);
    }
    await node.leases.release({ connectionId: 'c1', user: 'user of c1', scopes: [scope] });
    expect([...(await ttls()).keys()].filter((key) => key.startsWith('{ip:'))).toEqual([]);
  });

  test('are counted anew from what is there whenever one changes', async () => {
    const [a, b] = [await world.open(), await world.open()];
    for (const node of [a, b, a, b]) await node.membership.beat(nodeInfo(world.incarnationOf(node)));
    await acquire(a, 'c1');
    await server.cli('HSET', await keyOf(':places'), world.incarnationOf(a), '3:1');
    expect(await acquire(b, 'c2')).toMatchObject({ status: 'full' });
    await acquire(a, 'c3');
    expect(await acquire(b, 'c2')).toEqual({ status: 'leased' });
    expect(await acquire(b, 'c4')).toMatchObject({ status: 'full' });
  });

  test('of incarnations that are long gone are forgotten, those that may come back are not', async () => {
    const node = await world.open();
    await acquire(node, 'c1');
    const counts = await keyOf(':places');
    const now = Math.floor(await world.nowMs());
    for (let i = 0; i < 40; i++) await server.cli('HSET', counts, `old.${i}`, '1:1', `young.${i}`, `1:${now}`);
    await acquire(node, 'c2');
    const kept = (await server.cli('HKEYS', counts)) as string[];
    expect(kept).toHaveLength(41);
    expect(kept.filter((name) => name.startsWith('old.'))).toEqual([]);
  });
});
