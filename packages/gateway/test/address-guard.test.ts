import { BackplaneUnavailable, type Offence, type Subject, type TakeResult, type WindowSpec } from '@replyx/core';
import { fakeClock, seededRandom } from '@replyx/testkit';
import { describe, expect, it } from 'vitest';
import { AddressGuard } from '../src/admission/address-guard.js';

const address = (key: string) => ({ text: key, key });
const ATTACKER = address('203.0.113.9');
const OWN = () => false;
const FOREIGN = () => true;

const world = (overrides: { connects?: number; dryRun?: boolean; maxAddresses?: number } = {}) => {
  const clock = fakeClock();
  const state = {
    answer: { status: 'taken' } as TakeResult | 'away',
    banned: new Set<string>(),
    takes: [] as { subject: Subject; windows: readonly WindowSpec[] }[],
    noted: [] as [string, Offence, boolean | undefined][],
    limited: [] as [string, string, boolean][],
  };
  const per = (limit: number) => ({ limit, windowMs: 60_000 });
  const guard = new AddressGuard({
    limiter: {
      take: async (subject, windows) => {
        state.takes.push({ subject, windows });
        if (state.answer === 'away') throw new BackplaneUnavailable('away');
        return state.answer;
      },
      raise: () => Promise.reject(new Error('not of the guard')),
      countBan: () => Promise.reject(new Error('not of the guard')),
    },
    rateLimits: {
      connects: per(overrides.connects ?? 3),
      messages: per(0),
      frames: per(0),
      sessions: per(20),
      authFailures: per(30),
      assistantSessions: per(600),
      http: per(300),
      api: per(5),
      maxAddresses: overrides.maxAddresses ?? 100,
      dryRun: overrides.dryRun ?? false,
    },
    threat: { note: (key, offence, foreign) => state.noted.push([key, offence, foreign]) },
    isBanned: ({ key }) => state.banned.has(key),
    isAway: () => state.answer === 'away',
    clock,
    random: seededRandom(7),
    onLimited: (limit, subject, dryRun) => state.limited.push([limit, subject.key, dryRun]),
  });
  return { clock, guard, state };
};

describe('the address guard', () => {
  it('takes a connect and looks at the refused credentials in one step', async () => {
    const { guard, state } = world();
    expect(await guard.connect(ATTACKER)).toEqual({ status: 'taken' });
    expect(state.takes).toEqual([
      {
        subject: { kind: 'ip', key: ATTACKER.key },
        windows: [
          { name: 'connects', limit: 3, windowMs: 60_000, cost: 1 },
          { name: 'auth_failures', limit: 30, windowMs: 60_000, cost: 0 },
        ],
      },
    ]);
  });

  it('keeps a limited address out before the next upgrade, without asking anybody, until its window has room', async () => {
    const { clock, guard, state } = world();
    state.answer = { status: 'refused', window: 'connects', retryAfterMs: 4_000 };
    const taken = await guard.connect(ATTACKER);
    if (taken.status !== 'limited') throw new Error('not limited');
    expect(taken.retryAfterMs).toBeGreaterThanOrEqual(4_000);
    expect(state.limited).toEqual([['connects', ATTACKER.key, false]]);
    for (let i = 0; i < 20; i += 1)
      expect(guard.screen(ATTACKER, OWN)).toMatchObject({ status: 429, reason: 'limited' });
    expect(guard.screen(address('203.0.113.10'), OWN)).toBeUndefined();
    expect(state.takes).toHaveLength(1);
    // One for the limit, one for every ten attempts against it.
    expect(state.noted.filter(([, offence]) => offence === 'limit_hit')).toHaveLength(3);
    // Until there is room, and not for the longer wait that was told.
    clock.advance(3_999);
    expect(guard.screen(ATTACKER, OWN)).toBeDefined();
    clock.advance(1);
    expect(guard.screen(ATTACKER, OWN)).toBeUndefined();
  });

  it('has room for the address again when the window has, not when the coarse wait that was told is over', async () => {
    const { clock, guard, state } = world();
    state.answer = { status: 'refused', window: 'connects', retryAfterMs: 40_000 };
    await guard.connect(ATTACKER);
    clock.advance(39_999);
    expect(guard.screen(ATTACKER, OWN)).toMatchObject({ status: 429 });
    clock.advance(1);
    expect(guard.screen(ATTACKER, OWN)).toBeUndefined();
  });

  it('holds the limit against a foreign page as such, however often it sends its visitors', async () => {
    const { guard, state } = world();
    state.answer = { status: 'refused', window: 'connects', retryAfterMs: 4_000 };
    await guard.connect(ATTACKER, FOREIGN);
    await guard.request(ATTACKER, FOREIGN);
    await guard.failed(ATTACKER, 'failed_token', true);
    for (let i = 0; i < 100; i += 1) guard.screen(ATTACKER, FOREIGN);
    expect(state.noted.length).toBeGreaterThan(10);
    expect(state.noted.filter(([, , isForeign]) => isForeign !== true)).toEqual([]);
  });

  it('refuses a banned address first of all', () => {
    const { guard, state } = world();
    state.banned.add(ATTACKER.key);
    expect(guard.screen(ATTACKER, OWN)).toEqual({ status: 403, reason: 'banned' });
  });

  it('admits in a dry run what it would refuse, and says so', async () => {
    const { guard, state } = world({ dryRun: true });
    state.answer = { status: 'refused', window: 'connects', retryAfterMs: 4_000 };
    expect(await guard.connect(ATTACKER)).toEqual({ status: 'taken' });
    expect(guard.screen(ATTACKER, OWN)).toBeUndefined();
    expect(state.limited).toEqual([['connects', ATTACKER.key, true]]);
    expect(state.noted).toEqual([]);
  });

  it('counts a refused credential and notes the offence', async () => {
    const { guard, state } = world();
    await guard.failed(ATTACKER, 'failed_token', true);
    expect(state.noted).toEqual([[ATTACKER.key, 'failed_token', true]]);
    expect(state.takes[0]?.windows).toEqual([{ name: 'auth_failures', limit: 30, windowMs: 60_000, cost: 1 }]);
  });

  it('counts a connect whose credential is refused and the refusal in one step', async () => {
    const { guard, state } = world();
    await guard.connect(ATTACKER, FOREIGN, 'failed_token');
    expect(state.noted).toEqual([[ATTACKER.key, 'failed_token', true]]);
    expect(state.takes.map(({ windows }) => windows.map(({ name, cost }) => [name, cost]))).toEqual([
      [
        ['connects', 1],
        ['auth_failures', 1],
      ],
    ]);
    // At its limit an address learns nothing of its credential, and the limit is what it is held to.
    state.answer = { status: 'refused', window: 'auth_failures', retryAfterMs: 4_000 };
    expect(await guard.connect(ATTACKER, FOREIGN, 'failed_token')).toMatchObject({ status: 'limited' });
    expect(state.noted.slice(1)).toEqual([[ATTACKER.key, 'limit_hit', true]]);
  });

  it('tells so many newcomers of an address that the backplane is away, and then refuses them', async () => {
    const { clock, guard, state } = world({ connects: 3 });
    state.answer = 'away';
    const statuses: string[] = [];
    for (let i = 0; i < 5; i += 1) statuses.push((await guard.connect(ATTACKER)).status);
    expect(statuses).toEqual(['unavailable', 'unavailable', 'unavailable', 'limited', 'limited']);
    expect(guard.screen(ATTACKER, OWN)).toMatchObject({ status: 429 });
    state.answer = { status: 'taken' };
    expect(await guard.connect(address('198.51.100.1'))).toEqual({ status: 'taken' });
    // The outage is over, and soon it is for those who asked too often in it.
    clock.advance(5_000);
    expect(guard.screen(ATTACKER, OWN)).toBeUndefined();
  });

  it('says that the backplane is away also where every limit is off', async () => {
    const { guard, state } = world({ connects: 0 });
    state.answer = 'away';
    expect(await guard.connect(ATTACKER)).toEqual({ status: 'unavailable' });
  });

  it('does not deny the address for a limit on new dialogs', async () => {
    const { guard, state } = world();
    state.answer = { status: 'refused', window: 'sessions', retryAfterMs: 4_000 };
    expect(await guard.newDialog(ATTACKER, 'assistant-1')).toMatchObject({ status: 'limited' });
    expect(guard.screen(ATTACKER, OWN)).toBeUndefined();
  });

  it("counts new dialogs by the assistant's own limit where it has one", async () => {
    const { guard, state } = world();
    await guard.newDialog(ATTACKER, 'assistant-1', 7);
    await guard.newDialog(ATTACKER, 'assistant-1');
    expect(
      state.takes.filter(({ subject }) => subject.kind === 'a').map(({ windows }) => windows.map(({ limit }) => limit)),
    ).toEqual([[7], [600]]);
  });

  it('names an API key to the store by a digest', async () => {
    const { guard, state } = world();
    await guard.apiRequest('a-secret-key');
    expect(state.takes[0]?.subject.kind).toBe('k');
    expect(state.takes[0]?.subject.key).toMatch(/^[\w-]{22}$/);
    expect(JSON.stringify(state.takes)).not.toContain('a-secret-key');
  });

  it('keeps an attacker out while 50,000 addresses pass, and remembers no more of them than it may', async () => {
    const { guard, state } = world({ maxAddresses: 100 });
    state.answer = { status: 'refused', window: 'connects', retryAfterMs: 60_000 };
    await guard.connect(ATTACKER);
    for (let i = 0; i < 50_000; i += 1) {
      // Most pass; some are limited too, for a shorter time.
      state.answer =
        i % 100 === 0 ? { status: 'refused', window: 'connects', retryAfterMs: 1_000 } : { status: 'taken' };
      const passer = address(`2001:db8:${(i >> 8).toString(16)}:${(i & 255).toString(16)}::/64`);
      expect(guard.screen(passer, OWN)).toBeUndefined();
      await guard.connect(passer);
    }
    expect(guard.screen(ATTACKER, OWN)).toMatchObject({ status: 429 });
    expect(guard.denials.size).toBeLessThanOrEqual(100);
  });
});
