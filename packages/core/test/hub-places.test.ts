import { describe, expect, it } from 'vitest';
import type { LeaseKind, LeaseScope } from '../src/guard-ports.js';
import type { JoinPlaces } from '../src/holdings.js';
import { away, settle } from './fakes.js';
import { Gates, type HubNode, makeWorld, type World } from './hub-world.js';

const scope = (kind: LeaseKind, limit: number, key = kind === 'cluster' ? '' : 'k'): LeaseScope => ({
  kind,
  key,
  limit,
});
const places = (overrides: Partial<JoinPlaces> = {}): JoinPlaces => ({
  dialogLimit: 0,
  scopes: [scope('user', 5), scope('address', 5)],
  atLimit: 'refuse',
  ...overrides,
});

let serial = 0;

/** How many places of the scope are taken. */
const takenOf = async ({ backplane }: HubNode, { kind, key }: LeaseScope): Promise<number> => {
  const limit = 500;
  const ids: string[] = [];
  const lease = (connectionId: string) => ({ connectionId, user: 'probe', scopes: [{ kind, key, limit }] });
  for (;;) {
    serial += 1;
    const connectionId = `probe${serial}`;
    if ((await backplane.leases.acquire({ ...lease(connectionId), atLimit: 'refuse' })).status === 'full') break;
    ids.push(connectionId);
  }
  for (const id of ids) await backplane.leases.release(lease(id));
  return limit - ids.length;
};

const expectFree = async (node: HubNode, world: World, why = ''): Promise<void> => {
  const settled = node.hub.settled();
  for (let i = 0; i < 5; i += 1) await world.clock.advanceAsync(2_000);
  await settled;
  for (const kind of ['user', 'address', 'cluster'] as const) {
    expect(await takenOf(node, scope(kind, 0)), `${why} ${kind}`).toBe(0);
  }
  expect(node.bugs, why).toEqual([]);
};

describe('the places of a connection', () => {
  it('are taken with the join, and given back when it leaves', async () => {
    const world = makeWorld();
    const n = world.node();
    const peer = await world.join(n, { request: { places: places() } });
    expect(peer.frames[0]?.type).toBe('connected');
    expect(await takenOf(n, scope('user', 0))).toBe(1);
    peer.drop();
    await expectFree(n, world);
  });

  it.each<[LeaseKind, number]>([
    ['user', 4006],
    ['address', 4006],
    ['assistant', 4006],
    ['cluster', 1013],
  ])('end a join with the code of the limit where there is none left: %s', async (kind, code) => {
    const world = makeWorld();
    const [n, other] = [world.node(), world.node()];
    const request = { places: places({ scopes: [scope('address', 9), scope(kind, 1)] }) };
    const first = await world.join(other, { request });
    const peer = await world.join(n, { request });
    expect([peer.closedWith, first.closedWith]).toEqual([code, undefined]);
    expect(peer.frames.map(({ type }) => type)).toEqual(['disconnect']);
    expect(await takenOf(n, scope('address', 0))).toBe(1);
    first.drop();
    await other.hub.settled();
    expect((await world.join(n, { request })).closedWith).toBeUndefined();
  });

  it('are not asked for where nothing is limited', async () => {
    const world = makeWorld();
    let asked = 0;
    const n = world.node({}, (backplane) => ({
      ...backplane,
      leases: {
        ...backplane.leases,
        acquire: async () => {
          asked += 1;
          return { status: 'leased' };
        },
      },
    }));
    await world.join(n);
    await world.join(n, { request: { places: places({ scopes: [] }) } });
    await world.join(n, { request: { places: places({ scopes: [scope('user', 0)] }) } });
    expect(asked).toBe(0);
  });

  it.each([
    ['the claim is refused', { claim: { tenant: 'other' } }, {}, 4004],
    ['the dialog is full', {}, { dialogLimit: 1 }, 4006],
  ])('are given back where %s', async (_, options, limits, code) => {
    const world = makeWorld();
    const n = world.node();
    await world.join(n);
    const peer = await world.join(n, { ...options, request: { places: places(limits) } });
    expect(peer.closedWith).toBe(code);
    await expectFree(n, world);
  });

  it('are given back once an outage is over that began while they were held', async () => {
    const world = makeWorld();
    const n = world.node();
    const peer = await world.join(n, { request: { places: places() } });
    world.cluster.setOutage(true);
    peer.drop();
    await world.clock.advanceAsync(30_000);
    world.cluster.setOutage(false);
    await expectFree(n, world);
  });

  it('are given back whose answer was lost', async () => {
    const world = makeWorld();
    const n = world.node({}, (backplane) => {
      const { leases } = backplane;
      return {
        ...backplane,
        leases: {
          acquire: async (request) => {
            await leases.acquire(request);
            throw away();
          },
          release: (lease) => leases.release(lease),
          restore: (held) => leases.restore(held),
        },
      };
    });
    const peer = await world.join(n, { request: { places: places() } });
    expect(peer.closedWith).toBe(1013);
    await n.hub.settled();
    await expectFree(world.node(), world);
  });

  it('are given back wherever the socket ends on the way in', async () => {
    for (let at = 0; at < 14; at += 1) {
      for (const fate of [undefined, away()]) {
        const gates = new Gates();
        const world = makeWorld();
        const n = world.node({}, gates.wrap);
        gates.isShut = true;
        const peer = world.enter(n, { kind: 'operator', request: { places: places() } });
        await gates.step(at);
        peer.drop();
        if (fate !== undefined) await gates.step(1, fate);
        await gates.openAll();
        await peer.joined;
        await expectFree(n, world, `closed at ${at}`);
      }
    }
  });

  it('are asked for while the channels are being followed', async () => {
    const gates = new Gates();
    const world = makeWorld();
    const n = world.node({}, gates.wrap);
    gates.isShut = true;
    const peer = world.enter(n, { request: { places: places() } });
    await settle();
    expect(gates.waiting.map(({ name }) => name).sort()).toEqual(['acquire', 'subscribe']);
    await gates.openAll();
    await peer.joined;
    expect(peer.closedWith).toBeUndefined();
  });

  it('are restored with the registrations when the store was emptied, but not of those who have left', async () => {
    const world = makeWorld();
    const gates = new Gates();
    const n = world.node({}, gates.wrap);
    const limits = places({ scopes: [scope('user', 400), scope('cluster', 400)] });
    const peers = [];
    for (let i = 0; i < 150; i += 1) peers.push(await world.join(n, { request: { places: limits } }));
    await world.join(n);
    world.cluster.flush();
    gates.isShut = true;
    const again = n.hub.reregister();
    await settle();
    peers[3]?.drop();
    peers[140]?.drop();
    await settle();
    // What gives their places back overtakes what restores them.
    for (const { open } of gates.waiting.splice(2)) open();
    await settle();
    await gates.openAll();
    await again;
    await n.hub.settled();
    for (const kind of ['user', 'cluster'] as const) expect(await takenOf(n, scope(kind, 0))).toBe(148);
  });
});

describe('a connection that gives way', () => {
  it('to a newcomer of the same user is closed with 4006 where this node holds it', async () => {
    const world = makeWorld();
    const n = world.node();
    const request = { places: places({ scopes: [scope('user', 2)], atLimit: 'replace' }) };
    const peers = [];
    for (let i = 0; i < 3; i += 1) {
      peers.push(await world.join(n, { id: 'u', dialogId: `d${i}`, request }));
      await world.clock.advanceAsync(10);
    }
    expect(peers.map(({ closedWith }) => closedWith)).toEqual([4006, undefined, undefined]);
    expect(n.replaced).toEqual([]);
    await n.hub.settled();
    expect(await takenOf(n, scope('user', 0))).toBe(2);
  });

  it('is told to the cluster where another node holds it', async () => {
    const world = makeWorld();
    const [n, other] = [world.node(), world.node()];
    const request = { places: places({ scopes: [scope('user', 1)], atLimit: 'replace' }) };
    const old = await world.join(other, { id: 'u', request });
    const peer = await world.join(n, { id: 'u', request });
    expect(peer.closedWith).toBeUndefined();
    expect(n.replaced).toEqual([old.session.identity.connectionId]);
    expect(other.hub.session(n.replaced[0] ?? '')).toBe(old.session);
  });

  it('is told also where the newcomer has gone meanwhile, for its place is gone too', async () => {
    const gates = new Gates();
    const world = makeWorld();
    const [n, other] = [world.node({}, gates.wrap), world.node()];
    const request = { places: places({ scopes: [scope('user', 1)], atLimit: 'replace' }) };
    await world.join(other, { id: 'u', request });
    gates.isShut = true;
    const peer = world.enter(n, { id: 'u', request });
    await settle();
    peer.drop();
    await gates.openAll();
    await peer.joined;
    expect(n.replaced).toHaveLength(1);
    await n.hub.settled();
    expect(await takenOf(n, scope('user', 0))).toBe(0);
  });

  it('is told once more where its node did not hear of it, but not by a crowd of those that nobody holds', async () => {
    const world = makeWorld();
    const [n, other] = [world.node(), world.node()];
    const request = { clientId: 'tab' };
    const old = await world.join(other, { id: 'u', request });
    other.loses = () => true;
    await world.join(n, { id: 'u', request });
    await world.clock.advanceAsync(100);
    expect([old.closedWith, n.replaced]).toEqual([undefined, [old.session.identity.connectionId]]);

    for (let i = 0; i < 30; i += 1) await world.join(other, { id: `u${i}`, request });
    for (let i = 0; i < 30; i += 1) await world.join(n, { id: `u${i}`, request });
    expect(n.replaced).toHaveLength(2);
    await world.clock.advanceAsync(1_100);
    const late = await world.join(other, { id: 'late', request });
    await world.join(n, { id: 'late', request });
    expect(n.replaced.slice(2)).toEqual([late.session.identity.connectionId]);
  });

  it('to the same client is closed with 4009 on whatever node it is, and the newer one lives', async () => {
    const world = makeWorld();
    const [n, other] = [world.node(), world.node()];
    const request = { clientId: 'tab' };
    const old = await world.join(other, { id: 'u', request });
    const tab = await world.join(other, { id: 'u', request: { clientId: 'another' } });
    const stranger = await world.join(other, { id: 'v', request });
    const peer = await world.join(n, { id: 'u', request });
    expect([old, tab, stranger, peer].map(({ closedWith }) => closedWith)).toEqual([
      4009,
      undefined,
      undefined,
      undefined,
    ]);
    const again = await world.join(n, { id: 'u', request });
    expect([peer.closedWith, again.closedWith]).toEqual([4009, undefined]);
    expect((await n.backplane.roster.connections('d')).map(({ connectionId }) => connectionId)).toHaveLength(3);
    // A second tab that goes is nobody who leaves.
    expect(stranger.of('presence').filter(({ state }) => state === 'leave')).toEqual([]);
  });

  it('to a newcomer of the same member in a full dialog is closed with 4006', async () => {
    const world = makeWorld();
    const [n, other] = [world.node(), world.node()];
    const request = { places: places({ dialogLimit: 2, scopes: [], atLimit: 'replace' }) };
    const old = await world.join(other, { id: 'u', request });
    const second = await world.join(n, { id: 'u', request });
    const peer = await world.join(n, { id: 'u', request });
    expect([old, second, peer].map(({ closedWith }) => closedWith)).toEqual([4006, undefined, undefined]);
    const stranger = await world.join(n, { id: 'v', request });
    expect(stranger.closedWith).toBe(4006);
  });

  it('keeps its client id when it is registered again', async () => {
    const world = makeWorld();
    const [n, other] = [world.node(), world.node()];
    const old = await world.join(other, { id: 'u', request: { clientId: 'tab' } });
    world.cluster.flush();
    await other.hub.reregister();
    await world.join(n, { id: 'u', request: { clientId: 'tab' } });
    expect(old.closedWith).toBe(4009);
  });
});

describe('limits of one connection', () => {
  it('are its own window of messages, where it has one', async () => {
    const world = makeWorld();
    const n = world.node({ messageLimit: 1, messageWindowMs: 10_000 });
    const [plain, wide, free] = [
      await world.join(n),
      await world.join(n, { request: { messageLimit: { limit: 3, windowMs: 10_000 } } }),
      await world.join(n, { request: { messageLimit: { limit: 0, windowMs: 10_000 } } }),
    ];
    for (const peer of [plain, wide, free]) {
      for (let i = 0; i < 5; i += 1) peer.say({ type: 'message', id: `m${i}`, text: 'x' });
    }
    await settle();
    const acks = [plain, wide, free].map((peer) => peer.of('ack').length);
    expect(acks).toEqual([1, 3, 5]);
  });
});

describe('an idle connection', () => {
  const idleMs = 60_000;

  it('is closed with 4007 when its client has sent nothing but heartbeats for so long', async () => {
    const world = makeWorld();
    const n = world.node({ idleMs });
    const peer = await world.join(n);
    const pinging = await world.join(n);
    for (let second = 0; second < 59; second += 1) {
      pinging.say({ type: 'ping' });
      pinging.say('__ping__');
      pinging.session.onPing();
      await world.clock.advanceAsync(1_000);
    }
    expect([peer.closedWith, pinging.closedWith]).toEqual([undefined, undefined]);
    await world.clock.advanceAsync(2_000);
    expect([peer.closedWith, pinging.closedWith]).toEqual([4007, 4007]);
    expect(n.hub.stats.closes).toEqual({ SESSION_TIMEOUT: 2 });
  });

  it.each<[string, object]>([
    ['a message', { type: 'message', id: 'm', text: 'x' }],
    ['typing', { type: 'typing', state: 'start' }],
    ['a read mark', { type: 'read', offset: 1 }],
    ['a request for history', { type: 'history', id: 'h' }],
    ['a frame that is refused', { type: 'unknown' }],
  ])('is none whose client sends %s', async (_, frame) => {
    const world = makeWorld();
    const n = world.node({ idleMs });
    const peer = await world.join(n);
    for (let turn = 0; turn < 5; turn += 1) {
      await world.clock.advanceAsync(idleMs - 1_000);
      expect(peer.closedWith).toBeUndefined();
      peer.say(frame);
    }
    await world.clock.advanceAsync(idleMs - 1);
    expect(peer.closedWith).toBeUndefined();
    await world.clock.advanceAsync(1_001);
    expect(peer.closedWith).toBe(4007);
  });

  it('is closed at the maximum age all the same, and when its token expires', async () => {
    const world = makeWorld();
    const n = world.node({ idleMs, maxAgeMs: 200_000 });
    const busy = await world.join(n);
    const expiring = await world.join(n, { expiresInMs: 100_000 });
    const talk = async (turns: number) => {
      for (let turn = 0; turn < turns; turn += 1) {
        for (const peer of [busy, expiring]) peer.say({ type: 'typing', state: 'start' });
        await world.clock.advanceAsync(10_000);
      }
    };
    await talk(9);
    expect([busy.closedWith, expiring.closedWith]).toEqual([undefined, undefined]);
    await talk(2);
    expect(expiring.closedWith).toBe(4001);
    await talk(7);
    expect(busy.closedWith).toBeUndefined();
    await talk(3);
    expect(busy.closedWith).toBe(4007);
  });

  it('is never closed where the limit is off', async () => {
    const world = makeWorld();
    const peer = await world.join(world.node());
    await world.clock.advanceAsync(3_000_000);
    expect(peer.closedWith).toBeUndefined();
  });
});
