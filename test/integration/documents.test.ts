import {
  connect,
  dial,
  nowSeconds,
  openEvents,
  siteToken,
  TEST_API_KEY,
  TEST_ASSISTANT,
  TEST_DOMAIN,
  TEST_ORIGIN,
  TEST_TENANT,
  type TestClient,
  until,
  upgradeStatus,
  visitorToken,
} from '@replyx/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { frameChecks, httpChecks, type Kind, type Operation } from './document-checks.js';
import { asVisitor, at, joinOperator, joinVisitor, makeDialog, startWorld, type World } from './world.js';

const BOT = { role: 'assistant', id: 'bot', name: 'Bot' };
const ASSISTANT = { tenant: 'tenant-1', allowed_domains: ['a.example'], widget_version: 3, limits: { messages: 5 } };
const DIALOG = { tenant: 'tenant-1', assistant_id: 'assistant-1', visitor_id: 'visitor-1' };
/** A body that is in order, by operation. */
const BODIES: Readonly<Record<string, unknown>> = {
  publishMessage: { sender: BOT, text: 'x' },
  sendEvent: { type: 'event', name: 'n', data: 1 },
  changeHandoff: { id: 'h', action: 'request' },
  writeStream: { action: 'start', sender: BOT },
  putDialog: DIALOG,
  putAssistant: ASSISTANT,
  revoke: { jti: 'nobody' },
  ban: { network: '198.51.100.7', ttl_seconds: 60 },
  disconnect: { connection_id: 'nobody' },
  drainNode: { node_id: 'node-1' },
  acquireLock: { owner: 'worker-1', ttl_ms: 60_000 },
  renewLock: { ttl_ms: 60_000 },
};
/** Well-formed, and of no lock. */
const LOCK_ID = '0'.repeat(32);

let world: World;
let documents: Record<'openapi' | 'asyncapi', never>;
let http: ReturnType<typeof httpChecks>;
let frames: ReturnType<typeof frameChecks>;
/** `publishMessage 409 conflict`: what was seen of what the document names. */
const seenAnswers = new Set<string>();
const seenFrames = new Set<string>();

beforeAll(async () => {
  world = await startWorld({ nodes: 2, env: { WS_TOKEN_CLOCK_TOLERANCE_SECONDS: 0, WS_DRAIN_WAIT_SECONDS: 3 } });
  const { api } = at(world.nodes, 0);
  const [openapi, asyncapi] = await Promise.all([api.get('/v1/openapi.json'), api.get('/v1/asyncapi.json')]);
  expect([openapi.status, asyncapi.status]).toEqual([200, 200]);
  documents = { openapi: openapi.body as never, asyncapi: asyncapi.body as never };
  http = httpChecks(documents);
  frames = frameChecks(documents);
  await makeDialog(world, 'd');
});
afterAll(async () => {
  await world?.close();
});

interface CallOptions {
  /** The API key, or the token. */
  readonly key?: string | null;
  readonly node?: number;
  readonly origin?: string;
}

const SOCKET = /^\/ws\//;
const PUBLIC = /^\/(api|widget)\//;
const httpUrlOf = (node: number): string => at(world.nodes, node).wsUrl.replace('ws:', 'http:');

/** A call of either listener, held against the document: the answer always, the request by how it was answered. */
const call = async (
  method: string,
  path: string,
  body?: unknown,
  { key = TEST_API_KEY, node = 0, origin }: CallOptions = {},
) => {
  const operation = http.operationOf(method, path.split('?')[0] ?? path);
  const response = await fetch(new URL(path, PUBLIC.test(path) ? httpUrlOf(node) : at(world.nodes, node).internalUrl), {
    method,
    headers: {
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      ...(origin === undefined ? {} : { origin }),
    },
    signal: AbortSignal.timeout(30_000),
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const contentType = response.headers.get('content-type') ?? '';
  const parsed = text === '' ? undefined : /[/+]json/.test(contentType) ? JSON.parse(text) : text;
  const { status } = response;
  if (status === 204) expect(response.headers.get('content-length')).toBeNull();
  expect([operation.id, http.answer(operation, { status, contentType, body: parsed })]).toEqual([
    operation.id,
    undefined,
  ]);
  if (contentType === 'application/problem+json') expect(parsed.status).toBe(status);
  if (status < 300 && operation.hasBody) {
    expect([operation.id, http.request(operation, body)]).toEqual([operation.id, undefined]);
  }
  seenAnswers.add([operation.id, status, parsed?.code].filter((part) => part !== undefined).join(' '));
  return { status, body: parsed, operation };
};

const expectAll = async (calls: readonly (readonly [number, string, string, unknown?])[]): Promise<void> => {
  for (const [status, method, path, body] of calls)
    expect([method, path, (await call(method, path, body)).status]).toEqual([method, path, status]);
};

/** Holds everything that a client was sent, and what it sends from here on, against the document. */
const watched = (kind: Kind, client: TestClient): TestClient => {
  const { socket } = client;
  const send = socket.send.bind(socket) as (data: unknown) => void;
  Object.assign(socket, {
    send: (data: string) => {
      const frame = data.startsWith('{') ? JSON.parse(data) : data;
      expect([data, frames.fromClient(kind, frame)]).toEqual([data, undefined]);
      send(data);
    },
  });
  return client;
};

const checkFrames = (kind: Kind, client: TestClient): void => {
  expect(client.frames.length).toBeGreaterThan(0);
  expect(frames.client(kind, client)).toEqual([]);
  seenAnswers.add(`${http.operationOf('get', new URL(client.socket.url).pathname).id} 101`);
  for (const frame of client.frames) seenFrames.add(frame.type === 'text' ? String(frame['raw']) : frame.type);
};

const pathOf = ({ path }: Operation, id: string, lockId = id): string =>
  path.replace('{lock_id}', lockId).replace(/\{\w+\}/g, id);
/** An id that the operation could know: that of a dead letter says where it is. */
const idOf = ({ path }: Operation): string => (path.includes('dead-letters') ? '0-1-0' : 'd');
const isSocket = ({ path }: Operation): boolean => SOCKET.test(path);
const isPublic = ({ path }: Operation): boolean => PUBLIC.test(path);
const isInternal = (operation: Operation): boolean => !isSocket(operation) && !isPublic(operation);

const KINDS = ['site', 'widget'] as const;
const originOf = (kind: (typeof KINDS)[number], node = 0): string => (kind === 'site' ? TEST_ORIGIN : httpUrlOf(node));
const SESSION = { secret: `${'d'.repeat(42)}A` };

describe('the internal listener answers as its OpenAPI document says', () => {
  it('without a key', async () => {
    for (const operation of http.operations.filter(({ needsKey }) => needsKey)) {
      expect((await call(operation.method, pathOf(operation, 'd'), undefined, { key: null })).status).toBe(401);
    }
    expect((await fetch(new URL('/v1/openapi.json', at(world.nodes, 0).internalUrl))).status).toBe(401);
  });

  it('where all is well', async () => {
    await expectAll([
      [200, 'put', '/v1/assistants/a', ASSISTANT],
      [200, 'put', '/v1/assistants/b', { tenant: 't' }],
      [200, 'get', '/v1/assistants/a'],
      [200, 'put', '/v1/dialogs/api', DIALOG],
      [200, 'get', '/v1/dialogs/api'],
      [201, 'post', '/v1/dialogs/api/messages', { id: '1', sender: BOT, text: 'Hello', meta: { a: [1] }, fence: 5 }],
      [201, 'post', '/v1/dialogs/api/messages', { id: '1', sender: BOT, text: 'Hello', meta: { a: [1] }, fence: 5 }],
      [201, 'post', '/v1/dialogs/api/messages', { sender: { role: 'system', id: 's' }, text: 'No id', fence: 5 }],
      [201, 'post', '/v1/dialogs/api/messages', { sender: BOT, text: 'Note', track: 'internal' }],
      [200, 'get', '/v1/dialogs/api/messages'],
      [200, 'get', '/v1/dialogs/api/messages?after=0&limit=1'],
      [200, 'get', '/v1/dialogs/api/messages?before=2&limit=1'],
      [200, 'get', '/v1/dialogs/api/messages?track=internal'],
      [202, 'post', '/v1/dialogs/api/events', { type: 'event', name: 'n', data: null }],
      [202, 'post', '/v1/dialogs/api/events', { type: 'typing', sender: BOT, state: 'start', track: 'internal' }],
      [200, 'post', '/v1/dialogs/api/handoff', { id: '1', action: 'request', reason: 'help' }],
      [200, 'get', '/v1/dialogs/api/handoff'],
      [200, 'post', '/v1/dialogs/api/stream', { action: 'start', id: 's1', sender: BOT, fence: 5 }],
      [200, 'post', '/v1/dialogs/api/stream', { action: 'append', stream_id: 's1', index: 0, text: 'Hel' }],
      [200, 'post', '/v1/dialogs/api/stream', { action: 'finish', stream_id: 's1', text: 'Hello', meta: { a: [1] } }],
      [200, 'post', '/v1/dialogs/api/stream', { action: 'start', id: 's2', sender: BOT }],
      [200, 'post', '/v1/dialogs/api/stream', { action: 'abort', stream_id: 's2' }],
      [201, 'post', '/v1/tokens', { type: 'operator', sub: 'o', tenant: 't', role: 'r', ttl_seconds: 60 }],
      [201, 'post', '/v1/tokens', { type: 'site', tenant: 't', assistant_id: 'a', allowed_domains: ['a.example'] }],
      [
        201,
        'post',
        '/v1/tokens',
        { type: 'visitor', sub: 'v', tenant: 't', assistant_id: 'a', dialog_id: 'd', kind: 'widget' },
      ],
      [201, 'post', '/v1/revocations', { jti: 'nobody' }],
      [201, 'post', '/v1/revocations', { sub: 'nobody', tenant: 't', issued_before: 1.5, ttl_seconds: 60 }],
      [201, 'post', '/v1/revocations', { sub: 'nobody' }],
      [201, 'post', '/v1/revocations', { assistant_id: 'nothing', below_version: 3 }],
      [201, 'post', '/v1/revocations', { dialog_id: 'nothing' }],
      [200, 'get', '/v1/revocations'],
      [200, 'get', '/v1/revocations?limit=2'],
      [201, 'post', '/v1/bans', { network: '198.51.100.0/24', ttl_seconds: 60, reason: 'why not' }],
      [201, 'post', '/v1/bans', { network: '2001:db8::1', ttl_seconds: 60 }],
      [200, 'get', '/v1/bans'],
      [202, 'post', '/v1/disconnect', { sub: 'nobody', tenant: 't', code: 'AUTH_EXPIRED' }],
      [202, 'post', '/v1/disconnect', { node_id: 'nobody', code: 1012 }],
      [404, 'post', '/v1/drain', { node_id: 'nobody' }],
      [200, 'get', '/v1/cluster'],
      [200, 'get', '/v1/openapi.json'],
      [200, 'get', '/v1/asyncapi.json'],
      [200, 'get', '/livez'],
      [200, 'get', '/readyz'],
      [200, 'get', '/metrics'],
    ]);
    for (const path of ['/v1/revocations', '/v1/bans']) {
      const { body } = await call('get', path);
      await expectAll([[204, 'delete', `${path}/${Object.values<{ id: string }[]>(body)[0]?.[0]?.id}`]]);
    }
    const { body: lock } = await call('post', '/v1/dialogs/api/lock', {
      owner: 'worker-1',
      ttl_ms: 60_000,
      wait_ms: 1_000,
    });
    await expectAll([
      [200, 'put', `/v1/dialogs/api/lock/${lock.lock_id}`, { ttl_ms: 30_000 }],
      [409, 'post', '/v1/dialogs/api/lock', { owner: 'worker-2', ttl_ms: 60_000 }],
      [204, 'delete', `/v1/dialogs/api/lock/${lock.lock_id}`],
      [409, 'delete', `/v1/dialogs/api/lock/${lock.lock_id}`],
      [409, 'put', `/v1/dialogs/api/lock/${lock.lock_id}`, { ttl_ms: 30_000 }],
    ]);
    const visitor = await joinVisitor(at(world.nodes, 0), 'api', { claims: { name: 'Vera' } });
    const operator = await joinOperator(at(world.nodes, 1), 'api');
    expect((await call('get', '/v1/dialogs/api/presence')).body.count).toBe(2);
    await Promise.all([visitor.close(), operator.close()]);
  });

  it('where webhooks did not take everything', async () => {
    const webhook = { url: 'http://127.0.0.1:9/hook', secret: 's'.repeat(32), previous_secret: 'p'.repeat(32) };
    await expectAll([
      [200, 'put', '/v1/assistants/hooked', { tenant: 't', inbox: true, webhook }],
      [200, 'get', '/v1/assistants/hooked'],
    ]);
    const { redis } = world;
    for (const id of ['1-0', '2-0', '3-0']) {
      const body = JSON.stringify({ kind: 'opened', assistant_id: 'a', tenant: 't', dialog_id: 'd', time: 1 });
      const diedMs = Date.now();
      await redis?.cli('ZADD', 'rx:{p000}:inbox:dead', diedMs, id);
      await redis?.cli('HSET', 'rx:{p000}:inbox:letters', id, `a\nd\n12\ntimeout\n${diedMs}\n\n${body}`);
    }
    await expectAll([
      [200, 'get', '/v1/dead-letters'],
      [200, 'get', '/v1/dead-letters?assistant_id=a&limit=1'],
      [202, 'post', '/v1/dead-letters/0-1-0/replay'],
      [204, 'delete', '/v1/dead-letters/0-2-0'],
    ]);
  });

  it('where the state contradicts', async () => {
    await expectAll([
      [409, 'post', '/v1/dialogs/api/messages', { id: '1', sender: BOT, text: 'Other', fence: 5 }],
      [409, 'post', '/v1/dialogs/api/messages', { id: '2', sender: BOT, text: 'Old', fence: 4 }],
      [409, 'post', '/v1/dialogs/api/handoff', { id: '1', action: 'cancel' }],
      [409, 'post', '/v1/dialogs/api/stream', { action: 'start', id: 's3', sender: BOT, fence: 4 }],
      [409, 'post', '/v1/dialogs/api/stream', { action: 'append', stream_id: 's2', index: 0, text: 'x' }],
      [409, 'put', '/v1/dialogs/api', { ...DIALOG, tenant: 'tenant-2' }],
      [200, 'put', '/v1/dialogs/closed', { ...DIALOG, closed: true }],
      [409, 'post', '/v1/dialogs/closed/messages', { sender: BOT, text: 'Late' }],
      [409, 'post', '/v1/dialogs/closed/handoff', { id: '1', action: 'request' }],
      [409, 'post', '/v1/dialogs/closed/stream', { action: 'start', sender: BOT }],
      [204, 'delete', '/v1/dialogs/closed'],
      [204, 'delete', '/v1/assistants/b'],
    ]);
  });

  it('where too many answers are being written', async () => {
    await call('put', '/v1/dialogs/busy', DIALOG);
    const start = { action: 'start', sender: BOT };
    const calls = [200, 200, 200, 200, 429].map(
      (status) => [status, 'post', '/v1/dialogs/busy/stream', start] as const,
    );
    await expectAll(calls);
  });

  const unfit: readonly [string, string, unknown][] = [
    ['post', '/v1/dialogs/api/handoff', { id: 'x', action: 'take' }],
    ['post', '/v1/dialogs/api/stream', { action: 'append', stream_id: 's', index: 0, text: '' }],
    ['post', '/v1/dialogs/api/stream', { action: 'start', sender: { role: 'manager', id: 'm' } }],
    ['post', '/v1/dialogs/api/messages', { sender: BOT, text: 'x', extra: 1 }],
    ['post', '/v1/dialogs/api/messages', { sender: { role: 'user', id: 'v' }, text: 'x' }],
    ['post', '/v1/dialogs/api/messages', { sender: BOT, text: '' }],
    ['post', '/v1/dialogs/api/messages', { sender: BOT, text: 'x', fence: '5' }],
    ['post', '/v1/dialogs/api/messages', { sender: BOT, text: 'x', meta: [] }],
    ['post', '/v1/dialogs/api/messages', { id: 'a\nb', sender: BOT, text: 'x' }],
    ['post', '/v1/dialogs/api/events', { type: 'event', name: 'a b', data: 1 }],
    ['post', '/v1/dialogs/api/events', { type: 'event', name: 'n' }],
    ['put', '/v1/dialogs/api', { tenant: 't' }],
    ['post', '/v1/dialogs/api/lock', { owner: 'w', ttl_ms: 1 }],
    ['post', '/v1/dialogs/api/lock', { owner: 'w', ttl_ms: 1_000, wait_ms: 30_001 }],
    ['put', `/v1/dialogs/api/lock/${LOCK_ID}`, { ttl_ms: 3_600_001 }],
    ['put', '/v1/assistants/a', { tenant: 't', limits: { other: 1 } }],
    ['put', '/v1/assistants/a', { tenant: 't', inbox: true, webhook: { url: 'https://a.example', secret: 'short' } }],
    ['post', '/v1/revocations', {}],
    ['post', '/v1/revocations', { jti: 'a', sub: 'b' }],
    ['post', '/v1/revocations', { sub: 'b', issued_before: 1_767_225_600_000 }],
    ['post', '/v1/bans', { network: '198.51.100.7' }],
    ['post', '/v1/disconnect', { code: 1001 }],
    ['post', '/v1/drain', {}],
    ['post', '/v1/disconnect', { sub: 'b', code: 4010 }],
    ['post', '/v1/tokens', { type: 'root' }],
    ['post', '/v1/tokens', { type: 'operator', sub: 'o', tenant: 't', role: 'r', exp: 1 }],
  ];
  it.each(unfit)('and refuses what it does not describe: %s %s %o', async (method, path, body) => {
    const { status, operation } = await call(method, path, body);
    expect(status).toBe(400);
    expect(http.request(operation, body)).toBeDefined();
  });

  it('where a query, a path or a body is beyond what it takes', async () => {
    await expectAll([
      [400, 'get', '/v1/dialogs/api/messages?limit=0'],
      [400, 'get', '/v1/dialogs/api/messages?before=1&after=1'],
      [400, 'get', '/v1/revocations?limit=0'],
      [400, 'get', '/v1/bans?after=x'],
      [400, 'get', '/v1/dead-letters?limit=0'],
      [400, 'post', '/v1/bans', { network: '0.0.0.0/0', ttl_seconds: 60 }],
    ]);
    for (const operation of http.operations.filter((one) => isInternal(one) && one.path.includes('{'))) {
      // A `put` makes what is unknown: only an id that is none is not found.
      for (const id of ['a%20b', ...(operation.method === 'put' ? [] : ['unknown'])])
        expect([
          operation.id,
          (await call(operation.method, pathOf(operation, id), BODIES[operation.id])).status,
        ]).toEqual([operation.id, 404]);
    }
    for (const operation of http.operations.filter((one) => isInternal(one) && one.method !== 'get')) {
      const big = `{"text":"${'x'.repeat(300_000)}"}`;
      expect((await call(operation.method, pathOf(operation, 'api'), big)).status).toBe(413);
    }
  });
});

describe('the public listener answers as its OpenAPI document says', () => {
  const assistant = (id: string, record = {}) =>
    call('put', `/v1/assistants/${id}`, { tenant: TEST_TENANT, allowed_domains: [TEST_DOMAIN], ...record });

  it.each(KINDS)('a visitor of the kind %s', async (kind) => {
    await assistant(TEST_ASSISTANT);
    await assistant('newer', { widget_version: 2 });
    const origin = originOf(kind);
    const expectEach = async (
      calls: readonly (readonly [number, string, string, unknown, string | null, string?])[],
    ) => {
      for (const [status, method, path, body, key, from = origin] of calls) {
        const seen = (await call(method, path, body, { key, origin: from })).status;
        expect([method, path, seen]).toEqual([method, path, status]);
      }
    };
    const sessions = `/api/${kind}/sessions`;
    await expectEach([
      [201, 'post', sessions, { ...SESSION, name: 'Vera' }, siteToken()],
      [400, 'post', sessions, { ...SESSION, extra: 1 }, siteToken()],
      [401, 'post', sessions, SESSION, null],
      [401, 'post', sessions, SESSION, siteToken({ exp: nowSeconds() - 1 })],
      [403, 'post', sessions, SESSION, siteToken(), 'https://other.example'],
      [403, 'post', sessions, SESSION, siteToken({ assistant_id: 'newer' })],
      [404, 'post', sessions, SESSION, siteToken({ assistant_id: 'unknown' })],
      [413, 'post', sessions, { ...SESSION, name: 'x'.repeat(20_000) }, siteToken()],
    ]);
    const { dialog_id: dialogId, visitor_id: visitorId } = (
      await call('post', sessions, SESSION, { key: siteToken(), origin })
    ).body;
    const claims = { dialog_id: dialogId, sub: visitorId, kind };
    const token = visitorToken(claims);
    const old = visitorToken({ ...claims, exp: nowSeconds() - 1 });
    const place = `/api/${kind}/dialogs/${dialogId}`;
    const message = { id: '1', text: 'Hello', meta: { a: 1 } };
    await expectEach([
      [201, 'post', `${place}/messages`, message, token],
      [201, 'post', `${place}/messages`, message, token],
      [409, 'post', `${place}/messages`, { id: '1', text: 'Other' }, token],
      [400, 'post', `${place}/messages`, { text: 'No id' }, token],
      [413, 'post', `${place}/messages`, { id: '2', text: 'x'.repeat(140_000) }, token],
      [200, 'get', `${place}/messages?limit=1`, undefined, token],
      [400, 'get', `${place}/messages?before=1&after=1`, undefined, token],
    ]);
    for (const [method, path, body] of [
      ['post', 'messages', message],
      ['get', 'messages', undefined],
      ['get', 'events', undefined],
    ] as const) {
      await expectEach([
        [401, method, `${place}/${path}`, body, null],
        [401, method, `${place}/${path}`, body, old],
        [403, method, `${place}/${path}`, body, token, 'https://other.example'],
        [404, method, `/api/${kind}/dialogs/other/${path}`, body, token],
        [404, method, `/api/${kind}/dialogs/a%20b/${path}`, body, token],
      ]);
    }
    const operation = http.operationOf('get', `${place}/events`);
    const stream = await openEvents({ url: `${httpUrlOf(0)}${place}/events`, token, origin });
    const contentType = String(stream.headers['content-type']);
    expect(http.answer(operation, { status: stream.status, contentType, body: 'data: …' })).toBeUndefined();
    seenAnswers.add(`${operation.id} ${stream.status}`);
    await stream.waitFor('presence');
    expect(stream.frames.flatMap((frame) => frames.fromServer(kind, frame) ?? [])).toEqual([]);
    stream.abort();
    const record = { tenant: TEST_TENANT, assistant_id: TEST_ASSISTANT, visitor_id: visitorId, closed: true };
    await call('put', `/v1/dialogs/${dialogId}`, record);
    await expectEach([[409, 'post', `${place}/messages`, { id: '2', text: 'Late' }, token]]);
    await call('delete', `/v1/dialogs/${dialogId}`);
  });

  it('the hosted page', async () => {
    for (const [status, id] of [
      [200, TEST_ASSISTANT],
      [404, 'unknown'],
    ] as const)
      expect((await call('get', `/widget/${id}`, undefined, { key: null })).status).toBe(status);
  });
});

describe('the sockets speak as the AsyncAPI document says', () => {
  it('a visitor and an operator, in all that they say', async () => {
    await makeDialog(world, 'talk');
    const operator = watched(
      'operator',
      await joinOperator(at(world.nodes, 1), 'talk', { claims: { sub: 'anna', name: 'Anna' } }),
    );
    const visitor = watched('site', await joinVisitor(at(world.nodes, 0), 'talk', { claims: { name: 'Vera' } }));
    const told = (client: TestClient, type: string, state: string) =>
      client.waitFor((frame) => frame.type === type && frame['state'] === state);
    await told(operator, 'presence', 'join');

    visitor.send({ type: 'typing', state: 'start' });
    await told(operator, 'typing', 'start');
    expect(await visitor.publish('hello', { id: 'm1', meta: { deep: { a: [1, null] } } })).toMatchObject({ offset: 1 });
    expect(await visitor.publish('hello', { id: 'm1', meta: { deep: { a: [1, null] } } })).toMatchObject({
      duplicate: true,
    });
    expect(await visitor.publish('other', { id: 'm1' })).toMatchObject({ code: 'conflict' });
    expect(await operator.publish('between us', { type: 'note', id: 'n1' })).toMatchObject({ track: 'internal' });
    operator.send({ type: 'typing', state: 'start', track: 'internal' });
    expect(await operator.publish('How can I help?', { id: 'm2' })).toMatchObject({ type: 'ack' });
    operator.send({ type: 'typing', state: 'stop', track: 'internal' });
    operator.send({ type: 'read', offset: 1, track: 'internal' });
    operator.send({ type: 'read', offset: 2 });
    await visitor.waitFor('read');
    await operator.waitFor((frame) => frame.type === 'read' && frame.track === 'internal');
    await call('post', '/v1/dialogs/talk/events', { type: 'event', name: 'order.paid', data: { order: 7 } });
    await visitor.waitFor('event');

    expect(await visitor.request({ type: 'history', limit: 1 })).toMatchObject({ more: true });
    expect(await visitor.request({ type: 'history', after: 0 })).toMatchObject({ type: 'history' });
    expect(await operator.request({ type: 'history', track: 'internal', before: 2 })).toMatchObject({ offset: 1 });
    expect(await visitor.request({ type: 'history', track: 'internal' })).toMatchObject({ code: 'not_allowed' });
    expect(await visitor.request({ type: 'handoff', action: 'take' })).toMatchObject({ code: 'not_allowed' });
    await call('post', '/v1/dialogs/talk/handoff', { id: '1', action: 'request', reason: 'help' });
    await call('post', '/v1/dialogs/talk/stream', { action: 'start', id: 's', sender: BOT });
    await call('post', '/v1/dialogs/talk/stream', { action: 'append', stream_id: 's', index: 0, text: 'Hel' });
    expect(await operator.request({ type: 'handoff', id: 't', action: 'take' })).toMatchObject({ type: 'ack' });
    expect(await operator.request({ type: 'handoff', id: 't', action: 'take' })).toMatchObject({ duplicate: true });
    await told(visitor, 'handoff', 'active');
    const token = visitorToken({ dialog_id: 'talk', name: 'Vera' });
    expect(await visitor.request({ type: 'refresh', token })).toMatchObject({ type: 'ack' });
    expect(await visitor.request({ type: 'refresh', token: 'a.b.c' })).toMatchObject({ code: 'unauthorized' });
    visitor.send({ type: 'ping' });
    await visitor.waitFor('pong');
    visitor.sendRaw('__ping__');
    await visitor.waitFor('text');

    const { position } = visitor;
    const { fence } = (await call('get', '/v1/dialogs/talk/handoff')).body;
    await call('post', '/v1/dialogs/talk/stream', { action: 'start', id: 't', sender: BOT, fence });
    await call('post', '/v1/dialogs/talk/stream', { action: 'append', stream_id: 't', index: 0, text: 'Hel' });
    await visitor.close();
    await told(operator, 'presence', 'leave');
    await operator.publish('are you there?');
    const again = await joinVisitor(at(world.nodes, 1), 'talk', {
      claims: { name: 'Vera' },
      ...(position === undefined ? {} : { position }),
    });
    await again.waitFor((frame) => frame.type === 'message' && frame.text === 'are you there?');
    expect((await again.waitFor('connected'))['read']).toHaveLength(1);
    expect(await again.waitFor('delta')).toMatchObject({ whole: true });
    await Promise.all([again.close(), operator.close()]);
    checkFrames('site', visitor);
    checkFrames('site', again);
    checkFrames('operator', operator);
  });

  it('the hosted page', async () => {
    const { wsUrl } = at(world.nodes, 0);
    const page = await connect({
      url: `${wsUrl}/ws/widget/dialogs/talk`,
      token: visitorToken({ dialog_id: 'talk', kind: 'widget' }),
      origin: wsUrl.replace('ws:', 'http:'),
    });
    await watched('widget', page).publish('from the page');
    await page.close();
    checkFrames('widget', page);
  });

  const unfit: readonly Record<string, unknown>[] = [
    { type: 'message', id: 'x', text: 'hi', extra: 1 },
    { type: 'message', text: 'hi' },
    { type: 'message', id: 'x', text: '' },
    { type: 'message', id: 'x', text: 'x'.repeat(10_001) },
    { type: 'message', id: 'a\nb', text: 'hi' },
    { type: 'typing', state: 'maybe' },
    { type: 'read', offset: -1 },
    { type: 'history', id: 'h', before: 2, after: 1 },
    { type: 'history', id: 'h', limit: 101 },
    { type: 'handoff', id: 'h', action: 'steal' },
    { type: 'subscribe', id: 's' },
  ];
  it('and refuse what it does not describe', async () => {
    const visitor = await joinVisitor(at(world.nodes, 0), 'd');
    for (const frame of unfit) {
      expect(frames.fromClient('site', frame)).toBeDefined();
      const answer = visitor.next('error');
      visitor.send(frame);
      expect(await answer).toMatchObject({ code: 'bad_frame' });
    }
    expect(frames.fromClient('site', { type: 'note', id: 'n', text: 'hi' })).toBeDefined();
    expect(await visitor.publish('hi', { type: 'note' })).toMatchObject({ code: 'not_allowed' });
    await visitor.close();
    checkFrames('site', visitor);
  });

  it('when they end', async () => {
    await makeDialog(world, 'ends');
    const expiring = await joinVisitor(at(world.nodes, 0), 'ends', { claims: { exp: nowSeconds() + 2 } });
    const erased = await joinOperator(at(world.nodes, 1), 'ends');
    const refused = dial(asVisitor(at(world.nodes, 0), 'ends', { origin: 'https://other.example' }));
    expect((await refused.closed).code).toBe(4003);
    expect((await expiring.closed).code).toBe(4001);
    await call('delete', '/v1/dialogs/ends');
    expect((await erased.closed).code).toBe(4004);
    checkFrames('site', expiring);
    checkFrames('operator', erased);
    checkFrames('site', refused);
  });
});

describe('an undocumented field', () => {
  it('fails in a frame', async () => {
    const visitor = await joinVisitor(at(world.nodes, 0), 'd');
    await visitor.publish('hello');
    await visitor.waitFor('message');
    await visitor.close();
    for (const frame of visitor.frames) {
      expect(frames.fromServer('site', frame)).toBeUndefined();
      expect(frames.fromServer('site', { ...frame, planted: 1 })).toMatch('planted');
    }
    const message = visitor.frames.find(({ type }) => type === 'message');
    expect(frames.fromServer('site', { ...message, sender: { role: 'user', id: 'v', email: 'v@a.example' } })).toMatch(
      'email',
    );
    expect(frames.fromServer('site', { type: 'draft', text: 'x' })).toMatch('not documented');
    expect(frames.fromServer('site', { ...message, type: 'note' })).toMatch('not documented');
  });

  it('fails in an answer', async () => {
    const answerOf = async (path: string) => {
      const { status, body, operation } = await call('get', path);
      const check = (changed: unknown) =>
        http.answer(operation, { status, contentType: 'application/json', body: changed });
      return { body, check };
    };
    for (const path of ['/v1/dialogs/api', '/v1/dialogs/api/messages', '/v1/cluster']) {
      const { body, check } = await answerOf(path);
      expect(check(body)).toBeUndefined();
      expect(check({ ...body, planted: 1 })).toMatch('planted');
    }
    const { body, check } = await answerOf('/v1/dialogs/api/messages');
    expect(check({ ...body, messages: [{ ...body.messages[0], planted: 1 }] })).toMatch('planted');
    const operation = http.operationOf('get', '/v1/dialogs/unknown');
    const problem = (await call('get', '/v1/dialogs/unknown')).body;
    const contentType = 'application/problem+json';
    expect(http.answer(operation, { status: 404, contentType, body: { ...problem, planted: 1 } })).toMatch('planted');
    expect(http.answer(operation, { status: 404, contentType, body: { ...problem, code: 'conflict' } })).toMatch(
      'code',
    );
    expect(http.answer(operation, { status: 409, contentType, body: problem })).toMatch('not documented');
  });
});

describe('trouble', () => {
  it('a Redis that was emptied: reset', async () => {
    const visitor = await joinVisitor(at(world.nodes, 0), 'd', { clientId: 'reset' });
    await visitor.publish('before');
    await world.redis?.flushAll();
    await until(async () => (await visitor.publish('after', { id: 'after' })).type === 'ack', {
      what: 'the acknowledgement',
      everyMs: 100,
    });
    await visitor.waitFor('reset');
    await visitor.close();
    checkFrames('site', visitor);
    await makeDialog(world, 'd');
  });

  it('a Redis that is away: unavailable', async () => {
    const visitor = await joinVisitor(at(world.nodes, 0), 'd', { clientId: 'away' });
    await world.redis?.kill();
    expect(await visitor.publish('lost?')).toMatchObject({ type: 'error', code: 'unavailable', temporary: true });
    const affected = http.operations.filter(({ answers }) => answers.includes('503 unavailable')).filter(isInternal);
    await Promise.all(
      affected.map(async (operation) => {
        const path = pathOf(operation, idOf(operation), LOCK_ID);
        const { status } = await call(operation.method, path, BODIES[operation.id]);
        expect([operation.id, status]).toEqual([operation.id, 503]);
      }),
    );
    for (const kind of KINDS) {
      const origin = originOf(kind);
      const session = await call('post', `/api/${kind}/sessions`, SESSION, { key: siteToken(), origin });
      expect(session.status).toBe(503);
      const key = visitorToken({ dialog_id: 'd', kind });
      for (const [method, body] of [
        ['get', undefined],
        ['post', { id: '1', text: 'lost?' }],
      ] as const)
        expect((await call(method, `/api/${kind}/dialogs/d/messages`, body, { key, origin })).status).toBe(503);
    }
    expect((await call('get', `/widget/${TEST_ASSISTANT}`, undefined, { key: null })).status).toBe(503);
    await until(async () => (await call('get', '/readyz')).status === 503, { what: 'the node to be unready' });
    await visitor.terminate();
    checkFrames('site', visitor);
    await world.redis?.start();
    await until(async () => (await call('get', '/readyz')).status === 200, { what: 'the node to be ready' });
  });

  it('an upgrade that is refused, and a drain', async () => {
    const { wsUrl } = at(world.nodes, 1);
    const refusals: string[] = [];
    const refuse = async (path: string, headers = {}): Promise<number> => {
      const { status, headers: told, body } = await upgradeStatus(`${wsUrl}${path}`, headers);
      if (status === 101) return status;
      const operation = http.operationOf('get', path);
      const contentType = told['content-type'] ?? '';
      expect(http.answer(operation, { status, contentType, body: JSON.parse(body) })).toBeUndefined();
      seenAnswers.add(`${operation.id} ${status} ${JSON.parse(body).code}`);
      refusals.push(operation.id);
      return status;
    };
    const sockets = http.operations.filter(isSocket);
    for (const operation of sockets) {
      expect(await refuse(pathOf(operation, 'a%20b'))).toBe(404);
      expect(await refuse(pathOf(operation, 'd'), { 'Sec-WebSocket-Version': '12' })).toBe(426);
    }
    await until(() => makeDialog(world, 'd').then(() => true), { what: 'the dialog to be made', everyMs: 100 });
    const visitor = await until(() => joinVisitor(at(world.nodes, 1), 'd', { clientId: 'drained' }), {
      what: 'a join',
      everyMs: 100,
    });
    // Closes go at a pace: with so many it takes a while.
    const enter = () => until(() => joinOperator(at(world.nodes, 1), 'd'), { what: 'a join', everyMs: 50 });
    const crowd = await Promise.all(Array.from({ length: 60 }, enter));
    const leaving = at(world.processes, 1);
    const { nodeId, exited } = leaving;
    const order = async () => (await call('post', '/v1/drain', { node_id: nodeId })).status;
    await until(async () => (await order()) === 202, {
      what: 'the node to be seen by the one that is asked',
      everyMs: 50,
    });
    for (const operation of sockets)
      await until(async () => (await refuse(pathOf(operation, 'd'))) === 503, { what: 'the drain' });
    for (const kind of KINDS) {
      const key = visitorToken({ dialog_id: 'd', kind });
      const origin = originOf(kind, 1);
      expect((await call('get', `/api/${kind}/dialogs/d/events`, undefined, { key, node: 1, origin })).status).toBe(
        503,
      );
    }
    for (const client of [visitor, ...crowd]) expect((await client.closed).code).toBe(1012);
    expect(await exited).toEqual({ code: 0, signal: null });
    checkFrames('site', visitor);
    expect(new Set(refusals).size).toBe(3);
  });
});

describe('the documents hold nothing that was not seen', () => {
  /** By an address, a limit or a revocation: any public route may be refused so, and none of them is under test here. */
  const BY_GUARDS = / (not_allowed|rate_limited|revoked)$/;

  it('no answer but `internal`, which only a bug gives', () => {
    const named = http.operations.flatMap((operation) =>
      operation.answers
        .filter((answer) => !isPublic(operation) || !BY_GUARDS.test(answer))
        .map((answer) => `${operation.id} ${answer}`),
    );
    expect(named.filter((answer) => !seenAnswers.has(answer) && !answer.endsWith(' 500 internal'))).toEqual([]);
  });

  it('and no frame', () => {
    expect(frames.sentNames('operator').filter((name) => !seenFrames.has(name))).toEqual([]);
  });
});
