import type { Member } from '@replyx/core';
import { type RedisServer, startRedis } from '@replyx/testkit';
import { freshId } from '@replyx/testkit/contract';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Keys } from '../src/keys.js';
import { SCRIPTS } from '../src/scripts.js';
import { makeRedisWorld, type RedisWorld } from './redis-world.js';

const OPERATOR: Member = { role: 'manager', id: 'o', publicId: 'p' };

let server: RedisServer;
let world: RedisWorld;
beforeAll(async () => {
  server = await startRedis();
});
afterEach(() => world.close());
afterAll(() => server.kill());

test('a sweeper that is late leaves what the node has written since it came back', async () => {
  world = makeRedisWorld(server);
  const node = await world.open();
  const dialogId = freshId();
  const claim = { tenant: 't', directory: 'open' } as const;
  await node.roster.register({ dialogId, connectionId: 'early', member: OPERATOR, claim });
  await node.roster.register({ dialogId, connectionId: 'restored', member: OPERATOR, claim });
  await world.pass(3);
  const foundDeadMs = await world.nowMs();
  await world.pass(3);
  await node.roster.renew([{ dialogId, connectionId: 'restored', member: OPERATOR }]);

  const incarnation = world.incarnationOf(node);
  const keys = new Keys(world.prefix, 128);
  const dialog = keys.dialog(dialogId);
  const held = keys.held(dialog.partition, incarnation);
  const sweep = (atMs: number) =>
    server.cli(
      'EVAL',
      SCRIPTS.sweep.text,
      SCRIPTS.sweep.keys,
      ...[dialog.conns, held, dialog.writers, dialog.channel('main'), ...keys.appendsTo(dialog.partition)],
      ...['PUBLISH', dialogId, incarnation, '\n\n', atMs, 10],
    );
  expect(await sweep(foundDeadMs)).toBe(1);
  expect(await node.roster.connections(dialogId)).toMatchObject([{ connectionId: 'restored' }]);
  expect(await server.cli('SISMEMBER', held, dialogId)).toBe(1);
  expect(await sweep((await world.nowMs()) + 1)).toBe(1);
  expect(await server.cli('SISMEMBER', held, dialogId)).toBe(0);
});

test('a held set follows the last connection that goes', async () => {
  world = makeRedisWorld(server);
  const node = await world.open();
  const dialogId = freshId();
  const keys = new Keys(world.prefix, 128);
  const held = keys.held(keys.partitionOf(dialogId), world.incarnationOf(node));
  const claim = { tenant: 't', directory: 'open' } as const;
  await node.roster.register({ dialogId, connectionId: 'a', member: OPERATOR, claim });
  await node.roster.register({ dialogId, connectionId: 'b', member: OPERATOR, claim });
  await node.roster.unregister(dialogId, 'a');
  expect(await server.cli('SMEMBERS', held)).toEqual([dialogId]);
  await node.roster.unregister(dialogId, 'b');
  expect(await server.cli('EXISTS', held, keys.dialog(dialogId).conns)).toBe(0);
});
