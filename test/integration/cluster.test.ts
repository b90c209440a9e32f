import { assertDelivery, type ReceivedFrame, type TestClient, until } from '@replyx/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import {
  at,
  inParallel,
  joinOperator,
  joinVisitor,
  keyOf,
  makeDialog,
  startMemoryWorld,
  startWorld,
  type World,
} from './world.js';

let world: World | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
});

interface Load {
  readonly dialogs: number;
  readonly messages: number;
  /** Messages that are sent and not yet acknowledged, over all sockets. */
  readonly inFlight: number;
}

const sides = (running: World, dialogId: string, i: number): Promise<TestClient[]> =>
  Promise.all([
    joinVisitor(at(running.nodes, i), dialogId, { clientId: 'tab-1' }),
    joinVisitor(at(running.nodes, i + 1), dialogId, { clientId: 'tab-2' }),
    joinOperator(at(running.nodes, i + 2), dialogId, { claims: { sub: 'operator-1' } }),
    joinOperator(at(running.nodes, i), dialogId, { claims: { sub: 'operator-2' } }),
  ]);

const everybodySeesEverything = async (running: World, load: Load): Promise<void> => {
  const ids = Array.from({ length: load.dialogs }, (_, i) => `dialog-${i}`);
  await inParallel(ids, 10, (id) => makeDialog(running, id));
  const dialogs: TestClient[][] = [];
  await inParallel(ids, 10, async (id, i) => {
    dialogs[i] = await sides(running, id, i);
  });
  const acknowledged = ids.map(() => new Map<string, number>());
  const messages = Array.from({ length: load.messages }, (_, n) => n);
  await inParallel(messages, load.inFlight, async (n) => {
    const index = n % load.dialogs;
    const clients = dialogs[index] ?? [];
    const who = Math.floor(n / load.dialogs) % clients.length;
    const id = `m${n}`;
    const ack = await at(clients, who).publish(`message ${n} of dialog ${index}, ünïcödé 🙂`, { id });
    expect(ack).toMatchObject({ type: 'ack', id });
    acknowledged[index]?.set(id, ack.offset ?? 0);
  });
  const each = load.messages / load.dialogs;
  for (const clients of dialogs) {
    for (const client of clients) {
      await until(() => client.messages().length >= each, { what: `${each} messages on every socket` });
    }
  }
  const inOrder = (frames: readonly ReceivedFrame[]) => frames.map((frame) => [frame.offset, frame.id]);
  for (const [index, clients] of dialogs.entries()) {
    const seen = clients[0]?.messages() ?? [];
    expect(seen.map((frame) => frame.offset)).toEqual(Array.from({ length: each }, (_, i) => i + 1));
    expect(seen.every((frame) => frame.text?.includes(`of dialog ${index},`))).toBe(true);
    expect(new Map(seen.map((frame) => [frame.id, frame.offset]))).toEqual(new Map(acknowledged[index]));
    for (const client of clients) expect(inOrder(client.messages())).toEqual(inOrder(seen));
    assertDelivery({
      readers: clients.map((client, i) => ({ reader: `dialog ${index} socket ${i}`, entries: client.deliveries() })),
      acknowledged: seen.map((frame) => ({ key: keyOf(frame), offset: frame.offset ?? 0 })),
    });
  }
};

describe('one dialog on every node', () => {
  it('shows every message on every socket, once and in one order: three processes on one Redis', async () => {
    world = await startWorld();
    await everybodySeesEverything(world, { dialogs: 50, messages: 20_000, inFlight: 200 });
  });

  it('does the same in memory', async () => {
    world = await startMemoryWorld();
    await everybodySeesEverything(world, { dialogs: 50, messages: 20_000, inFlight: 200 });
  });

  it('does the same on a Redis Cluster with sharded pub/sub', async () => {
    world = await startWorld({ redis: { cluster: true } });
    await everybodySeesEverything(world, { dialogs: 50, messages: 5_000, inFlight: 100 });
  });
});
