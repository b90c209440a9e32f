import { describe, expect, it } from 'vitest';
import { outcomeOf } from '../src/driver/attempt.js';
import { countIn } from '../src/driver/driver-stats.js';
import { heldSockets, type LoadPlan, partOf } from '../src/load-plan.js';
import { driverLimits } from '../src/run/driver-limits.js';
import { usageFrom } from '../src/run/process-stat.js';
import { driversFor, sizesOf } from '../src/run/scenario-defaults.js';
import { sumsOf, usageOf } from '../src/run/scraped-metrics.js';
import { isLoopback, sourceAddresses } from '../src/source-addresses.js';
import { TimerWheel } from '../src/timer-wheel.js';
import { mintToken, parseSigningKey, parseTokenLine } from '../src/token-mint.js';

describe('TimerWheel', () => {
  const wheelAt = (startMs: number) => {
    const clock = { nowMs: startMs };
    const due: string[] = [];
    const wheel = new TimerWheel<string>(
      () => clock.nowMs,
      (item) => due.push(item),
    );
    const goTo = (nowMs: number): string[] => {
      clock.nowMs = nowMs;
      wheel.advance();
      return due.splice(0);
    };
    return { wheel, goTo };
  };

  it('hands out each item once, at its time and not before', () => {
    const { wheel, goTo } = wheelAt(1_003);
    wheel.schedule(50, 'a');
    wheel.schedule(0, 'b');
    expect(goTo(1_009)).toEqual([]);
    expect(goTo(1_020)).toEqual(['b']);
    expect(goTo(1_052)).toEqual([]);
    expect(goTo(1_060)).toEqual(['a']);
    expect(goTo(9_000)).toEqual([]);
  });

  it('keeps what is due after more than a turn of the wheel', () => {
    const { wheel, goTo } = wheelAt(0);
    wheel.schedule(15_000, 'late');
    for (let now = 0; now < 15_000; now += 1_000) expect(goTo(now)).toEqual([]);
    expect(goTo(15_000)).toEqual(['late']);
  });

  it('hands out all that became due in a stall', () => {
    const { wheel, goTo } = wheelAt(0);
    for (const ms of [10, 500, 4_000, 12_000, 30_000]) wheel.schedule(ms, String(ms));
    expect(goTo(20_000).sort()).toEqual(['10', '12000', '4000', '500']);
    expect(goTo(30_000)).toEqual(['30000']);
  });
});

describe('source addresses', () => {
  it('are different ones of 127.0.0.0/8, without those that end in 0 or 255', () => {
    const all = sourceAddresses(['ws://127.0.0.1:1'], 0, { count: 60_000, random: 0.999_999_9 });
    expect(new Set(all).size).toBe(60_000);
    expect(all.every((address) => /^127\.\d{1,3}\.\d{1,3}\.(?!0$|255$)\d{1,3}$/.test(address))).toBe(true);
    expect(all.every((address) => address.split('.').every((part) => Number(part) < 256))).toBe(true);
    expect(all).not.toContain('127.0.0.1');
  });

  it('are one for every hundred connects to this machine, and the system’s choice elsewhere', () => {
    expect(sourceAddresses(['ws://127.0.0.1:1'], 1_001, { random: 0.5 })).toHaveLength(11);
    expect(sourceAddresses(['ws://127.0.0.1:1'], 1_001, { count: 2, random: 0 })).toHaveLength(2);
    expect(sourceAddresses(['ws://127.0.0.1:1', 'ws://10.0.0.1:1'], 1_001, { random: 0 })).toEqual([]);
    expect(sourceAddresses(['ws://10.0.0.1:1'], 1_001, { given: ['10.0.0.2'], random: 0 })).toEqual(['10.0.0.2']);
    expect(isLoopback('ws://localhost:8080')).toBe(true);
    expect(isLoopback('wss://127.example:8080')).toBe(false);
  });
});

describe('tokens', () => {
  it('signs with the first of several keys, and names it', () => {
    expect(parseSigningKey('plain:with,comma\n')).toEqual({ secret: 'plain:with,comma' });
    expect(parseSigningKey('k1:one,k2:two')).toEqual({ kid: 'k1', secret: 'one' });
    expect(parseSigningKey('\n')).toBeUndefined();
  });

  it('reads the dialog of a given token from its claims, or from behind it', () => {
    const request = {
      role: 'visitor',
      sub: 's',
      tenant: 't',
      assistantId: 'a',
      dialogId: 'd1',
      domains: ['x.example'],
      lifeSeconds: 60,
    } as const;
    const visitor = mintToken(request, { secret: 'k' });
    const operator = mintToken({ ...request, role: 'operator' }, { secret: 'k' });
    expect(parseTokenLine(visitor)).toEqual({ token: visitor, dialogId: 'd1', role: 'visitor' });
    expect(parseTokenLine(`${operator} d2`)).toEqual({ token: operator, dialogId: 'd2', role: 'operator' });
    expect(parseTokenLine(operator)).toBeUndefined();
    expect(parseTokenLine('nonsense d1')).toBeUndefined();
    expect(parseTokenLine(`${visitor} d1 d2`)).toBeUndefined();
  });
});

describe('outcomeOf an attempt', () => {
  const upgraded = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n';
  const frame = (opcode: number, payload: Buffer): Buffer =>
    payload.length < 126
      ? Buffer.concat([Buffer.from([0x80 | opcode, payload.length]), payload])
      : Buffer.concat([Buffer.from([0x80 | opcode, 126, payload.length >> 8, payload.length & 255]), payload]);
  const close = (code: number): Buffer => frame(8, Buffer.from([code >> 8, code & 255, 0x58]));
  const words = frame(1, Buffer.from(JSON.stringify({ type: 'disconnect', code: 4002, reason: 'x'.repeat(200) })));

  it.each([
    ['http 429', Buffer.from('HTTP/1.1 429 Too Many Requests\r\n')],
    ['close 4002', Buffer.concat([Buffer.from(upgraded), words, close(4002)])],
    ['close 1005', Buffer.concat([Buffer.from(upgraded), frame(8, Buffer.alloc(0))])],
    ['admitted', Buffer.concat([Buffer.from(upgraded), frame(1, Buffer.from('{"type":"connected","epoch":"e"}'))])],
    ['not http', Buffer.from('220 mail.example ESMTP ready')],
    [undefined, Buffer.from(upgraded)],
    [undefined, Buffer.concat([Buffer.from(upgraded), words])],
    [undefined, Buffer.from('HTTP/1.1 ')],
  ])('is %s', (outcome, bytes) => {
    expect(outcomeOf(bytes)).toBe(outcome);
  });

  it('is found however the bytes are cut', () => {
    const bytes = Buffer.concat([Buffer.from(upgraded), words, close(4008)]);
    for (let length = 0; length < bytes.length - 1; length += 1)
      expect(outcomeOf(bytes.subarray(0, length))).toBeUndefined();
    expect(outcomeOf(bytes)).toBe('close 4008');
  });
});

describe('the parts of a load', () => {
  const plan = (over: Partial<LoadPlan>): LoadPlan =>
    ({
      scenario: 'dialogs',
      run: 'r',
      dialogs: 7,
      perDialog: 2,
      drivers: 3,
      role: 'visitor',
      tokens: undefined,
      ...over,
    }) as LoadPlan;

  it('are whole dialogs, each of one driver', () => {
    const indexes = [0, 1, 2].flatMap((driver) => partOf(plan({}), driver).map(({ index }) => index));
    expect(indexes.sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it('are shares of the sockets where there is one dialog', () => {
    const parts = [0, 1, 2].map((driver) => partOf(plan({ scenario: 'hot', dialogs: 1, perDialog: 10 }), driver));
    expect(parts.map(([dialog]) => dialog?.clients.length)).toEqual([4, 3, 3]);
    expect(parts.every(([dialog]) => dialog?.index === 0)).toBe(true);
  });

  it('are given tokens by their dialogs', () => {
    const tokens = ['a', 'b', 'a'].map((dialogId) => ({ token: `t-${dialogId}`, dialogId, role: 'visitor' as const }));
    const given = plan({ tokens, dialogs: 2, drivers: 1 });
    expect(partOf(given, 0).map(({ id, clients }) => [id, clients.length])).toEqual([
      ['a', 2],
      ['b', 1],
    ]);
    expect(heldSockets(given)).toBe(3);
  });

  it('have a writer on top of the readers in a storm', () => {
    const asked = { connections: 10_000, dialogs: undefined, perDialog: undefined };
    expect(sizesOf('storm', asked)).toEqual({ dialogs: 2_500, perDialog: 5 });
    expect(sizesOf('hot', asked)).toEqual({ dialogs: 1, perDialog: 10_000 });
    expect(sizesOf('idle', asked)).toEqual({ dialogs: 10_000, perDialog: 1 });
    expect(sizesOf('dialogs', { ...asked, connections: undefined })).toEqual({ dialogs: 200, perDialog: 2 });
  });

  it('are as many drivers as the load needs, at most one a CPU', () => {
    const of = (sockets: number, rate: number) =>
      driversFor('dialogs', { sockets, rate, deliveries: rate * 2, cpus: 8 });
    expect(of(400, 500)).toBe(1);
    expect(of(25_000, 500)).toBe(3);
    expect(of(400, 100_000)).toBe(8);
  });
});

describe('what is read of the servers', () => {
  it('is CPU and memory of a process whose name holds blanks and brackets', () => {
    const stat = `42 (a (b) c) S ${Array.from({ length: 40 }, (_, i) => i + 4).join(' ')}`;
    expect(usageFrom(stat, 'Name:\tx\nVmRSS:\t    2048 kB\n', 7)).toEqual({
      atMs: 7,
      cpuSeconds: (14 + 15) / 100,
      rssBytes: 2_097_152,
    });
  });

  it('is summed over labels in the Prometheus format', () => {
    const sums = sumsOf(
      '# HELP x y\nreplyx_connections{kind="site"} 3\nreplyx_connections{kind="operator"} 4\nprocess_cpu_seconds_total 1.5\nbroken\nnan NaN\n',
    );
    expect(usageOf(sums, 7)).toEqual({ atMs: 7, cpuSeconds: 1.5, rssBytes: 0, connections: 7 });
    expect(usageOf(new Map(), 7)).toBeUndefined();
  });
});

describe('driverLimits', () => {
  it('says nothing of a driver that kept up, and each way in which one did not', () => {
    expect(driverLimits({ cpuShare: 0.5, lagP99Ms: 5, lateP99Ms: 3 })).toEqual([]);
    expect(driverLimits({ cpuShare: 0.97, lagP99Ms: 80, lateP99Ms: 30 })).toHaveLength(3);
  });
});

describe('countIn', () => {
  it('bounds the names that a server can make it keep', () => {
    const record: Record<string, number> = {};
    for (let i = 0; i < 1_000; i += 1) countIn(record, `name ${i}`);
    expect(Object.keys(record)).toHaveLength(65);
    expect(record['other']).toBe(936);
  });
});
