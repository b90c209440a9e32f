import { readFileSync } from 'node:fs';
import { parseOrigin } from '@replyx/core';
import { rawRequest, siteToken, TEST_TENANT, until, upgradeStatus, visitorToken } from '@replyx/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { at, makeDialog, startWorld, type World, type WorldNode } from './world.js';

const data = JSON.parse(
  readFileSync(new URL('../../packages/core/test/data/origins.json', import.meta.url), 'utf8'),
) as { domains: string[]; site: [string, boolean][] };
/** An empty entry can be in no record and no token. */
const domains = data.domains.filter((domain) => domain !== '');
const ASSISTANT = 'matrix';
const SECRET = `${'m'.repeat(42)}A`;
const BY_COUNT = ['PER_IP', 'HTTP', 'SESSIONS', 'AUTH_FAILURES', 'ASSISTANT_SESSIONS'];

let world: World;
let node: WorldNode;
let httpUrl: string;
beforeAll(async () => {
  const unlimited = Object.fromEntries(BY_COUNT.map((name) => [`WS_RATE_LIMIT_${name}`, 0]));
  world = await startWorld({ nodes: 1, env: { ...unlimited, WS_BAN_SCORE: 0 } });
  node = at(world.nodes, 0);
  httpUrl = node.wsUrl.replace('ws:', 'http:');
  await node.api.put(`/v1/assistants/${ASSISTANT}`, { tenant: TEST_TENANT, allowed_domains: domains });
  await makeDialog(world, 'd', { assistant_id: ASSISTANT });
  // The node hears of the record within a moment.
  await until(() => ways['preflight']?.(`https://${domains[0]}`), { what: 'the domains to be known', everyMs: 20 });
});
afterAll(async () => {
  await world?.close();
});

const token = () => visitorToken({ dialog_id: 'd', assistant_id: ASSISTANT, allowed_domains: domains });

/** How each way in judges an origin; what ends without an answer, or is no request at all, is refused. */
const ways: Readonly<Record<string, (origin: string) => Promise<boolean>>> = {
  socket: async (origin) => {
    const answer = await upgradeStatus(`${node.wsUrl}/ws/site/dialogs/d?token=${token()}`, { Origin: origin });
    if (answer.status === 101) expect([undefined, 4003]).toContain(answer.closeCode);
    return answer.status === 101 && answer.closeCode === undefined;
  },
  sessions: async (origin) => {
    const answer = await rawRequest(`${httpUrl}/api/site/sessions`, {
      method: 'POST',
      headers: {
        Origin: origin,
        Authorization: `Bearer ${siteToken({ assistant_id: ASSISTANT, allowed_domains: domains })}`,
      },
      body: JSON.stringify({ secret: SECRET }),
    });
    if (answer.status === 201) expect(answer.headers['access-control-allow-origin']).toBe(origin.trim());
    else expect(answer.headers['access-control-allow-origin']).toBeUndefined();
    return answer.status === 201;
  },
  messages: async (origin) => {
    const answer = await rawRequest(`${httpUrl}/api/site/dialogs/d/messages`, {
      method: 'POST',
      headers: { Origin: origin, Authorization: `Bearer ${token()}` },
      body: JSON.stringify({ id: 'same', text: 'hi' }),
    });
    if (answer.status !== 201 && answer.status !== 0) expect([400, 403]).toContain(answer.status);
    return answer.status === 201;
  },
  history: async (origin) => {
    const headers = { Origin: origin, Authorization: `Bearer ${token()}` };
    return (await rawRequest(`${httpUrl}/api/site/dialogs/d/messages`, { headers })).status === 200;
  },
  events: async (origin) => {
    const headers = { Origin: origin, Authorization: `Bearer ${token()}` };
    return (await rawRequest(`${httpUrl}/api/site/dialogs/d/events`, { headers })).status === 200;
  },
  preflight: async (origin) => {
    const headers = { Origin: origin, 'Access-Control-Request-Method': 'POST' };
    const answer = await rawRequest(`${httpUrl}/api/site/dialogs/d/messages`, { method: 'OPTIONS', headers });
    const named = answer.headers['access-control-allow-origin'];
    if (named !== undefined) expect(named).toBe(origin.trim());
    return named !== undefined;
  },
};

/** Blanks around a value are not part of it in HTTP: what arrives is the origin without them. */
const isBlankAround = (origin: string): boolean => origin.trim() !== origin;

describe('the same origin is judged the same, whichever way it comes in', () => {
  it.each(data.site)('%j: %s', async (origin, allowed) => {
    const expected = isBlankAround(origin) ? data.site.some(([other, is]) => is && other === origin.trim()) : allowed;
    const verdicts = await Promise.all(Object.entries(ways).map(async ([way, ask]) => [way, await ask(origin)]));
    expect(Object.fromEntries(verdicts)).toEqual(Object.fromEntries(Object.keys(ways).map((way) => [way, expected])));
  });

  it('is refused where there is none', async () => {
    const headers = { Authorization: `Bearer ${token()}` };
    const socket = await upgradeStatus(`${node.wsUrl}/ws/site/dialogs/d`, headers);
    expect(socket.closeCode).toBe(4003);
    for (const path of ['messages', 'events']) {
      const answer = await rawRequest(`${httpUrl}/api/site/dialogs/d/${path}`, { headers });
      expect([path, answer.status, JSON.parse(answer.body).code]).toEqual([path, 403, 'forbidden_domain']);
    }
  });
});

/** What a browser makes of the sources, for the origin of a page. */
const mayEmbed = (csp: string, origin: string): boolean => {
  const sources = /frame-ancestors ([^;]*)/.exec(csp)?.[1]?.split(' ') ?? [];
  const { protocol, hostname } = new URL(origin);
  const host = hostname.replace(/\.$/, '');
  return sources.some((source) => {
    const [, scheme, star, name] = /^(https?:)\/\/(\*\.)?(.+):\*$/.exec(source) ?? [];
    if (scheme !== protocol || name === undefined) return false;
    return star === undefined ? host === name : host.endsWith(`.${name}`);
  });
};

describe('the page that may hold the hosted page', () => {
  // Others are the origin of no page.
  const pages = data.site.filter(([origin]) => parseOrigin(origin) !== undefined);
  it.each(pages)('of %j may: %s', async (origin, allowed) => {
    const { headers } = await rawRequest(`${httpUrl}/widget/${ASSISTANT}`);
    expect(mayEmbed(String(headers['content-security-policy']), origin)).toBe(allowed);
  });
});
