import { type RedisServer, startProxy, startRedis, type TcpProxy, until } from '@replyx/testkit';
import { freshId } from '@replyx/testkit/contract';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Backoff, makeClient } from '../src/connection.js';
import type { NoticeEvent, Settings } from '../src/options.js';
import { Subscriber } from '../src/subscriber.js';
import { systemClock, systemRandom } from '../src/system.js';
import { parseRedisUrl } from '../src/url.js';

let server: RedisServer;
let proxy: TcpProxy;
let subscriber: Subscriber;
let restored: string[];
let received: string[];
let receivers: (channel: string) => Promise<number>;
const notices: NoticeEvent[] = [];

beforeEach(async () => {
  server = await startRedis();
  proxy = await startProxy({ port: server.port });
  [restored, received] = [[], []];
  notices.length = 0;
  receivers = async (channel) => Number(await server.cli('PUBLISH', channel, ''));
  const settings = {
    nodeId: 'node',
    commandDeadlineMs: 1_000,
    probeIntervalMs: 50,
    subscriberSilenceMs: 200,
    clock: systemClock,
    random: systemRandom,
    notice: (event: NoticeEvent) => notices.push(event),
  } as unknown as Settings;
  const backoff = new Backoff(systemRandom.float);
  subscriber = new Subscriber({
    label: 'test',
    client: makeClient(parseRedisUrl(`redis://${proxy.address}`), settings, backoff, 'subscriber'),
    backoff,
    settings,
    sharded: false,
    probe: { channel: freshId('probe'), slot: 0 },
    publishProbe: (channel) => receivers(channel),
    onMisplaced: () => {},
    onPayload: (channel) => received.push(channel),
    onRestored: (channels) => restored.push(...channels),
  });
  subscriber.connect();
  await subscriber.whenReady();
  await until(() => subscriber.ready, { what: 'the subscriber' });
  await subscriber.add('one', 0);
});

afterEach(async () => {
  subscriber.close();
  await proxy.close();
  await server.kill();
});

const probeUntil = (condition: () => boolean, what: string): Promise<boolean> =>
  until(
    async () => {
      await subscriber.probe();
      return condition();
    },
    { what, everyMs: 20 },
  );

test('a subscriber that hears its probes stays', async () => {
  for (let round = 0; round < 30; round++) await subscriber.probe();
  await probeUntil(() => true, 'a probe');
  expect(subscriber.silent).toBe(false);
  expect(notices).not.toContain('subscriber_silent');
  expect(received).toEqual([]);
});

test('a connection that is silent while Redis still writes to it is found, cut and restored', async () => {
  proxy.blackhole('down');
  await probeUntil(() => notices.includes('subscriber_silent'), 'silence to be noticed');
  expect(subscriber.ready).toBe(false);
  expect(subscriber.silent).toBe(true);
  proxy.heal();
  await until(() => restored.length > 0, { what: 'onRestored' });
  expect(restored).toEqual(['one']);
  expect(subscriber.silent).toBe(false);
});

test('a server that does not know the subscription is found by the first probe', async () => {
  receivers = async () => 0;
  await subscriber.probe();
  expect(notices).toContain('subscriber_silent');
  receivers = async (channel) => Number(await server.cli('PUBLISH', channel, ''));
  await until(() => restored.length > 0, { what: 'onRestored' });
  expect(restored).toEqual(['one']);
});

test('probes that could not be sent prove nothing', async () => {
  receivers = async () => {
    throw new Error('away');
  };
  const started = performance.now();
  await until(
    async () => {
      await subscriber.probe().catch(() => {});
      return performance.now() - started > 400;
    },
    { what: 'longer than the silence allowed' },
  );
  expect(notices).not.toContain('subscriber_silent');
});

test('channels are subscribed in batches, and removed ones leave the server', async () => {
  const channels = Array.from({ length: 1_000 }, (_, index) => `channel ${index}`);
  const commands = async (): Promise<number> =>
    Number(/cmdstat_subscribe:calls=(\d+)/.exec(String(await server.cli('INFO', 'commandstats')))?.[1]);
  const before = await commands();
  await Promise.all(channels.map((channel) => subscriber.add(channel, 0)));
  expect((await commands()) - before).toBe(5);
  for (const channel of channels) subscriber.remove(channel);
  await until(async () => ((await server.cli('PUBSUB', 'CHANNELS', 'channel*')) as string[]).length === 0, {
    what: 'the channels to be gone',
  });
});
