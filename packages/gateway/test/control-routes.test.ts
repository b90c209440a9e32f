import { memoryCluster } from '@replyx/core';
import { fakeClock, seededRandom } from '@replyx/testkit';
import { CONTRACT_OPTIONS } from '@replyx/testkit/contract';
import { describe, expect, it } from 'vitest';
import { type ControlAction, controlRoutes } from '../src/http/control-routes.js';
import { Problem } from '../src/http/problem.js';

const NOW_MS = 1_767_225_600_900;
const DAY_S = 86_400;
const MAX_LIFE_S = 90 * DAY_S;
const TOLERANCE_S = 5;

const makeApi = () => {
  const clock = fakeClock(NOW_MS);
  const cluster = memoryCluster({ clock, random: seededRandom(1) });
  const { control } = cluster.open({ ...CONTRACT_OPTIONS, incarnation: 'n.1', nodeId: 'n' });
  const actions: ControlAction[] = [];
  const routes = controlRoutes({
    control,
    tokenMaxLifeMs: MAX_LIFE_S * 1_000,
    clockToleranceMs: TOLERANCE_S * 1_000,
    onAction: (action) => actions.push(action),
  });
  const call = async (
    id: string,
    { body, path = [], query = '' }: { body?: unknown; path?: string[]; query?: string } = {},
  ) => {
    const route = routes.find((one) => one.id === id);
    if (route === undefined) throw new Error(`there is no route ${id}`);
    try {
      const answer = await route.handle({
        method: route.method,
        path: route.path,
        parameters: path,
        query: new URLSearchParams(query),
        header: () => undefined,
        body: new TextEncoder().encode(JSON.stringify(body ?? {})),
        gone: new AbortController().signal,
      });
      return { status: answer.status, body: answer.body === '' ? undefined : JSON.parse(answer.body) };
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return { status: error.code, body: error.detail };
    }
  };
  return { clock, control, actions, call };
};

describe('POST /v1/revocations', () => {
  it.each<[string, object, object]>([
    ['jti', { jti: 'j' }, { by: 'jti', jti: 'j' }],
    // The time of the store and the tolerance: a token that is being made now falls too.
    ['sub', { sub: 's', tenant: 't' }, { by: 'subject', sub: 's', tenant: 't', issued_before: 1_767_225_605 }],
    ['sub before a time', { sub: 's', issued_before: 7.5 }, { by: 'subject', sub: 's', issued_before: 7.5 }],
    ['version', { assistant_id: 'a', below_version: 3 }, { by: 'assistant', assistant_id: 'a', below_version: 3 }],
    ['dialog', { dialog_id: 'd' }, { by: 'dialog', dialog_id: 'd' }],
  ])('by %s lasts as long as any token may live, and is listed', async (_, body, rule) => {
    const { call, actions } = makeApi();
    const { status, body: made } = await call('revoke', { body });
    expect(status).toBe(201);
    expect(made).toEqual({
      id: expect.stringMatching(/^rev_[\w-]{22}$/),
      ...rule,
      created_at: NOW_MS,
      expires_at: NOW_MS + (MAX_LIFE_S + 2 * TOLERANCE_S) * 1_000,
    });
    expect((await call('listRevocations')).body).toEqual({ revocations: [made], next: null });
    expect(actions).toMatchObject([{ event: 'revocation_written', id: made.id }]);
  });

  it('raises a life that is too short, and takes a longer one', async () => {
    const { call } = makeApi();
    const expiryOf = async (ttl_seconds: number, jti: string) =>
      ((await call('revoke', { body: { jti, ttl_seconds } })).body.expires_at - NOW_MS) / 1_000 - 2 * TOLERANCE_S;
    expect([await expiryOf(60, 'a'), await expiryOf(2 * MAX_LIFE_S, 'b')]).toEqual([MAX_LIFE_S, 2 * MAX_LIFE_S]);
  });

  it('is one entry for one subject, another for the same name elsewhere', async () => {
    const { call } = makeApi();
    const idOf = async (body: object) => (await call('revoke', { body })).body.id;
    const ids = [
      await idOf({ sub: 's', tenant: 't' }),
      await idOf({ sub: 's', tenant: 't', issued_before: 5 }),
      await idOf({ sub: 's', tenant: 'u' }),
      await idOf({ sub: 's' }),
      await idOf({ jti: 's' }),
      await idOf({ dialog_id: 's' }),
    ];
    expect(new Set(ids).size).toBe(5);
    expect(ids[0]).toBe(ids[1]);
    const { body } = await call('listRevocations');
    expect(body.revocations.find(({ id }: { id: string }) => id === ids[0]).issued_before).toBe(1_767_225_605);
  });

  it('says what it takes where it is asked for nothing that it knows', async () => {
    const { call } = makeApi();
    for (const body of [{}, { jti: 'j', sub: 's' }, { assistant_id: 'a' }]) {
      expect(await call('revoke', { body })).toMatchObject({
        status: 'bad_frame',
        body: expect.stringContaining('The body takes jti; sub'),
      });
    }
  });
});

describe('POST /v1/bans', () => {
  it('writes the network as it is counted', async () => {
    const { call } = makeApi();
    const made = await call('ban', { body: { network: '2001:DB8::7', ttl_seconds: 60, reason: 'why' } });
    expect(made).toEqual({
      status: 201,
      body: {
        id: 'ban_2001-db8--_64',
        network: '2001:db8::/64',
        reason: 'why',
        source: 'api',
        created_at: NOW_MS,
        expires_at: NOW_MS + 60_000,
      },
    });
    expect((await call('listBans')).body).toEqual({ bans: [made.body], next: null });
  });

  it.each([
    ['0.0.0.0/0', 'is wider than /8'],
    ['::/0', 'is wider than /16'],
    ['1.2.3', 'is not an address'],
  ])('refuses %s', async (network, why) => {
    const { call } = makeApi();
    expect(await call('ban', { body: { network, ttl_seconds: 60 } })).toEqual({
      status: 'bad_frame',
      body: expect.stringContaining(`The field network ${why}`),
    });
  });
});

describe('lifting', () => {
  it('takes an entry away once, of its own kind', async () => {
    const { call, actions } = makeApi();
    const { id } = (await call('revoke', { body: { jti: 'j' } })).body;
    expect((await call('liftBan', { path: [id] })).status).toBe('not_found');
    expect((await call('liftRevocation', { path: [id] })).status).toBe(204);
    expect((await call('liftRevocation', { path: [id] })).status).toBe('not_found');
    expect((await call('listRevocations')).body.revocations).toEqual([]);
    expect(actions.at(-1)).toEqual({ event: 'revocation_lifted', id });
    const ban = (await call('ban', { body: { network: '1.2.3.4', ttl_seconds: 60 } })).body;
    expect((await call('liftBan', { path: [ban.id] })).status).toBe(204);
    expect((await call('listBans')).body.bans).toEqual([]);
  });
});

describe('lists', () => {
  it('go from the newest on in pages, whatever comes and goes meanwhile', async () => {
    const { call, clock } = makeApi();
    for (let i = 0; i < 7; i += 1) {
      if (i % 2 === 0) clock.advance(1);
      await call('ban', { body: { network: `10.0.0.${i}`, ttl_seconds: 60 } });
    }
    const seen: string[] = [];
    let query = 'limit=3';
    for (let page = 0; ; page += 1) {
      const { body } = await call('listBans', { query });
      seen.push(...body.bans.map(({ network }: { network: string }) => network.slice(7)));
      await call('ban', { body: { network: `10.1.0.${page}`, ttl_seconds: 60 } });
      if (page === 0) await call('liftBan', { path: ['ban_10-0-0-4'] });
      if (body.next === null) break;
      query = `limit=3&after=${body.next}`;
    }
    expect(seen).toEqual(['6', '4', '5', '2', '3', '0', '1']);
  });

  it.each(['limit=0', 'limit=1001', 'after=x', 'after=1&after=2'])('refuse %s', async (query) => {
    expect((await makeApi().call('listBans', { query })).status).toBe('bad_frame');
  });
});

describe('POST /v1/disconnect', () => {
  it.each<[object, object, string]>([
    [{ sub: 's', tenant: 't' }, { sub: 's', tenant: 't' }, 'GOING_AWAY'],
    [{ dialog_id: 'd', code: 4005 }, { dialogId: 'd' }, 'REVOKED'],
    [{ connection_id: 'c', code: 'NORMAL' }, { connectionId: 'c' }, 'NORMAL'],
    [{ node_id: 'n.1', code: 'SERVICE_RESTART' }, { nodeId: 'n.1' }, 'SERVICE_RESTART'],
  ])('%j is told to every node', async (body, target, code) => {
    const { call, control } = makeApi();
    const { cursor } = await control.snapshot();
    expect(await call('disconnect', { body })).toEqual({ status: 202, body: {} });
    expect(await control.tail(cursor)).toMatchObject({ entries: [{ kind: 'disconnect', target, code }] });
  });
});
