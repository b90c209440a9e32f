import { type ReceivedFrame, seededRandom, type TestClient, until } from '@replyx/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { at, joinOperator, joinVisitor, makeDialog, startMemoryWorld, startWorld, type World } from './world.js';

const worlds: readonly [string, () => Promise<World>][] = [
  ['Redis', () => startWorld()],
  ['memory', () => startMemoryWorld()],
];

const BOT = { role: 'assistant', id: 'bot', name: 'Bot' };
const ROUNDS = 200;

let serial = 0;
const fresh = (what: string): string => `${what}-${++serial}`;

/** A step of an answer, through any node. */
const stream = async (world: World, node: number, dialogId: string, body: Record<string, unknown>) =>
  at(world.nodes, node).api.post(`/v1/dialogs/${dialogId}/stream`, body);
const begin = (world: World, node: number, dialogId: string, id: string, fence?: number) =>
  stream(world, node, dialogId, { action: 'start', id, sender: BOT, ...(fence === undefined ? {} : { fence }) });
const add = (world: World, node: number, dialogId: string, stream_id: string, index: number, text: string) =>
  stream(world, node, dialogId, { action: 'append', stream_id, index, text });
const end = (world: World, node: number, dialogId: string, stream_id: string, action: 'finish' | 'abort') =>
  stream(world, node, dialogId, { action, stream_id });

const deltasOf = (client: TestClient, streamId: string): ReceivedFrame[] =>
  client.frames.filter((frame) => frame.type === 'delta' && frame['stream_id'] === streamId);
/** What a client that follows the rule has of a stream. */
const textOf = (client: TestClient, streamId: string): string =>
  deltasOf(client, streamId).reduce(
    (text, frame) => (frame['whole'] === true ? String(frame.text) : `${text}${frame.text}`),
    '',
  );
const isDone = (streamId: string) => (frame: ReceivedFrame) =>
  frame.type === 'delta' && frame['stream_id'] === streamId && frame['done'] === true;
const inState = (state: string) => (frame: ReceivedFrame) => frame.type === 'handoff' && frame['state'] === state;
const anna = { claims: { sub: 'secret-anna', name: 'Anna', public_id: 'public-anna' } };
const boris = { claims: { sub: 'secret-boris', name: 'Boris' } };

describe.each(worlds)('a handoff, on %s', (_name, start) => {
  let world: World;
  beforeAll(async () => {
    world = await start();
  });
  afterAll(async () => {
    await world?.close();
  });

  it('goes from a request over a takeover to a release, on all nodes, and a visitor sees the public id only', async () => {
    const dialogId = fresh('flow');
    await makeDialog(world, dialogId);
    const visitor = await joinVisitor(at(world.nodes, 0), dialogId);
    const operator = await joinOperator(at(world.nodes, 1), dialogId, anna);
    expect((await visitor.waitFor('connected'))['handoff']).toEqual({ state: 'none' });
    expect(await visitor.request({ type: 'handoff', id: 'h1', action: 'request' })).toEqual({ type: 'ack', id: 'h1' });
    expect(await operator.waitFor(inState('requested'))).toEqual({ type: 'handoff', state: 'requested' });
    expect(await visitor.request({ type: 'handoff', action: 'take' })).toMatchObject({ code: 'not_allowed' });
    expect(await visitor.request({ type: 'handoff', action: 'release' })).toMatchObject({ code: 'not_allowed' });
    expect(await operator.request({ type: 'handoff', id: 'h2', action: 'take' })).toEqual({ type: 'ack', id: 'h2' });
    const again = { type: 'handoff', id: 'h2', action: 'take' };
    expect(await operator.request(again)).toEqual({ type: 'ack', id: 'h2', duplicate: true });
    expect(await visitor.waitFor(inState('active'))).toEqual({
      type: 'handoff',
      state: 'active',
      operator: { role: 'manager' },
    });
    expect(await operator.waitFor(inState('active'))).toMatchObject({ operator: { id: 'secret-anna', name: 'Anna' } });
    await operator.publish('How can I help?');
    await visitor.waitFor('message');

    const late = await joinVisitor(at(world.nodes, 2), dialogId, { clientId: 'late' });
    const shown = { role: 'manager', id: 'public-anna', name: 'Anna' };
    expect((await late.waitFor('connected'))['handoff']).toEqual({ state: 'active', operator: shown });
    // It is not bound to a connection: the operator may go and come back, and another may give the dialog back.
    await operator.close();
    const other = await joinOperator(at(world.nodes, 0), dialogId, boris);
    expect((await other.waitFor('connected'))['handoff']).toMatchObject({
      state: 'active',
      operator: { id: 'secret-anna' },
    });
    expect(await other.request({ type: 'handoff', action: 'release' })).toMatchObject({ type: 'ack' });
    expect(await late.waitFor(inState('released'))).toEqual({ type: 'handoff', state: 'released', operator: shown });
    for (const client of [visitor, late])
      expect(JSON.stringify(client.frames)).not.toMatch(/secret-anna|secret-boris|Boris/);
    await Promise.all([visitor, late, other].map((client) => client.close()));
  });

  it('is asked for and taken back by a backend, with a reason, and read by it', async () => {
    const dialogId = fresh('api');
    const path = `/v1/dialogs/${dialogId}/handoff`;
    const [{ api: first }, { api: second }] = [at(world.nodes, 0), at(world.nodes, 1)];
    expect((await first.get(path)).status).toBe(404);
    expect((await first.post(path, { id: '1', action: 'request' })).status).toBe(404);
    await makeDialog(world, dialogId);
    const visitor = await joinVisitor(at(world.nodes, 2), dialogId);
    const ask = { id: '1', action: 'request', reason: 'The visitor is "angry".' };
    const asked = { state: 'requested', reason: ask.reason };
    expect(await first.post(path, ask)).toMatchObject({ status: 200, body: asked });
    expect(await second.post(path, ask)).toMatchObject({ status: 200, body: asked });
    expect(await visitor.waitFor(inState('requested'))).toEqual({ type: 'handoff', ...asked });
    expect((await second.get(path)).body).toEqual(asked);
    expect(await first.post(path, { id: '1', action: 'cancel' })).toMatchObject({ status: 409 });
    expect((await first.post(path, { id: '2', action: 'cancel' })).body).toEqual({ state: 'cancelled' });
    expect((await first.post(path, { id: '3', action: 'cancel' })).body.code).toBe('conflict');
    expect((await first.post(path, { id: '4', action: 'take' })).status).toBe(400);
    await visitor.waitFor(inState('cancelled'));
    expect(visitor.frames.filter(({ type }) => type === 'handoff')).toHaveLength(2);
    await makeDialog(world, dialogId, { closed: true });
    expect((await first.post(path, { id: '5', action: 'request' })).body.code).toBe('closed');
    await visitor.close();
  });

  it('is won by one of two operators at once', async () => {
    const dialogId = fresh('two');
    await makeDialog(world, dialogId);
    const visitor = await joinVisitor(at(world.nodes, 0), dialogId);
    const operators = [
      await joinOperator(at(world.nodes, 1), dialogId, anna),
      await joinOperator(at(world.nodes, 2), dialogId, boris),
    ];
    for (let round = 1; round <= 30; round += 1) {
      const order = round % 2 === 0 ? operators : operators.toReversed();
      const answers = await Promise.all(order.map((one) => one.request({ type: 'handoff', action: 'take' })));
      expect(answers.map(({ type, code }) => code ?? type).sort()).toEqual(['ack', 'conflict']);
      const winner = order[answers.findIndex(({ type }) => type === 'ack')];
      expect(await winner?.request({ type: 'handoff', action: 'release' })).toMatchObject({ type: 'ack' });
      await until(() => visitor.frames.filter(inState('released')).length === round, { what: 'the release' });
    }
    expect(visitor.frames.filter(({ type }) => type === 'handoff').map(({ state }) => state)).toEqual(
      Array.from({ length: 30 }, () => ['active', 'released']).flat(),
    );
    await Promise.all([visitor, ...operators].map((client) => client.close()));
  });

  it('silences an assistant while the dialog is taken, and lets it write again after the release', async () => {
    const dialogId = fresh('bot');
    await makeDialog(world, dialogId);
    const { api } = at(world.nodes, 0);
    const write = async (body: Record<string, unknown> = {}) => {
      const { status, body: answer } = await api.post(`/v1/dialogs/${dialogId}/messages`, {
        sender: BOT,
        text: 'x',
        ...body,
      });
      return status === 201 ? 201 : answer.code;
    };
    const operator = await joinOperator(at(world.nodes, 1), dialogId, anna);
    expect([await write(), await write({ fence: 5 })]).toEqual([201, 201]);
    await operator.request({ type: 'handoff', action: 'take' });
    expect([await write(), await write({ fence: 5 })]).toEqual(['stale_fence', 'stale_fence']);
    expect((await begin(world, 2, dialogId, 'nope')).body.code).toBe('stale_fence');
    expect(await write({ sender: { role: 'system', id: 's' } })).toBe(201);
    const { fence } = (await api.get(`/v1/dialogs/${dialogId}/handoff`)).body;
    expect([await write({ fence: fence - 1 }), await write({ fence })]).toEqual(['stale_fence', 201]);
    await operator.request({ type: 'handoff', action: 'release' });
    expect([await write(), await write({ fence }), await write({ fence: 5 })]).toEqual([201, 201, 'stale_fence']);
    expect((await begin(world, 2, dialogId, 'again')).status).toBe(200);
    await operator.close();
  });

  it('is counted with the answers by what came of each step', async () => {
    const dialogId = fresh('counted');
    await makeDialog(world, dialogId);
    const counts = async (): Promise<Map<string, number>> => {
      const sums = new Map<string, number>();
      const lines = /^(replyx_(?:handoffs_total|stream_steps_total|handoff_wait_seconds_count)(?:\{[^}]*\})?) (\d+)$/gm;
      for (const { api } of world.nodes) {
        const { body } = await api.get('/metrics');
        for (const [, name = '', value] of String(body).matchAll(lines))
          sums.set(name, (sums.get(name) ?? 0) + Number(value));
      }
      return sums;
    };
    const before = await counts();
    const [first, second] = [
      await joinOperator(at(world.nodes, 0), dialogId, anna),
      await joinOperator(at(world.nodes, 1), dialogId, boris),
    ];
    const id = fresh('answer');
    await begin(world, 0, dialogId, id);
    await add(world, 1, dialogId, id, 0, 'Hm');
    await add(world, 1, dialogId, id, 7, 'no');
    await at(world.nodes, 2).api.post(`/v1/dialogs/${dialogId}/handoff`, { id: fresh('ask'), action: 'request' });
    await first.request({ type: 'handoff', action: 'take' });
    await second.request({ type: 'handoff', action: 'take' });
    await add(world, 2, dialogId, id, 1, 'late');
    await first.request({ type: 'handoff', action: 'release' });
    // Nobody had asked for that one: it has not waited.
    await second.request({ type: 'handoff', action: 'take' });
    const after = await counts();
    const grown = [...after].filter(([name, value]) => value !== (before.get(name) ?? 0));
    const more = (name: string, by: number) => [name, (before.get(name) ?? 0) + by];
    expect(Object.fromEntries(grown)).toEqual(
      Object.fromEntries([
        more('replyx_handoffs_total{action="request",result="done"}', 1),
        more('replyx_handoffs_total{action="take",result="done"}', 2),
        more('replyx_handoff_wait_seconds_count', 1),
        more('replyx_handoffs_total{action="take",result="conflict"}', 1),
        more('replyx_handoffs_total{action="release",result="done"}', 1),
        more('replyx_stream_steps_total{action="start",result="ok"}', 1),
        more('replyx_stream_steps_total{action="append",result="ok"}', 1),
        more('replyx_stream_steps_total{action="append",result="conflict"}', 1),
        more('replyx_stream_steps_total{action="append",result="stale_fence"}', 1),
      ]),
    );
    await Promise.all([first.close(), second.close()]);
  });

  it('streams an answer through all nodes to all sockets, and ends it with its message', async () => {
    const dialogId = fresh('stream');
    await makeDialog(world, dialogId);
    const clients = await Promise.all(
      [0, 1, 2].map((node) => joinVisitor(at(world.nodes, node), dialogId, { clientId: `c${node}` })),
    );
    const id = fresh('answer');
    expect((await begin(world, 0, dialogId, id)).body).toEqual({
      stream_id: id,
      state: 'open',
      index: 0,
      duplicate: false,
    });
    const pieces = ['Your ', '"order" ', 'is on\n', 'its way 🚚'];
    for (const [index, piece] of pieces.entries()) {
      const open = { stream_id: id, state: 'open', index: index + 1 };
      expect((await add(world, index, dialogId, id, index, piece)).body).toEqual({ ...open, duplicate: false });
      expect((await add(world, index + 1, dialogId, id, index, piece)).body).toEqual({ ...open, duplicate: true });
    }
    expect((await add(world, 0, dialogId, id, 2, 'x')).body.code).toBe('conflict');
    expect((await add(world, 0, dialogId, id, 4, 'x'.repeat(9_990))).body.code).toBe('too_large');
    const finished = await end(world, 1, dialogId, id, 'finish');
    expect(finished).toMatchObject({ status: 200, body: { state: 'finished', offset: 1, duplicate: false } });
    const again = await end(world, 2, dialogId, id, 'finish');
    expect(again.body).toEqual({ ...finished.body, duplicate: true });
    expect((await end(world, 2, dialogId, id, 'abort')).body.code).toBe('conflict');
    for (const client of clients) {
      const message = await client.waitFor('message');
      expect(message).toMatchObject({ id, offset: 1, text: pieces.join(''), sender: BOT });
      expect(deltasOf(client, id).map(({ index, text, done }) => done ?? `${index} ${text}`)).toEqual([
        ...pieces.map((piece, index) => `${index} ${piece}`),
        true,
      ]);
      expect(client.frames.at(client.frames.indexOf(message) - 1)).toMatchObject({ done: true, reason: 'finished' });
    }
    const aborted = fresh('answer');
    await begin(world, 0, dialogId, aborted);
    await add(world, 0, dialogId, aborted, 0, 'Hm');
    expect((await end(world, 1, dialogId, aborted, 'abort')).body).toMatchObject({ state: 'aborted' });
    for (const client of clients) expect(await client.waitFor(isDone(aborted))).toMatchObject({ reason: 'aborted' });
    expect((await begin(world, 0, dialogId, fresh('x'), 5)).status).toBe(200);
    expect((await begin(world, 0, dialogId, fresh('x'), 4)).body.code).toBe('stale_fence');
    for (let more = 0; more < 3; more += 1) expect((await begin(world, 0, dialogId, fresh('x'))).status).toBe(200);
    const full = await begin(world, 0, dialogId, fresh('x'));
    expect([full.status, full.body.temporary]).toEqual([429, true]);
    await Promise.all(clients.map((client) => client.close()));
  });

  it('gives an answer whole to those who join or resume in the middle, at the right index', async () => {
    const dialogId = fresh('middle');
    await makeDialog(world, dialogId);
    const id = fresh('answer');
    const early = await joinVisitor(at(world.nodes, 0), dialogId, { clientId: 'early' });
    await early.publish('a question');
    await begin(world, 0, dialogId, id);
    const joined: TestClient[] = [];
    const writing = (async () => {
      for (let index = 0; index < 60; index += 1) await add(world, index, dialogId, id, index, `${index} `);
    })();
    for (let number = 0; number < 9; number += 1) {
      const node = at(world.nodes, number);
      const clientId = `c${number}`;
      const client =
        number % 3 === 0
          ? await joinOperator(node, dialogId, { claims: { sub: `o${number}` } })
          : await joinVisitor(node, dialogId, {
              clientId,
              ...(number % 3 === 1 && early.position !== undefined ? { position: early.position } : {}),
            });
      joined.push(client);
    }
    await writing;
    const resumed = await joinVisitor(at(world.nodes, 1), dialogId, { clientId: 'last' });
    const expected = Array.from({ length: 60 }, (_, index) => `${index} `).join('');
    for (const client of [early, resumed, ...joined]) {
      await until(() => deltasOf(client, id).at(-1)?.['index'] === 59, { what: 'the last piece' });
      expect(textOf(client, id)).toBe(expected);
      const indexes = deltasOf(client, id).map(({ index }) => Number(index));
      expect(indexes).toEqual(indexes.map((_, place) => (indexes[0] ?? 0) + place));
    }
    await end(world, 0, dialogId, id, 'finish');
    for (const client of [early, resumed, ...joined]) {
      await client.waitFor((frame) => frame.type === 'message' && frame.id === id);
      expect(deltasOf(client, id).filter(isDone(id))).toHaveLength(1);
    }
    await Promise.all([early, resumed, ...joined].map((client) => client.close()));
  });

  it('taken at delta 200 of 500, from another node, ends the answer there', async () => {
    const dialogId = fresh('takeover');
    await makeDialog(world, dialogId);
    const visitor = await joinVisitor(at(world.nodes, 2), dialogId);
    const operator = await joinOperator(at(world.nodes, 1), dialogId, anna);
    const id = fresh('answer');
    await begin(world, 0, dialogId, id);
    const codes: unknown[] = [];
    let taking: Promise<unknown> | undefined;
    for (let index = 0; index < 500; index += 1) {
      if (index === 200) taking = operator.request({ type: 'handoff', action: 'take' });
      const { body } = await add(world, 0, dialogId, id, index, `${index} `);
      if (body.code !== undefined) codes.push(body.code);
    }
    expect(await taking).toMatchObject({ type: 'ack' });
    expect(codes.length).toBeGreaterThan(250);
    expect(new Set(codes)).toEqual(new Set(['stale_fence']));
    expect((await end(world, 0, dialogId, id, 'finish')).body.code).toBe('stale_fence');
    for (const client of [visitor, operator]) {
      const active = await client.waitFor(inState('active'));
      const deltas = deltasOf(client, id);
      expect(deltas).toHaveLength(501 - codes.length);
      expect(deltas.filter(isDone(id))).toHaveLength(1);
      expect(deltas.at(-1)).toMatchObject({ done: true, reason: 'stale_fence' });
      expect(client.frames.indexOf(deltas.at(-1) as ReceivedFrame)).toBeLessThan(client.frames.indexOf(active));
      expect(client.messages()).toEqual([]);
    }
    await Promise.all([visitor, operator].map((client) => client.close()));
  });

  it(`has one winner against the end of an answer, over ${ROUNDS} rounds and both orders`, async () => {
    const seed = 20_260_101;
    const random = seededRandom(seed);
    const dialogId = fresh('race');
    await makeDialog(world, dialogId);
    const visitor = await joinVisitor(at(world.nodes, 2), dialogId);
    const operator = await joinOperator(at(world.nodes, 1), dialogId, anna);
    const won = { answer: 0, person: 0 };
    for (let round = 0; round < ROUNDS; round += 1) {
      const id = fresh('answer');
      await begin(world, 0, dialogId, id);
      // Before some piece, or about when the answer is finished.
      const takeAt = random.below(12);
      const lateMs = random.below(9);
      let taking: Promise<ReceivedFrame> | undefined;
      let status = 200;
      for (let index = 0; index < 6 && status === 200; index += 1) {
        if (index === takeAt) taking = operator.request({ type: 'handoff', action: 'take' });
        // Through another node than the last one, and than the operator's.
        ({ status } = await add(world, 2 * (index % 2), dialogId, id, index, `${index} `));
      }
      const finishing = end(world, 0, dialogId, id, 'finish');
      if (taking === undefined) {
        await new Promise((resolve) => setTimeout(resolve, lateMs));
        taking = operator.request({ type: 'handoff', action: 'take' });
      }
      const [taken, finished] = await Promise.all([taking, finishing]);
      expect(taken).toMatchObject({ type: 'ack' });
      const isPublished = finished.status === 200;
      won[isPublished ? 'answer' : 'person'] += 1;
      if (!isPublished) expect(finished.body.code).toBe('stale_fence');
      expect((await operator.request({ type: 'handoff', action: 'release' })).type).toBe('ack');
      for (const client of [visitor, operator]) {
        await until(() => client.frames.filter(inState('released')).length === round + 1, { what: 'the release' });
        const deltas = deltasOf(client, id);
        const what = `seed ${seed}, round ${round}: ${client.summary(12)}`;
        expect([deltas.filter(isDone(id)).length, what]).toEqual([1, what]);
        expect([deltas.at(-1)?.['done'], what]).toEqual([true, what]);
        expect([deltas.map(({ index }) => index), what]).toEqual([deltas.map((_, index) => index), what]);
        const active = client.frames.filter(inState('active')).at(-1) as ReceivedFrame;
        const place = client.frames.indexOf(active);
        // Whatever is of the answer came before the person did.
        expect([
          client.frames.slice(place).some((frame) => frame['stream_id'] === id || frame.id === id),
          what,
        ]).toEqual([false, what]);
        expect([client.messages().filter((message) => message.id === id).length, what]).toEqual([
          isPublished ? 1 : 0,
          what,
        ]);
      }
    }
    console.log(`takeover against finish, seed ${seed}: ${won.person} to the person, ${won.answer} to the answer`);
    expect(Math.min(won.answer, won.person)).toBeGreaterThan(ROUNDS / 20);
    await Promise.all([visitor, operator].map((client) => client.close()));
  });
});
