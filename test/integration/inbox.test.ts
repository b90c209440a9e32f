import { randomUUID } from 'node:crypto';
import { type RedisServer, TEST_TENANT, type TestClient, until } from '@replyx/testkit';
import { afterEach, expect, it } from 'vitest';
import { Receiver } from './receiver.js';
import { at, inParallel, joinVisitor, startWorld, type World, type WorldOptions } from './world.js';

const SECRET = 'the-present-secret-of-the-webhook';
const PREVIOUS = 'the-previous-secret-of-the-webhook';
const NODE_TTL_SECONDS = 3;

let world: World;
const receivers: Receiver[] = [];
afterEach(async () => {
  await world?.close();
  await Promise.all(receivers.splice(0).map((receiver) => receiver.down()));
});

const start = async (options: WorldOptions = {}): Promise<void> => {
  world = await startWorld({ ...options, env: { WS_NODE_TTL_SECONDS: NODE_TTL_SECONDS, ...options.env } });
};

const receiving = async (): Promise<Receiver> => {
  const receiver = new Receiver([SECRET, PREVIOUS]);
  await receiver.up();
  receivers.push(receiver);
  return receiver;
};

const redisOf = ({ redis }: World): RedisServer => {
  if (redis === undefined) throw new Error('this world has a Redis');
  return redis;
};

/** An assistant with an inbox; resolves when every node knows it. */
const makeAssistant = async (receiver?: Receiver, overrides: Record<string, unknown> = {}): Promise<string> => {
  const id = `bot-${randomUUID().slice(0, 8)}`;
  const webhook = receiver === undefined ? {} : { webhook: { url: `${receiver.url}/hook`, secret: SECRET } };
  const record = { tenant: TEST_TENANT, inbox: true, ...webhook, ...overrides };
  expect((await at(world.nodes, 0).api.put(`/v1/assistants/${id}`, record)).status).toBe(200);
  // A node looks at the control stream four times a second.
  await new Promise((resolve) => setTimeout(resolve, 600));
  return id;
};

const openDialog = async (assistantId: string, dialogId = `d-${randomUUID().slice(0, 8)}`): Promise<string> => {
  const record = { tenant: TEST_TENANT, assistant_id: assistantId };
  expect((await at(world.nodes, 0).api.put(`/v1/dialogs/${dialogId}`, record)).status).toBe(200);
  return dialogId;
};

const join = (assistantId: string, dialogId: string, node = 0): Promise<TestClient> =>
  joinVisitor(at(world.nodes, node), dialogId, {
    claims: { assistant_id: assistantId, sub: `v-${dialogId}`, name: 'Zoë' },
  });

const say = async (client: TestClient, texts: readonly string[]): Promise<void> => {
  for (const text of texts) {
    const answer = await client.publish(text, { id: text });
    expect([answer.type, answer.code]).toEqual(['ack', undefined]);
  }
};

/** One sample of a node's metrics, by name and labels as they are printed. */
const metricOf = (text: string, name: string): number => {
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  if (line === undefined) throw new Error(`no metric ${name}`);
  return Number(line.slice(name.length + 1));
};

const numbered = (count: number, prefix: string): string[] => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

const settledInOrder = async (receiver: Receiver, dialogId: string, texts: readonly string[], hangGuardMs = 90_000) => {
  await until(() => receiver.texts(dialogId).length >= texts.length, {
    what: `${texts.length} deliveries of ${dialogId}`,
    hangGuardMs,
  });
  expect(receiver.texts(dialogId)).toEqual(texts);
};

/** No delivery of a dialog came after a later one of it had been acknowledged, but for repeats of what was acknowledged. */
const expectOrder = (receiver: Receiver, dialogId: string): void => {
  const order: string[] = [];
  for (const { deliveryId, status } of receiver.received.filter(({ body }) => body.dialog_id === dialogId)) {
    if (order.includes(deliveryId)) continue;
    if (status !== undefined && status < 300) order.push(deliveryId);
  }
  const place = (id: string): [number, number] => {
    const [, ms, number] = id.split('-');
    return [Number(ms), Number(number)];
  };
  const sorted = [...order].sort((a, b) => place(a)[0] - place(b)[0] || place(a)[1] - place(b)[1]);
  expect(order).toEqual(sorted);
};

it('tells a backend the whole story of a dialog, signed, in order', async () => {
  await start();
  const receiver = await receiving();
  const assistant = await makeAssistant(receiver, {
    webhook: { url: `${receiver.url}/hook?a=1`, secret: SECRET, previous_secret: PREVIOUS },
  });
  const shown = await at(world.nodes, 1).api.get(`/v1/assistants/${assistant}`);
  expect(shown.body.webhook).toEqual({ url: `${receiver.url}/hook?a=1`, rotating: true });
  expect(JSON.stringify(shown.body)).not.toContain(SECRET);
  const dialogId = await openDialog(assistant);
  const client = await join(assistant, dialogId, 1);
  const second = await join(assistant, dialogId, 2);
  const began = performance.now();
  await say(client, ['one', 'zwei 😀', 'three']);
  await until(() => receiver.texts(dialogId).length === 3, { what: 'three messages' });
  console.log(`three messages were with the backend after ${Math.round(performance.now() - began)} ms`);
  const bot = { sender: { role: 'assistant', id: 'bot' }, text: 'an answer' };
  expect((await at(world.nodes, 2).api.post(`/v1/dialogs/${dialogId}/messages`, bot)).status).toBe(201);
  await client.close();
  await second.close();
  await until(() => receiver.received.some(({ body }) => body.kind === 'user_disconnected'), { what: 'the leave' });
  await at(world.nodes, 1).api.put(`/v1/dialogs/${dialogId}`, {
    tenant: TEST_TENANT,
    assistant_id: assistant,
    visitor_id: `v-${dialogId}`,
    closed: true,
  });
  await until(() => receiver.received.at(-1)?.body.kind === 'closed', { what: 'the end' });
  const mine = receiver.received;
  expect(mine.map(({ body }) => body.kind)).toEqual([
    'opened',
    'user_connected',
    'message',
    'message',
    'message',
    'user_disconnected',
    'closed',
  ]);
  for (const { body, signedBy, deliveryId, attempt, path } of mine) {
    expect(body).toMatchObject({ id: deliveryId, tenant: TEST_TENANT, assistant_id: assistant, dialog_id: dialogId });
    expect([signedBy, attempt, path]).toEqual([[SECRET, PREVIOUS], 1, '/hook?a=1']);
  }
  expect(mine[1]?.body.user).toEqual({ role: 'user', id: `v-${dialogId}`, name: 'Zoë' });
  expect(mine[3]?.body.message).toMatchObject({
    offset: 2,
    text: 'zwei 😀',
    sender: { role: 'user', id: `v-${dialogId}`, name: 'Zoë' },
  });
  expectOrder(receiver, dialogId);
});

it('reaches a backend that was away, slow or broken in the end: in order, without a loss, and no other waits for it', async () => {
  await start();
  const [down, broken, slow, well] = [await receiving(), await receiving(), await receiving(), await receiving()];
  const texts = numbered(6, 'm');
  const ids = await Promise.all([down, broken, slow, well].map((receiver) => makeAssistant(receiver)));
  const dialogs = await Promise.all(
    ids.map((id) => Promise.all([1, 2, 3].map(async () => ({ assistant: id, dialogId: await openDialog(id) })))),
  );
  const [, , , healthy] = dialogs;
  await until(() => [down, broken, slow, well].every(({ received }) => received.length === 3), { what: 'the opening' });
  await down.down();
  let isBroken = true;
  let turn = 0;
  // 500, cut connections, and half of them after the backend has taken it in.
  broken.behaviour = () => (isBroken ? ((['die', 500, 503] as const)[turn++ % 3] ?? 500) : 204);
  let isSlow = true;
  slow.behaviour = () => (isSlow ? 'hang' : 200);
  const clients = await Promise.all(
    dialogs.flat().map(async ({ assistant, dialogId }, i) => ({
      dialogId,
      client: await join(assistant, dialogId, i % 3),
    })),
  );
  const began = performance.now();
  await inParallel(clients, 12, ({ client }) => say(client, texts));
  for (const { dialogId } of healthy ?? []) await settledInOrder(well, dialogId, texts, 5_000);
  console.log(`the backend that works had everything after ${Math.round(performance.now() - began)} ms`);
  // Well into the trouble it is as quick as before.
  await until(() => performance.now() - began > 12_000, { what: 'a while of trouble', everyMs: 100 });
  const later = clients.find(({ dialogId }) => dialogId === healthy?.[0]?.dialogId);
  const again = performance.now();
  if (later !== undefined) await say(later.client, ['late']);
  await settledInOrder(well, healthy?.[0]?.dialogId ?? '', [...texts, 'late'], 5_000);
  console.log(`and a message in the midst of the trouble after ${Math.round(performance.now() - again)} ms`);
  expect(down.texts(dialogs[0]?.[0]?.dialogId ?? '')).toEqual([]);
  const total = async (name: string): Promise<number> => {
    const all = await Promise.all(world.nodes.map(({ api }) => api.get('/metrics')));
    return all.reduce((sum, { body }) => sum + metricOf(body, name), 0);
  };
  await until(async () => (await total('replyx_inbox_entries')) >= 54, { what: 'the waiting entries to be counted' });
  await until(async () => (await total('replyx_inbox_parked_dialogs')) > 0, { what: 'parked dialogs to be counted' });
  await down.up();
  isBroken = false;
  isSlow = false;
  for (const [receiver, group] of [
    [down, dialogs[0]],
    [broken, dialogs[1]],
    [slow, dialogs[2]],
  ] as const) {
    for (const { dialogId } of group ?? []) {
      await settledInOrder(receiver, dialogId, texts);
      expectOrder(receiver, dialogId);
    }
  }
  console.log(`all backends had everything after ${Math.round(performance.now() - began)} ms`);
  await until(
    async () => {
      const answer = await at(world.nodes, 0).api.get('/v1/cluster');
      return answer.body.nodes.every((node: { inbox: { entries: number } }) => node.inbox.entries === 0);
    },
    { what: 'the inbox to be empty, as the cluster tells it' },
  );
});

it('goes on when nodes are killed while they deliver: at least once, in order, and visitors of theirs are told to be gone', async () => {
  await start();
  const receiver = await receiving();
  const assistant = await makeAssistant(receiver);
  const dialogs = await Promise.all(numbered(12, 'k').map(() => openDialog(assistant)));
  const clients = await Promise.all(dialogs.map((dialogId, i) => join(assistant, dialogId, i % 2)));
  const lost = await join(assistant, await openDialog(assistant, 'held-by-a-node-that-dies'), 2);
  // Each takes a moment, so that the node dies in the middle of many.
  let seen = 0;
  const behaviour = receiver.behaviour;
  receiver.behaviour = (delivery) => (++seen % 7 === 0 ? 500 : behaviour(delivery));
  const texts = numbered(15, 'm');
  const saying = inParallel(clients, 12, (client) => say(client, texts));
  await until(() => receiver.received.length > 60, { what: 'deliveries under way' });
  await world.processes[2]?.kill();
  await saying;
  await lost.closed;
  for (const dialogId of dialogs) {
    await settledInOrder(receiver, dialogId, texts);
    expectOrder(receiver, dialogId);
  }
  await until(
    () =>
      receiver
        .acknowledged('held-by-a-node-that-dies')
        .some(({ body }) => body.kind === 'user_disconnected' && body.user.id === 'v-held-by-a-node-that-dies'),
    { what: 'the visitor of the dead node to be gone' },
  );
});

it('refuses visitors of an assistant whose backend takes nothing, at the bound and nobody else, until it does', async () => {
  await start({ nodes: 2, env: { WS_INBOX_MAX: 5 } });
  const [stuck, well] = [await receiving(), await receiving()];
  const [full, other] = [await makeAssistant(stuck), await makeAssistant(well)];
  const dialogId = await openDialog(full);
  const elsewhere = await openDialog(other);
  await until(() => stuck.received.length === 1, { what: 'the opening' });
  let isStuck = true;
  stuck.behaviour = () => (isStuck ? 500 : 204);
  const client = await join(full, dialogId, 0);
  const neighbour = await join(other, elsewhere, 0);
  await say(client, numbered(4, 'm'));
  const refused = await client.publish('over', { id: 'over' });
  expect(refused).toMatchObject({ type: 'error', code: 'unavailable', temporary: true });
  await say(neighbour, numbered(8, 'n'));
  const fullOf = async (): Promise<string[]> => {
    const answer = await at(world.nodes, 1).api.get('/v1/cluster');
    return answer.body.nodes.flatMap((node: { inbox: { full: string[] } }) => node.inbox.full);
  };
  await until(async () => (await fullOf()).includes(full), { what: 'the cluster to say so' });
  const metrics = await Promise.all(world.nodes.map(({ api }) => api.get('/metrics')));
  const sum = (name: string): number => metrics.reduce((total, { body }) => total + metricOf(body, name), 0);
  expect(sum('replyx_inbox_full_assistants')).toBe(1);
  expect(sum('replyx_publishes_total{result="inbox_full"}')).toBe(1);
  for (const node of world.nodes) expect((await node.api.get('/readyz')).status).toBe(200);
  isStuck = false;
  await settledInOrder(stuck, dialogId, numbered(4, 'm'));
  // Its retry is a first attempt: nothing was left behind.
  expect(await client.publish('over', { id: 'over' })).toMatchObject({ type: 'ack', offset: 5 });
  await settledInOrder(stuck, dialogId, [...numbered(4, 'm'), 'over']);
  await until(async () => (await fullOf()).length === 0, { what: 'the cluster to say that it is over' });
});

it('is read by consumer groups where there is no webhook, and keeps what they have not acknowledged', async () => {
  await start({ nodes: 2 });
  const redis = redisOf(world);
  const assistant = await makeAssistant();
  const dialogId = await openDialog(assistant);
  const client = await join(assistant, dialogId, 1);
  await say(client, numbered(3, 'm'));
  const streams = (await redis.cli('KEYS', 'rx:{p*}:inbox')) as string[];
  expect(streams).toHaveLength(1);
  const [stream = ''] = streams;
  // Nobody reads yet: nothing goes.
  await new Promise((resolve) => setTimeout(resolve, 2 * NODE_TTL_SECONDS * 1_000));
  expect(await redis.cli('XLEN', stream)).toBe(5);
  await redis.cli('XGROUP', 'CREATE', stream, 'backend', '0');
  const [[, entries]] = (await redis.cli(
    ...['XREADGROUP', 'GROUP', 'backend', 'worker', 'COUNT', '10', 'STREAMS', stream, '>'],
  )) as [[string, [string, string[]][]]];
  const read = entries.map(([id, fields]) => ({ id, body: JSON.parse(fields[fields.indexOf('e') + 1] ?? '') }));
  expect(read.map(({ body }) => body.kind)).toEqual(['opened', 'user_connected', 'message', 'message', 'message']);
  await redis.cli('XACK', stream, 'backend', ...read.slice(0, 2).map(({ id }) => id), read[3]?.id ?? '');
  await until(async () => (await redis.cli('XLEN', stream)) === 3, { what: 'what was acknowledged first to go' });
  await new Promise((resolve) => setTimeout(resolve, 2 * NODE_TTL_SECONDS * 1_000));
  expect(await redis.cli('XLEN', stream)).toBe(3);
  await redis.cli('XACK', stream, 'backend', ...read.map(({ id }) => id));
  await until(async () => (await redis.cli('XLEN', stream)) === 0, { what: 'everything to go' });
  await until(async () => (await redis.cli('HGET', `${stream}:n`, '~all')) === null, {
    what: 'the count to be nothing',
  });
});
