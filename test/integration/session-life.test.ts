import {
  dial,
  nowSeconds,
  operatorToken,
  siteToken,
  TEST_DOMAIN,
  TEST_ORIGIN,
  TEST_TENANT,
  until,
  visitorToken,
} from '@replyx/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asOperator, asVisitor, at, joinOperator, joinVisitor, makeDialog, startWorld, type World } from './world.js';

let world: World;
beforeAll(async () => {
  world = await startWorld({
    nodes: 2,
    env: { WS_PING_INTERVAL_SECONDS: 5, WS_PONG_TIMEOUT_SECONDS: 8, WS_TOKEN_CLOCK_TOLERANCE_SECONDS: 0 },
  });
  await makeDialog(world, 'd');
});
afterAll(async () => {
  await world?.close();
});

describe('a live socket', () => {
  it('is closed with 4001 when its token expires', async () => {
    const client = await joinVisitor(at(world.nodes, 0), 'd', { claims: { exp: nowSeconds() + 3 } });
    const closed = await client.closed;
    expect(closed).toMatchObject({ code: 4001, disconnectFrame: { code: 4001, reconnect: { mode: 'refresh' } } });
  });

  it('lives on with a refreshed token, in band', async () => {
    const client = await joinVisitor(at(world.nodes, 0), 'd', { claims: { exp: nowSeconds() + 4 } });
    const expires = nowSeconds() + 4;
    expect(await client.request({ type: 'refresh', token: visitorToken({ dialog_id: 'd' }) })).toMatchObject({
      type: 'ack',
    });
    await until(() => nowSeconds() > expires + 2, { what: 'the first token to be over' });
    expect(await client.publish('still here')).toMatchObject({ type: 'ack' });
    await client.close();
  });

  const iat = () => nowSeconds();
  const unfit: readonly [string, () => string, string][] = [
    ['garbage', () => 'a.b.c', 'unauthorized'],
    ['another dialog', () => visitorToken({ dialog_id: 'e' }), 'unauthorized'],
    ['another subject', () => visitorToken({ dialog_id: 'd', sub: 'visitor-2' }), 'unauthorized'],
    ['another tenant', () => visitorToken({ dialog_id: 'd', tenant: 'tenant-2' }), 'unauthorized'],
    ['another kind', () => visitorToken({ dialog_id: 'd', kind: 'widget' }), 'unauthorized'],
    ['another assistant', () => visitorToken({ dialog_id: 'd', assistant_id: 'assistant-2' }), 'unauthorized'],
    ['another type', () => operatorToken({ sub: 'visitor-1' }), 'unauthorized'],
    [
      'domains that do not hold its origin',
      () => visitorToken({ dialog_id: 'd', allowed_domains: ['other.example'] }),
      'unauthorized',
    ],
    ['an older token', () => visitorToken({ dialog_id: 'd', iat: iat() - 1_000 }), 'unauthorized'],
    ['an expired token', () => visitorToken({ dialog_id: 'd', iat: iat(), exp: iat() - 10 }), 'expired'],
  ];
  it.each(unfit)('keeps its old token when it is refreshed with %s', async (_name, token, code) => {
    const client = await joinVisitor(at(world.nodes, 0), 'd');
    expect(await client.request({ type: 'refresh', token: token() })).toMatchObject({ type: 'error', code });
    expect(await client.publish('still here')).toMatchObject({ type: 'ack' });
    await client.close();
  });

  it('is pinged, and one that answers nothing is cut', async () => {
    let pings = 0;
    const client = await joinVisitor(at(world.nodes, 0), 'd');
    client.socket.on('ping', () => {
      pings += 1;
    });
    const dead = dial({ ...asVisitor(at(world.nodes, 0), 'd', { clientId: 'dead' }), autoPong: false });
    await dead.next('connected');
    expect((await dead.closed).code).toBe(1006);
    await until(() => pings > 0, { what: 'a ping' });
    expect(client.isOpen).toBe(true);
    await client.close();
  });

  it('is told what it needs to tell a dead link from a quiet one', async () => {
    const client = await joinOperator(at(world.nodes, 0), 'd', { claims: { name: 'Anna' } });
    const connected = await client.waitFor('connected');
    expect(connected).toMatchObject({
      ping_interval_ms: 5_000,
      role: 'manager',
      dialog_id: 'd',
      handoff: { state: 'none' },
    });
    expect(Math.abs(Number(connected['server_time']) - Date.now())).toBeLessThan(60_000);
    expect(Number(connected['expires_in_ms'])).toBeGreaterThan(3_000_000);
    await client.close();
  });
});

describe('typing, read marks, presence and events', () => {
  it('reach all nodes', async () => {
    await makeDialog(world, 'e');
    const visitor = await joinVisitor(at(world.nodes, 0), 'e', { claims: { name: 'Vera' } });
    const operator = await joinOperator(at(world.nodes, 1), 'e', { claims: { sub: 'anna' } });
    expect(await operator.waitFor('presence')).toMatchObject({ state: 'snapshot', count: 2 });
    visitor.send({ type: 'typing', state: 'start' });
    expect(await operator.waitFor('typing')).toMatchObject({
      state: 'start',
      sender: { role: 'user', id: 'visitor-1', name: 'Vera' },
    });
    await visitor.publish('hello');
    expect(await operator.waitFor((frame) => frame.type === 'typing' && frame['state'] === 'stop')).toBeTruthy();
    operator.send({ type: 'read', offset: 99 });
    const mark = await operator.waitFor('read');
    expect(mark).toMatchObject({ offset: 1, sender: { role: 'manager', id: 'anna' } });
    const { api } = at(world.nodes, 1);
    expect(
      (await api.post('/v1/dialogs/e/events', { type: 'event', name: 'order.paid', data: { order: 7 } })).status,
    ).toBe(202);
    expect(await visitor.waitFor('event')).toMatchObject({ name: 'order.paid', data: { order: 7 } });
    await operator.close();
    const again = await joinOperator(at(world.nodes, 0), 'e', { claims: { sub: 'anna' } });
    expect((await again.waitFor('connected'))['read']).toEqual([{ role: 'manager', id: 'anna', offset: 1 }]);
    await again.close();
    await visitor.close();
  });

  it('do not tell of a reconnect within the coalescing time, and tell of a leave', async () => {
    await makeDialog(world, 'f');
    const operator = await joinOperator(at(world.nodes, 1), 'f');
    const first = await joinVisitor(at(world.nodes, 0), 'f');
    await operator.waitFor((frame) => frame.type === 'presence' && frame['state'] === 'join');
    await first.terminate();
    await operator.waitFor((frame) => frame.type === 'presence' && frame['state'] === 'leave');
  });
});

describe('a dialog that is erased', () => {
  it('closes its sockets on every node with 4004 and is gone', async () => {
    await makeDialog(world, 'gone');
    const visitor = await joinVisitor(at(world.nodes, 0), 'gone');
    const operator = await joinOperator(at(world.nodes, 1), 'gone');
    await visitor.publish('remember me');
    const { api } = at(world.nodes, 1);
    expect((await api.delete('/v1/dialogs/gone')).status).toBe(204);
    expect((await visitor.closed).code).toBe(4004);
    expect((await operator.closed).code).toBe(4004);
    expect((await api.get('/v1/dialogs/gone')).status).toBe(404);
    const back = dial(asVisitor(at(world.nodes, 0), 'gone'));
    expect((await back.closed).code).toBe(4004);
    await makeDialog(world, 'gone');
    const fresh = await joinOperator(at(world.nodes, 0), 'gone');
    expect(await fresh.waitFor('connected')).toMatchObject({ offset: 0 });
    expect(await fresh.request({ type: 'history' })).toMatchObject({ messages: [] });
    await fresh.close();
  });
});

describe('the directory', () => {
  it('strict: a genuine token for an unknown dialog finds nothing', async () => {
    const client = dial(asVisitor(at(world.nodes, 0), 'unknown'));
    expect((await client.closed).code).toBe(4004);
    const operator = dial(asOperator(at(world.nodes, 0), 'unknown'));
    expect((await operator.closed).code).toBe(4004);
  });

  it('open: the first token makes the dialog and fixes its tenant, assistant and owner', async () => {
    const open = await startWorld({ nodes: 2, env: { WS_DIRECTORY: 'open' } });
    try {
      const owner = await joinVisitor(at(open.nodes, 0), 'new');
      await owner.publish('hello');
      for (const claims of [{ sub: 'visitor-2' }, { tenant: 'tenant-2' }, { assistant_id: 'assistant-2' }]) {
        const other = dial(asVisitor(at(open.nodes, 1), 'new', { claims }));
        expect((await other.closed).code).toBe(4004);
      }
      const foreign = dial(asOperator(at(open.nodes, 1), 'new', { claims: { tenant: 'tenant-2' } }));
      expect((await foreign.closed).code).toBe(4004);
      const limited = dial(asOperator(at(open.nodes, 1), 'new', { claims: { assistants: ['assistant-2'] } }));
      expect((await limited.closed).code).toBe(4004);
      const operator = await joinOperator(at(open.nodes, 1), 'new', { claims: { assistants: ['assistant-1'] } });
      expect(await operator.waitFor('connected')).toMatchObject({ offset: 1 });
    } finally {
      await open.close();
    }
  });

  it.each(['strict', 'open'])('%s: an assistant that is registered and inactive has no visitors', async (mode) => {
    const other = await startWorld({ nodes: 1, env: { WS_DIRECTORY: mode } });
    try {
      const node = at(other.nodes, 0);
      const record = { tenant: TEST_TENANT, allowed_domains: [TEST_DOMAIN] };
      await makeDialog(other, 'd', { assistant_id: 'asleep' });
      await node.api.put('/v1/assistants/asleep', { ...record, active: false });
      const claims = { assistant_id: 'asleep' };
      const ask = async (path: string, token: string, body?: object): Promise<number> =>
        (
          await fetch(`${node.wsUrl.replace('ws', 'http')}/api/site/${path}`, {
            method: body === undefined ? 'GET' : 'POST',
            headers: { Authorization: `Bearer ${token}`, Origin: TEST_ORIGIN },
            ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          })
        ).status;
      const visitor = visitorToken({ dialog_id: 'd', ...claims });
      await until(async () => (await ask('dialogs/d/messages', visitor)) === 404, { what: 'the node to know of it' });
      expect((await dial(asVisitor(node, 'd', { claims })).closed).code).toBe(4004);
      expect(await ask('sessions', siteToken(claims), { secret: Buffer.alloc(32, 1).toString('base64url') })).toBe(404);
      expect(await ask('dialogs/d/events', visitor)).toBe(404);
      expect(await ask('dialogs/d/messages', visitor, { id: 'm', text: 'x' })).toBe(404);
      // Those who work there still see its dialogs.
      await (await joinOperator(node, 'd')).close();
      await node.api.put('/v1/assistants/asleep', record);
      await until(() => joinVisitor(node, 'd', { claims }).then((joined) => joined.close()), {
        what: 'it to be awake',
      });
    } finally {
      await other.close();
    }
  });
});
