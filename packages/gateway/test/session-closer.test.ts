import { type ControlEntry, type Disconnect, type Identity, RevocationIndex, type Session } from '@replyx/core';
import { fakeClock } from '@replyx/testkit';
import { describe, expect, it } from 'vitest';
import { createSessionCloser } from '../src/control/session-closer.js';

const identity = (rest: Partial<Identity> = {}): Identity => ({
  connectionId: 'c',
  dialogId: 'd',
  kind: 'site',
  tenant: 't',
  member: { role: 'user', id: 'v', publicId: 'v' },
  issuedAt: 100,
  expiresAtMs: 1,
  tokenIds: ['j'],
  ...rest,
});
const named = (sub: string, rest: Partial<Identity> = {}): Identity =>
  identity({ member: { role: 'user', id: sub, publicId: sub }, ...rest });

const SINCE_MS = 1_000;

const world = (identities: readonly Identity[], openedAtMs: (index: number) => number = () => 0) => {
  const clock = fakeClock();
  const closed: [number, string, number][] = [];
  const told: [string, number][] = [];
  const sessions = identities.map((one, index) => {
    const session = {
      identity: one,
      openedAtMs: openedAtMs(index),
      isClosed: false,
      close: (code: string, delayMs: number) => {
        session.isClosed = true;
        closed.push([index, code, delayMs]);
      },
    };
    return session;
  });
  const index = new RevocationIndex();
  const lifted = new Set<string>();
  const apply = createSessionCloser({
    sessions: () => sessions as unknown as Session[],
    isRevoked: (subject) => index.match(subject, 0) !== undefined,
    isBanned: (addressKey) => !lifted.has(addressKey),
    nodeId: 'node-1',
    clock,
    delayMs: () => 700,
    onClosed: (why, count) => told.push([why, count]),
  });
  const come = (...entries: readonly ControlEntry[]): void => {
    for (const entry of entries) if (entry.kind === 'revocation') index.add(entry);
    apply(entries, SINCE_MS);
  };
  return { clock, closed, told, come, lift: (addressKey: string) => lifted.add(addressKey) };
};

const revoked = (jti: string): ControlEntry => ({
  kind: 'revocation',
  id: jti,
  rule: { by: 'jti', jti },
  createdMs: 0,
  expiresMs: 1,
});
const disconnect = (target: Disconnect['target'], code: Disconnect['code'] = 'GOING_AWAY'): ControlEntry => ({
  kind: 'disconnect',
  target,
  code,
});

const banned = (network: string): ControlEntry => ({
  kind: 'ban',
  id: network,
  network,
  source: 'api',
  createdMs: 0,
  expiresMs: 1,
});

describe('what comes over the control stream', () => {
  it('closes the connections that fall by it with 4005, each once', () => {
    const { come, closed, told } = world([
      identity({ tokenIds: ['a'] }),
      identity({ tokenIds: ['b', 'parent'] }),
      identity({ tokenIds: ['c'] }),
    ]);
    come(revoked('a'), revoked('parent'), revoked('a'));
    expect(closed).toEqual([
      [0, 'REVOKED', 0],
      [1, 'REVOKED', 0],
    ]);
    expect(told).toEqual([['revoked', 2]]);
    come(revoked('a'), { kind: 'lifted', id: 'x', of: 'ban', createdMs: 0, expiresMs: 1 });
    expect(closed).toHaveLength(2);
  });

  it('closes the connections of a banned network or address with 4008, if it is still banned', () => {
    const { come, closed, told, lift } = world([
      identity({ addressKey: '203.0.113.7' }),
      identity({ addressKey: '203.0.113.7' }),
      identity({ addressKey: '198.51.100.1' }),
      identity({ addressKey: '2001:db8:1:2::/64' }),
      identity({ addressKey: '192.0.2.1' }),
      identity(),
    ]);
    come(banned('203.0.113.0/24'), banned('2001:db8:1:2::/64'));
    expect(closed).toEqual([0, 1, 3].map((index) => [index, 'RATE_LIMITED', 0]));
    expect(told).toEqual([['banned', 3]]);
    come({ kind: 'lifted', id: 'x', of: 'ban', createdMs: 0, expiresMs: 1 });
    lift('192.0.2.1');
    come(banned('192.0.2.1'));
    expect(closed).toHaveLength(3);
  });

  const people = [named('v'), named('v', { tenant: 'u', dialogId: 'e' }), named('w', { connectionId: 'c2' })];
  it.each<[Disconnect['target'], number[]]>([
    [{ sub: 'v' }, [0, 1]],
    [{ sub: 'v', tenant: 'u' }, [1]],
    [{ dialogId: 'd' }, [0, 2]],
    [{ connectionId: 'c2' }, [2]],
    [{ nodeId: 'node-1' }, [0, 1, 2]],
    [{ nodeId: 'node-2' }, []],
    [{ sub: 'x' }, []],
    [{}, []],
  ])('disconnects %j', (target, who) => {
    const { come, closed } = world(people);
    come(disconnect(target));
    expect(closed).toEqual(who.map((index) => [index, 'GOING_AWAY', 0]));
  });

  it('spares who came since, where what is named may be there again', () => {
    const opened = [SINCE_MS - 1, SINCE_MS, SINCE_MS + 1];
    const make = () =>
      world(
        opened.map(() => identity()),
        (index) => opened[index] ?? 0,
      );
    const [erased, asked] = [make(), make()];
    erased.come({ ...(disconnect({ dialogId: 'd' }, 'NOT_FOUND') as Disconnect), earlierOnly: true });
    expect([erased.closed, erased.told]).toEqual([[[0, 'NOT_FOUND', 0]], [['disconnected', 1]]]);
    asked.come(disconnect({ dialogId: 'd' }));
    expect(asked.closed).toHaveLength(3);
  });

  it('tells those how long to wait who are to wait', () => {
    const { come, closed } = world([identity()]);
    come(disconnect({ nodeId: 'node-1' }, 'SERVICE_RESTART'));
    expect(closed).toEqual([[0, 'SERVICE_RESTART', 700]]);
  });

  it('lets the others be served between batches', () => {
    const { come, closed, told, clock } = world(Array.from({ length: 1_200 }, () => identity()));
    come(revoked('j'));
    expect([closed.length, told]).toEqual([500, [['revoked', 1_200]]]);
    clock.advance(0);
    expect(closed).toHaveLength(1_200);
  });
});
