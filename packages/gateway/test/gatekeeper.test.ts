import { DomainIndex, type Subject, type TakeResult, type WindowSpec } from '@replyx/core';
import { fakeClock, seededRandom } from '@replyx/testkit';
import { describe, expect, it } from 'vitest';
import { createForeignOrigin } from '../src/admission/foreign-origin.js';
import { createGatekeeper } from '../src/admission/gatekeeper.js';
import type { PublicRequest } from '../src/public/public-http.js';

const ADDRESS = { text: '8.8.4.4', key: '8.8.4.4' };
const OWN = { origin: 'https://shop.example', host: 'chat.example', fetchSite: 'cross-site' };
const EVIL = { origin: 'https://evil.example', host: 'chat.example', fetchSite: 'cross-site' };

const world = () => {
  const clock = fakeClock();
  const state = {
    answer: { status: 'taken' } as TakeResult,
    stale: false,
    takes: [] as { subject: Subject; windows: readonly WindowSpec[] }[],
    raised: [] as [string, number][],
    lines: [] as Record<string, unknown>[],
  };
  const per = (limit: number) => ({ limit, windowMs: 60_000 });
  const domains = new DomainIndex();
  domains.put('bot', ['shop.example']);
  const gatekeeper = createGatekeeper({
    config: {
      rateLimits: {
        connects: per(3),
        messages: per(0),
        frames: per(0),
        sessions: per(20),
        authFailures: per(30),
        assistantSessions: per(600),
        http: per(300),
        api: per(5),
        maxAddresses: 100,
        dryRun: false,
      },
      bans: { score: 100, allow: [] },
      trustedProxies: [],
      proxyProtocol: false,
    },
    backplane: {
      limiter: {
        take: async (subject, windows) => {
          state.takes.push({ subject, windows });
          return state.answer;
        },
        raise: async (key, points) => {
          state.raised.push([key, points]);
          return { score: points, users: 0, bans: 0 };
        },
        countBan: async () => 1,
      },
      health: () => ({ ok: true, reasons: [] }),
    },
    clock,
    random: seededRandom(3),
    logger: { warn: (fields: object, event: string) => state.lines.push({ ...fields, event }) } as never,
    // Counts nothing, whatever it is asked to count.
    metrics: () => new Proxy({}, { get: () => () => {} }) as never,
    isDraining: () => false,
    isControlStale: () => state.stale,
    banOf: () => undefined,
    sessionLimitOf: () => 600,
    isForeign: createForeignOrigin({ domains, origins: { cors: [], widget: [] } }),
    ban: async () => {},
    onBug: (error) => {
      throw error;
    },
  });
  const request = (endpoint: PublicRequest['endpoint'], isPreflight = false): PublicRequest => ({
    address: ADDRESS,
    endpoint,
    isPreflight,
    path: '/',
    page: OWN,
  });
  return { clock, gatekeeper, request, state };
};

describe('public HTTP', () => {
  it('serves no credential while what was revoked of late is not known', async () => {
    const { gatekeeper, request, state } = world();
    state.stale = true;
    const unavailable = { status: 503, reason: 'control_stale' };
    expect(await gatekeeper.limit(request('sessions'))).toEqual(unavailable);
    expect(await gatekeeper.limit(request('messages'))).toEqual(unavailable);
    for (const endpoint of ['page', 'asset', 'other'] as const) {
      expect(await gatekeeper.limit(request(endpoint))).toBeUndefined();
    }
    expect(await gatekeeper.limit(request('messages', true))).toBeUndefined();
    state.stale = false;
    expect(await gatekeeper.limit(request('messages'))).toBeUndefined();
  });

  it('counts every request but a stream of events, which is a connect; its preflight is a request', async () => {
    const { gatekeeper, request, state } = world();
    await gatekeeper.limit(request('messages'));
    await gatekeeper.limit(request('events'));
    await gatekeeper.limit(request('events', true));
    expect(state.takes.map(({ windows }) => windows[0]?.name)).toEqual(['http', 'http']);
  });

  it('writes a refused credential to the security log, without it', () => {
    const { gatekeeper, state } = world();
    const from = { ...EVIL, address: ADDRESS };
    gatekeeper.onHttpRefused('AUTH_FAILED', from);
    gatekeeper.onHttpRefused('FORBIDDEN_DOMAIN', from);
    gatekeeper.onHttpRefused('REVOKED', from);
    expect(state.lines).toMatchObject([
      { event: 'credential_refused', address: '8.8.4.4', kind: 'http' },
      { event: 'origin_refused', address: '8.8.4.4', kind: 'http', origin: 'https://evil.example' },
      { event: 'revoked_credential_used', address: '8.8.4.4', kind: 'http' },
    ]);
  });
});

describe('what a page of an unknown domain makes its visitors send', () => {
  it('scores one point, whether it fails, probes or runs into a limit', async () => {
    const { clock, gatekeeper, state } = world();
    const upgrade = { ...EVIL, kind: 'site', address: ADDRESS, dialogId: '%', query: '', version: '13' } as const;
    const page = { ...upgrade, protocols: undefined, authorization: undefined };
    for (let i = 0; i < 30; i += 1) {
      gatekeeper.note('site', { screening: 'refuse', status: 404, reason: 'shape' }, page);
      await gatekeeper.connect(page, 'AUTH_FAILED');
    }
    state.answer = { status: 'refused', window: 'connects', retryAfterMs: 1_000 };
    expect(await gatekeeper.connect(page)).toMatchObject({ status: 'limited' });
    state.answer = { status: 'taken' };
    const bytes = Uint8Array.of(8, 8, 4, 4);
    const peer = {
      peer: bytes,
      proxied: () => new Uint8Array(),
      forwarded: () => ({ forwardedFor: undefined, realIp: undefined }),
    };
    // An image is asked for without an Origin.
    const image = { origin: undefined, host: 'chat.example', fetchSite: 'cross-site' };
    for (let i = 0; i < 500; i += 1) gatekeeper.greet({ ...peer, page: () => (i % 2 === 0 ? EVIL : image) });
    await clock.advanceAsync(500);
    expect(state.raised).toEqual([['8.8.4.4', 1]]);
  });
});

describe('the limit of an API key', () => {
  it('is one however the header spells it', async () => {
    const { gatekeeper, state } = world();
    for (const header of ['Bearer key', 'bearer key', 'BEARER   key', ' bEaReR key '])
      await gatekeeper.limitApi(header);
    expect(new Set(state.takes.map(({ subject }) => subject.key)).size).toBe(1);
  });
});
