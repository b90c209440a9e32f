import { DomainIndex } from '@replyx/core';
import { rawRequest } from '@replyx/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import type { FloodRefusal } from '../src/admission/greeting.js';
import { json } from '../src/http/http.js';
import { createOriginJudge } from '../src/public/cors.js';
import type { Guards, PublicRequest, PublicRoute } from '../src/public/public-http.js';
import { VISITOR_ROUTES } from '../src/public/route-table.js';
import { listen } from '../src/uws/listen.js';
import { type TemplatedApp, uws } from '../src/uws/module.js';
import { servePublic } from '../src/uws/public-app.js';

const ORIGIN = 'https://a.example';
const SESSIONS = '/api/site/sessions';

const WELCOME = { greeting: 'welcome', address: { text: '203.0.113.9', key: '203.0.113.9' } } as const;

const opened: TemplatedApp[] = [];
afterEach(() => {
  for (const app of opened.splice(0)) app.close();
});

const open = async (guards: Partial<Guards>, handle: PublicRoute['handle'] = () => json(201, {})) => {
  const app = uws.App();
  opened.push(app);
  const seen = { handled: 0, bugs: [] as unknown[], answers: [] as string[], cors: [] as string[] };
  const domains = new DomainIndex();
  domains.put('bot', ['a.example']);
  servePublic(app, {
    routes: [
      {
        ...VISITOR_ROUTES.site.session,
        handle: (call) => {
          seen.handled += 1;
          return handle(call);
        },
      },
    ],
    guards: { greet: () => WELCOME, limit: async () => undefined, ...guards },
    judgeOrigin: createOriginJudge({ directory: 'strict', domains, origins: { cors: [], widget: [] } }),
    widgetOrigins: [],
    onAnswer: (route, status) => seen.answers.push(`${route} ${status}`),
    onCors: (...labels) => seen.cors.push(labels.join(' ')),
    onBlockedPreflight: () => {},
    onBug: (error) => seen.bugs.push(error),
    deadlineMs: 200,
  });
  const { port } = await listen(app, '127.0.0.1', 0);
  const post = (headers: Record<string, string | readonly string[]> = {}, body = '{}') =>
    rawRequest(`http://127.0.0.1:${port}${SESSIONS}`, {
      method: 'POST',
      headers: { Origin: ORIGIN, ...headers },
      body,
    });
  return { url: `http://127.0.0.1:${port}`, post, seen };
};

describe('the guards', () => {
  it.each([
    [403, 'not_allowed'],
    [429, 'rate_limited'],
    [503, 'unavailable'],
  ] as const)('refuse with %d what was counted, close, and let a known page read it', async (status, code) => {
    const { post, seen } = await open({ limit: async () => ({ status, reason: 'test', retryAfterMs: 1_500 }) });
    const answer = await post();
    expect([answer.status, answer.ended, JSON.parse(answer.body).code]).toEqual([status, true, code]);
    expect(answer.headers).toMatchObject({
      connection: 'close',
      'retry-after': '2',
      'access-control-allow-origin': ORIGIN,
      vary: 'Origin',
    });
    expect(answer.body).not.toContain('test');
    expect((await post({ Origin: 'https://b.example' })).headers['access-control-allow-origin']).toBeUndefined();
    expect(seen.handled).toBe(0);
    expect(seen.cors).toEqual([`sessions a.example ${status}`, `sessions other ${status}`]);
  });

  it.each<[FloodRefusal, string | undefined]>([
    [{ status: 403, reason: 'banned' }, undefined],
    [{ status: 429, reason: 'limited', retryAfterMs: 1_500 }, '2'],
  ])('answer a flood with %j and nothing more, before anything of it is read', async (refusal, retryAfter) => {
    const { post, seen } = await open({ greet: () => ({ greeting: 'refuse', refusal }) });
    const answer = await post({}, 'no JSON');
    expect([answer.status, answer.ended, answer.body]).toEqual([refusal.status, true, '']);
    expect(answer.headers['connection']).toBe('close');
    expect(answer.headers['retry-after']).toBe(retryAfter);
    expect([seen.handled, seen.cors]).toEqual([0, []]);
  });

  it("are told where a request comes from, and the proxies' headers in full", async () => {
    const seen: unknown[] = [];
    const { post } = await open({
      greet: ({ peer, proxied, forwarded }) => {
        seen.push([[...peer], [...proxied()], forwarded()]);
        return WELCOME;
      },
    });
    await post({ 'X-Forwarded-For': ['1.1.1.1', '2.2.2.2'], 'X-Real-IP': '3.3.3.3' });
    await post();
    expect(seen).toEqual([
      [[127, 0, 0, 1], [], { forwardedFor: '1.1.1.1,2.2.2.2', realIp: '3.3.3.3' }],
      [[127, 0, 0, 1], [], { forwardedFor: undefined, realIp: undefined }],
    ]);
  });

  it('are told who asks for what, and whether it is a preflight', async () => {
    const asked: PublicRequest[] = [];
    const { url, post } = await open({
      limit: async (request) => {
        asked.push(request);
        return undefined;
      },
    });
    await post();
    const headers = { Origin: ORIGIN, 'Access-Control-Request-Method': 'POST' };
    await rawRequest(`${url}${SESSIONS}?token=secret`, { method: 'OPTIONS', headers });
    await rawRequest(`${url}/nothing`);
    const { address } = WELCOME;
    const page = { origin: ORIGIN, host: new URL(url).host, fetchSite: undefined };
    expect(asked).toEqual([
      { address, endpoint: 'sessions', isPreflight: false, path: SESSIONS, page },
      { address, endpoint: 'sessions', isPreflight: true, path: SESSIONS, page },
    ]);
  });
});

describe('a request', () => {
  it('that takes too long is answered for the time being', async () => {
    const { post, seen } = await open({}, () => new Promise(() => {}));
    const answer = await post();
    expect([answer.status, JSON.parse(answer.body).code]).toEqual([503, 'unavailable']);
    expect(seen.bugs).toEqual([]);
  });

  it('whose body never comes is answered, and cut', async () => {
    const { post, seen } = await open({});
    const answer = await post({ 'Content-Length': '100' });
    expect([answer.status, answer.ended, seen.handled]).toEqual([503, true, 0]);
  });

  it('whose handler fails is answered without a word of why', async () => {
    const { post, seen } = await open({}, () => {
      throw new Error('inner workings');
    });
    const answer = await post();
    expect([answer.status, JSON.parse(answer.body).code]).toEqual([500, 'internal']);
    expect(answer.body).not.toContain('workings');
    expect(seen.bugs).toHaveLength(1);
  });

  it('has a body of its own bound, to the byte', async () => {
    const { post, seen } = await open({});
    expect((await post({}, 'x'.repeat(16_384))).status).toBe(201);
    const answer = await post({}, 'x'.repeat(16_385));
    expect([answer.status, answer.ended, seen.handled]).toEqual([413, true, 1]);
  });

  it('may read its answer where its credential allows the origin that no assistant has', async () => {
    const { post } = await open({}, (call) => {
      call.grantOrigin();
      return json(201, {});
    });
    const answer = await post({ Origin: 'https://late.example' });
    expect(answer.headers['access-control-allow-origin']).toBe('https://late.example');
    for (const origin of ['null', 'https://a.example, https://b.example'])
      expect((await post({ Origin: origin })).headers['access-control-allow-origin']).toBeUndefined();
  });
});
