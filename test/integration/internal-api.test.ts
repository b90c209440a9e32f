import { connect, internalApi, until } from '@replyx/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { at, joinOperator, joinVisitor, makeDialog, startWorld, type World, type WorldNode } from './world.js';

let world: World;
let node: WorldNode;
beforeAll(async () => {
  world = await startWorld({ nodes: 2 });
  node = at(world.nodes, 0);
  await makeDialog(world, 'd');
});
afterAll(async () => {
  await world?.close();
});

const BOT = { role: 'assistant', id: 'bot' };

describe('the internal listener', () => {
  it('answers 401 without a key or with a wrong one, on every route that has something to give', async () => {
    const routes: readonly ['get' | 'post' | 'put' | 'delete', string][] = [
      ['get', '/v1/cluster'],
      ['get', '/v1/dialogs/d'],
      ['get', '/v1/dialogs/d/messages'],
      ['get', '/v1/dialogs/d/presence'],
      ['post', '/v1/dialogs/d/messages'],
      ['post', '/v1/dialogs/d/events'],
      ['put', '/v1/dialogs/d'],
      ['delete', '/v1/dialogs/d'],
      ['put', '/v1/assistants/a'],
      ['get', '/v1/assistants/a'],
      ['delete', '/v1/assistants/a'],
      ['post', '/v1/tokens'],
    ];
    for (const key of [null, '', 'wrong', `${'x'.repeat(44)}`]) {
      for (const [method, path] of routes) {
        const answer = await internalApi(node.internalUrl, key)[method](path, method === 'get' ? undefined : {});
        expect([method, path, answer.status, answer.body.code]).toEqual([method, path, 401, 'unauthorized']);
      }
    }
    expect((await node.api.get('/v1/dialogs/d')).status).toBe(200);
  });

  it('tells nobody without a key whether a node lives and is ready, but as health checks need it', async () => {
    const open = internalApi(node.internalUrl, null);
    expect(await open.get('/livez')).toMatchObject({ status: 200, body: { status: 'alive' } });
    expect(await open.get('/readyz')).toMatchObject({ status: 200, body: { status: 'ready', reasons: [] } });
    expect((await open.get('/metrics')).body).toMatch(/^# HELP/);
  });

  it('publishes: 201, then the same offset for the same id, and a conflict for another body', async () => {
    const reader = await joinVisitor(at(world.nodes, 1), 'd');
    const first = await node.api.post('/v1/dialogs/d/messages', {
      id: 'a',
      sender: { ...BOT, name: 'Bot' },
      text: 'Hello',
      meta: { k: 1 },
    });
    expect(first).toMatchObject({ status: 201, body: { id: 'a', offset: 1, duplicate: false } });
    const again = await at(world.nodes, 1).api.post('/v1/dialogs/d/messages', {
      id: 'a',
      sender: BOT,
      text: 'Hello',
      meta: { k: 1 },
    });
    expect(again).toMatchObject({ status: 201, body: { offset: 1, duplicate: true, epoch: first.body.epoch } });
    const other = await node.api.post('/v1/dialogs/d/messages', { id: 'a', sender: BOT, text: 'Bye' });
    expect(other).toMatchObject({ status: 409, body: { code: 'conflict', status: 409 } });
    expect(other.headers.get('content-type')).toBe('application/problem+json');
    const made = await node.api.post('/v1/dialogs/d/messages', { sender: BOT, text: 'No id' });
    expect(made.status).toBe(201);
    expect(made.body.id).toMatch(/^[\w-]{8,64}$/);
    const message = await reader.waitFor('message');
    expect(message).toMatchObject({
      id: 'a',
      sender: { role: 'assistant', id: 'bot', name: 'Bot' },
      text: 'Hello',
      meta: { k: 1 },
    });
    await reader.close();
  });

  it('refuses a stale fence, leaves nothing of it, and appends the retry with a good one once', async () => {
    await makeDialog(world, 'fenced');
    const publish = (id: string, fence?: number) =>
      node.api.post('/v1/dialogs/fenced/messages', {
        id,
        sender: BOT,
        text: `text ${id}`,
        ...(fence === undefined ? {} : { fence }),
      });
    expect((await publish('one', 10)).status).toBe(201);
    expect(await publish('two', 9)).toMatchObject({ status: 409, body: { code: 'stale_fence' } });
    expect(await publish('two', 10)).toMatchObject({ status: 201, body: { offset: 2, duplicate: false } });
    expect(await publish('three', 12)).toMatchObject({ status: 201, body: { offset: 3 } });
    expect(await publish('four', 11)).toMatchObject({ status: 409 });
    // What was appended is a duplicate, whatever the fence is by now.
    expect(await publish('one', 10)).toMatchObject({ status: 201, body: { offset: 1, duplicate: true } });
    const page = await node.api.get('/v1/dialogs/fenced/messages');
    expect(page.body.messages.map((message: { id: string }) => message.id)).toEqual(['one', 'two', 'three']);
  });

  it('pages history both ways', async () => {
    await makeDialog(world, 'pages');
    for (let n = 1; n <= 25; n += 1)
      await node.api.post('/v1/dialogs/pages/messages', { id: `p${n}`, sender: BOT, text: `${n}` });
    const page = async (query: string) => {
      const { status, body } = await at(world.nodes, 1).api.get(`/v1/dialogs/pages/messages${query}`);
      expect(status).toBe(200);
      return [body.messages.map((message: { offset: number }) => message.offset), body.more, body.offset];
    };
    const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
    expect(await page('')).toEqual([range(1, 25), false, 25]);
    expect(await page('?limit=10')).toEqual([range(16, 25), true, 25]);
    expect(await page('?limit=10&before=16')).toEqual([range(6, 15), true, 25]);
    expect(await page('?limit=10&before=6')).toEqual([range(1, 5), false, 25]);
    expect(await page('?limit=10&after=0')).toEqual([range(1, 10), true, 25]);
    expect(await page('?limit=10&after=20')).toEqual([range(21, 25), false, 25]);
    expect(await page('?after=25')).toEqual([[], false, 25]);
    expect(await page('?after=99')).toEqual([[], false, 25]);
    expect(await page('?track=internal')).toEqual([[], false, 0]);
    for (const query of [
      '?limit=0',
      '?limit=101',
      '?limit=x',
      '?before=1&after=1',
      '?track=secret',
      '?limit=1&limit=2',
    ]) {
      expect((await node.api.get(`/v1/dialogs/pages/messages${query}`)).body).toMatchObject({ code: 'bad_frame' });
    }
  });

  const badBodies: readonly [string, unknown][] = [
    ['no body', undefined],
    ['no JSON', '{'],
    ['a list', '[]'],
    ['an unknown field', { sender: BOT, text: 'x', extra: 1 }],
    ['a repeated field', '{"sender":{"role":"assistant","id":"bot"},"text":"x","text":"y"}'],
    ['no sender', { text: 'x' }],
    ['a sender of role user', { sender: { role: 'user', id: 'v' }, text: 'x' }],
    ['an empty text', { sender: BOT, text: '' }],
    ['a fence that is text', { sender: BOT, text: 'x', fence: '5' }],
    [
      'deep nesting',
      `{"sender":{"role":"assistant","id":"bot"},"text":"x","meta":${'{"a":'.repeat(40)}1${'}'.repeat(41)}`,
    ],
  ];
  it.each(badBodies)('answers 400 to %s', async (_name, body) => {
    expect(await node.api.post('/v1/dialogs/d/messages', body)).toMatchObject({
      status: 400,
      body: { code: 'bad_frame' },
    });
  });

  it('answers 413 to a body over 256 KiB, and 404 to what does not exist', async () => {
    const big = await node.api.post('/v1/dialogs/d/messages', { sender: BOT, text: 'x'.repeat(300_000) });
    expect(big).toMatchObject({ status: 413, body: { code: 'too_large' } });
    expect((await node.api.post('/v1/dialogs/unknown/messages', { sender: BOT, text: 'x' })).status).toBe(404);
    expect((await node.api.get('/v1/dialogs/unknown/messages')).status).toBe(404);
    expect((await node.api.post('/v1/dialogs/unknown/events', { type: 'event', name: 'n', data: 1 })).status).toBe(404);
    expect((await node.api.get('/v1/dialogs/a%20b')).status).toBe(404);
    expect((await node.api.get('/v2/nothing')).status).toBe(404);
  });

  it('keeps the directory of assistants and dialogs', async () => {
    const record = {
      tenant: 't',
      active: true,
      allowed_domains: ['a.example'],
      widget_version: 3,
      inbox: false,
      limits: { messages: 5 },
    };
    expect(await node.api.put('/v1/assistants/a1', record)).toMatchObject({ status: 200, body: record });
    expect(await at(world.nodes, 1).api.get('/v1/assistants/a1')).toMatchObject({ status: 200, body: record });
    expect((await node.api.delete('/v1/assistants/a1')).status).toBe(204);
    expect((await node.api.get('/v1/assistants/a1')).status).toBe(404);
    expect((await node.api.delete('/v1/assistants/a1')).status).toBe(404);
    expect((await node.api.put('/v1/dialogs/d1', { tenant: 't', assistant_id: 'a1' })).status).toBe(200);
    expect(await node.api.put('/v1/dialogs/d1', { tenant: 'u', assistant_id: 'a1' })).toMatchObject({
      status: 409,
      body: { code: 'conflict' },
    });
    expect((await node.api.put('/v1/dialogs/d1', { tenant: 't', assistant_id: 'a1', closed: true })).status).toBe(200);
    expect(await node.api.post('/v1/dialogs/d1/messages', { sender: BOT, text: 'x' })).toMatchObject({
      status: 409,
      body: { code: 'closed' },
    });
  });

  it('mints tokens that open what they name', async () => {
    const visitor = await node.api.post('/v1/tokens', {
      type: 'visitor',
      sub: 'v',
      tenant: 'tenant-1',
      assistant_id: 'assistant-1',
      dialog_id: 'minted',
      kind: 'widget',
    });
    expect(visitor).toMatchObject({ status: 201, body: { expires_in: 900 } });
    await makeDialog(world, 'minted');
    const client = await connect({
      url: `${node.wsUrl}/ws/widget/dialogs/minted`,
      token: visitor.body.token,
      origin: node.wsUrl.replace('ws:', 'http:'),
    });
    expect(await client.publish('hello')).toMatchObject({ type: 'ack' });
    await client.close();
    const operator = await node.api.post('/v1/tokens', {
      type: 'operator',
      sub: 'o',
      tenant: 'tenant-1',
      role: 'agent',
      ttl_seconds: 60,
    });
    expect(operator.body.expires_in).toBe(60);
    const bad = await node.api.post('/v1/tokens', {
      type: 'operator',
      sub: 'o',
      tenant: 'tenant-1',
      role: 'agent',
      ttl_seconds: 99_999_999,
    });
    expect(bad).toMatchObject({ status: 400 });
    expect(await node.api.post('/v1/tokens', { type: 'root' })).toMatchObject({ status: 400 });
  });

  it('says who is connected, and where; and what the cluster is', async () => {
    await makeDialog(world, 'who');
    const one = await joinVisitor(at(world.nodes, 0), 'who', { claims: { name: 'Vera' } });
    const two = await joinOperator(at(world.nodes, 1), 'who');
    const { body } = await node.api.get('/v1/dialogs/who/presence');
    expect(body.count).toBe(2);
    expect(
      body.connections.map((entry: { node_id: string; role: string }) => [entry.node_id, entry.role]).sort(),
    ).toEqual([
      ['node-1', 'user'],
      ['node-2', 'manager'],
    ]);
    await one.close();
    await two.close();
    await until(async () => (await node.api.get('/v1/dialogs/who/presence')).body.count === 0, {
      what: 'both to be gone',
    });
    const cluster = await node.api.get('/v1/cluster');
    expect(
      cluster.body.nodes.map((entry: { id: string; draining: boolean }) => [entry.id, entry.draining]).sort(),
    ).toEqual([
      ['node-1', false],
      ['node-2', false],
    ]);
  });

  it('has metrics that equal reality', async () => {
    const metric = async (name: string) =>
      Number(
        new RegExp(`^${name.replace(/[{}"]/g, '\\$&')} (\\S+)$`, 'm').exec((await node.api.get('/metrics')).body)?.[1],
      );
    await until(async () => (await metric('replyx_connections{kind="site"}')) === 0, { what: 'no visitors' });
    await makeDialog(world, 'counted');
    const clients = await Promise.all([1, 2, 3].map((n) => joinVisitor(node, 'counted', { clientId: `c${n}` })));
    expect(await metric('replyx_connections{kind="site"}')).toBe(3);
    const before = await metric('replyx_publishes_total{result="appended"}');
    await clients[0]?.publish('one');
    expect((await metric('replyx_publishes_total{result="appended"}')) - before).toBe(1);
    for (const client of clients) await client.close();
    await until(async () => (await metric('replyx_connections{kind="site"}')) === 0, { what: 'no visitors' });
  });
});
