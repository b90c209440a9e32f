import { startRedis, until } from '@replyx/testkit';
import { Redis } from 'ioredis';
import { replyx } from '../contenders/replyx.mjs';
import { startDriver } from '../drivers.mjs';
import { whenStill } from '../meter.mjs';
import { TEXT } from '../scenarios/dialogs.mjs';
import { dialogsOn } from '../targets.mjs';
import { inWorld } from '../world.mjs';

const DIALOGS = 3_000;
const WRITTEN = 100;
const MESSAGES_EACH = 100;
const CHANNELS = 20_000;

const usedMemory = async (redis) => Number(/^used_memory:(\d+)/m.exec(String(await redis.cli('INFO', 'memory')))?.[1]);

/** The names of what Redis holds that match, and what they take together, by its own word. */
const memoryOf = async (client, pattern) => {
  let bytes = 0;
  let keys = 0;
  for await (const names of client.scanStream({ match: pattern, count: 1_000 })) {
    const calls = client.pipeline();
    for (const name of names) calls.memory('USAGE', name, 'SAMPLES', 0);
    for (const [, size] of await calls.exec()) bytes += Number(size ?? 0);
    keys += names.length;
  }
  return { bytes, keys };
};

const forget = async (client, pattern) => {
  for await (const names of client.scanStream({ match: pattern, count: 1_000 })) {
    if (names.length > 0) await client.unlink(...names);
  }
};

/** Bytes of a subscription to a channel with a name as long as those of dialogs. */
const subscriptionBytes = async (nameLength) => {
  const redis = await startRedis();
  const client = new Redis(redis.url);
  try {
    await client.ping();
    const before = await usedMemory(redis);
    const names = Array.from({ length: CHANNELS }, (_, n) => String(n).padStart(nameLength, 'x'));
    while (names.length > 0) await client.subscribe(...names.splice(0, 500));
    return ((await usedMemory(redis)) - before) / CHANNELS;
  } finally {
    client.disconnect();
    await redis.kill();
  }
};

/** What Redis keeps of a dialog that nobody has written in, of one with 100 messages, of a connection, a subscription and a key. */
export const redisMemoryCosts = () =>
  inWorld(replyx, { count: 1 }, async (world) => {
    const { nodes, redis } = world;
    const [node] = nodes;
    const client = new Redis(redis.url);
    const driver = startDriver(replyx.dialect);
    const subscriptions = async () => Number(await redis.cli('PUBSUB', 'NUMSUB', channel).then((answer) => answer[1]));
    let channel = '';
    try {
      await driver.ask('connect', { targets: dialogsOn(world, node, DIALOGS, 'e') });
      await whenStill(world);
      const full = await usedMemory(redis);
      channel = String((await redis.cli('PUBSUB', 'CHANNELS', '*:main:ch'))[0]);
      await driver.ask('drop');
      // A dialog that was left stays subscribed for a while.
      await until(async () => (await subscriptions()) === 0, { what: 'the subscriptions to end', hangGuardMs: 60_000 });
      await whenStill(world);
      const left = await usedMemory(redis);
      const perSubscription = await subscriptionBytes(channel.length);
      await forget(client, '*:d:e*');
      const forgotten = await usedMemory(redis);

      await driver.ask('fill', {
        targets: dialogsOn(world, node, WRITTEN, 'full', DIALOGS),
        count: MESSAGES_EACH,
        text: TEXT,
        concurrency: 20,
      });
      const logs = await memoryOf(client, '*:d:full*:log');
      const idempotency = await memoryOf(client, '*:d:full*:idem:*');
      const meta = await memoryOf(client, '*:d:full*:meta');
      const kept = WRITTEN * MESSAGES_EACH;
      return {
        redis_dialog: (left - forgotten) / DIALOGS,
        redis_message: logs.bytes / kept - TEXT.length,
        redis_idempotency: idempotency.bytes / idempotency.keys,
        redis_subscription: perSubscription,
        redis_connection: (full - left) / DIALOGS - perSubscription,
        /** Not a cost of its own: what the page says of a dialog with so many messages. */
        written: { messages: MESSAGES_EACH, bytes: (logs.bytes + meta.bytes) / WRITTEN },
      };
    } finally {
      driver.stop();
      client.disconnect();
    }
  });
