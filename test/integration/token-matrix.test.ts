import { createHmac, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import {
  dial,
  nowSeconds,
  operatorToken,
  signToken,
  siteToken,
  TEST_ORIGIN,
  TEST_SECRET_KEY,
  TEST_SITE_SECRET,
  type TestClient,
  upgradeStatus,
  visitorToken,
} from '@replyx/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { at, joinOperator, makeDialog, startWorld, type World } from './world.js';

let world: World;
beforeAll(async () => {
  world = await startWorld({ nodes: 1, env: { WS_ALLOW_QUERY_TOKEN: true } });
  await makeDialog(world, 'd', { visitor_id: 'visitor-1' });
  const operator = await joinOperator(at(world.nodes, 0), 'd');
  await operator.publish('a secret of the dialog');
  await operator.close();
});
afterAll(async () => {
  await world?.close();
});

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const publicPem = createPublicKey(rsa.privateKey).export({ type: 'spki', format: 'pem' }).toString();
const good = () => ({ dialog_id: 'd' });
const visitor = (claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}, secret?: string) =>
  visitorToken({ ...good(), ...claims }, { header, ...(secret === undefined ? {} : { secret }) });
const unsigned = () => {
  const [, payload] = visitor().split('.');
  return `${Buffer.from(JSON.stringify({ alg: 'none', typ: 'JWT' })).toString('base64url')}.${payload}.`;
};
const tampered = () => {
  const [header, , signature] = visitor().split('.');
  const other = visitor({ sub: 'somebody-else' }).split('.')[1];
  return `${header}.${other}.${signature}`;
};

type Route = 'visitor' | 'operator' | 'widget';

/** Where each kind of route is used from; an operator's token comes without a browser here. */
const originOf = (route: Route) =>
  route === 'operator'
    ? {}
    : { origin: route === 'visitor' ? TEST_ORIGIN : at(world.nodes, 0).wsUrl.replace('ws:', 'http:') };

const PATHS: Record<Route, string> = {
  visitor: '/ws/site/dialogs/d',
  operator: '/ws/dialogs/d',
  widget: '/ws/widget/dialogs/d',
};

const matrix: readonly [string, Route, () => string | undefined, number][] = [
  ['none', 'visitor', () => undefined, 4002],
  ['empty', 'visitor', () => '', 4002],
  ['no JWT', 'visitor', () => 'hello', 4002],
  ['two parts', 'visitor', () => visitor().split('.').slice(0, 2).join('.'), 4002],
  ['a wrong key', 'visitor', () => visitor({}, {}, 'x'.repeat(40)), 4002],
  ['an empty key', 'visitor', () => visitor({}, {}, ''), 4002],
  ['alg none', 'visitor', unsigned, 4002],
  [
    'alg None',
    'visitor',
    () => unsigned().replace(/^[^.]+/, Buffer.from('{"alg":"None"}').toString('base64url')),
    4002,
  ],
  ['a payload changed after signing', 'visitor', tampered, 4002],
  ['no signature', 'visitor', () => `${visitor().split('.').slice(0, 2).join('.')}.`, 4002],
  ['HS512', 'visitor', () => visitor({}, { alg: 'HS512' }), 4002],
  [
    'RS256 signed with a public key as a secret',
    'operator',
    () => signToken({ ...opClaims() }, publicPem, { alg: 'RS256' }),
    4002,
  ],
  ['HS256 signed with a public key', 'operator', () => signToken({ ...opClaims() }, publicPem), 4002],
  ['a visitor token signed with the operator key', 'visitor', () => visitor({}, {}, TEST_SECRET_KEY), 4002],
  [
    'an operator token signed with the site key',
    'operator',
    () => operatorToken({}, { secret: TEST_SITE_SECRET }),
    4002,
  ],
  ['an operator token on a visitor route', 'visitor', () => operatorToken(), 4002],
  ['a visitor token on the operator route', 'operator', () => visitor(), 4002],
  ['a site token', 'visitor', () => siteToken(), 4002],
  ['no type', 'visitor', () => visitor({ type: undefined }), 4002],
  ['an unknown type', 'visitor', () => visitor({ type: 'admin' }), 4002],
  ['a type that is a list', 'visitor', () => visitor({ type: ['visitor'] }), 4002],
  ['no exp', 'visitor', () => visitor({ exp: undefined }), 4002],
  ['no exp, operator', 'operator', () => operatorToken({ exp: undefined }), 4002],
  ['an exp that is text', 'visitor', () => visitor({ exp: `${nowSeconds() + 100}` }), 4002],
  ['no iat', 'visitor', () => visitor({ iat: undefined }), 4002],
  ['no jti', 'visitor', () => visitor({ jti: undefined }), 4002],
  ['expired', 'visitor', () => visitor({ iat: nowSeconds() - 100, exp: nowSeconds() - 50 }), 4001],
  ['expired, operator', 'operator', () => operatorToken({ iat: nowSeconds() - 100, exp: nowSeconds() - 50 }), 4001],
  ['expired and of a wrong key', 'visitor', () => visitor({ exp: nowSeconds() - 50 }, {}, 'x'.repeat(40)), 4002],
  ['expired and of a wrong type', 'visitor', () => operatorToken({ exp: nowSeconds() - 50 }), 4002],
  ['not yet valid', 'visitor', () => visitor({ nbf: nowSeconds() + 100 }), 4002],
  ['issued in the future', 'visitor', () => visitor({ iat: nowSeconds() + 100, exp: nowSeconds() + 900 }), 4002],
  ['a life of ten years', 'visitor', () => visitor({ exp: nowSeconds() + 315_360_000 }), 4002],
  ['a kid that is a path', 'visitor', () => visitor({}, { kid: '../../etc/passwd' }), 4002],
  ['a kid that is SQL', 'visitor', () => visitor({}, { kid: "x' OR '1'='1" }), 4002],
  ['an unknown kid', 'visitor', () => visitor({}, { kid: 'unknown' }), 4002],
  ['a kid from the prototype', 'visitor', () => visitor({}, { kid: '__proto__' }), 4002],
  ['jku', 'visitor', () => visitor({}, { jku: 'http://127.0.0.1:1/keys' }), 4002],
  ['jwk', 'visitor', () => visitor({}, { jwk: { kty: 'oct', k: 'AAAA' } }), 4002],
  ['x5u', 'visitor', () => visitor({}, { x5u: 'http://127.0.0.1:1/cert' }), 4002],
  ['crit', 'visitor', () => visitor({}, { crit: ['exp'] }), 4002],
  ['another dialog', 'visitor', () => visitor({ dialog_id: 'other' }), 4004],
  ['another tenant', 'visitor', () => visitor({ tenant: 'tenant-2' }), 4004],
  ['another assistant', 'visitor', () => visitor({ assistant_id: 'assistant-2' }), 4004],
  ['another visitor', 'visitor', () => visitor({ sub: 'visitor-2' }), 4004],
  ['another kind', 'widget', () => visitor(), 4004],
  ['an operator of another tenant', 'operator', () => operatorToken({ tenant: 'tenant-2' }), 4004],
  ['an operator of other assistants', 'operator', () => operatorToken({ assistants: ['assistant-2'] }), 4004],
  ['an operator of no assistants', 'operator', () => operatorToken({ assistants: [] }), 4004],
  ['a sub that is a number', 'visitor', () => visitor({ sub: 7 }), 4002],
  ['a sub with a line feed', 'visitor', () => visitor({ sub: 'a\nb' }), 4002],
  ['a dialog id that is a path', 'visitor', () => visitor({ dialog_id: '../d' }), 4002],
  ['a tenant that is an object', 'visitor', () => visitor({ tenant: { $ne: null } }), 4002],
];

function opClaims(): Record<string, unknown> {
  return {
    type: 'operator',
    sub: 'o',
    tenant: 'tenant-1',
    role: 'operator',
    iat: nowSeconds(),
    exp: nowSeconds() + 60,
    jti: 'j',
  };
}

/** The connection was closed with `code`, and the only frame before the close says so. */
const assertRefused = async (client: TestClient, code: number): Promise<void> => {
  const closed = await client.closed;
  expect(closed.code).toBe(code);
  expect(client.frames.map((frame) => frame.type)).toEqual(['disconnect']);
  expect(closed.disconnectFrame).toMatchObject({ code });
  expect(JSON.stringify(client.frames)).not.toMatch(/secret of the dialog|visitor-1|tenant|assistant/);
};

describe('a token', () => {
  it.each(matrix)('%s, on the %s route', async (_name, route, token, code) => {
    const url = `${at(world.nodes, 0).wsUrl}${PATHS[route]}`;
    const made = token();
    for (const transport of ['bearer', 'query'] as const) {
      const client = dial({ url, transport, ...originOf(route), ...(made === undefined ? {} : { token: made }) });
      await assertRefused(client, code);
    }
  });

  it('of 100 KB is refused, and the node lives', async () => {
    const url = `${at(world.nodes, 0).wsUrl}/ws/site/dialogs/d`;
    const closed = await dial({ url, transport: 'bearer', token: visitor({ pad: 'x'.repeat(100_000) }) }).closed;
    expect([4002, 1006]).toContain(closed.code);
    const within = await dial({ url, transport: 'bearer', token: visitor({ pad: 'x'.repeat(8_000) }) }).closed;
    expect([4002, 1006]).toContain(within.code);
    expect(at(world.processes, 0).running).toBe(true);
  });

  const twoPlaces: readonly [string, () => Parameters<typeof dial>[0]][] = [
    [
      'protocol and Authorization',
      () => ({ url: '', token: visitor(), extra: { headers: { Authorization: `Bearer ${visitor({ jti: 'b' })}` } } }),
    ],
    ['protocol and query', () => ({ url: '', token: visitor(), extra: { query: { token: visitor({ jti: 'b' }) } } })],
    [
      'two names in the query',
      () => ({ url: '', extra: { query: { token: visitor(), site_token: visitor({ jti: 'b' }) } } }),
    ],
  ];
  it.each(twoPlaces)('in two places, differing, is refused: %s', async (_name, options) => {
    const client = dial({ origin: TEST_ORIGIN, ...options(), url: `${at(world.nodes, 0).wsUrl}/ws/site/dialogs/d` });
    await assertRefused(client, 4002);
  });

  it('is accepted in every place, and the same one in two', async () => {
    const url = `${at(world.nodes, 0).wsUrl}/ws/site/dialogs/d`;
    const token = visitor();
    for (const options of [
      { transport: 'protocol' as const },
      { transport: 'bearer' as const },
      { transport: 'query' as const },
      { transport: 'protocol' as const, extra: { query: { site_token: token } } },
    ]) {
      const client = dial({ url, token, origin: TEST_ORIGIN, ...options });
      await client.next('connected');
      if (options.transport === 'protocol') expect(client.socket.protocol).toBe('replyx.v1');
      await client.close();
    }
  });

  it('in the query is ignored where that is switched off', async () => {
    const strict = await startWorld({ nodes: 1, env: { WS_ALLOW_QUERY_TOKEN: false } });
    try {
      await makeDialog(strict, 'd');
      const url = `${at(strict.nodes, 0).wsUrl}/ws/site/dialogs/d`;
      await assertRefused(dial({ url, transport: 'query', token: visitor() }), 4002);
    } finally {
      await strict.close();
    }
  });

  it('never appears in a log', () => {
    const logs = at(world.processes, 0).logs().join('\n');
    expect(logs).not.toMatch(/eyJ|secret of the dialog/);
  });

  it('of a missing dialog and of another tenant are refused alike', async () => {
    const answers = [];
    for (const [dialogId, token] of [
      ['d', operatorToken({ tenant: 'tenant-2' })],
      ['missing', operatorToken()],
    ] as const) {
      const client = dial({ url: `${at(world.nodes, 0).wsUrl}/ws/dialogs/${dialogId}`, token });
      const closed = await client.closed;
      answers.push({ closed, frames: client.frames });
    }
    expect(answers[0]).toEqual(answers[1]);
  });
});

describe('the origin', () => {
  const expired = () => visitor({ iat: nowSeconds() - 100, exp: nowSeconds() - 50 });
  const rows: readonly [string, Route, string | undefined, () => string, number | 'connected'][] = [
    ['of the token', 'visitor', 'https://customer.example', visitor, 'connected'],
    ['a subdomain of it', 'visitor', 'https://a.b.customer.example:8443', visitor, 'connected'],
    ['none', 'visitor', undefined, visitor, 4003],
    ['another', 'visitor', 'https://evilcustomer.example', visitor, 4003],
    ['null', 'visitor', 'null', visitor, 4003],
    ['another, and a bad token', 'visitor', 'https://evil.example', () => visitor({}, {}, 'x'.repeat(40)), 4002],
    ['another, and an expired token', 'visitor', 'https://evil.example', expired, 4003],
    ['of the token, which has expired', 'visitor', 'https://customer.example', expired, 4001],
    ['another, and another dialog', 'visitor', 'https://evil.example', () => visitor({ dialog_id: 'other' }), 4003],
    [
      'of the customer, for the hosted page',
      'widget',
      'https://customer.example',
      () => visitor({ kind: 'widget' }),
      4003,
    ],
    [
      'of an operator in a browser that is not the main app',
      'operator',
      'https://evil.example',
      () => operatorToken(),
      4003,
    ],
  ];
  it.each(rows)('%s, on the %s route (%s)', async (_name, route, origin, token, outcome) => {
    const url = `${at(world.nodes, 0).wsUrl}${PATHS[route]}`;
    const client = dial({ url, token: token(), ...(origin === undefined ? {} : { origin }) });
    if (outcome === 'connected') {
      await client.next('connected');
      await client.close();
    } else await assertRefused(client, outcome);
  });

  it('is never taken from the query', async () => {
    const url = `${at(world.nodes, 0).wsUrl}/ws/site/dialogs/d`;
    const query = { origin: 'https://customer.example', domain: 'customer.example' };
    await assertRefused(dial({ url, token: visitor(), origin: 'https://evil.example', extra: { query } }), 4003);
  });

  it('of the main app is let in where it is configured', async () => {
    const running = await startWorld({ nodes: 1, env: { CORS_ORIGINS: 'https://app.example' } });
    try {
      await makeDialog(running, 'd');
      const url = `${at(running.nodes, 0).wsUrl}/ws/dialogs/d`;
      const client = dial({ url, token: operatorToken(), origin: 'https://app.example' });
      await client.next('connected');
      await client.close();
    } finally {
      await running.close();
    }
  });
});

describe('an operator key set', () => {
  it('is fetched, its keys verify operators only, and its algorithms are pinned', async () => {
    const jwk = { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'rsa-1', alg: 'RS256', use: 'sig' };
    const server = createServer((_request, response) => response.end(JSON.stringify({ keys: [jwk] }))).listen(
      0,
      '127.0.0.1',
    );
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const rs256 = (claims: Record<string, unknown>, header: Record<string, unknown> = {}) => {
      const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
      const signed = `${part({ alg: 'RS256', kid: 'rsa-1', ...header })}.${part(claims)}`;
      return `${signed}.${sign('sha256', Buffer.from(signed), rsa.privateKey).toString('base64url')}`;
    };
    const issued = { iss: 'https://issuer.example', aud: 'replyx' };
    const running = await startWorld({
      nodes: 1,
      env: { WS_JWKS_URL: `http://127.0.0.1:${port}/keys`, WS_TOKEN_ISSUER: issued.iss, WS_TOKEN_AUDIENCE: issued.aud },
    });
    try {
      await makeDialog(running, 'd');
      const url = (path: string) => `${at(running.nodes, 0).wsUrl}${path}`;
      const client = dial({ url: url('/ws/dialogs/d'), token: rs256({ ...opClaims(), ...issued }) });
      await client.next('connected');
      await client.close();
      const hmacWithPublic = () => {
        const [header, payload] = rs256({ ...opClaims(), ...issued }, { alg: 'HS256' }).split('.');
        return `${header}.${payload}.${createHmac('sha256', publicPem).update(`${header}.${payload}`).digest('base64url')}`;
      };
      const bad: readonly [string, string][] = [
        ['/ws/dialogs/d', rs256(opClaims())],
        ['/ws/dialogs/d', rs256({ ...opClaims(), ...issued, aud: 'other' })],
        ['/ws/dialogs/d', rs256({ ...opClaims(), ...issued }, { kid: 'other' })],
        ['/ws/dialogs/d', hmacWithPublic()],
        [
          '/ws/site/dialogs/d',
          rs256({
            ...opClaims(),
            ...issued,
            type: 'visitor',
            dialog_id: 'd',
            assistant_id: 'assistant-1',
            kind: 'site',
            allowed_domains: [],
            widget_version: 1,
          }),
        ],
      ];
      for (const [path, token] of bad) expect((await dial({ url: url(path), token }).closed).code).toBe(4002);
    } finally {
      await running.close();
      server.close();
    }
  });
});

describe('requests that are no upgrade of ours', () => {
  it('are refused by HTTP, and the connection is closed', async () => {
    const base = at(world.nodes, 0).wsUrl;
    const cases: readonly [string, Record<string, string | null>, number][] = [
      ['/ws/site/dialogs/d%2f..', {}, 404],
      [`/ws/site/dialogs/${'a'.repeat(129)}`, {}, 404],
      ['/ws/site/dialogs/d', { 'Sec-WebSocket-Version': '8' }, 426],
      ['/nothing', {}, 404],
      ['/ws/dialogs', {}, 404],
    ];
    for (const [path, headers, status] of cases) {
      const answer = await upgradeStatus(`${base}${path}`, headers);
      expect([path, answer.status, JSON.parse(answer.body).status]).toEqual([path, status, status]);
      expect(answer.headers['connection']).toBe('close');
      expect(answer.ended).toBe(true);
    }
  });
});
