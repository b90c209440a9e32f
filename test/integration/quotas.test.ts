import {
  connect,
  dial,
  operatorToken,
  siteToken,
  TEST_API_KEY,
  TEST_ASSISTANT,
  TEST_ORIGIN,
  TEST_TENANT,
  type TestClient,
  until,
  visitorToken,
} from '@replyx/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import { at, inParallel, joinOperator, joinVisitor, makeDialog, startWorld, type World } from './world.js';

const NODE_TTL_SECONDS = 3;

let world: World;
let clients: TestClient[] = [];
afterEach(async () => {
  for (const client of clients) client.terminate();
  clients = [];
  await world?.close();
});

const start = async (env: Record<string, string | number>, nodes = 3): Promise<void> => {
  world = await startWorld({
    nodes,
    env: { WS_NODE_TTL_SECONDS: NODE_TTL_SECONDS, WS_TRUSTED_PROXIES: '127.0.0.1', ...env },
  });
};

interface Who {
  readonly node: number;
  readonly dialog?: string;
  readonly sub?: string;
  readonly clientId?: string;
  readonly address?: string;
}

/** `joined`, or the close code. Those that join stay. */
const enter = async ({ node, dialog = 'd', sub = 'anna', clientId, address }: Who): Promise<string> => {
  const client = await dial({
    url: `${at(world.nodes, node).wsUrl}/ws/dialogs/${dialog}`,
    token: operatorToken({ sub }),
    ...(clientId === undefined ? {} : { clientId }),
    ...(address === undefined ? {} : { extra: { headers: { 'X-Forwarded-For': address } } }),
  });
  clients.push(client);
  return Promise.race([
    client.closed.then(({ code }) => String(code)),
    client.waitFor('connected').then(
      () => 'joined',
      () => client.closed.then(({ code }) => String(code)),
    ),
  ]);
};

const rush = async (count: number, who: (i: number) => Who): Promise<Record<string, number>> => {
  const counts: Record<string, number> = {};
  await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const outcome = await enter(who(i));
      counts[outcome] = (counts[outcome] ?? 0) + 1;
    }),
  );
  return counts;
};

describe('a simultaneous rush on three nodes', () => {
  it.each<[string, Record<string, number>, (i: number) => Who, string]>([
    ['dialog', { WS_MAX_CONNECTIONS_PER_DIALOG: 20 }, (i) => ({ node: i, sub: `user-${i}` }), '4006'],
    ['user', { WS_MAX_CONNECTIONS_PER_USER: 20 }, (i) => ({ node: i, dialog: `d${i % 3}` }), '4006'],
    [
      'address',
      { WS_MAX_CONNECTIONS_PER_IP: 20 },
      (i) => ({ node: i, dialog: `d${i % 3}`, sub: `user-${i}`, address: '203.0.113.7' }),
      '4006',
    ],
    [
      'cluster',
      { WS_MAX_CLUSTER_CONNECTIONS: 20 },
      (i) => ({ node: i, dialog: `d${i % 3}`, sub: `user-${i}` }),
      '1013',
    ],
  ])('fills the places of a %s exactly', async (_name, env, who, code) => {
    await start(env);
    await Promise.all(['d', 'd0', 'd1', 'd2'].map((dialog) => makeDialog(world, dialog)));
    expect(await rush(60, who)).toEqual({ joined: 20, [code]: 40 });
    // A place that is left is taken again.
    const joined = clients.filter((client) => client.isOpen);
    joined[0]?.terminate();
    await until(async () => (await enter(who(0))) === 'joined', { what: 'the place to be free' });
  });

  it("fills the places of an assistant exactly, by the limit of the assistant's own record", async () => {
    await start({ WS_MAX_CONNECTIONS_PER_ASSISTANT: 5 });
    const { api } = at(world.nodes, 0);
    await api.put(`/v1/assistants/${TEST_ASSISTANT}`, { tenant: TEST_TENANT, limits: { connections: 20 } });
    const dialogs = Array.from({ length: 60 }, (_, i) => `d${i}`);
    await inParallel(dialogs, 8, (dialog) => makeDialog(world, dialog));
    const enough = () => rushOfVisitors(dialogs.slice(0, 1));
    // Each node has heard of the record.
    await until(async () => (await Promise.all([0, 1, 2].map(() => enough()))).length === 3, { what: 'the record' });
    for (const client of clients) client.terminate();
    clients = [];
    await until(async () => (await api.get('/v1/dialogs/d0/presence')).body.count === 0, { what: 'nobody' });
    const counts = await rushOfVisitors(dialogs);
    expect(counts).toEqual({ joined: 20, 4006: 40 });
  });

  const rushOfVisitors = async (dialogs: readonly string[]): Promise<Record<string, number>> => {
    const counts: Record<string, number> = {};
    await Promise.all(
      dialogs.map(async (dialog, i) => {
        const client = await dial({
          url: `${at(world.nodes, i).wsUrl}/ws/site/dialogs/${dialog}`,
          token: visitorToken({ dialog_id: dialog, sub: `visitor-${dialog}` }),
          origin: TEST_ORIGIN,
        });
        clients.push(client);
        const outcome = await client.waitFor('connected').then(
          () => 'joined',
          () => client.closed.then(({ code }) => String(code)),
        );
        counts[outcome] = (counts[outcome] ?? 0) + 1;
      }),
    );
    return counts;
  };
});

describe('who gives way', () => {
  it("is the user's own oldest connection where newcomers replace, on whatever node it is", async () => {
    await start({ WS_MAX_CONNECTIONS_PER_USER: 2, WS_AT_LIMIT: 'replace' });
    await makeDialog(world, 'd');
    const oldest = await joinOperator(at(world.nodes, 0), 'd');
    const second = await joinOperator(at(world.nodes, 1), 'd');
    clients.push(oldest, second);
    expect(await enter({ node: 2, sub: 'operator-1' })).toBe('joined');
    expect((await oldest.closed).code).toBe(4006);
    expect(second.isOpen).toBe(true);
    expect(await enter({ node: 2, sub: 'somebody else' })).toBe('joined');
  });

  it('is the older connection of the same client, with 4009, on whatever node it is', async () => {
    await start({});
    await makeDialog(world, 'd');
    const tab = (node: number, clientId: string) =>
      connect({ url: `${at(world.nodes, node).wsUrl}/ws/dialogs/d`, token: operatorToken(), clientId });
    const older = await tab(0, 'tab-1');
    const other = await tab(0, 'tab-2');
    const newer = await tab(1, 'tab-1');
    clients.push(older, other, newer);
    expect(await older.closed).toMatchObject({ code: 4009, disconnectFrame: { reconnect: { mode: 'never' } } });
    expect([other.isOpen, newer.isOpen]).toEqual([true, true]);
    expect(await newer.publish('here')).toMatchObject({ type: 'ack' });
  });
});

describe('a node that ends or hangs', () => {
  const HELD = 1_000;

  it('with 1,000 places gives them back, and nobody else loses one', async () => {
    await start({ WS_MAX_CONNECTIONS_PER_USER: HELD + 1 });
    await makeDialog(world, 'd');
    const bystander = await joinOperator(at(world.nodes, 1), 'd', { claims: { sub: 'bystander' } });
    clients.push(bystander);
    await inParallel(Array.from({ length: HELD }), 50, async () => {
      expect(await enter({ node: 0 })).toBe('joined');
    });
    expect(await enter({ node: 1 })).toBe('joined');
    expect(await enter({ node: 2 })).toBe('4006');
    const since = performance.now();
    await world.processes[0]?.kill();
    await until(async () => (await enter({ node: 2 })) === 'joined', { what: 'a place to be free', everyMs: 100 });
    const freeAfter = performance.now() - since;
    const presence = async () => (await at(world.nodes, 1).api.get('/v1/dialogs/d/presence')).body.count as number;
    await until(async () => (await presence()) < 10, { what: 'the presence to be gone' });
    console.log(
      `${HELD} places of a killed node: free after ${Math.round(freeAfter)} ms (TTL ${NODE_TTL_SECONDS * 1_000} ms; product deadline TTL + 5,000 ms)`,
    );
    expect(bystander.isOpen).toBe(true);
    expect(await bystander.publish('still here')).toMatchObject({ type: 'ack' });
  });

  it('longer than its heartbeat and goes on neither frees nor doubles its places', async () => {
    await start({ WS_MAX_CONNECTIONS_PER_USER: 10 });
    await makeDialog(world, 'd');
    expect(await rush(10, () => ({ node: 0 }))).toEqual({ joined: 10 });
    world.processes[0]?.pause();
    // Taken for dead, its places are free: three are taken elsewhere.
    await until(async () => (await enter({ node: 1 })) === 'joined', { what: 'a free place', everyMs: 100 });
    expect(await rush(2, () => ({ node: 2 }))).toEqual({ joined: 2 });
    world.processes[0]?.resume();
    const entries = () => world.processes[0]?.logEntries() ?? [];
    await until(() => entries().some(({ event }) => event === 'registered_again'), { what: 'its registration' });
    const seen = async () => ((await at(world.nodes, 1).api.get('/v1/cluster')).body.nodes as unknown[]).length;
    await until(async () => (await seen()) === 3, { what: 'the others to hear its heartbeat' });
    // 13 hold a place of 10: nobody comes in until four have gone.
    expect(await enter({ node: 1 })).toBe('4006');
    const open = clients.filter((client) => client.isOpen);
    expect(open).toHaveLength(13);
    for (const client of open.slice(0, 3)) client.terminate();
    const presence = async () => (await at(world.nodes, 1).api.get('/v1/dialogs/d/presence')).body.count as number;
    await until(async () => (await presence()) === 10, { what: 'three to be gone' });
    expect(await enter({ node: 1 })).toBe('4006');
    open[3]?.terminate();
    await until(async () => (await enter({ node: 1 })) === 'joined', { what: 'the place of the fourth', everyMs: 100 });
  });

  it('and comes back under its name neither frees nor doubles what others hold', async () => {
    await start({ WS_MAX_CONNECTIONS_PER_USER: 10 });
    await makeDialog(world, 'd');
    expect(await rush(5, () => ({ node: 0 }))).toEqual({ joined: 5 });
    expect(await rush(5, () => ({ node: 1 }))).toEqual({ joined: 5 });
    await world.processes[0]?.restart('kill');
    await until(async () => (await enter({ node: 0 })) === 'joined', { what: 'a free place', everyMs: 100 });
    expect(await rush(9, (i) => ({ node: i }))).toEqual({ joined: 4, 4006: 5 });
  });
});

describe('limits of HTTP', () => {
  const exchange = async (
    secret: string,
    {
      node = 0,
      forwardedFor = '203.0.113.1',
      assistantId = TEST_ASSISTANT,
      token,
    }: { node?: number; forwardedFor?: string; assistantId?: string; token?: string } = {},
  ): Promise<number> => {
    const response = await fetch(`${at(world.nodes, node).wsUrl.replace('ws', 'http')}/api/site/sessions`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${token ?? siteToken({ assistant_id: assistantId })}`,
        Origin: TEST_ORIGIN,
        'Content-Type': 'application/json',
        'X-Forwarded-For': forwardedFor,
      },
      body: JSON.stringify({ secret: Buffer.from(secret.padEnd(32, '.')).toString('base64url') }),
    });
    await response.arrayBuffer();
    return response.status;
  };
  const register = (assistantId: string, limits: Record<string, number> = {}) =>
    at(world.nodes, 0).api.put(`/v1/assistants/${assistantId}`, {
      tenant: TEST_TENANT,
      allowed_domains: [new URL(TEST_ORIGIN).hostname, `${assistantId}.example`],
      limits,
    });
  /** Every node hears of a record within a moment; that a preflight of its own domain passes shows it. */
  const heard = (node: number, assistantId: string) =>
    until(
      async () =>
        (
          await fetch(`${at(world.nodes, node).wsUrl.replace('ws', 'http')}/api/site/sessions`, {
            method: 'OPTIONS',
            headers: { Origin: `https://${assistantId}.example`, 'Access-Control-Request-Method': 'POST' },
          })
        ).status === 204,
      { what: 'the record', everyMs: 20 },
    );

  it('count new dialogs of an address on all nodes; who comes back is not one', async () => {
    await start({ WS_RATE_LIMIT_SESSIONS: 5, WS_RATE_LIMIT_PER_IP: 50 }, 2);
    await register(TEST_ASSISTANT);
    for (let i = 0; i < 5; i += 1) expect(await exchange(`secret-${i}`, { node: i })).toBe(201);
    expect(await exchange('secret-6', { node: 1 })).toBe(429);
    expect(await exchange('secret-1', { node: 0 })).toBe(201);
    expect(await exchange('secret-6', { node: 1, forwardedFor: '203.0.113.2' })).toBe(201);
  });

  it("count new dialogs of an assistant by its record's own limit", async () => {
    await start({ WS_RATE_LIMIT_SESSIONS: 0, WS_RATE_LIMIT_ASSISTANT_SESSIONS: 100 }, 2);
    await register(TEST_ASSISTANT);
    await register('small', { sessions: 3 });
    await Promise.all([heard(0, 'small'), heard(1, 'small')]);
    const statuses: number[] = [];
    for (let i = 0; i < 6; i += 1) {
      statuses.push(await exchange(`s-${i}`, { node: i, assistantId: 'small', forwardedFor: `203.0.113.${i + 1}` }));
    }
    expect(statuses).toEqual([201, 201, 201, 429, 429, 429]);
    expect(await exchange('other')).toBe(201);
  });

  it('count the requests of an address, and its refused credentials', async () => {
    await start({ WS_RATE_LIMIT_HTTP: 5, WS_RATE_LIMIT_AUTH_FAILURES: 3, WS_RATE_LIMIT_SESSIONS: 0 }, 2);
    await register(TEST_ASSISTANT);
    const statuses: number[] = [];
    for (let i = 0; i < 8; i += 1) statuses.push(await exchange('one', { node: i }));
    expect(statuses).toEqual([201, 201, 201, 201, 201, 429, 429, 429]);
    const bad = { forwardedFor: '203.0.113.9', token: siteToken({}, { secret: 'x'.repeat(40) }) };
    await until(async () => (await exchange('one', bad)) === 429, { what: 'the address to be limited', everyMs: 20 });
    expect(await exchange('one', { node: 1, forwardedFor: '203.0.113.9' })).toBe(429);
  });

  it('count the requests of an API key', async () => {
    await start({ WS_RATE_LIMIT_API: 3, API_KEYS: `${TEST_API_KEY},second-key-of-the-backend-0123456789abcdef` }, 1);
    const ask = async (key: string) =>
      (await fetch(`${at(world.nodes, 0).internalUrl}/v1/cluster`, { headers: { Authorization: `Bearer ${key}` } }))
        .status;
    const burst = await Promise.all(Array.from({ length: 10 }, () => ask(TEST_API_KEY)));
    expect(burst.filter((status) => status === 200)).toHaveLength(3);
    expect(burst.filter((status) => status === 429)).toHaveLength(7);
    expect(await ask('second-key-of-the-backend-0123456789abcdef')).toBe(200);
  });

  it('know nothing of those who may write without a socket: a visitor has one window', async () => {
    await start({ WS_RATE_LIMIT_MESSAGES: 3, WS_RATE_LIMIT_MESSAGES_WINDOW: 60 }, 2);
    await makeDialog(world, 'd');
    const visitor = await joinVisitor(at(world.nodes, 0), 'd');
    clients.push(visitor);
    for (let i = 0; i < 2; i += 1) expect(await visitor.publish(`message ${i}`)).toMatchObject({ type: 'ack' });
    const post = async (id: string) =>
      (
        await fetch(`${at(world.nodes, 1).wsUrl.replace('ws', 'http')}/api/site/dialogs/d/messages`, {
          method: 'POST',
          headers: { Authorization: `Bearer ${visitorToken({ dialog_id: 'd' })}`, Origin: TEST_ORIGIN },
          body: JSON.stringify({ id, text: 'by HTTP' }),
        })
      ).status;
    expect([await post('a'), await post('b')]).toEqual([201, 429]);
    expect(await visitor.publish('one more')).toMatchObject({ type: 'error', code: 'rate_limited' });
  });
});
