import type { Backplane, LeaseScope, RegisterRequest } from '@replyx/core';
import { type RedisServer, startRedis } from '@replyx/testkit';
import { freshId } from '@replyx/testkit/contract';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeRedisWorld, type RedisWorld } from './redis-world.js';

const MANY = 120;
const each = <T>(task: (n: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: MANY }, (_, n) => task(n)));

describe.each([
  ['Redis, where one script serves many', false, 0.1],
  ['Redis in cluster mode, where it serves those of one slot', true, 1],
])('what comes at the same moment, on %s', (_, cluster, mostCalls) => {
  let server: RedisServer;
  let world: RedisWorld;
  let node: Backplane;
  let other: Backplane;

  beforeAll(async () => {
    server = await startRedis({ cluster });
  });
  afterAll(() => server.kill());
  beforeEach(async () => {
    world = makeRedisWorld(server);
    node = await world.open();
    other = await world.open();
  });
  afterEach(() => world.close());

  const callsOf = async (name: string): Promise<number> => {
    const stats = String(await server.cli('INFO', 'commandstats'));
    return Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
  };
  /** What `task` gives each of the many, and how many scripts it takes for each. */
  const counted = async <T>(task: (n: number) => Promise<T>): Promise<{ results: T[]; scripts: number }> => {
    const before = await callsOf('evalsha');
    const results = await each(task);
    return { results, scripts: ((await callsOf('evalsha')) - before) / MANY };
  };
  const registration = (n: number, dialogId: string, more: Partial<RegisterRequest> = {}): RegisterRequest => ({
    dialogId,
    connectionId: `c${n}`,
    member: { role: 'user', id: `u${n}`, publicId: `p${n}` },
    claim: { tenant: 'tenant', assistantId: 'assistant', directory: 'open' },
    heads: ['main'],
    ...more,
  });

  test('each is refused by its own window, and the others are not', async () => {
    const base = freshId('ip');
    const take = (n: number) =>
      node.limiter.take({ kind: 'ip', key: `${base}-${n % 40}` }, [
        // A list and buckets; what is refused is refused by the second, from the third of one address on.
        { name: 'wide', limit: 10, windowMs: 60_000, cost: 1 },
        { name: 'narrow', limit: n % 40 < 20 ? 2 : 200, windowMs: 60_000, cost: 1 },
      ]);
    const { results, scripts } = await counted(take);
    expect(scripts).toBeLessThanOrEqual(mostCalls);
    results.forEach((result, n) => {
      const isThird = n >= 80;
      if (isThird && n % 40 < 20) expect(result).toMatchObject({ status: 'refused', window: 'narrow' });
      else expect(result).toEqual({ status: 'taken' });
    });
  });

  test('each has its places or none, in scopes of its own and in those of all', async () => {
    const [base, assistant] = [freshId('u'), freshId('a')];
    const scopes = (n: number): LeaseScope[] => [
      { kind: 'user', key: `${base}-${n % 60}`, limit: 1 },
      { kind: 'assistant', key: assistant, limit: 40 },
    ];
    const lease = (n: number) => ({ connectionId: `c${n}`, user: `tenant:user:u${n}`, scopes: scopes(n) });
    const { results: kinds, scripts } = await counted(async (n) => {
      const result = await node.leases.acquire({ ...lease(n), atLimit: 'refuse' });
      return result.status === 'full' ? result.kind : result.status;
    });
    if (!cluster) expect(scripts).toBeLessThanOrEqual(mostCalls);
    // The first forty have both; the next twenty had a place of their user's, and gave it back; the others never had one.
    expect(kinds.slice(0, 40)).toEqual(Array.from({ length: 40 }, () => 'leased'));
    expect(kinds.slice(40, 60)).toEqual(Array.from({ length: 20 }, () => 'assistant'));
    expect(kinds.slice(60).filter((kind) => kind === 'leased')).toEqual([]);

    await Promise.all(Array.from({ length: 40 }, (_, n) => node.leases.release(lease(n))));
    // Every place is free again, on another node too.
    const again = await each((n) => other.leases.acquire({ ...lease(n), atLimit: 'refuse' }));
    expect(again.slice(0, 40).map(({ status }) => status)).toEqual(Array.from({ length: 40 }, () => 'leased'));
  });

  test('each is registered in its own dialog, or refused for itself, and taken off again', async () => {
    const base = freshId('d');
    const dialogOf = (n: number): string => (n < 90 ? `${base}-${n}` : `${base}-shared`);
    await node.roster.register(registration(999, `${base}-7`, { claim: { tenant: 'else', directory: 'open' } }));
    const { results, scripts } = await counted((n) =>
      node.roster.register(registration(n, dialogOf(n), n >= 90 ? { limit: 10, clientId: `tab${n}` } : {})),
    );
    expect(scripts).toBeLessThanOrEqual(mostCalls);
    results.forEach((result, n) => {
      if (n === 7) expect(result).toEqual({ status: 'not_found' });
      else if (n >= 100) expect(result).toEqual({ status: 'full' });
      else {
        expect(result).toMatchObject({
          status: 'registered',
          dialog: { tenant: 'tenant', assistantId: 'assistant' },
          heads: [{ offset: 0 }],
          superseded: [],
        });
        if (result.status !== 'registered') return;
        // Itself first, then those of its dialog who came before it.
        expect(result.members[0]).toMatchObject({ id: `u${n}`, publicId: `p${n}` });
        expect(result.members).toHaveLength(n < 90 ? 1 : n - 89);
      }
    });
    const present = async () =>
      (await node.roster.connections(`${base}-shared`)).map(({ connectionId }) => connectionId);
    expect((await present()).sort()).toEqual(Array.from({ length: 10 }, (_, n) => `c${90 + n}`));

    const gone = await counted((n) => node.roster.unregister(dialogOf(n), `c${n}`));
    expect(gone.scripts).toBeLessThanOrEqual(mostCalls);
    expect(await present()).toEqual([]);
    expect(await node.roster.connections(`${base}-3`)).toEqual([]);
  });
});
