import { fakeClock } from '@replyx/testkit';
import { describe, expect, it } from 'vitest';
import { parseNetworks } from '../src/client-address.js';
import { BackplaneUnavailable } from '../src/ports.js';
import { banLengthMs, OFFENCE_POINTS, type Spared, ThreatScore } from '../src/threat-score.js';

const ATTACKER = '8.8.4.4';

interface WorldOptions {
  readonly banScore?: number;
  readonly users?: number;
  readonly allow?: string[];
  readonly maxAddresses?: number;
  /** Milliseconds until an answer about a score comes. */
  readonly slowMs?: number;
  /** What the nodes of one cluster share. */
  readonly shared?: { scores: Map<string, number>; foreign: Map<string, number>; bans: Map<string, number> };
}

const store = (): Required<WorldOptions>['shared'] => ({ scores: new Map(), foreign: new Map(), bans: new Map() });

const world = (options: WorldOptions = {}, clock = fakeClock()) => {
  const { scores, foreign, bans } = options.shared ?? store();
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
        const answer = { score: scores.get(key) ?? 0, users: options.users ?? 0, bans: bans.get(key) ?? 0 };
        const { slowMs } = options;
        if (slowMs !== undefined) await new Promise<void>((resolve) => void clock.schedule(slowMs, resolve));
        return answer;
      },
      take: async ({ key }, [window]) => {
        const untilMs = foreign.get(key) ?? 0;
        if (window === undefined || untilMs > clock.nowMs()) return { status: 'refused', window: '', retryAfterMs: 1 };
        foreign.set(key, clock.nowMs() + window.windowMs);
        return { status: 'taken' };
      },
      countBan: async (key) => {
        if (!scores.delete(key)) return 0;
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

  it.each(['2a00:1450:4001:830::200e', '2a00:1450:4001:830:1::/80', '2a00:1450::/32'])(
    'never bans the /64 that the allowed %s is counted by',
    async (allowed) => {
      const { clock, threat, banned, spared } = world({ allow: [allowed] });
      for (const key of ['2a00:1450:4001:830::/64', '2a00:1451:4001:831::/64']) {
        for (let i = 0; i < 50; i += 1) threat.note(key, 'failed_token');
      }
      await clock.advanceAsync(500);
      expect(spared).toEqual([['2a00:1450:4001:830::/64', 'allowed']]);
      expect(banned.map(({ key }) => key)).toEqual(['2a00:1451:4001:831::/64']);
    },
  );

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

  it('counts them so on all nodes together', async () => {
    const clock = fakeClock();
    const shared = store();
    const nodes = Array.from({ length: 30 }, () => world({ shared }, clock));
    for (let second = 0; second < 300; second += 1) {
      for (const { threat } of nodes) threat.note(ATTACKER, 'failed_token', true);
      await clock.advanceAsync(1_000);
    }
    expect(shared.scores.get(ATTACKER)).toBe(5);
  });

  it('bans once where several nodes see an address pass the score at the same moment', async () => {
    const clock = fakeClock();
    const shared = store();
    const nodes = Array.from({ length: 5 }, () => world({ shared, slowMs: 1 }, clock));
    for (const { threat } of nodes) for (let i = 0; i < 20; i += 1) threat.note(ATTACKER, 'failed_token');
    await clock.advanceAsync(600);
    expect(nodes.flatMap(({ banned }) => banned.map(({ forMs }) => forMs))).toEqual([60_000]);
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
