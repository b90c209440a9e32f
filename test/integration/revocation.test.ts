import {
  dial,
  type GatewayProcess,
  internalApi,
  nowSeconds,
  openEvents,
  operatorToken,
  type RedisServer,
  runReplyx,
  startGateway,
  startProxy,
  type TcpProxy,
  TEST_API_KEY,
  TEST_ORIGIN,
  type TestClient,
  until,
  visitorToken,
} from '@replyx/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import {
  asOperator,
  asVisitor,
  at,
  inParallel,
  joinOperator,
  joinVisitor,
  makeDialog,
  startWorld,
  type World,
  type WorldNode,
} from './world.js';

/** Limits that many sockets of one user from one address would meet. */
const CROWD = {
  WS_MAX_CONNECTIONS_PER_DIALOG: 0,
  WS_MAX_CONNECTIONS_PER_USER: 0,
  WS_MAX_CONNECTIONS_PER_IP: 0,
  WS_RATE_LIMIT_PER_IP: 0,
  WS_BAN_SCORE: 0,
};

let world: World;
/** What a test has started besides its world. */
const others: { kill(): Promise<unknown> }[] = [];
afterEach(async () => {
  await Promise.all(others.splice(0).map((one) => one.kill()));
  await world?.close();
});

const redisOf = (running: World): RedisServer => {
  if (running.redis === undefined) throw new Error('this world has a Redis');
  return running.redis;
};

const revoke = async (body: Record<string, unknown>, node = 0): Promise<string> => {
  const answer = await at(world.nodes, node).api.post('/v1/revocations', body);
  expect([answer.status, answer.body.by]).toEqual([201, expect.any(String)]);
  return answer.body.id;
};

const codeOf = async (client: TestClient): Promise<number> => (await client.closed).code;

/** A node that reaches Redis through a proxy. */
const startBehindProxy = async (): Promise<{ node: WorldNode; proxy: TcpProxy; process: GatewayProcess }> => {
  const redis = redisOf(world);
  const proxy = await startProxy({ port: redis.port });
  const process = await startGateway({
    ...CROWD,
    NODE_ID: 'behind',
    WS_NODE_TTL_SECONDS: 3,
    REDIS_URL: redis.url.replace(`:${redis.port}`, `:${proxy.port}`),
  });
  others.push(process, { kill: () => proxy.close() });
  return {
    node: { wsUrl: process.wsUrl, internalUrl: process.internalUrl, api: internalApi(process.internalUrl) },
    proxy,
    process,
  };
};

const quantile = (sorted: readonly number[], share: number): string =>
  `${Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)} ms`;

describe('a revoked user', () => {
  it('is closed on every node, comes in nowhere, and says nothing more; the same name in another tenant stays', async () => {
    world = await startWorld({ env: CROWD });
    const dialogs = Array.from({ length: 30 }, (_, i) => `d${i}`);
    await inParallel(dialogs, 10, (id) => makeDialog(world, id));
    await makeDialog(world, 'foreign', { tenant: 'tenant-2' });
    const old = operatorToken({ sub: 'mallory' });
    const clients: TestClient[] = [];
    await inParallel(Array.from({ length: 300 }), 20, async (_, i) => {
      clients[i] = await joinOperator(at(world.nodes, i), at(dialogs, i), { claims: { sub: 'mallory' } });
    });
    const namesake = await joinOperator(at(world.nodes, 1), 'foreign', {
      claims: { sub: 'mallory', tenant: 'tenant-2' },
    });
    const witness = await joinOperator(at(world.nodes, 2), 'd0', { claims: { sub: 'alice' } });

    const started = performance.now();
    const times: number[] = [];
    const ends = clients.map(async (client) => {
      const code = await codeOf(client);
      times.push(performance.now() - started);
      return code;
    });
    let busy = true;
    const talking = clients.slice(0, 3).map(async (client, i) => {
      for (let n = 0; busy && client.isOpen; n += 1)
        await client.publish(`text ${n}`, { id: `m${i}-${n}` }).catch(() => {});
    });
    await revoke({ sub: 'mallory', tenant: 'tenant-1' });
    expect(new Set(await Promise.all(ends))).toEqual(new Set([4005]));
    times.sort((a, b) => a - b);
    console.log(`300 sockets on 3 nodes closed: p50 ${quantile(times, 0.5)}, p99 ${quantile(times, 0.99)}`);
    busy = false;
    await Promise.all(talking);
    for (const client of clients) {
      expect(client.frames.at(-1)).toMatchObject({ type: 'disconnect', code: 4005, reconnect: { mode: 'never' } });
    }

    const heads = () =>
      Promise.all(
        dialogs.map(async (id) => (await at(world.nodes, 1).api.get(`/v1/dialogs/${id}/messages`)).body.offset),
      );
    const before = await heads();
    const position = clients[0]?.position;
    if (position === undefined) throw new Error('it was connected');
    for (const node of world.nodes) {
      expect(await codeOf(dial({ ...asOperator(node, 'd0'), token: old, position }))).toBe(4005);
    }
    expect(await heads()).toEqual(before);
    expect(await namesake.publish('still here')).toMatchObject({ type: 'ack' });
    expect(await witness.publish('so am I')).toMatchObject({ type: 'ack' });
    const { body } = await at(world.nodes, 2).api.get('/metrics');
    expect(body).toMatch(/^replyx_revocations_total\{by="subject"\} 1$/m);
    expect(body).toMatch(/^replyx_revoked_connections_total 100$/m);
    expect(body).toMatch(/^replyx_control_age_seconds 0(\.\d+)?$/m);
  });

  it('falls with what the token was minted from, also by a refresh, and only then', async () => {
    world = await startWorld({ nodes: 2, env: CROWD });
    await makeDialog(world, 'd');
    const parent = 'the-site-token';
    const child = await joinVisitor(at(world.nodes, 1), 'd', { claims: { parent } });
    const sibling = await joinVisitor(at(world.nodes, 1), 'd', { claims: { sub: 'visitor-1', parent: 'another' } });
    await revoke({ jti: parent });
    expect(await codeOf(child)).toBe(4005);
    expect(await codeOf(dial(asVisitor(at(world.nodes, 0), 'd', { claims: { parent } })))).toBe(4005);
    const token = visitorToken({ dialog_id: 'd', parent });
    expect(await sibling.request({ type: 'refresh', token })).toMatchObject({ type: 'error', code: 'revoked' });
    expect(await sibling.publish('with the old token')).toMatchObject({ type: 'ack' });
    const used = visitorToken({ dialog_id: 'd', jti: 'used' });
    expect(await sibling.request({ type: 'refresh', token: used })).toMatchObject({ type: 'ack' });
    await revoke({ jti: 'used' });
    expect(await codeOf(sibling)).toBe(4005);
  });

  it('comes in with what was issued later', async () => {
    world = await startWorld({ nodes: 1, env: CROWD });
    await makeDialog(world, 'd');
    const node = at(world.nodes, 0);
    const issuedAt = (iat: number) => ({ claims: { sub: 'mallory', iat } });
    const now = nowSeconds();
    const [older, newer] = [
      await joinOperator(node, 'd', issuedAt(now - 60)),
      await joinOperator(node, 'd', issuedAt(now - 59)),
    ];
    await revoke({ sub: 'mallory', issued_before: now - 60 });
    expect(await codeOf(older)).toBe(4005);
    expect(await codeOf(dial(asOperator(node, 'd', issuedAt(now - 60))))).toBe(4005);
    expect(await newer.publish('here')).toMatchObject({ type: 'ack' });
    await joinOperator(node, 'd', issuedAt(now - 59));
  });

  it.each<[string, Record<string, unknown>]>([
    ['a widget version', { assistant_id: 'assistant-1', below_version: 2 }],
    ['a dialog', { dialog_id: 'd' }],
  ])('%s: those below it, and nobody else', async (_, body) => {
    world = await startWorld({ nodes: 2, env: CROWD });
    await Promise.all([makeDialog(world, 'd'), makeDialog(world, 'e', { assistant_id: 'assistant-2' })]);
    const fallen = await joinVisitor(at(world.nodes, 1), 'd');
    const other = await joinVisitor(at(world.nodes, 1), 'e', { claims: { assistant_id: 'assistant-2' } });
    await revoke(body);
    expect(await codeOf(fallen)).toBe(4005);
    expect(await codeOf(dial(asVisitor(at(world.nodes, 0), 'd')))).toBe(4005);
    expect(await other.publish('here')).toMatchObject({ type: 'ack' });
  });
});

describe('trouble', () => {
  it('a Redis that was emptied gets the revocations back, and a node that starts later learns them', async () => {
    world = await startWorld({ env: CROWD });
    const redis = redisOf(world);
    // Issued before: what is issued later than the clock tolerance after the revocation is not meant.
    const token = operatorToken({ sub: 'mallory' });
    const id = await revoke({ sub: 'mallory' });
    const refused = async (node: WorldNode) => codeOf(dial({ ...asOperator(node, 'd'), token }));
    for (const node of world.nodes) await until(async () => (await refused(node)) === 4005, { what: 'the revocation' });
    await redis.flushAll();
    expect(await Promise.all(world.nodes.map(refused))).toEqual([4005, 4005, 4005]);
    await until(async () => (await at(world.nodes, 1).api.get('/v1/revocations')).body.revocations[0]?.id === id, {
      what: 'the revocation to be seeded',
    });
    await at(world.processes, 0).restart('kill');
    expect(await refused(at(world.nodes, 0))).toBe(4005);
    await Promise.all(world.processes.map((process) => process.restart('kill')));
    expect(await Promise.all(world.nodes.map(refused))).toEqual([4005, 4005, 4005]);
  });

  it('a node that was cut off while the stream was trimmed closes what it missed', async () => {
    world = await startWorld({ nodes: 2, env: CROWD });
    await makeDialog(world, 'd');
    const { node, proxy, process } = await startBehindProxy();
    const far = await joinOperator(node, 'd', { claims: { sub: 'mallory' } });
    const near = await joinOperator(at(world.nodes, 1), 'd', { claims: { sub: 'mallory' } });
    const alice = await joinOperator(node, 'd', { claims: { sub: 'alice' } });
    proxy.refuse();
    proxy.cut();
    await revoke({ sub: 'mallory' });
    expect(await codeOf(near)).toBe(4005);
    expect(await redisOf(world).cli('XTRIM', 'rx:{ctl}:log', 'MAXLEN', 0)).toBeGreaterThan(0);
    expect(far.isOpen).toBe(true);
    await proxy.accept();
    expect(await codeOf(far)).toBe(4005);
    expect(alice.isOpen).toBe(true);
    await until(() => process.logEntries().some(({ event, why }) => event === 'sessions_closed' && why === 'revoked'), {
      what: 'the line in the log',
    });
  });

  it('a node that does not know what was revoked of late refuses newcomers, keeps its sockets, and heals', async () => {
    world = await startWorld({ nodes: 1, env: CROWD });
    await makeDialog(world, 'd');
    const { node, proxy } = await startBehindProxy();
    const held = await joinOperator(node, 'd');
    proxy.blackhole();
    await until(async () => (await node.api.get('/readyz')).body.reasons.includes('control_stale'), {
      what: 'the node to be stale',
    });
    expect(await codeOf(dial(asOperator(node, 'd')))).toBe(1013);
    expect(await held.request({ type: 'refresh', token: operatorToken() })).toMatchObject({ code: 'unavailable' });
    await until(async () => /reason="control_stale"\} [1-9]/.test((await node.api.get('/metrics')).body), {
      what: 'the metric',
    });
    proxy.heal();
    await until(async () => (await node.api.get('/readyz')).status === 200, { what: 'the node to be ready' });
    expect(held.isOpen).toBe(true);
    const joined = await until(() => joinOperator(node, 'd'), { what: 'a join', everyMs: 100 });
    expect(await joined.publish('here')).toMatchObject({ type: 'ack' });
  });
});

describe('POST /v1/disconnect', () => {
  it('ends connections by user, dialog, connection or node, on whatever node they are', async () => {
    world = await startWorld({ nodes: 2, env: CROWD });
    await Promise.all([makeDialog(world, 'd'), makeDialog(world, 'e')]);
    const join = (node: number, dialogId: string, sub: string) =>
      joinOperator(at(world.nodes, node), dialogId, { claims: { sub } });
    const [user, dialog, connection, first, second] = await Promise.all([
      join(1, 'd', 'anna'),
      join(1, 'e', 'bert'),
      join(1, 'd', 'cora'),
      join(0, 'd', 'dora'),
      join(1, 'd', 'emil'),
    ]);
    const disconnect = async (body: Record<string, unknown>) =>
      expect((await at(world.nodes, 0).api.post('/v1/disconnect', body)).status).toBe(202);
    await disconnect({ sub: 'anna', tenant: 'tenant-9' });
    await disconnect({ sub: 'anna' });
    expect(await user.closed).toMatchObject({ code: 1001, disconnectFrame: { reconnect: { mode: 'backoff' } } });
    await disconnect({ dialog_id: 'e', code: 'AUTH_EXPIRED' });
    expect(await codeOf(dialog)).toBe(4001);
    await disconnect({ connection_id: (await connection.waitFor('connected'))['connection_id'], code: 1000 });
    expect(await codeOf(connection)).toBe(1000);
    await disconnect({ node_id: 'node-1', code: 'SERVICE_RESTART' });
    expect(await codeOf(first)).toBe(1012);
    expect(await second.publish('still here')).toMatchObject({ type: 'ack' });
    // It is no revocation: who was disconnected comes back.
    await (await join(1, 'd', 'anna')).close();
  });
});

describe('a ban of a network', () => {
  it('closes its sockets and streams of events on every node with 4008; others stay', async () => {
    world = await startWorld({ nodes: 2, env: { ...CROWD, WS_TRUSTED_PROXIES: '127.0.0.1' } });
    await makeDialog(world, 'd');
    const from = (address: string) => ({ extra: { headers: { 'X-Forwarded-For': address } } });
    const inside = await Promise.all(
      [0, 1].map((n) => joinOperator(at(world.nodes, n), 'd', from(`203.0.113.${n + 1}`))),
    );
    const outside = await Promise.all([0, 1].map((n) => joinOperator(at(world.nodes, n), 'd', from('198.51.100.7'))));
    const stream = await openEvents({
      url: `${at(world.nodes, 1).wsUrl.replace('ws', 'http')}/api/site/dialogs/d/events`,
      token: visitorToken({ dialog_id: 'd' }),
      origin: TEST_ORIGIN,
      headers: { 'X-Forwarded-For': '203.0.113.3' },
    });
    await stream.waitFor('connected');
    const { api } = at(world.nodes, 0);
    const ban = { network: '203.0.113.0/24', ttl_seconds: 600 };
    const { id } = (await api.post('/v1/bans', ban)).body;
    for (const client of inside) {
      expect(await client.closed).toMatchObject({
        code: 4008,
        disconnectFrame: { reconnect: { mode: 'long_backoff' } },
      });
    }
    expect(await stream.waitFor('disconnect')).toMatchObject({ code: 4008 });
    expect((await dial(asOperator(at(world.nodes, 1), 'd', from('203.0.113.1'))).closed).httpStatus).toBe(403);
    for (const client of outside) expect(await client.publish('still here')).toMatchObject({ type: 'ack' });
    await api.delete(`/v1/bans/${id}`);
    await until(() => joinOperator(at(world.nodes, 1), 'd', from('203.0.113.1')).then((joined) => joined.close()), {
      what: 'the lift',
      everyMs: 50,
    });
  });
});

describe('the commands', () => {
  it('revoke, show and lift; ban, show and lift', async () => {
    world = await startWorld({ nodes: 1, env: CROWD });
    await makeDialog(world, 'd');
    const node = at(world.nodes, 0);
    const replyx = async (...args: string[]) => {
      const ran = await runReplyx([...args, '--internal', node.internalUrl], { REPLYX_API_KEY: TEST_API_KEY });
      expect([args, ran.code, ran.stderr]).toEqual([args, 0, '']);
      return ran.stdout;
    };
    const client = await joinVisitor(node, 'd');
    const id = (await replyx('revoke', '--sub', 'visitor-1', '--tenant', 'tenant-1')).trim();
    expect(await codeOf(client)).toBe(4005);
    expect(await replyx('revoke', '--list')).toContain(`${id}  `);
    await replyx('revoke', '--lift', id);
    expect(await replyx('revoke', '--list')).toBe('');
    await until(() => joinVisitor(node, 'd').then((joined) => joined.close()), { what: 'the lift', everyMs: 50 });

    const ban = JSON.parse(await replyx('ban', '198.51.100.0/24', '--ttl', '1h', '--reason', 'why', '--json'));
    const bans = async (): Promise<number> =>
      Number(/^replyx_bans (\d+)$/m.exec((await node.api.get('/metrics')).body)?.[1]);
    await until(async () => (await bans()) === 1, { what: 'the ban' });
    expect(await replyx('ban', '--list')).toContain('198.51.100.0/24');
    await replyx('ban', '--lift', ban.id);
    await until(async () => (await bans()) === 0, { what: 'the lift of the ban' });
  });
});
