import { BackplaneUnavailable, type Delivery, type LogEntry } from '@replyx/core';
import {
  chaosSeed,
  type RedisServer,
  type SeededRandom,
  seededRandom,
  startProxy,
  startRedis,
  until,
} from '@replyx/testkit';
import { freshId, nodeInfo, patiently, publication } from '@replyx/testkit/contract';
import { afterEach, expect, test } from 'vitest';
import { makeRedisWorld } from './redis-world.js';

const servers: RedisServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.kill()));
});

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Publishes one id until it is answered, as a client does. */
const sendOnce = async (publish: () => Promise<{ status: string }>): Promise<{ status: string; offset?: number }> => {
  for (;;) {
    try {
      return await publish();
    } catch (error) {
      if (!(error instanceof BackplaneUnavailable)) throw error;
      await sleep(5);
    }
  }
};

interface Victims {
  readonly random: SeededRandom;
  readonly server: RedisServer;
  cut(): void;
  /** Resolves when every node is well again. */
  healed(): Promise<unknown>;
}

const FAULTS: Record<string, (victims: Victims) => Promise<void>> = {
  'connections that break': async ({ random, cut }) => {
    cut();
    await sleep(random.below(120));
  },
  'connections that break and a Redis that crashes with appendfsync always': async ({
    random,
    server,
    cut,
    healed,
  }) => {
    if (random.below(4) !== 0) {
      cut();
      await sleep(random.below(300));
      return;
    }
    await server.restart('kill');
    // A node that misses a whole life of Redis can prove nothing, and a needless new epoch is allowed then.
    await healed();
  },
};

test.each(Object.keys(FAULTS))(
  'under %s every id is appended once, none that was acknowledged is lost, and the order is dense',
  async (name) => {
    const random = seededRandom(chaosSeed(name));
    const server = await startRedis({ appendonly: true, appendfsync: 'always' });
    servers.push(server);
    const proxies = await Promise.all([0, 1, 2].map(() => startProxy({ port: server.port })));
    const world = makeRedisWorld(server, { historySize: 100_000, probeIntervalMs: 100, commandDeadlineMs: 500 });
    const nodes = await Promise.all(proxies.map((proxy) => world.open({ url: `redis://${proxy.address}` })));
    const dialogId = freshId();
    const ref = { dialogId, track: 'main' } as const;
    const seen = new Map<number, string>();
    const repeated: string[] = [];
    for (const node of nodes) {
      node.fanout.listen({
        onDelivery(delivery: Delivery) {
          if (delivery.kind !== 'publication') return;
          const before = seen.get(delivery.offset);
          if (before !== undefined && before !== delivery.origin) repeated.push(`${delivery.offset}`);
          seen.set(delivery.offset, delivery.origin);
        },
        onRestored() {},
      });
      await node.fanout.subscribe([ref]);
      // The heartbeat is what proves later that a restarted Redis has lost nothing.
      await node.membership.beat(nodeInfo(world.incarnationOf(node)));
    }
    const epoch = (await patiently(() => (nodes[0] as (typeof nodes)[0]).log.read({ ...ref, limit: 0 }))).epoch;

    const acknowledged = new Map<string, number>();
    let running = true;
    const sending = nodes.flatMap((node, index) =>
      [0, 1, 2].map(async (lane) => {
        for (let sent = 0; running; sent++) {
          const id = `${index}-${lane}-${sent}`;
          const request = publication(dialogId, { id, sender: { role: 'user', id: `${index}-${lane}` } });
          const result = await sendOnce(() => node.log.publish(request));
          if (result.offset === undefined) throw new Error(`refused: ${result.status}`);
          acknowledged.set(id, result.offset);
        }
      }),
    );
    const healed = () => until(() => nodes.every((node) => node.health().ok), { what: 'health' });
    const end = performance.now() + 5_000;
    while (performance.now() < end) {
      await FAULTS[name]?.({
        random,
        server,
        cut: () => random.pick(proxies)[random.below(2) === 0 ? 'cut' : 'reset'](),
        healed,
      });
    }
    running = false;
    await Promise.all(sending);

    const entries: LogEntry[] = [];
    for (;;) {
      const after = entries.at(-1)?.offset ?? 0;
      const page = await patiently(() => (nodes[1] as (typeof nodes)[0]).log.read({ ...ref, after, limit: 1_000 }));
      expect(page.epoch).toBe(epoch);
      entries.push(...page.entries);
      if (!page.more) break;
    }
    const ids = entries.map(({ frame }) => (JSON.parse(Buffer.from(frame).toString()) as { id: string }).id);
    expect(entries.map(({ offset }) => offset)).toEqual(entries.map((_, index) => index + 1));
    expect(new Set(ids).size).toBe(ids.length);
    expect(acknowledged.size).toBeGreaterThan(100);
    for (const [id, offset] of acknowledged) expect(ids[offset - 1]).toBe(id);
    expect(repeated).toEqual([]);
    await healed();
    await world.close();
    await Promise.all(proxies.map((proxy) => proxy.close()));
  },
);
