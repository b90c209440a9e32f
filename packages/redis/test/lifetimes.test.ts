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
