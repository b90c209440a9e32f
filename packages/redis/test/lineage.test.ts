import type { Backplane } from '@replyx/core';
import { type RedisOptions, type RedisServer, startRedis, until } from '@replyx/testkit';
import { appended, freshId, nodeInfo, patiently, publication } from '@replyx/testkit/contract';
import { afterEach, describe, expect, test } from 'vitest';
import { makeRedisWorld, type RedisWorld } from './redis-world.js';

const ALWAYS: RedisOptions = { appendonly: true, appendfsync: 'always' };

let server: RedisServer | undefined;
let world: RedisWorld | undefined;

afterEach(async () => {
  await world?.close();
  await server?.kill();
});

const start = async (options: RedisOptions): Promise<{ server: RedisServer; world: RedisWorld }> => {
  server = await startRedis(options);
  world = makeRedisWorld(server, { probeIntervalMs: 100 });
  return { server, world };
};

const beat = (world: RedisWorld, node: Backplane): Promise<unknown> =>
  node.membership.beat(nodeInfo(world.incarnationOf(node)));

const read = (node: Backplane, dialogId: string) =>
  patiently(() => node.log.read({ dialogId, track: 'main', limit: 100 }));

describe('a Redis that was started from an older copy', () => {
  test.each(['a node that held the dialog', 'a node that did not', 'a fresh node'])(
    'gets a new epoch from %s, and no other node names a third',
    async (who) => {
      const { server, world } = await start({});
      const [holder, other] = [await world.open(), await world.open()];
      await beat(world, holder);
      const dialogId = freshId();
      const first = appended(await holder.log.publish(publication(dialogId)));
      const copy = await server.saveCopy();
      appended(await holder.log.publish(publication(dialogId)));
      await server.restoreCopy(copy);
      const asked = who === 'a fresh node' ? await world.open() : who === 'a node that did not' ? other : holder;
      const after = await read(asked, dialogId);
      expect(after.epoch).not.toBe(first.epoch);
      expect(after.offset).toBe(1);
      for (const node of [holder, other]) expect((await read(node, dialogId)).epoch).toBe(after.epoch);
    },
  );

  test('gets new epochs for dialogs that are touched much later, and once each', async () => {
    const { server, world } = await start({});
    const node = await world.open();
    const ids = [freshId(), freshId()];
    const before = await Promise.all(ids.map((dialogId) => node.log.publish(publication(dialogId)).then(appended)));
    await server.restoreCopy(await server.saveCopy());
    const first = await read(node, ids[0] as string);
    await server.restoreCopy(await server.saveCopy());
    const later = await Promise.all(ids.map((dialogId) => read(node, dialogId)));
    const epochs = [...before.map(({ epoch }) => epoch), first.epoch, ...later.map(({ epoch }) => epoch)];
    expect(new Set(epochs).size).toBe(5);
    expect((await read(node, ids[1] as string)).epoch).toBe(later[1]?.epoch);
  });
});

describe('a Redis with appendfsync always', () => {
  test('keeps its epoch over a crash that a node lived through, and has every acknowledged publication', async () => {
    const { server, world } = await start(ALWAYS);
    const [a, b] = [await world.open(), await world.open()];
    await Promise.all([beat(world, a), beat(world, b)]);
    const dialogId = freshId();
    const before = await read(a, dialogId);
    const acknowledged: number[] = [];
    let running = true;
    const sending = (async () => {
      while (running) {
        const result = await a.log.publish(publication(dialogId)).catch(() => undefined);
        if (result !== undefined) acknowledged.push(appended(result).offset);
        else await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    await until(() => acknowledged.length > 20, { what: 'twenty publications' });
    await server.kill();
    running = false;
    await sending;
    await server.start();
    const after = await read(a, dialogId);
    expect(after.epoch).toBe(before.epoch);
    expect((await read(b, dialogId)).epoch).toBe(before.epoch);
    const kept = new Set(after.entries.map(({ offset }) => offset));
    expect(acknowledged.filter((offset) => offset > after.offset - 50 && !kept.has(offset))).toEqual([]);
    // And again: what was proved once is proved further.
    await Promise.all([beat(world, a), beat(world, b)]);
    await server.restart('kill');
    expect((await read(b, dialogId)).epoch).toBe(before.epoch);
  });

  test.each<[string, RedisOptions, (server: RedisServer, world: RedisWorld, node: Backplane) => Promise<Backplane>]>([
    [
      'no node lived through it',
      ALWAYS,
      async (server, world, node) => {
        await node.close();
        await server.restart('kill');
        return world.open();
      },
    ],
    [
      'an older copy was put in its place',
      ALWAYS,
      async (server, world, node) => {
        const copy = await server.saveCopy();
        await beat(world, node);
        await server.restoreCopy(copy);
        return node;
      },
    ],
    [
      'CONFIG is refused',
      { ...ALWAYS, config: ['rename-command CONFIG ""'] },
      async (server, _, node) => {
        await server.restart('kill');
        return node;
      },
    ],
    [
      'it was everysec before',
      { appendonly: true, appendfsync: 'everysec' },
      async (server, _, node) => {
        await server.cli('CONFIG', 'SET', 'appendfsync', 'always');
        await server.cli('CONFIG', 'REWRITE').catch(() => {});
        await server.restart('stop');
        return node;
      },
    ],
    [
      'it stopped syncing meanwhile',
      ALWAYS,
      async (server, _, node) => {
        await server.cli('CONFIG', 'SET', 'appendfsync', 'no');
        await new Promise((resolve) => setTimeout(resolve, 400));
        await server.restart('stop');
        return node;
      },
    ],
  ])('names a new epoch where %s', async (_, options, harm) => {
    const { server, world } = await start(options);
    const node = await world.open();
    await beat(world, node);
    const dialogId = freshId();
    const before = appended(await node.log.publish(publication(dialogId)));
    const asked = await harm(server, world, node);
    expect((await read(asked, dialogId)).epoch).not.toBe(before.epoch);
  });

  test('names a new epoch where the node has no heartbeat that could witness', async () => {
    const { server, world } = await start(ALWAYS);
    const node = await world.open();
    const dialogId = freshId();
    const before = appended(await node.log.publish(publication(dialogId)));
    await server.restart('kill');
    expect((await read(node, dialogId)).epoch).not.toBe(before.epoch);
  });
});

describe('a master that lost its tail to another and became master again, in one process', () => {
  test('gets a new epoch', async () => {
    const options = { config: ['repl-diskless-sync-delay 0'] };
    const { server, world } = await start(options);
    const node = await world.open();
    const dialogId = freshId();
    const before = appended(await node.log.publish(publication(dialogId)));
    const other = await startRedis(options);
    try {
      await other.cli('REPLICAOF', server.host, server.port);
      await until(async () => String(await other.cli('INFO', 'replication')).includes('master_link_status:up'), {
        what: 'the replica to be in sync',
      });
      await other.cli('REPLICAOF', 'NO', 'ONE');
      appended(await node.log.publish(publication(dialogId)));
      await server.cli('REPLICAOF', other.host, other.port);
      await until(async () => String(await server.cli('INFO', 'replication')).includes('master_link_status:up'), {
        what: 'the former master to be in sync',
      });
      await server.cli('REPLICAOF', 'NO', 'ONE');
      // The connection has lived through all of it; the next probe tells.
      await until(async () => (await read(node, dialogId)).epoch !== before.epoch, { what: 'a new epoch' });
      expect((await read(node, dialogId)).offset).toBe(1);
    } finally {
      await other.kill();
    }
  });
});

describe('what only the scripts can see', () => {
  const metaOf = async (world: RedisWorld, server: RedisServer, dialogId: string): Promise<string> =>
    String(((await server.cli('KEYS', `${world.prefix}:*:d:${dialogId}:meta`)) as string[])[0]);

  test('a node behind the news never names an epoch', async () => {
    const { server, world } = await start({});
    const node = await world.open();
    const dialogId = freshId();
    const before = appended(await node.log.publish(publication(dialogId)));
    const meta = await metaOf(world, server, dialogId);
    const later = String(Date.now() + 3_600_000);
    await server.cli('HSET', meta, 'r', 'a later process', 's', later);
    expect(appended(await node.log.publish(publication(dialogId))).epoch).toBe(before.epoch);
    expect((await read(node, dialogId)).epoch).toBe(before.epoch);
    expect(await server.cli('HMGET', meta, 'r', 's')).toEqual(['a later process', later]);
  });

  test.each(['publishing', 'reading'])('a log that is ahead of its meta is cleared by %s', async (how) => {
    const { server, world } = await start({});
    const node = await world.open();
    const dialogId = freshId();
    const request = publication(dialogId);
    const before = appended(await node.log.publish(request));
    await node.log.publish(publication(dialogId));
    await server.cli('HSET', await metaOf(world, server, dialogId), 'o', 0);
    if (how === 'reading') expect(await read(node, dialogId)).toMatchObject({ offset: 0, oldest: 1, entries: [] });
    const fresh = publication(dialogId);
    const after = appended(await node.log.publish(fresh));
    expect(after.offset).toBe(1);
    expect(after.epoch).not.toBe(before.epoch);
    expect(await node.log.publish(fresh)).toEqual({ status: 'duplicate', ...after });
    appended(await node.log.publish(request));
    expect((await read(node, dialogId)).entries.map(({ offset }) => offset)).toEqual([1, 2]);
  });
});
