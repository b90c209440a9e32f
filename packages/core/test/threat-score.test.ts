import { fakeClock } from '@replyx/testkit';
import { describe, expect, it } from 'vitest';
import { parseNetworks } from '../src/client-address.js';
import { BackplaneUnavailable } from '../src/ports.js';
import { banLengthMs, OFFENCE_POINTS, type Spared, ThreatScore } from '../src/threat-score.js';

const ATTACKER = '8.8.4.4';

const world = (options: { banScore?: number; users?: number; allow?: string[]; maxAddresses?: number } = {}) => {
  const clock = fakeClock();
  const scores = new Map<string, number>();
  const bans = new Map<string, number>();
  const state = { raises: 0, away: false };
  const banned: { key: string; forMs: number; score: number }[] = [];
  const spared: [string, Spared][] = [];
  const order: string[] = [];
  const threat = new ThreatScore({
    limiter: {
      raise: async (key, points) => {
        state.raises += 1;
        if (state.away) throw new BackplaneUnavailable('away');
        scores.set(key, (scores.get(key) ?? 0) + points);
        return { score: scores.get(key) ?? 0, users: options.users ?? 0, bans: bans.get(key) ?? 0 };
      },
      countBan: async (key) => {
        scores.delete(key);
        bans.set(key, (bans.get(key) ?? 0) + 1);
        return bans.get(key) ?? 0;
      },
    },
    clock,
    banScore: options.banScore ?? 100,
    allow: parseNetworks(options.allow ?? []),
    maxAddresses: options.maxAddresses ?? 1_000,
    ban: async (key, forMs) => {
      order.push(`ban ${key} ${forMs}`);
    },
    onBanned: (key, { score, forMs }) => banned.push({ key, forMs, score }),
    onSpared: (key, why) => spared.push([key, why]),
    onBug: (error) => {
      throw error;
    },
  });
  return { clock, threat, scores, state, banned, spared, order };
};

describe('the threat score', () => {
  it('bans at the score, everywhere, before it is told', async () => {
    const { clock, threat, banned, order } = world();
    for (let i = 0; i < 100 / OFFENCE_POINTS.failed_token; i += 1) threat.note(ATTACKER, 'failed_token');
    await clock.advanceAsync(500);
    expect(banned).toEqual([{ key: ATTACKER, forMs: 60_000, score: 100 }]);
    expect(order).toEqual([`ban ${ATTACKER} 60000`]);
  });

  it('does not ban one point below it', async () => {
    const { clock, threat, banned, scores } = world({ banScore: 101 });
    for (let i = 0; i < 20; i += 1) threat.note(ATTACKER, 'failed_token');
    await clock.advanceAsync(500);
    expect(scores.get(ATTACKER)).toBe(100);
    expect(banned).toEqual([]);
  });

  it('costs one command per address and batch, however often it fails', async () => {
    const { clock, threat, state } = world({ banScore: 1_000_000 });
    for (let round = 0; round < 4; round += 1) {
      for (let i = 0; i < 10_000; i += 1) threat.note(ATTACKER, 'failed_token');
      await clock.advanceAsync(500);
    }
    expect(state.raises).toBe(4);
  });

  it('bans longer each time, up to a day', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 50].map((count) => banLengthMs(count) / 1_000)).toEqual([
      60, 240, 960, 3_840, 15_360, 61_440, 86_400, 86_400,
    ]);
  });

  it.each(['127.0.0.1', '10.1.2.3', '192.168.1.1', '169.254.9.9', 'fe80::/64', '::/64', 'fd12::/64', '100.64.1.1'])(
    'never bans %s, which is not of the public internet',
    async (address) => {
      const { clock, threat, banned, spared } = world();
      for (let i = 0; i < 50; i += 1) threat.note(address, 'failed_token');
      await clock.advanceAsync(500);
      expect(banned).toEqual([]);
      expect(spared).toEqual([[address, 'not_public']]);
    },
  );

  it('never bans an allowed network', async () => {
    const { clock, threat, banned, spared } = world({ allow: ['8.8.0.0/16'] });
    for (let i = 0; i < 50; i += 1) threat.note(ATTACKER, 'failed_token');
    await clock.advanceAsync(500);
    expect([banned, spared]).toEqual([[], [[ATTACKER, 'allowed']]]);
  });

  it.each([
    [3, true],
    [4, false],
  ])('with %i users connected from the address: banned %s', async (users, isBanned) => {
    const { clock, threat, banned, spared } = world({ users });
    for (let i = 0; i < 50; i += 1) threat.note(ATTACKER, 'failed_token');
    await clock.advanceAsync(500);
    expect(banned.length === 1).toBe(isBanned);
    expect(spared).toEqual(isBanned ? [] : [[ATTACKER, 'shared']]);
  });

  it('counts attempts of a foreign page one point a minute, whatever else is wrong with them', async () => {
    const { clock, threat, scores } = world();
    for (let second = 0; second < 180; second += 1) {
      threat.note(ATTACKER, 'failed_token', true);
      threat.note(ATTACKER, 'foreign_origin');
      threat.note(ATTACKER, 'probed_id', true);
      await clock.advanceAsync(1_000);
    }
    expect(scores.get(ATTACKER)).toBe(3);
  });

  it('is bounded: more addresses than it remembers are left out of a batch', async () => {
    const { clock, threat, state } = world({ maxAddresses: 10 });
    for (let i = 0; i < 1_000; i += 1) {
      threat.note(`8.8.${i % 256}.${i >> 8}`, 'failed_token');
      threat.note(`9.9.${i % 256}.${i >> 8}`, 'foreign_origin');
    }
    await clock.advanceAsync(500);
    expect(state.raises).toBe(10);
  });

  it('drops a batch while the backplane is away, and goes on', async () => {
    const { clock, threat, state, banned } = world();
    state.away = true;
    for (let i = 0; i < 50; i += 1) threat.note(ATTACKER, 'failed_token');
    await clock.advanceAsync(500);
    state.away = false;
    for (let i = 0; i < 50; i += 1) threat.note(ATTACKER, 'failed_token');
    await clock.advanceAsync(500);
    expect(banned).toHaveLength(1);
  });

  it('is off at 0, and after the stop', async () => {
    const off = world({ banScore: 0 });
    off.threat.note(ATTACKER, 'failed_token');
    const stopped = world();
    stopped.threat.note(ATTACKER, 'failed_token');
    stopped.threat.stop();
    stopped.threat.note(ATTACKER, 'failed_token');
    await off.clock.advanceAsync(1_000);
    await stopped.clock.advanceAsync(1_000);
    expect([off.state.raises, stopped.state.raises, stopped.clock.pending()]).toEqual([0, 0, 0]);
  });
});
