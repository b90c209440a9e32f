import { readFileSync } from 'node:fs';
import {
  connect,
  EventStreamClient,
  nowSeconds,
  openEvents,
  operatorToken,
  rawRequest,
  sentTexts,
  siteToken,
  TEST_ASSISTANT,
  TEST_DOMAIN,
  TEST_ORIGIN,
  TEST_TENANT,
  until,
  visitorToken,
} from '@replyx/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  asVisitor,
  at,
  joinOperator,
  joinVisitor,
  makeDialog,
  startWorld,
  type World,
  type WorldNode,
} from './world.js';

const APP_ORIGIN = 'https://app.example';
const WINDOW = 8;

let world: World;
beforeAll(async () => {
  world = await startWorld({
    nodes: 2,
    env: {
      CORS_ORIGINS: APP_ORIGIN,
      WS_TOKEN_CLOCK_TOLERANCE_SECONDS: 0,
      WS_PING_INTERVAL_SECONDS: 1,
      WS_OUTBOX_MAX_BYTES: 262_144,
      ...Object.fromEntries(
        ['PER_IP', 'HTTP', 'SESSIONS', 'AUTH_FAILURES', 'ASSISTANT_SESSIONS'].map((name) => [
          `WS_RATE_LIMIT_${name}`,
          0,
        ]),
      ),
      WS_BAN_SCORE: 0,
    },
  });
  for (const { api } of world.nodes) {
    // Each node is told: a preflight is answered from what a node itself knows.
    await api.put(`/v1/assistants/${TEST_ASSISTANT}`, ASSISTANT);
  }
});
afterAll(async () => {
  await world?.close();
});

const ASSISTANT = { tenant: TEST_TENANT, allowed_domains: [TEST_DOMAIN], widget_version: 1 };
const httpUrlOf = (node: WorldNode): string => node.wsUrl.replace('ws:', 'http:');
const first = () => at(world.nodes, 0);
const second = () => at(world.nodes, 1);

let made = 0;
const newSecret = (): string => `${'s'.repeat(34)}${String(++made).padStart(8, '0')}A`;

interface Asking {
  readonly node?: WorldNode;
  readonly method?: string;
  readonly token?: string;
  readonly origin?: string | null;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

const ask = async (path: string, { node = first(), method, token, origin, body, headers }: Asking = {}) => {
  if (typeof body === 'object' && body !== null && 'text' in body) sentTexts.note(body.text);
  const response = await fetch(`${httpUrlOf(node)}${path}`, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(origin === null ? {} : { origin: origin ?? TEST_ORIGIN }),
      ...headers,
    },
    signal: AbortSignal.timeout(30_000),
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = /[/+]json/.test(String(response.headers.get('content-type')));
  return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : undefined };
};

const session = async (options: Asking & { secret?: string; kind?: string; claims?: Record<string, unknown> } = {}) =>
  ask(`/api/${options.kind ?? 'site'}/sessions`, {
    token: siteToken(options.claims),
    body: { secret: options.secret ?? newSecret() },
    ...options,
  });

const claimsOf = (token: string) => JSON.parse(Buffer.from(String(token.split('.')[1]), 'base64url').toString());

describe('a session', () => {
  it('starts a dialog whose token opens a socket, and the same secret gives the same dialog on any node', async () => {
    const secret = newSecret();
    const jti = 'site-token-1';
    const started = await session({ secret, claims: { jti } });
    expect(started.status).toBe(201);
    expect(started.body).toMatchObject({ expires_in: 900, resumed: false });
    const { dialog_id: dialogId, visitor_id: visitorId, token } = started.body;
    expect(claimsOf(token)).toMatchObject({
      type: 'visitor',
      sub: visitorId,
      tenant: TEST_TENANT,
      assistant_id: TEST_ASSISTANT,
      dialog_id: dialogId,
      kind: 'site',
      allowed_domains: [TEST_DOMAIN],
      widget_version: 1,
      parent: jti,
    });
    const visitor = await connect({ ...asVisitor(second(), dialogId), token });
    expect(await visitor.publish('hello')).toMatchObject({ type: 'ack' });
    const resumed = await session({ secret, node: second(), body: { secret, name: 'Vera' } });
    expect(resumed.body).toMatchObject({ dialog_id: dialogId, visitor_id: visitorId, resumed: true });
    expect(claimsOf(resumed.body.token).name).toBe('Vera');
    expect(await visitor.request({ type: 'refresh', token: resumed.body.token })).toMatchObject({ type: 'ack' });
    await visitor.close();
    expect((await first().api.get(`/v1/dialogs/${dialogId}`)).body).toEqual({
      tenant: TEST_TENANT,
      assistant_id: TEST_ASSISTANT,
      visitor_id: visitorId,
      closed: false,
    });
  });

  it('that is asked for twice at once is one dialog', async () => {
    const secret = newSecret();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) => session({ secret, node: at(world.nodes, i) })),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(201));
    expect(new Set(answers.map(({ body }) => body.dialog_id)).size).toBe(1);
    expect(answers.filter(({ body }) => !body.resumed)).toHaveLength(1);
  });

  it('of the hosted page is bound to its own origin, and its token to its kind', async () => {
    const origin = httpUrlOf(first());
    expect((await session({ kind: 'widget' })).body).toMatchObject({ code: 'forbidden_domain' });
    const { body } = await session({ kind: 'widget', origin });
    expect(claimsOf(body.token).kind).toBe('widget');
    const path = `dialogs/${body.dialog_id}/messages`;
    expect((await ask(`/api/widget/${path}`, { token: body.token, origin })).status).toBe(200);
    expect((await ask(`/api/site/${path}`, { token: body.token })).status).toBe(404);
    // A browser sends no Origin with a GET to the page's own.
    const same = { token: body.token, origin: null };
    const own = { ...same, headers: { 'sec-fetch-site': 'same-origin' } };
    expect((await ask(`/api/widget/${path}`, own)).status).toBe(200);
    expect((await ask(`/api/widget/${path}`, { ...same, headers: { 'sec-fetch-site': 'cross-site' } })).status).toBe(
      403,
    );
    expect((await ask(`/api/widget/${path}`, same)).status).toBe(403);
  });

  it('needs a genuine site token of an active assistant, from one of its domains', async () => {
    const { api } = first();
    const assistants = { inactive: { active: false }, foreign: { tenant: 'tenant-2' }, newer: { widget_version: 2 } };
    for (const [id, overrides] of Object.entries(assistants))
      await api.put(`/v1/assistants/${id}`, { ...ASSISTANT, ...overrides });
    const dialog = { dialog_id: 'd', assistant_id: TEST_ASSISTANT };
    const cases: readonly [string, Asking, number, string][] = [
      ['no token', { headers: {} }, 401, 'unauthorized'],
      ['another secret', { token: siteToken({}, { secret: 'x'.repeat(50) }) }, 401, 'unauthorized'],
      ['an operator', { token: operatorToken() }, 401, 'unauthorized'],
      ['a visitor', { token: visitorToken(dialog) }, 401, 'unauthorized'],
      ['expired', { token: siteToken({ exp: nowSeconds() - 1 }) }, 401, 'expired'],
      [
        'expired, elsewhere',
        { token: siteToken({ exp: nowSeconds() - 1 }), origin: 'https://a.example' },
        403,
        'forbidden_domain',
      ],
      ['elsewhere', { token: siteToken(), origin: 'https://evilcustomer.example' }, 403, 'forbidden_domain'],
      ['nowhere', { token: siteToken(), origin: null }, 403, 'forbidden_domain'],
      ['unknown', { token: siteToken({ assistant_id: 'unknown' }) }, 404, 'not_found'],
      ['inactive', { token: siteToken({ assistant_id: 'inactive' }) }, 404, 'not_found'],
      ['of another tenant', { token: siteToken({ assistant_id: 'foreign' }) }, 404, 'not_found'],
      ['too old', { token: siteToken({ assistant_id: 'newer' }) }, 403, 'revoked'],
    ];
    const bodies = new Map<string, string>();
    for (const [name, options, status, code] of cases) {
      const answer = await ask('/api/site/sessions', { body: { secret: newSecret() }, ...options });
      expect([name, answer.status, answer.body.code]).toEqual([name, status, code]);
      expect(answer.headers.get('content-type')).toBe('application/problem+json');
      // One text a code: nothing tells which of the reasons it was.
      expect(bodies.get(code) ?? answer.text).toBe(answer.text);
      bodies.set(code, answer.text);
    }
    expect((await session({ claims: { assistant_id: 'newer', widget_version: 2 } })).status).toBe(201);
  });

  it('takes a body of its own bound that says nothing else', async () => {
    const token = siteToken();
    const secret = newSecret();
    const bodies: readonly [unknown, number, string][] = [
      ['', 400, 'bad_frame'],
      ['{"secret":', 400, 'bad_frame'],
      [`{"secret":"${secret}","secret":"${secret}"}`, 400, 'bad_frame'],
      [{ secret: secret.slice(1) }, 400, 'bad_frame'],
      [{ secret, dialog_id: 'mine' }, 400, 'bad_frame'],
      [{ secret, name: 'a\nb' }, 400, 'bad_frame'],
      [{ secret, name: 'x'.repeat(16_500) }, 413, 'too_large'],
    ];
    for (const [body, status, code] of bodies) {
      const answer = await ask('/api/site/sessions', { method: 'POST', token, body });
      expect([body, answer.status, answer.body.code]).toEqual([body, status, code]);
      expect(answer.text).not.toContain(secret);
      expect(answer.headers.get('access-control-allow-origin')).toBe(TEST_ORIGIN);
    }
  });

  it('does not take over a dialog that the backend gave to somebody else', async () => {
    const secret = newSecret();
    const { dialog_id: dialogId } = (await session({ secret })).body;
    await first().api.put(`/v1/dialogs/${dialogId}`, {
      tenant: TEST_TENANT,
      assistant_id: TEST_ASSISTANT,
      visitor_id: 'somebody',
    });
    expect((await session({ secret })).body).toMatchObject({ code: 'not_found' });
  });
});

/** A dialog with its visitor's token. */
const started = async (): Promise<{ dialogId: string; visitorId: string; token: string; path: string }> => {
  const { body } = await session();
  const { dialog_id: dialogId, visitor_id: visitorId, token } = body;
  return { dialogId, visitorId, token, path: `/api/site/dialogs/${dialogId}` };
};

describe('messages without a socket', () => {
  it('are appended once an id, shown to sockets of every node, and read as a visitor may read', async () => {
    const { dialogId, visitorId, token, path } = await started();
    const operator = await joinOperator(second(), dialogId);
    await operator.publish('between us', { type: 'note' });
    const sent = await ask(`${path}/messages`, { token, body: { id: 'm1', text: 'hello', meta: { a: 1 } } });
    expect(sent.status).toBe(201);
    expect(sent.body).toMatchObject({ id: 'm1', offset: 1, duplicate: false });
    expect(await operator.waitFor('message')).toMatchObject({
      text: 'hello',
      meta: { a: 1 },
      sender: { role: 'user', id: visitorId },
    });
    const again = await ask(`${path}/messages`, {
      token,
      body: { id: 'm1', text: 'hello', meta: { a: 1 } },
      node: second(),
    });
    expect(again.body).toEqual({ ...sent.body, duplicate: true });
    // The sender's ids are one space, whichever way they come.
    const visitor = await connect({ ...asVisitor(first(), dialogId), token });
    expect(await visitor.publish('hello', { id: 'm1', meta: { a: 1 } })).toMatchObject({ duplicate: true });
    expect((await ask(`${path}/messages`, { token, body: { id: 'm1', text: 'other' } })).body.code).toBe('conflict');
    for (const id of ['m2', 'm3']) await ask(`${path}/messages`, { token, body: { id, text: id } });

    const history = await ask(`${path}/messages?limit=2`, { token, node: second() });
    expect(history.body).toMatchObject({ epoch: sent.body.epoch, offset: 3, more: true });
    expect(history.body.messages.map(({ id }: { id: string }) => id)).toEqual(['m2', 'm3']);
    expect((await ask(`${path}/messages?after=0&limit=1`, { token })).body.messages[0].id).toBe('m1');
    expect((await ask(`${path}/messages?track=internal`, { token })).text).not.toContain('between us');
    expect((await ask(`${path}/messages?limit=0`, { token })).status).toBe(400);
    await Promise.all([operator.close(), visitor.close()]);
  });

  it('are refused of everybody but the visitor, and nothing tells a dialog that is from one that is not', async () => {
    const { dialogId, visitorId, token } = await started();
    await makeDialog(world, 'theirs', { visitor_id: 'another' });
    const asked = async (path: string, credential: string) => {
      const read = await ask(`/api/site/dialogs/${path}/messages`, { token: credential });
      const written = await ask(`/api/site/dialogs/${path}/messages`, {
        token: credential,
        body: { id: '1', text: 'x' },
      });
      return [read, written].map(({ status, text }) => [status, text]);
    };
    const unknown = await asked('unknown', visitorToken({ dialog_id: 'unknown' }));
    expect(unknown.map(([status]) => status)).toEqual([404, 404]);
    expect(await asked('theirs', visitorToken({ dialog_id: 'theirs' }))).toEqual(unknown);
    expect(await asked('theirs', token)).toEqual(unknown);
    expect(await asked(dialogId, visitorToken({ dialog_id: dialogId, tenant: 'tenant-2', sub: visitorId }))).toEqual(
      unknown,
    );
    expect(await asked(dialogId, visitorToken({ dialog_id: dialogId, assistant_id: 'other', sub: visitorId }))).toEqual(
      unknown,
    );
    expect(await asked(dialogId, visitorToken({ dialog_id: dialogId, sub: visitorId, kind: 'widget' }))).toEqual(
      unknown,
    );
    for (const credential of [operatorToken(), siteToken(), `${token}x`])
      expect((await asked(dialogId, credential)).map(([status]) => status)).toEqual([401, 401]);
    const old = visitorToken({ dialog_id: dialogId, exp: nowSeconds() - 1 });
    const expired = await ask(`/api/site/dialogs/${dialogId}/messages`, { token: old });
    expect([expired.status, expired.body.code]).toEqual([401, 'expired']);
    expect(expired.headers.get('www-authenticate')).toBe('Bearer');
  });

  it('fix the visitor of a dialog that has none yet, as a socket does', async () => {
    await makeDialog(world, 'free');
    const write = (sub: string) =>
      ask('/api/site/dialogs/free/messages', {
        token: visitorToken({ dialog_id: 'free', sub }),
        body: { id: sub, text: 'x' },
      });
    expect((await write('early')).status).toBe(201);
    expect((await write('late')).status).toBe(404);
  });

  it('are bounded, and refused where the dialog is closed', async () => {
    const { dialogId, visitorId, token, path } = await started();
    const large = await ask(`${path}/messages`, { token, body: { id: '1', text: 'x'.repeat(140_000) } });
    expect([large.status, large.body.code]).toEqual([413, 'too_large']);
    const long = await ask(`${path}/messages`, { token, body: { id: '1', text: 'x'.repeat(10_001) } });
    expect([long.status, long.body.code]).toEqual([400, 'bad_frame']);
    const record = { tenant: TEST_TENANT, assistant_id: TEST_ASSISTANT, visitor_id: visitorId, closed: true };
    await first().api.put(`/v1/dialogs/${dialogId}`, record);
    expect((await ask(`${path}/messages`, { token, body: { id: '1', text: 'x' } })).body.code).toBe('closed');
    expect((await ask(`${path}/messages`, { token })).status).toBe(200);
  });
});

const eventsOf = (
  { path, token }: { path: string; token: string },
  options: { node?: WorldNode; query?: string; lastEventId?: string } = {},
) => {
  const { node = first(), query = '', lastEventId } = options;
  return openEvents({
    url: `${httpUrlOf(node)}${path}/events${query}`,
    token,
    origin: TEST_ORIGIN,
    ...(lastEventId === undefined ? {} : { lastEventId }),
  });
};

describe('a stream of events', () => {
  it('brings the frames of a socket, keeps the line busy, and is present like one', async () => {
    const dialog = await started();
    const operator = await joinOperator(second(), dialog.dialogId);
    const stream = await eventsOf(dialog, { query: '?client_id=tab' });
    expect(stream.status).toBe(200);
    expect(stream.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      'access-control-allow-origin': TEST_ORIGIN,
      vary: 'Origin',
    });
    expect(stream.frames[0]).toMatchObject({ type: 'connected', dialog_id: dialog.dialogId, role: 'user' });
    await operator.waitFor((frame) => frame.type === 'presence' && frame['state'] === 'join');
    await operator.publish('line one\nline two');
    expect(await stream.waitFor('message')).toMatchObject({ text: 'line one\nline two' });
    operator.send({ type: 'typing', state: 'start' });
    await stream.waitFor('typing');
    const before = stream.comments;
    await until(() => stream.comments > before, { what: 'a comment' });
    expect((await first().api.get('/metrics')).body).toContain('replyx_connections{kind="site"} 1');
    stream.abort();
    await operator.waitFor((frame) => frame.type === 'presence' && frame['state'] === 'leave');
    await until(async () => /replyx_connections\{kind="site"\} 0/.test((await first().api.get('/metrics')).body), {
      what: 'the node to forget it',
    });
    await operator.close();
  });

  it.each(['header', 'query'] as const)(
    'resumes on another node where it was cut (%s), with nothing lost or twice',
    async (how) => {
      const dialog = await started();
      const say = (from: number, to: number) =>
        Promise.all(
          Array.from({ length: to - from }, (_, i) =>
            ask(`${dialog.path}/messages`, { token: dialog.token, body: { id: `m${from + i}`, text: 'x' } }),
          ),
        );
      const early = await eventsOf(dialog);
      await say(0, 20);
      await until(() => early.messages().length === 20, { what: 'twenty' });
      const { lastEventId } = early;
      early.abort();
      await say(20, 150);
      const resumed = await eventsOf(dialog, {
        node: second(),
        ...(how === 'header' ? { lastEventId: String(lastEventId) } : { query: `?last_event_id=${lastEventId}` }),
      });
      expect(resumed.frames[0]).toMatchObject({ type: 'connected', recovered: true, offset: 20 });
      await say(150, 160);
      await until(() => resumed.messages().length === 140, { what: 'the rest' });
      expect(resumed.messages().map(({ offset }) => offset)).toEqual(Array.from({ length: 140 }, (_, i) => i + 21));
      expect(resumed.lastEventId).toBe(`${String(lastEventId).split(':')[0]}:160`);
      resumed.abort();
    },
  );

  it('says so where it can not resume', async () => {
    const dialog = await started();
    for (const lastEventId of ['nonsense', 'other:5', ':', 'a:b:c']) {
      const stream = await eventsOf(dialog, { lastEventId });
      expect(stream.frames[0]).toMatchObject({ type: 'connected', recovered: false });
      stream.abort();
    }
  });

  it('ends with the reason: erased, expired, not theirs', async () => {
    const dialog = await started();
    const erased = await eventsOf(dialog);
    const short = visitorToken({ dialog_id: dialog.dialogId, sub: dialog.visitorId, exp: nowSeconds() + 2 });
    const expiring = await eventsOf({ ...dialog, token: short });
    expect(await expiring.end()).toBe('end');
    expect(expiring.frames.at(-1)).toMatchObject({ type: 'disconnect', code: 4001, reconnect: { mode: 'refresh' } });
    await first().api.delete(`/v1/dialogs/${dialog.dialogId}`);
    expect(await erased.end()).toBe('end');
    expect(erased.frames.at(-1)).toMatchObject({ type: 'disconnect', code: 4004 });
    const gone = await eventsOf(dialog);
    expect(await gone.end()).toBe('end');
    expect(gone.frames).toEqual([expect.objectContaining({ type: 'disconnect', code: 4004 })]);
  });

  it('is refused as an answer where a socket is refused by its credential', async () => {
    const { dialogId, token } = await started();
    const cases: readonly [Record<string, unknown>, number, string][] = [
      [{ origin: 'https://a.example' }, 403, 'forbidden_domain'],
      [{ token: siteToken() }, 401, 'unauthorized'],
      [{ token: visitorToken({ dialog_id: dialogId, exp: nowSeconds() - 1 }) }, 401, 'expired'],
      [{ token: visitorToken({ dialog_id: 'other' }) }, 404, 'not_found'],
    ];
    for (const [options, status, code] of cases) {
      const url = `${httpUrlOf(first())}/api/site/dialogs/${dialogId}/events`;
      const stream = new EventStreamClient({ url, token, origin: TEST_ORIGIN, ...options });
      await stream.end();
      expect([stream.status, JSON.parse(stream.body).code]).toEqual([status, code]);
    }
  });

  it('that is not read is cut at its bound, told so, and gets everything when it comes back', async () => {
    const dialog = await started();
    const visitor = await connect({ ...asVisitor(first(), dialog.dialogId), token: dialog.token });
    const stream = await eventsOf(dialog, { node: second() });
    stream.pauseReading();
    const COUNT = 900;
    const text = 'z'.repeat(9_900);
    for (let n = 0; n < COUNT; n += 20) {
      await Promise.all(Array.from({ length: 20 }, (_, i) => visitor.publish(text, { id: `z${n + i}` })));
    }
    const closes = async () => String((await second().api.get('/metrics')).body);
    await until(async () => /websocket_close_codes_total\{code="4010"\} 1/.test(await closes()), { what: 'the bound' });
    stream.resumeReading();
    await stream.end();
    expect(stream.frames.at(-1)).toMatchObject({ type: 'disconnect', code: 4010, reconnect: { mode: 'jitter' } });
    expect(stream.messages().length).toBeLessThan(COUNT);
    const back = await eventsOf(dialog, { lastEventId: String(stream.lastEventId) });
    expect(back.frames[0]).toMatchObject({ type: 'connected', recovered: true });
    await until(() => stream.messages().length + back.messages().length === COUNT, { what: 'everything' });
    const offsets = [...stream.messages(), ...back.messages()].map(({ offset }) => offset);
    expect(offsets).toEqual(Array.from({ length: COUNT }, (_, i) => i + 1));
    back.abort();
    await visitor.close();
  });
});

describe('CORS', () => {
  const preflight = (path: string, origin: string, method = 'POST') =>
    ask(path, { method: 'OPTIONS', origin, headers: { 'access-control-request-method': method } });

  it('answers a preflight of a registered domain, names exactly its origin, and takes no credentials', async () => {
    for (const path of ['/api/site/sessions', '/api/site/dialogs/d/messages', '/api/site/dialogs/d/events']) {
      const answer = await preflight(path, `https://www.${TEST_DOMAIN}:8443`);
      expect(answer.status).toBe(204);
      expect(Object.fromEntries(answer.headers)).toMatchObject({
        'access-control-allow-origin': `https://www.${TEST_DOMAIN}:8443`,
        'access-control-allow-headers': 'Authorization, Content-Type, Last-Event-ID',
        'access-control-max-age': '600',
        vary: 'Origin',
      });
      expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
      expect(answer.headers.get('content-length')).toBeNull();
    }
    const messages = await preflight('/api/site/dialogs/d/messages', TEST_ORIGIN);
    expect(messages.headers.get('access-control-allow-methods')).toBe('GET, POST, OPTIONS');
  });

  it('allows credentials to the main app only', async () => {
    const app = await preflight('/api/site/sessions', APP_ORIGIN);
    expect(app.headers.get('access-control-allow-credentials')).toBe('true');
    expect(app.headers.get('access-control-allow-origin')).toBe(APP_ORIGIN);
  });

  it('tells nothing to an origin that no assistant has', async () => {
    for (const origin of ['https://a.example', 'null', `https://${TEST_DOMAIN}/`, `https://evil${TEST_DOMAIN}`]) {
      for (const path of ['/api/site/sessions', '/api/unknown']) {
        const answer = await preflight(path, origin);
        expect([answer.status, answer.headers.get('vary')]).toEqual([403, 'Origin']);
        expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
      }
    }
  });

  it("forgets the domains of an assistant that is inactive or gone, and lets the hosted page's own origin ask", async () => {
    const { api } = first();
    const status = async () => (await preflight('/api/site/sessions', 'https://fleeting.example')).status;
    const put = (active: boolean) =>
      api.put('/v1/assistants/fleeting', { tenant: TEST_TENANT, allowed_domains: ['fleeting.example'], active });
    // Every node hears of a change within a moment.
    const becomes = (wanted: number) => until(async () => (await status()) === wanted, { what: `a ${wanted}` });
    expect(await status()).toBe(403);
    await put(true);
    await becomes(204);
    await put(false);
    await becomes(403);
    await put(true);
    await becomes(204);
    await api.delete('/v1/assistants/fleeting');
    await becomes(403);
    expect((await preflight('/api/widget/sessions', httpUrlOf(first()))).status).toBe(204);
    expect((await preflight('/api/widget/sessions', TEST_ORIGIN)).status).toBe(403);
  });

  it('lets the page read errors too, and varies by origin whether there is one or not', async () => {
    for (const path of ['/api/unknown', '/api/site/dialogs/d/messages', '/api/site/sessions']) {
      const answer = await ask(path);
      expect(answer.status).toBeGreaterThan(400);
      expect(answer.headers.get('access-control-allow-origin')).toBe(TEST_ORIGIN);
      expect(answer.headers.get('vary')).toBe('Origin');
      const foreign = await ask(path, { origin: 'https://a.example' });
      expect(foreign.headers.get('access-control-allow-origin')).toBeNull();
      expect((await ask(path, { origin: null })).headers.get('vary')).toBe('Origin');
    }
  });

  it('counts by registered domain: any number of other origins is one series', async () => {
    const { status } = await preflight('/api/site/sessions', TEST_ORIGIN);
    expect(status).toBe(204);
    for (let batch = 0; batch < 50; batch += 1) {
      await Promise.all(
        Array.from({ length: 20 }, (_, i) => preflight('/api/site/sessions', `https://o${batch}-${i}.example`)),
      );
    }
    await ask('/api/site/dialogs/d/messages', { token: visitorToken({ dialog_id: 'd' }), origin: 'https://a.example' });
    const lines = String((await first().api.get('/metrics')).body).split('\n');
    const series = (name: string) => lines.filter((line) => line.startsWith(`${name}{`));
    const labels = [...series('widget_cors_requests_total'), ...series('widget_blocked_origins_total')].map(
      (line) => /origin="([^"]*)"/.exec(line)?.[1],
    );
    const known = [TEST_DOMAIN, APP_ORIGIN, 'fleeting.example', 'other'];
    expect(labels.filter((label) => !known.includes(String(label)))).toEqual([]);
    expect(series('widget_blocked_origins_total').join()).toMatch(/origin="other",reason="preflight"\} 1\d{3}/);
    expect(series('widget_blocked_origins_total').join()).toContain('origin="other",reason="foreign_origin"');
    expect(series('widget_cors_requests_total').join()).toContain(
      `endpoint="sessions",origin="${TEST_DOMAIN}",status="204"`,
    );
  });
});

describe('the hosted page', () => {
  it('may be held by pages of its assistant only, and runs nothing but its own files', async () => {
    const page = await ask(`/widget/${TEST_ASSISTANT}`, { origin: null });
    expect(page.status).toBe(200);
    const csp = String(page.headers.get('content-security-policy'));
    expect(csp).toContain(
      `frame-ancestors http://${TEST_DOMAIN}:* https://${TEST_DOMAIN}:* http://*.${TEST_DOMAIN}:* https://*.${TEST_DOMAIN}:*`,
    );
    expect(csp).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
    expect(csp).toContain(`connect-src 'self' ${first().wsUrl} `);
    expect(page.headers.get('x-frame-options')).toBeNull();
    expect(Object.fromEntries(page.headers)).toMatchObject({
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
    });
    // No script and no style of the page's own, or the policy would keep it from running.
    expect(page.text).not.toMatch(/<script(?![^>]* src=)|<style|style=|\son\w+=/);
    const files = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => String(path));
    for (const path of [...files, '/widget/assets/client.js']) {
      const file = await ask(path, { origin: null });
      expect([path, file.status]).toEqual([path, 200]);
      expect(file.headers.get('content-type')).toMatch(/^text\/(javascript|css)/);
      expect(file.text).not.toMatch(/innerHTML|insertAdjacentHTML|document\.write|\beval\b/);
    }
    expect(readFileSync(new URL('../../packages/gateway/widget/page.js', import.meta.url), 'utf8')).toBe(
      (await ask('/widget/assets/page.js', { origin: null })).text,
    );
  });

  it('of an assistant that is unknown, inactive or no id is one and the same nothing', async () => {
    await first().api.put('/v1/assistants/asleep', { ...ASSISTANT, active: false });
    const pages = await Promise.all(['asleep', 'unknown', 'a%20b'].map((id) => ask(`/widget/${id}`, { origin: null })));
    for (const { status, headers, text } of pages) {
      expect([status, text]).toEqual([404, pages[0]?.text]);
      expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    }
    await first().api.put('/v1/assistants/nowhere', { ...ASSISTANT, allowed_domains: [] });
    const nowhere = await ask('/widget/nowhere', { origin: null });
    expect(nowhere.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
  });

  it('lets nothing of a strange Host into its policy', async () => {
    for (const host of ["x; script-src 'unsafe-inline'", 'a b', '*', 'x/y', 'x,y']) {
      const { headers } = await rawRequest(`${httpUrlOf(first())}/widget/${TEST_ASSISTANT}`, {
        headers: { Host: host },
      });
      expect([host, headers['content-security-policy']?.split('; ')[3]]).toEqual([host, "connect-src 'self'"]);
    }
  });
});

describe('the listener', () => {
  it('answers what it does not serve with 404, and another method with 405 and what it takes', async () => {
    const cases: readonly [string, string, number, string | null][] = [
      ['GET', '/', 404, null],
      ['GET', '/v1/cluster', 404, null],
      ['POST', '/api', 404, null],
      ['GET', '/api/other/sessions', 404, null],
      ['GET', '/api/site/sessions', 405, 'POST, OPTIONS'],
      ['DELETE', '/api/site/dialogs/d/messages', 405, 'GET, POST, OPTIONS'],
      ['POST', '/api/site/dialogs/d/events', 405, 'GET, OPTIONS'],
      ['POST', `/widget/${TEST_ASSISTANT}`, 405, 'GET'],
    ];
    for (const [method, path, status, allow] of cases) {
      const answer = await ask(path, { method });
      expect([method, path, answer.status, answer.headers.get('allow')]).toEqual([method, path, status, allow]);
      expect(answer.headers.get('content-type')).toBe('application/problem+json');
      expect(Object.fromEntries(answer.headers)).toMatchObject({
        'x-content-type-options': 'nosniff',
        'cache-control': 'no-store',
        'referrer-policy': 'no-referrer',
        'cross-origin-resource-policy': 'same-origin',
        connection: 'close',
      });
    }
  });

  it('survives peers that go in the middle of everything', async () => {
    const { dialogId, token, path } = await started();
    const lines = [`Origin: ${TEST_ORIGIN}`, `Authorization: Bearer ${token}`];
    const url = httpUrlOf(first());
    const headers = Object.fromEntries(lines.map((line) => line.split(': ') as [string, string]));
    const open = async (name: string) => String((await first().api.get('/metrics')).body).includes(name);
    await Promise.all(
      Array.from({ length: 300 }, (_, i) => {
        // A guard of next to nothing: the peer is gone before, while or after it is answered.
        const hangGuardMs = i % 12;
        if (i % 3 === 0) return rawRequest(`${url}${path}/events`, { headers, hangGuardMs });
        const body = JSON.stringify({ id: `gone${i}`, text: 'x' });
        const length = i % 3 === 1 ? body.length : body.length + 10;
        return rawRequest(`${url}${path}/messages`, {
          method: 'POST',
          headers: { ...headers, 'Content-Length': String(length) },
          body,
          hangGuardMs,
        });
      }),
    );
    await until(() => open('replyx_connections{kind="site"} 0'), { what: 'the streams to be forgotten' });
    expect((await ask(`${path}/messages`, { token })).status).toBe(200);
    const visitor = await joinVisitor(first(), dialogId, { claims: { sub: claimsOf(token).sub } });
    await visitor.close();
    expect(
      at(world.processes, 0)
        .logEntries()
        .filter(({ event }) => event === 'bug'),
    ).toEqual([]);
  });
});

describe('the window of a sender', () => {
  it('is one for sockets and requests', async () => {
    const other = await startWorld({ nodes: 1, env: { WS_RATE_LIMIT_MESSAGES: WINDOW, WS_DIRECTORY: 'open' } });
    try {
      const node = at(other.nodes, 0);
      const visitor = await joinVisitor(node, 'w');
      const token = visitorToken({ dialog_id: 'w' });
      const send = (id: string) => ask('/api/site/dialogs/w/messages', { node, token, body: { id, text: 'x' } });
      for (let i = 0; i < WINDOW / 2; i += 1) {
        expect((await visitor.publish('x')).type).toBe('ack');
        expect((await send(`h${i}`)).status).toBe(201);
      }
      const refused = await send('one too many');
      expect([refused.status, refused.body]).toMatchObject([429, { code: 'rate_limited', temporary: true }]);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(refused.headers.get('access-control-expose-headers')).toBe('Retry-After');
      expect(await visitor.publish('x')).toMatchObject({ code: 'rate_limited' });
      await visitor.close();
    } finally {
      await other.close();
    }
  });

  it('an open directory makes what a genuine token names, and lets any well-formed origin ask', async () => {
    const other = await startWorld({ nodes: 1, env: { WS_DIRECTORY: 'open' } });
    try {
      const node = at(other.nodes, 0);
      const token = visitorToken({ dialog_id: 'fresh', sub: 'owner' });
      const write = (credential: string) =>
        ask('/api/site/dialogs/fresh/messages', { node, token: credential, body: { id: '1', text: 'x' } });
      expect((await write(token)).status).toBe(201);
      expect((await write(visitorToken({ dialog_id: 'fresh', sub: 'other' }))).status).toBe(404);
      const answer = await session({
        node,
        claims: { assistant_id: 'never-registered', allowed_domains: ['b.example'] },
        origin: 'https://b.example',
      });
      expect(answer.status).toBe(201);
      const headers = { 'access-control-request-method': 'POST' };
      const asked = await ask('/api/site/sessions', {
        node,
        method: 'OPTIONS',
        origin: 'https://anything.example',
        headers,
      });
      expect(asked.headers.get('access-control-allow-origin')).toBe('https://anything.example');
      expect((await ask('/widget/never-registered', { node })).headers.get('content-security-policy')).toContain(
        "frame-ancestors 'none'",
      );
    } finally {
      await other.close();
    }
  });
});
