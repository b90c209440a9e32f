import { BOUNDS } from '@replyx/protocol';
import { describe, expect, it } from 'vitest';
import { away, settle } from './fakes.js';
import { Gates, type HubNode, makeWorld, type Peer } from './hub-world.js';

const FLUSH_MS = 250;

const message = (id: string, text = id) => ({ type: 'message', id, text });
const note = (id: string, text = id) => ({ type: 'note', id, text });
const texts = (peer: Peer, type = 'message') => peer.of(type).map((frame) => frame['text']);

const expectNothingLeft = async (node: HubNode, dialogId = 'd') => {
  await node.hub.settled();
  expect(node.hub.connectionCount).toBe(0);
  expect([...node.hub.sessions()]).toEqual([]);
  expect(await node.backplane.roster.connections(dialogId)).toEqual([]);
  for (const track of ['main', 'internal'] as const)
    expect(node.hub.feed(dialogId, track)?.subscriberCount ?? 0).toBe(0);
  expect(node.bugs).toEqual([]);
};

/** Whether anybody still holds the tail of a feed: what is published now is kept for nobody. */
const expectNoTailHeld = async (node: HubNode, publish: () => Promise<unknown>) => {
  await publish();
  await settle();
  const feed = node.hub.feed('d', 'main');
  if (feed !== undefined) expect(feed.tailAfter(feed.position.offset - 1)).toBeUndefined();
};

const append = (node: HubNode, id: string, track: 'main' | 'internal' = 'main') =>
  node.hub.append({
    dialogId: 'd',
    track,
    scope: { role: 'assistant', id: 'bot' },
    sender: { role: 'assistant', id: 'bot' },
    content: { id, text: id },
    window: { limit: 0, windowMs: 1 },
    mustExist: false,
  });

describe('a revocation', () => {
  it('that came while a connection was admitted closes it when it joins, before anything is done for it', async () => {
    const { node, enter } = makeWorld();
    const at = node();
    at.isRevoked = ({ tokenIds }) => tokenIds.includes('j1');
    const peer = enter(at);
    await peer.joined;
    expect(peer.frames).toMatchObject([{ type: 'disconnect', code: 4005, reconnect: { mode: 'never' } }]);
    expect([peer.closedWith, at.left.length, at.hub.dialogCount]).toEqual([4005, 1, 0]);
    await expectNothingLeft(at);
  });

  it('of a token that was judged just before closes the connection that takes it', async () => {
    const { node, join } = makeWorld();
    const at = node();
    const peer = await join(at);
    at.judge = async () => ({ ok: true, issuedAt: 200, expiresAtMs: Number.MAX_SAFE_INTEGER, tokenIds: ['j2'] });
    at.isRevoked = ({ tokenIds }) => tokenIds.includes('j2');
    peer.say({ type: 'refresh', id: 'r', token: 't' });
    await settle();
    expect([peer.closedWith, peer.answers('r')]).toEqual([4005, []]);
    await expectNothingLeft(at);
  });
});

describe('joining', () => {
  it('begins with connected, then who is here', async () => {
    const { node, join } = makeWorld();
    const peer = await join(node(), { id: 'u', name: 'Ulla' });
    expect(peer.frames.map(({ type }) => type)).toEqual(['connected', 'presence']);
    expect(peer.frames[0]).toMatchObject({
      dialog_id: 'd',
      role: 'user',
      offset: 0,
      head: 0,
      recovered: false,
      ping_interval_ms: 25_000,
      expires_in_ms: 3_600_000,
      handoff: { state: 'none' },
      read: [],
    });
    expect(peer.frames[0]).not.toHaveProperty('internal');
    expect(peer.frames[1]).toMatchObject({ state: 'snapshot', users: [{ role: 'user', name: 'Ulla' }], count: 1 });
  });

  it('tells operators the position of the notes too', async () => {
    const { node, join } = makeWorld();
    const n = node();
    const first = await join(n, { kind: 'operator' });
    first.say(note('a'));
    await settle();
    const peer = await join(n, { kind: 'operator' });
    expect(peer.frames[0]).toMatchObject({ internal: { offset: 1, head: 1, recovered: false, read: [] } });
  });

  it('continues from a position, what was missed in order and before anything live', async () => {
    const { node, join } = makeWorld();
    const n = node();
    const writer = await join(n);
    for (let i = 1; i <= 250; i += 1) writer.say(message(String(i)));
    await settle();
    const { epoch } = writer.frames[0] as unknown as { epoch: string };
    const peer = await join(n, { resume: { main: { epoch, offset: 10 } } });
    expect(peer.frames[0]).toMatchObject({ type: 'connected', epoch, offset: 10, head: 250, recovered: true });
    writer.say(message('live'));
    await settle();
    expect(texts(peer)).toEqual([...Array.from({ length: 240 }, (_, i) => String(11 + i)), 'live']);
    expect(n.hub.stats.joins).toEqual({ fresh: 1, recovered: 1, not_recovered: 0 });
    expect(n.hub.stats.recoveredPublications).toBe(240);
  });

  it.each<[string, (epoch: string) => { epoch: string; offset: number } | 'malformed']>([
    ['a malformed position', () => 'malformed'],
    ['another epoch', () => ({ epoch: 'other', offset: 1 })],
    ['a position beyond the head', (epoch) => ({ epoch, offset: 99 })],
    ['a position before what is kept', (epoch) => ({ epoch, offset: 1 })],
  ])('starts at the head and says so for %s', async (_, resume) => {
    const { node, join } = makeWorld({ historySize: 5 });
    const n = node();
    const writer = await join(n);
    for (let i = 1; i <= 20; i += 1) writer.say(message(String(i)));
    await settle();
    const { epoch } = writer.frames[0] as unknown as { epoch: string };
    const peer = await join(n, { resume: { main: resume(epoch) } });
    expect(peer.frames[0]).toMatchObject({ epoch, offset: 20, head: 20, recovered: false });
    expect(texts(peer)).toEqual([]);
    expect(n.hub.stats.joins.not_recovered).toBe(1);
  });

  it('closes with 4004 for a dialog of another tenant, and leaves nothing behind', async () => {
    const { node, join } = makeWorld();
    const n = node();
    const owner = await join(n);
    const peer = await join(n, { claim: { tenant: 'other' } });
    expect(peer.closedWith).toBe(4004);
    expect(peer.frames.map(({ type }) => type)).toEqual(['disconnect']);
    expect(owner.closedWith).toBeUndefined();
    owner.drop();
    await expectNothingLeft(n);
  });

  it('closes with 1013 while the backplane is away', async () => {
    const { node, join, cluster } = makeWorld();
    const n = node();
    cluster.setOutage(true);
    const peer = await join(n);
    expect(peer.closedWith).toBe(1013);
    cluster.setOutage(false);
    await expectNothingLeft(n);
  });

  it('closes with 1011 at a bug, and tells of it', async () => {
    const { node, join } = makeWorld();
    const n = node({}, (backplane) => {
      backplane.roster.register = () => Promise.reject(new Error('bug'));
      return backplane;
    });
    const peer = await join(n);
    expect([peer.closedWith, n.bugs.length]).toEqual([1011, 1]);
  });

  it('takes in no session that has ended already', async () => {
    const { node, join } = makeWorld();
    const n = node();
    const peer = await join(n, { prepare: (one) => one.drop() });
    expect(peer.frames).toEqual([]);
    await expectNothingLeft(n);
    expect(n.left).toHaveLength(1);
  });

  it('sends a session away that comes after the stop', async () => {
    const { node, join } = makeWorld();
    const n = node();
    n.hub.stop();
    n.hub.stop();
    expect((await join(n)).closedWith).toBe(1012);
    expect(n.hub.subscriptionCount).toBe(0);
  });

  it('attaches no session that its own first frames have overwhelmed', async () => {
    const { node, join } = makeWorld();
    const n = node();
    await append(n, 'a');
    for (const kind of ['site', 'operator'] as const) {
      const peer = await join(n, {
        kind,
        prepare: ({ transport }) => {
          transport.dropsAfter = 0;
        },
      });
      expect(peer.closedWith).toBe(4010);
    }
    await expectNothingLeft(n);
    await expectNoTailHeld(n, () => append(n, 'b'));
  });

  it('lets go of one track’s tail when the read of the other fails', async () => {
    const gates = new Gates();
    const { node, join, enter } = makeWorld();
    const n = node({}, gates.wrap);
    const first = await join(n, { kind: 'operator' });
    const { epoch, internal } = first.frames[0] as unknown as { epoch: string; internal: { epoch: string } };
    gates.isShut = true;
    const peer = enter(n, {
      kind: 'operator',
      resume: { main: { epoch, offset: 0 }, internal: { epoch: internal.epoch, offset: 0 } },
    });
    await gates.step(2);
    await settle();
    expect(gates.waiting.map(({ name }) => name)).toEqual(['read', 'read']);
    gates.waiting.pop()?.open(away());
    await gates.openAll();
    await peer.joined;
    expect(peer.closedWith).toBe(1013);
    await expectNoTailHeld(n, () => append(n, 'x'));
  });

  it('names the epoch of its page when the feed goes on to another before it is attached', async () => {
    const gates = new Gates();
    const { node, join, enter, cluster } = makeWorld();
    const n = node({}, gates.wrap);
    const first = await join(n, { kind: 'operator' });
    const { epoch, internal } = first.frames[0] as unknown as { epoch: string; internal: { epoch: string } };
    await append(n, 'a');
    await append(n, 'b');
    gates.isShut = true;
    const peer = enter(n, {
      kind: 'operator',
      resume: { main: { epoch, offset: 1 }, internal: { epoch: internal.epoch, offset: 0 } },
    });
    // Register, then the main track's read are answered; the read of the notes is not.
    await gates.step(2);
    const [main, notes] = gates.waiting.splice(0, 2);
    main?.open();
    await settle();
    gates.waiting.pop()?.open();
    await settle();
    gates.isShut = false;
    cluster.restore(cluster.snapshot());
    await append(n, 'c');
    await settle();
    notes?.open();
    await gates.openAll();
    await peer.joined;
    await settle();
    const [connected, ...rest] = peer.frames;
    expect(connected).toMatchObject({ epoch, offset: 1, head: 2, recovered: true });
    peer.follow();
    expect(peer.copies.main?.faults).toEqual([]);
    expect(rest.filter(({ type }) => type === 'reset').map(({ track }) => track)).toContain('main');
    await append(n, 'd');
    await settle();
    expect(texts(peer)).toEqual(['b', 'd']);
  });

  it('leaves nothing behind, wherever its socket ends on the way in', async () => {
    for (let at = 0; at < 14; at += 1) {
      for (const fate of [undefined, away()]) {
        const gates = new Gates();
        const { node, join, enter, clock } = makeWorld();
        const n = node({}, gates.wrap);
        const writer = await join(node());
        for (let i = 0; i < 5; i += 1) writer.say(message(String(i)));
        await settle();
        const { epoch } = writer.frames[0] as unknown as { epoch: string };
        gates.isShut = true;
        const peer = enter(n, { kind: 'operator', id: 'o', resume: { main: { epoch, offset: 2 } } });
        await gates.step(at);
        peer.drop();
        if (fate !== undefined) await gates.step(1, fate);
        await gates.openAll();
        await peer.joined;
        for (let i = 0; i < 5; i += 1) await clock.advanceAsync(2_000);
        await n.hub.settled();
        expect(n.hub.connectionCount, `closed at ${at}`).toBe(0);
        const here = await n.backplane.roster.connections('d');
        expect(
          here.map(({ member }) => member.id),
          `closed at ${at}`,
        ).not.toContain('o');
        expect(n.hub.feed('d', 'main')?.subscriberCount ?? 0, `closed at ${at}`).toBe(0);
        expect([n.bugs, n.hub.dialogCount], `closed at ${at}`).toEqual([[], 0]);
      }
    }
  });
});

describe('a full node', () => {
  it('sends away who was admitted while there was room and comes after others took it, with nothing left of it', async () => {
    const gates = new Gates();
    const { node, join, enter } = makeWorld();
    const n = node({ maxConnections: 3 }, gates.wrap);
    const first = await join(n);
    gates.isShut = true;
    const burst = Array.from({ length: 5 }, (_, i) => enter(n, { dialogId: `d${i}` }));
    expect(n.hub.connectionCount).toBe(3);
    await gates.openAll();
    await Promise.all(burst.map(({ joined }) => joined));
    expect(burst.map(({ closedWith }) => closedWith)).toEqual([undefined, undefined, 1013, 1013, 1013]);
    expect(burst[4]?.frames).toMatchObject([{ type: 'disconnect', code: 1013, reconnect: { mode: 'backoff' } }]);
    expect([n.left.length, n.hub.dialogCount, first.closedWith]).toEqual([3, 3, undefined]);

    burst[0]?.drop();
    expect((await join(n)).closedWith).toBeUndefined();
  });

  it('has no limit where none is set', async () => {
    const { node, join } = makeWorld();
    const n = node({ maxConnections: 0 });
    for (let i = 0; i < 5; i += 1) expect((await join(n)).closedWith).toBeUndefined();
  });
});

describe('a join that takes too long', () => {
  it.each([0, 1, 2, 3, 4, 5])('ends with 1013 and leaves nothing behind, wherever it hangs (%i)', async (at) => {
    const gates = new Gates();
    const { node, enter, clock } = makeWorld();
    const n = node({}, gates.wrap);
    gates.isShut = true;
    const peer = enter(n, { kind: 'operator' });
    await gates.step(at);
    await clock.advanceAsync(14_000);
    expect(peer.closedWith).toBeUndefined();
    await clock.advanceAsync(3_000);
    expect(peer.closedWith).toBe(1013);
    await gates.openAll();
    await peer.joined;
    await expectNothingLeft(n);
  });

  it('ends while the feed waits for the end of an outage to find its epoch', async () => {
    const { node, join, enter, clock, cluster } = makeWorld();
    let reads = 0;
    const n = node({}, (backplane) => {
      const read = backplane.log.read.bind(backplane.log);
      backplane.log.read = async (request) => {
        reads += 1;
        const result = await read(request);
        // The read of the joining session succeeds; the backplane is away right after it.
        if (reads === 2) cluster.setOutage(true);
        return result;
      };
      return backplane;
    });
    const first = await join(n);
    const { epoch } = first.frames[0] as unknown as { epoch: string };
    cluster.restore(cluster.snapshot());
    const peer = enter(n, { resume: { main: { epoch, offset: 0 } } });
    await clock.advanceAsync(17_000);
    expect([peer.closedWith, first.closedWith]).toEqual([1013, undefined]);
    cluster.setOutage(false);
    await clock.advanceAsync(5_000);
    await peer.joined;
    expect(first.of('reset')).toHaveLength(1);
    expect(n.hub.connectionCount).toBe(1);
  });
});

describe('leaving', () => {
  it('is retried on the roster until the outage is over', async () => {
    const { node, join, cluster, clock } = makeWorld();
    const n = node();
    const peer = await join(n);
    cluster.setOutage(true);
    peer.drop();
    await clock.advanceAsync(60_000);
    cluster.setOutage(false);
    const settled = n.hub.settled();
    await clock.advanceAsync(5_000);
    await settled;
    await expectNothingLeft(n);
  });

  it('asks nothing of the roster for who was never registered', async () => {
    const { node, join, cluster, clock } = makeWorld();
    const n = node();
    cluster.setOutage(true);
    for (let i = 0; i < 100; i += 1) await join(n, { dialogId: `d${i}` });
    const before = clock.pending();
    await n.hub.settled();
    expect(before).toBeLessThan(5);
  });

  it('brings nobody back who leaves while everybody is registered again', async () => {
    const gates = new Gates();
    const { node, join, cluster } = makeWorld();
    const n = node({}, gates.wrap);
    const peers: Peer[] = [];
    for (let i = 0; i < 150; i += 1) peers.push(await join(n, { dialogId: 'd' }));
    cluster.flush();
    gates.isShut = true;
    const again = n.hub.reregister();
    await settle();
    // One of the batch that is on its way, and one of the batch that is still to come.
    peers[3]?.drop();
    peers[140]?.drop();
    await settle();
    // What takes them off overtakes what brings them back.
    for (const { open } of gates.waiting.splice(1)) open();
    await settle();
    for (const { open } of gates.waiting.splice(1)) open();
    await gates.openAll();
    expect(await again).toBeGreaterThanOrEqual(148);
    await n.hub.settled();
    const here = (await n.backplane.roster.connections('d')).map(({ member }) => member.id);
    expect(here).toHaveLength(148);
    for (const gone of [peers[3], peers[140]]) expect(here).not.toContain(gone?.session.identity.member.id);
  });

  it('leaves the channel after the linger time, and not when somebody came back', async () => {
    const { node, join, clock } = makeWorld();
    const n = node();
    const peer = await join(n);
    peer.drop();
    await clock.advanceAsync(3_000);
    expect(n.hub.subscriptionCount).toBe(1);
    const back = await join(n);
    await clock.advanceAsync(10_000);
    expect([n.hub.dialogCount, n.hub.subscriptionCount]).toEqual([1, 1]);
    back.drop();
    await clock.advanceAsync(7_000);
    expect([n.hub.dialogCount, n.hub.subscriptionCount]).toEqual([0, 0]);
  });

  it('leaves the channel of the notes when the last operator has gone, though visitors stay', async () => {
    const { node, join, clock } = makeWorld();
    const n = node();
    const visitor = await join(n);
    const operator = await join(n, { kind: 'operator' });
    expect(n.hub.subscriptionCount).toBe(2);
    operator.drop();
    await clock.advanceAsync(7_000);
    expect(n.hub.subscriptionCount).toBe(1);
    expect(n.hub.feed('d', 'internal')).toBeUndefined();
    const again = await join(n, { kind: 'operator' });
    await append(n, 'n', 'internal');
    await append(n, 'm');
    await settle();
    expect([texts(again, 'note'), texts(again), texts(visitor)]).toEqual([['n'], ['m'], ['m']]);
    await clock.advanceAsync(20_000);
    expect(n.hub.subscriptionCount).toBe(2);
  });
});

describe('publishing', () => {
  it('reaches every socket of the dialog on every node, the sender’s other tabs too', async () => {
    const { node, join } = makeWorld();
    const nodes = [node(), node(), node()];
    const peers: Peer[] = [];
    for (const n of nodes) for (let i = 0; i < 2; i += 1) peers.push(await join(n, { id: 'u' }));
    peers[0]?.say(message('a', 'hello'));
    await settle();
    for (const peer of peers) expect(texts(peer)).toEqual(['hello']);
    const stranger = await join(nodes[0] as HubNode, { dialogId: 'other' });
    expect(texts(stranger)).toEqual([]);
  });

  it('sends the acknowledgement and the own message in one write', async () => {
    const { node, join } = makeWorld();
    const n = node();
    const peer = await join(n);
    peer.say(message('a'));
    await settle();
    const write = peer.transport.writes.at(-1)?.map((raw) => (JSON.parse(raw) as { type: string }).type);
    expect(write).toEqual(['ack', 'message']);
    expect(peer.answers('a')).toEqual([{ type: 'ack', id: 'a', offset: 1 }]);
    expect(n.hub.stats.acksByArrival).toBe(1);
  });

  it('acknowledges once on arrival, however late the reply comes', async () => {
    const gates = new Gates();
    const { node, join } = makeWorld();
    const n = node({}, gates.wrap);
    const peer = await join(n);
    gates.isShut = true;
    peer.say(message('a'));
    await gates.step();
    expect(gates.waiting.map(({ name }) => name)).toEqual(['publish answered']);
    expect(peer.answers('a')).toHaveLength(1);
    await gates.openAll();
    expect(peer.answers('a')).toHaveLength(1);
  });

  it('acknowledges once on arrival, also when the reply is lost', async () => {
    const gates = new Gates();
    const { node, join } = makeWorld();
    const n = node({}, gates.wrap);
    const peer = await join(n);
    gates.isShut = true;
    peer.say(message('a'));
    await gates.step();
    await gates.step(1, away());
    expect(peer.answers('a')).toEqual([{ type: 'ack', id: 'a', offset: 1 }]);
  });

  it('acknowledges on the reply where the publication does not arrive, and delivers it when it is found', async () => {
    const { node, join, clock } = makeWorld();
    const n = node({ verifyIntervalMs: 10_000 });
    const peer = await join(n);
    n.loses = () => true;
    peer.say(message('a'));
    await settle();
    // It waits a moment for the publication that it could go out with.
    expect(peer.answers('a')).toEqual([]);
    await clock.advanceAsync(5);
    expect([peer.answers('a').length, texts(peer)]).toEqual([1, []]);
    n.loses = () => false;
    await clock.advanceAsync(12_000);
    expect([peer.answers('a').length, texts(peer)]).toEqual([1, ['a']]);
  });

  it('acknowledges at once while the feed fills, and delivers the message once it has', async () => {
    const gates = new Gates();
    const { node, join } = makeWorld();
    const n = node({}, gates.wrap);
    const peer = await join(n);
    gates.isShut = true;
    n.hub.feed('d', 'main')?.refill('verify');
    await settle();
    const reading = gates.waiting.shift();
    peer.say(message('a'));
    await gates.step();
    expect([peer.answers('a').length, texts(peer)]).toEqual([1, []]);
    reading?.open();
    await gates.openAll();
    expect([peer.answers('a').length, texts(peer)]).toEqual([1, ['a']]);
  });

  it('answers an outage with a temporary error, after which the same id succeeds', async () => {
    const { node, join, cluster } = makeWorld();
    const n = node();
    const peer = await join(n);
    cluster.setOutage(true);
    peer.say(message('a'));
    await settle();
    expect(peer.answers('a')).toMatchObject([{ type: 'error', code: 'unavailable', temporary: true }]);
    expect(peer.closedWith).toBeUndefined();
    cluster.setOutage(false);
    peer.say(message('a'));
    await settle();
    expect(peer.answers('a').at(-1)).toEqual({ type: 'ack', id: 'a', offset: 1 });
    expect(texts(peer)).toEqual(['a']);
  });

  it('answers a bug with internal, and tells of it', async () => {
    const { node, join } = makeWorld();
    const n = node({}, (backplane) => ({
      ...backplane,
      log: {
        publish: () => Promise.reject(new Error('bug')),
        read: (request) => backplane.log.read(request),
        erase: (dialogId) => backplane.log.erase(dialogId),
      },
    }));
    const peer = await join(n);
    peer.say(message('a'));
    await settle();
    expect(peer.answers('a')).toMatchObject([{ code: 'internal' }]);
    expect(n.bugs).toHaveLength(1);
  });

  it.each<[string, object, object]>([
    ['a retry', message('a'), { type: 'ack', offset: 1, duplicate: true }],
    ['the same id with another text', message('a', 'other'), { type: 'error', code: 'conflict' }],
    ['the same id with meta', { ...message('a'), meta: {} }, { type: 'error', code: 'conflict' }],
  ])('answers %s once', async (_, second, answer) => {
    const { node, join } = makeWorld();
    const peer = await join(node());
    peer.say(message('a'));
    await settle();
    peer.say(second);
    await settle();
    expect(peer.answers('a')).toMatchObject([{ type: 'ack', offset: 1 }, answer]);
    expect(texts(peer)).toEqual(['a']);
  });

  it('gives exactly one answer to each of two equal frames that are under way together', async () => {
    const { node, join } = makeWorld();
    const peer = await join(node());
    peer.say(message('a'));
    peer.say(message('a'));
    await settle();
    expect(peer.answers('a')).toHaveLength(2);
    expect(texts(peer)).toEqual(['a']);
  });

  it('refuses past the sender’s window with a coarse wait', async () => {
    const { node, join } = makeWorld();
    const peer = await join(node({ messageLimit: 3 }));
    for (let i = 0; i < 5; i += 1) peer.say(message(String(i)));
    await settle();
    expect(peer.of('ack')).toHaveLength(3);
    for (const error of peer.of('error')) {
      expect(error).toMatchObject({ code: 'rate_limited', temporary: true });
      expect((error['retry_after_ms'] as number) % 250).toBe(0);
    }
  });

  it('takes the sender from the token, never from the frame', async () => {
    const { node, join } = makeWorld();
    const n = node();
    const peer = await join(n, { id: 'u', name: 'Ulla' });
    peer.say({ ...message('a'), sender: { role: 'manager', id: 'x' } });
    peer.say(message('b'));
    await settle();
    expect(peer.answers('a')).toMatchObject([{ code: 'bad_frame' }]);
    expect(peer.of('message')).toMatchObject([{ sender: { role: 'user', id: 'u', name: 'Ulla' } }]);
  });

  it('answers nobody who has left in the meantime', async () => {
    const gates = new Gates();
    const { node, join } = makeWorld();
    const n = node({}, gates.wrap);
    const peer = await join(n);
    gates.isShut = true;
    peer.say(message('a'));
    await gates.step();
    const had = peer.transport.sent.length;
    peer.drop();
    await gates.openAll();
    expect(peer.transport.sent).toHaveLength(had);
    await expectNothingLeft(n);
  });
});

describe('what clients send', () => {
  it('is kept while they join, and handled in order once they have', async () => {
    const gates = new Gates();
    const { node, enter } = makeWorld();
    gates.isShut = true;
    const peer = enter(node({}, gates.wrap));
    for (const id of ['a', 'b', 'c']) peer.say(message(id));
    peer.say({ type: 'ping' });
    await gates.openAll();
    await peer.joined;
    await settle();
    expect(peer.frames[0]?.type).toBe('connected');
    expect(peer.of('ack').map(({ id }) => id)).toEqual(['a', 'b', 'c']);
    expect(texts(peer)).toEqual(['a', 'b', 'c']);
    expect(peer.of('pong')).toHaveLength(1);
  });

  it.each([
    ['too many frames', 33, 'x'],
    ['frames too large together', 4, 'x'.repeat(9_999).repeat(2)],
  ])('closes the socket of a client that sends %s before it has joined', async (_, count, text) => {
    const gates = new Gates();
    const { node, enter } = makeWorld();
    gates.isShut = true;
    const n = node({}, gates.wrap);
    const peer = enter(n);
    for (let i = 0; i < count; i += 1) peer.say(message(String(i), text));
    expect(peer.closedWith).toBe(4008);
    await gates.openAll();
    await peer.joined;
    await expectNothingLeft(n);
  });

  it('is refused past the frame limit, and the socket closed if it goes on', async () => {
    const { node, join, clock } = makeWorld();
    const n = node({ framesPerWindow: 10 });
    const peer = await join(n);
    for (let i = 0; i < 15; i += 1) peer.say({ type: 'ping' });
    expect([peer.of('pong').length, peer.of('error').length]).toEqual([10, 5]);
    expect(peer.of('error')[0]).toMatchObject({ code: 'rate_limited', temporary: true });
    await clock.advanceAsync(10_300);
    peer.session.onPing();
    peer.say({ type: 'ping' });
    expect(peer.of('pong')).toHaveLength(11);
    for (let i = 0; i < 50; i += 1) peer.session.onPing();
    expect(peer.closedWith).toBe(4008);
    expect(peer.frames.at(-1)).toMatchObject({ type: 'disconnect', code: 4008 });
  });

  it.each<[string, (peer: Peer) => void, object]>([
    ['no JSON', (peer) => peer.say('hello'), { code: 'bad_frame' }],
    ['an unknown type', (peer) => peer.say({ type: 'x', id: 'i' }), { code: 'bad_frame', id: 'i' }],
    ['a binary frame', (peer) => peer.session.onBinary(), { code: 'bad_frame' }],
    [
      'a visitor who takes the dialog',
      (peer) => peer.say({ type: 'handoff', id: 'i', action: 'take' }),
      { code: 'not_allowed', id: 'i' },
    ],
    [
      'a cancellation of nothing',
      (peer) => peer.say({ type: 'handoff', id: 'i', action: 'cancel' }),
      { code: 'conflict', id: 'i' },
    ],
    ['a note of a visitor', (peer) => peer.say(note('i')), { code: 'not_allowed', id: 'i' }],
    [
      'typing in notes',
      (peer) => peer.say({ type: 'typing', state: 'start', track: 'internal' }),
      { code: 'not_allowed' },
    ],
    ['a mark in notes', (peer) => peer.say({ type: 'read', offset: 1, track: 'internal' }), { code: 'not_allowed' }],
    [
      'history of notes',
      (peer) => peer.say({ type: 'history', id: 'i', track: 'internal' }),
      { code: 'not_allowed', id: 'i' },
    ],
    [
      'a refresh that is not judged good',
      (peer) => peer.say({ type: 'refresh', id: 'i', token: 't' }),
      { code: 'unauthorized', id: 'i' },
    ],
  ])('gets one error for %s, and the socket stays', async (_, act, error) => {
    const { node, join } = makeWorld();
    const peer = await join(node());
    peer.news();
    act(peer);
    await settle();
    expect(peer.news()).toMatchObject([{ type: 'error', ...error }]);
    expect(peer.closedWith).toBeUndefined();
  });

  it('is closed with 1009 past the contract’s bound of bytes, whatever it holds', async () => {
    const { node, join } = makeWorld();
    const peer = await join(node());
    peer.say('€'.repeat(BOUNDS.frameBytes / 3 + 1));
    expect(peer.closedWith).toBe(1009);
    expect(peer.frames.at(-1)).toMatchObject({ type: 'disconnect', code: 1009, reason: 'TOO_LARGE' });
  });

  it('may be the first system’s heartbeat', async () => {
    const { node, join } = makeWorld();
    const peer = await join(node());
    peer.say('__ping__');
    expect(peer.transport.sent.at(-1)).toBe('__pong__');
  });

  it('may ask for history, either way, and gets pages that fit', async () => {
    const { node, join } = makeWorld();
    const n = node({ outboxMaxBytes: 20_000 });
    const peer = await join(n);
    for (let i = 1; i <= 60; i += 1) peer.say(message(String(i), 'x'.repeat(400)));
    await settle();
    const offsets = async (frame: object) => {
      peer.say({ type: 'history', id: 'h', ...frame });
      await settle();
      const answer = peer.answers('h').at(-1) as unknown as { messages: { offset: number }[]; more: boolean };
      return [answer.messages.map(({ offset }) => offset), answer.more];
    };
    expect(await offsets({ after: 0, limit: 3 })).toEqual([[1, 2, 3], true]);
    expect(await offsets({ before: 4 })).toEqual([[1, 2, 3], false]);
    expect(await offsets({ after: 58 })).toEqual([[59, 60], false]);
    const [newest, more] = (await offsets({})) as [number[], boolean];
    expect([newest.at(-1), more]).toEqual([60, true]);
    expect(newest.length).toBeLessThan(12);
  });

  it('gets a temporary error for history and marks while the backplane is away', async () => {
    const { node, join, cluster } = makeWorld();
    const peer = await join(node());
    cluster.setOutage(true);
    peer.say({ type: 'history', id: 'h' });
    peer.say({ type: 'read', offset: 1 });
    await settle();
    expect(peer.of('error')).toMatchObject([{ code: 'unavailable' }, { code: 'unavailable' }]);
  });
});

describe('what visitors never see', () => {
  it('are notes: not as frames, history, typing, marks, presence or number', async () => {
    const { node, join, clock } = makeWorld();
    const [a, b] = [node(), node()];
    const visitors = [await join(a), await join(b)];
    const operator = await join(a, { kind: 'operator', id: 'op-subject' });
    operator.say(note('n1', 'secret'));
    operator.say({ type: 'typing', state: 'start', track: 'internal' });
    operator.say(note('n2', 'secret'));
    await settle();
    operator.say({ type: 'read', offset: 2, track: 'internal' });
    operator.say({ type: 'read', offset: 0 });
    await settle();
    await clock.advanceAsync(FLUSH_MS + 20_000);
    const late = await join(b);
    for (const visitor of [...visitors, late]) {
      visitor.say({ type: 'history', id: 'h' });
      await settle();
      const seen = visitor.transport.sent.join('\n');
      for (const word of ['secret', 'note', 'internal', 'op-subject', 'manager']) expect(seen).not.toContain(word);
      expect(visitor.answers('h')).toMatchObject([{ offset: 0, messages: [] }]);
      expect(visitor.of('presence')[0]?.['count']).toBe(visitor === late ? 3 : visitors.indexOf(visitor) + 1);
    }
    const colleague = await join(b, { kind: 'operator' });
    expect(colleague.frames[0]).toMatchObject({ internal: { head: 2, read: [{ id: 'op-subject', offset: 2 }] } });
  });

  it('are operators who have not written, and of those who have the subject', async () => {
    const { node, join, clock } = makeWorld();
    const [a, b] = [node(), node()];
    const visitor = await join(a, { id: 'u' });
    const colleague = await join(a, { kind: 'operator', id: 'op-colleague' });
    const operator = await join(b, { kind: 'operator', id: 'op-subject', name: 'Olga' });
    visitor.say(message('m1'));
    await settle();
    operator.say({ type: 'read', offset: 1 });
    await clock.advanceAsync(FLUSH_MS);
    const before = visitor.transport.sent.join('\n');
    for (const word of ['op-', 'manager', 'Olga']) expect(before).not.toContain(word);
    expect(colleague.of('presence').at(-1)).toMatchObject({ state: 'join', users: [{ id: 'op-subject' }] });

    operator.say(message('m2'));
    await clock.advanceAsync(FLUSH_MS);
    operator.say({ type: 'read', offset: 2 });
    operator.say({ type: 'typing', state: 'start' });
    await settle();
    expect(visitor.of('presence').at(-1)).toMatchObject({ state: 'join', users: [{ role: 'manager', name: 'Olga' }] });
    expect(visitor.of('read').at(-1)).toMatchObject({ sender: { id: 'public-op-subject' }, offset: 2 });
    expect(visitor.of('typing').at(-1)).toMatchObject({ sender: { id: 'public-op-subject', name: 'Olga' } });
    operator.drop();
    await clock.advanceAsync(FLUSH_MS);
    expect(visitor.of('presence').at(-1)).toMatchObject({ state: 'leave', users: [{ role: 'manager', name: 'Olga' }] });
    expect(visitor.transport.sent.join('\n').replaceAll('public-op-subject', '')).not.toContain('op-');
    const late = await join(a);
    expect(late.transport.sent.join('\n').replaceAll('public-op-subject', '')).not.toContain('op-');
    expect(late.frames[0]).toMatchObject({ read: [{ role: 'manager', id: 'public-op-subject', offset: 2 }] });
  });
});

describe('presence', () => {
  const states = (peer: Peer) =>
    peer.of('presence').map(({ state, users }) => [state, (users as { id?: string }[]).map(({ id }) => id)]);

  it('is told once for many who come within the interval, and not to oneself', async () => {
    const { node, join, clock } = makeWorld();
    const [a, b] = [node(), node()];
    const watcher = await join(a, { kind: 'operator', id: 'w' });
    await clock.advanceAsync(FLUSH_MS);
    for (const id of ['x', 'y', 'z']) await join(b, { id });
    const again = await join(a, { kind: 'operator', id: 'w' });
    await clock.advanceAsync(FLUSH_MS);
    expect(states(watcher).slice(1)).toEqual([['join', ['x', 'y', 'z']]]);
    expect(states(again)[0]).toEqual(['snapshot', expect.arrayContaining(['w', 'x', 'y', 'z'])]);
  });

  it('tells who is alone nothing of itself, and all of whoever comes next', async () => {
    const { node, join, clock } = makeWorld();
    const [a, b] = [node(), node()];
    const alone = await join(a, { kind: 'operator', id: 'w' });
    const tab = await join(a, { kind: 'operator', id: 'w' });
    await clock.advanceAsync(FLUSH_MS);
    const next = await join(b, { id: 'x' });
    tab.drop();
    await clock.advanceAsync(FLUSH_MS);
    next.drop();
    await clock.advanceAsync(FLUSH_MS);
    expect(states(alone)).toEqual([
      ['snapshot', ['w']],
      ['join', ['x']],
      ['leave', ['x']],
    ]);
  });

  it('does not show a reconnect, nor a second tab', async () => {
    const { node, join, clock } = makeWorld();
    const [a, b] = [node(), node()];
    const watcher = await join(a, { kind: 'operator', id: 'w' });
    const first = await join(b, { id: 'x' });
    await clock.advanceAsync(FLUSH_MS);
    const told = states(watcher).length;
    const tab = await join(a, { id: 'x' });
    tab.drop();
    first.drop();
    await join(a, { id: 'x' });
    await clock.advanceAsync(FLUSH_MS);
    expect(states(watcher)).toHaveLength(told);
  });

  it.each<
    [
      string,
      (parts: { join(): Promise<unknown>; leave(): Promise<void>; watch(): Promise<void> }) => Promise<void>,
      boolean,
    ]
  >([
    [
      'came before it, and went after',
      async ({ join, watch, leave }) => {
        await join();
        await watch();
        await leave();
      },
      false,
    ],
    [
      'went before it, and came after',
      async ({ join, leave, watch }) => {
        await join();
        await leave();
        await watch();
        await join();
      },
      true,
    ],
    [
      'came after it and went',
      async ({ watch, join, leave }) => {
        await watch();
        await join();
        await leave();
      },
      false,
    ],
    [
      'came before it and stayed',
      async ({ join, watch }) => {
        await join();
        await watch();
      },
      true,
    ],
  ])('is right for a session whose snapshot falls into an interval in which somebody %s', async (_, play, isHere) => {
    const { node, join, clock } = makeWorld();
    const [a, b] = [node(), node()];
    // Somebody else keeps the dialog followed and the interval shared.
    await join(a, { id: 'other' });
    await clock.advanceAsync(FLUSH_MS);
    let visitor: Peer | undefined;
    let watcher: Peer | undefined;
    await play({
      join: async () => {
        visitor = await join(b, { id: 'x' });
      },
      leave: async () => {
        visitor?.drop();
        await settle();
      },
      watch: async () => {
        watcher = await join(a, { kind: 'operator', id: 'w' });
      },
    });
    await clock.advanceAsync(2 * FLUSH_MS);
    const here = new Set<string | undefined>();
    for (const [state, ids] of states(watcher as Peer) as [string, string[]][]) {
      for (const id of ids) {
        if (state === 'leave') here.delete(id);
        else here.add(id);
      }
    }
    expect(here.has('x')).toBe(isHere);
  });

  it('is right for a session that is joining while somebody comes and goes', async () => {
    const gates = new Gates();
    const { node, join, enter, clock } = makeWorld();
    const [a, b] = [node({}, gates.wrap), node()];
    await join(a, { id: 'other' });
    const gone = await join(b, { id: 'gone' });
    await clock.advanceAsync(FLUSH_MS);
    gates.isShut = true;
    const watcher = enter(a, { kind: 'operator', id: 'w' });
    await gates.step(4);
    gone.drop();
    await settle();
    await join(b, { id: 'new' });
    await clock.advanceAsync(2 * FLUSH_MS);
    await gates.openAll();
    await watcher.joined;
    await clock.advanceAsync(2 * FLUSH_MS);
    const here = new Set<string | undefined>();
    for (const [state, ids] of states(watcher) as [string, string[]][])
      for (const id of ids) state === 'leave' ? here.delete(id) : here.add(id);
    expect([...here].sort()).toEqual(['new', 'other', 'w']);
  });

  it('is told with who has become visible in the same interval in which it came back', async () => {
    const { node, join, clock } = makeWorld();
    const n = node();
    const visitor = await join(n, { id: 'u' });
    const operator = await join(n, { kind: 'operator', id: 'o', name: 'Olga' });
    await clock.advanceAsync(FLUSH_MS);
    operator.drop();
    await settle();
    const back = await join(n, { kind: 'operator', id: 'o', name: 'Olga' });
    back.say(message('hello'));
    await clock.advanceAsync(FLUSH_MS);
    expect(visitor.of('presence').at(-1)).toMatchObject({ state: 'join', users: [{ name: 'Olga' }] });
  });
});

describe('ephemeral frames', () => {
  it('show typing to the others of the track, and its end by itself', async () => {
    const { node, join, clock } = makeWorld();
    const [a, b] = [node(), node()];
    const visitor = await join(a, { id: 'u' });
    const operator = await join(b, { kind: 'operator' });
    visitor.say({ type: 'typing', state: 'start' });
    visitor.say({ type: 'typing', state: 'start' });
    await settle();
    expect(operator.of('typing')).toEqual([{ type: 'typing', sender: { role: 'user', id: 'u' }, state: 'start' }]);
    await clock.advanceAsync(9_100);
    expect(operator.of('typing').map(({ state }) => state)).toEqual(['start', 'stop']);
  });

  it.each<[string, (visitor: Peer) => void]>([
    ['says so', (visitor) => visitor.say({ type: 'typing', state: 'stop' })],
    ['leaves', (visitor) => visitor.drop()],
    ['sends the message', (visitor) => visitor.say(message('m'))],
  ])('end typing once when the typist %s', async (_, act) => {
    const { node, join, clock } = makeWorld();
    const n = node();
    const visitor = await join(n);
    const operator = await join(n, { kind: 'operator' });
    visitor.say({ type: 'typing', state: 'start' });
    await settle();
    act(visitor);
    await clock.advanceAsync(20_000);
    expect(operator.of('typing').map(({ state }) => state)).toEqual(['start', 'stop']);
  });

  it('are left out for a client that is behind when they are typing, and only then', async () => {
    const { node, join } = makeWorld();
    const n = node({ outboxMaxBytes: 10_000 });
    const slow = await join(n, { kind: 'operator' });
    const visitor = await join(n);
    slow.transport.stalled = true;
    visitor.say(message('m', 'x'.repeat(3_000)));
    await settle();
    visitor.say({ type: 'typing', state: 'start' });
    visitor.say({ type: 'read', offset: 1 });
    await settle();
    expect(slow.of('typing')).toEqual([]);
    expect(slow.of('read')).toHaveLength(1);
  });

  it('that are no typing are not lost to a session that is joining', async () => {
    const gates = new Gates();
    const { node, join, enter } = makeWorld();
    const [a, b] = [node({}, gates.wrap), node()];
    const visitor = await join(b, { id: 'u' });
    visitor.say(message('m'));
    await settle();
    gates.isShut = true;
    const operator = enter(a, { kind: 'operator' });
    // Subscribed to both tracks and registered: the marks that `connected` will carry are read.
    await gates.step(5);
    visitor.say({ type: 'read', offset: 1 });
    visitor.say({ type: 'typing', state: 'start' });
    await settle();
    await gates.openAll();
    await operator.joined;
    expect(operator.of('connected')).toMatchObject([{ read: [] }]);
    expect(operator.of('read')).toMatchObject([{ offset: 1 }]);
    expect(operator.of('typing')).toEqual([]);
  });

  it('that are too many for a session that is joining close it with a resumable code', async () => {
    const gates = new Gates();
    const { node, enter } = makeWorld();
    const n = node({}, gates.wrap);
    gates.isShut = true;
    const peer = enter(n);
    await gates.step(3);
    const ref = { dialogId: 'd', track: 'main' } as const;
    for (let i = 0; i < 70; i += 1) await n.backplane.fanout.emit(ref, 'all', '{"type":"event","name":"x","data":1}');
    await settle();
    expect(peer.closedWith).toBe(4011);
    await gates.openAll();
    await peer.joined;
    await expectNothingLeft(n);
  });

  it.each<[string, 'main' | 'internal', 'all' | 'operators' | 'visitors', boolean, boolean]>([
    ['everybody', 'main', 'all', true, true],
    ['operators', 'main', 'operators', false, true],
    ['visitors', 'main', 'visitors', true, false],
    ['all of the notes', 'internal', 'all', false, true],
  ])('for %s reach nobody else', async (_, track, audience, visitorSees, operatorSees) => {
    const { node, join } = makeWorld();
    const n = node();
    const visitor = await join(n);
    const operator = await join(n, { kind: 'operator' });
    await n.backplane.fanout.emit({ dialogId: 'd', track }, audience, '{"type":"event","name":"x","data":1}');
    await settle();
    expect([visitor.of('event').length > 0, operator.of('event').length > 0]).toEqual([visitorSees, operatorSees]);
  });
});

describe('time', () => {
  it('closes an expired session with 4001 and tells it to refresh', async () => {
    const { node, join, clock } = makeWorld();
    const n = node();
    const peer = await join(n, { expiresInMs: 10_000 });
    await clock.advanceAsync(9_000);
    expect(peer.closedWith).toBeUndefined();
    await clock.advanceAsync(2_000);
    expect(peer.closedWith).toBe(4001);
    expect(peer.frames.at(-1)).toEqual({
      type: 'disconnect',
      code: 4001,
      reason: 'AUTH_EXPIRED',
      reconnect: { mode: 'refresh', delay_ms: 0 },
    });
    await expectNothingLeft(n);
    expect(n.hub.stats.closes).toEqual({ AUTH_EXPIRED: 1 });
  });

  it.each([-3_600_000, 3_600_000])(
    'closes at the maximum age also where the wall clock is set by %i ms',
    async (jumpMs) => {
      const { node, join, clock } = makeWorld();
      const n = node({ maxAgeMs: 60_000 });
      const peer = await join(n, { expiresInMs: 86_400_000 });
      clock.jumpWall(jumpMs);
      await clock.advanceAsync(50_000);
      expect(peer.closedWith).toBeUndefined();
      await clock.advanceAsync(12_000);
      expect(peer.closedWith).toBe(4007);
    },
  );

  it('goes by the wall clock for the end of a token, however that is set', async () => {
    const { node, join, clock } = makeWorld();
    const n = node();
    const early = await join(n, { expiresInMs: 600_000 });
    clock.jumpWall(-3_600_000);
    await clock.advanceAsync(2_000);
    const late = await join(n, { expiresInMs: 600_000 });
    await clock.advanceAsync(598_000);
    expect([early.closedWith, late.closedWith]).toEqual([undefined, undefined]);
    await clock.advanceAsync(4_000);
    expect([early.closedWith, late.closedWith]).toEqual([undefined, 4001]);
    // Back to where it was, or a machine that slept: what has expired meanwhile ends at once.
    clock.jumpWall(3_600_000);
    await clock.advanceAsync(2_000);
    expect(early.closedWith).toBe(4001);
  });

  it('closes at the maximum age with 4007, however often the token is refreshed', async () => {
    const { node, join, clock } = makeWorld();
    const n = node({ maxAgeMs: 100_000 });
    const peer = await join(n);
    n.judge = async () => ({ ok: true, issuedAt: 200, expiresAtMs: clock.nowMs() + 3_600_000, tokenIds: ['j2'] });
    await clock.advanceAsync(85_000);
    peer.say({ type: 'refresh', id: 'r', token: 't' });
    await settle();
    expect(peer.closedWith).toBeUndefined();
    await clock.advanceAsync(17_000);
    expect(peer.closedWith).toBe(4007);
  });

  it('moves the deadline with a refresh, and remembers every token that was used', async () => {
    const { node, join, clock } = makeWorld();
    const n = node();
    const peer = await join(n, { expiresInMs: 10_000 });
    n.judge = async () => ({ ok: true, issuedAt: 200, expiresAtMs: clock.nowMs() + 60_000, tokenIds: ['j2', 'p2'] });
    peer.say({ type: 'refresh', id: 'r', token: 't' });
    await settle();
    expect(peer.answers('r')).toEqual([{ type: 'ack', id: 'r' }]);
    expect(peer.session.identity.tokenIds).toEqual(['j1', 'j2', 'p2']);
    await clock.advanceAsync(30_000);
    expect(peer.closedWith).toBeUndefined();
    await clock.advanceAsync(32_000);
    expect(peer.closedWith).toBe(4001);
  });

  it('lets no older token win over a newer one that was judged faster', async () => {
    const { node, join, clock } = makeWorld();
    const n = node();
    const peer = await join(n);
    const judged: ((issuedAt: number) => void)[] = [];
    n.judge = () =>
      new Promise((resolve) => {
        judged.push((issuedAt) =>
          resolve({ ok: true, issuedAt, expiresAtMs: clock.nowMs() + issuedAt * 1_000, tokenIds: [`j${issuedAt}`] }),
        );
      });
    peer.say({ type: 'refresh', id: 'old', token: 'a' });
    peer.say({ type: 'refresh', id: 'new', token: 'b' });
    judged[1]?.(300);
    await settle();
    judged[0]?.(200);
    await settle();
    expect([peer.answers('new'), peer.answers('old')]).toMatchObject([[{ type: 'ack' }], [{ code: 'unauthorized' }]]);
    expect(peer.session.identity).toMatchObject({ issuedAt: 300, tokenIds: ['j1', 'j300'] });
  });

  it('does nothing for a session that ended while its token was judged', async () => {
    const { node, join, clock } = makeWorld();
    const n = node();
    const peer = await join(n);
    n.judge = async () => {
      peer.drop();
      return { ok: true, issuedAt: 200, expiresAtMs: clock.nowMs() + 1_000, tokenIds: [] };
    };
    peer.say({ type: 'refresh', id: 'r', token: 't' });
    await clock.advanceAsync(5_000);
    expect(peer.answers('r')).toEqual([]);
    await expectNothingLeft(n);
  });

  it('pings each session once an interval', async () => {
    const { node, join, clock } = makeWorld();
    const n = node({ pingIntervalMs: 5_000 });
    const peers = [await join(n), await join(n), await join(n)];
    await clock.advanceAsync(50_000);
    for (const peer of peers) expect(peer.transport.pings).toBe(10);
    expect(clock.pending()).toBeLessThan(5);
  });

  it('pings as often where every timer is late, and no more than once after a stop of the process', async () => {
    const { node, join, clock } = makeWorld({ lateMs: 90 });
    const n = node({ pingIntervalMs: 5_000 });
    const peers = [await join(n), await join(n), await join(n)];
    await clock.advanceAsync(50_000);
    for (const peer of peers) expect([9, 10]).toContain(peer.transport.pings);

    const stopped = makeWorld({ lateMs: 60_000 });
    const peer = await stopped.join(stopped.node({ pingIntervalMs: 5_000 }));
    await stopped.clock.advanceAsync(60_200);
    expect(peer.transport.pings).toBe(1);
  });

  it('stops with the hub', async () => {
    const { node, clock } = makeWorld();
    const n = node();
    n.hub.stop();
    await clock.advanceAsync(5_000);
    expect(clock.pending()).toBe(0);
  });
});

describe('a slow reader', () => {
  it('is closed within its bound, with the reason as its last frame, and recovers everything', async () => {
    const { node, join } = makeWorld();
    const n = node({ outboxMaxBytes: 20_000 });
    const writer = await join(n);
    const slow = await join(n);
    const { epoch } = slow.frames[0] as unknown as { epoch: string };
    slow.transport.stalled = true;
    for (let i = 1; i <= 30; i += 1) {
      writer.say(message(String(i), 'x'.repeat(1_000)));
      await settle();
    }
    expect(slow.closedWith).toBe(4010);
    expect(slow.transport.buffered).toBeLessThan(20_000 + 500);
    expect(slow.frames.at(-1)).toMatchObject({ type: 'disconnect', code: 4010, reconnect: { mode: 'jitter' } });
    const had = slow.of('message').length;
    expect(slow.of('message').map(({ offset }) => offset)).toEqual(Array.from({ length: had }, (_, i) => i + 1));
    const back = await join(n, { resume: { main: { epoch, offset: had } } });
    expect(back.of('message').map(({ offset }) => offset)).toEqual(
      Array.from({ length: 30 - had }, (_, i) => had + 1 + i),
    );
    expect(writer.closedWith).toBeUndefined();
  });

  it('is closed, not skipped, when the transport drops a frame', async () => {
    const { node, join } = makeWorld();
    const n = node();
    const peer = await join(n);
    peer.transport.dropsAfter = peer.transport.sent.length;
    await append(n, 'a');
    await settle();
    expect(peer.closedWith).toBe(4010);
    await expectNothingLeft(n);
  });

  it('that catches up is paged at its own speed within its bound', async () => {
    const { node, join, enter } = makeWorld();
    const n = node({ outboxMaxBytes: 40_000 });
    const writer = await join(n);
    for (let i = 1; i <= 200; i += 1) writer.say(message(String(i), 'x'.repeat(1_000)));
    await settle();
    const { epoch } = writer.frames[0] as unknown as { epoch: string };
    const slow = enter(n, {
      resume: { main: { epoch, offset: 0 } },
      prepare: ({ transport }) => {
        transport.stalled = true;
      },
    });
    for (let i = 0; slow.of('message').length < 200; i += 1) {
      if (i > 200) throw new Error('it does not go on');
      await settle();
      expect(slow.transport.buffered).toBeLessThan(20_000);
      slow.drain();
    }
    await slow.joined;
    slow.follow();
    expect(slow.copies.main?.faults).toEqual([]);
    expect(slow.closedWith).toBeUndefined();
  });
});

describe('a dialog that is erased', () => {
  it('closes its sockets on every node with 4004, and begins a new life', async () => {
    const { node, join, clock } = makeWorld();
    const [a, b] = [node(), node()];
    const peers = [await join(a), await join(b, { kind: 'operator' })];
    await append(a, 'old');
    await settle();
    await a.backplane.directory.deleteDialog('d');
    await settle();
    for (const peer of peers) expect(peer.closedWith).toBe(4004);
    expect([a.hub.dialogCount, b.hub.dialogCount]).toEqual([0, 0]);
    const fresh = await join(a, { id: 'new' });
    await append(b, 'new');
    await settle();
    expect(fresh.frames[0]).toMatchObject({ offset: 0, recovered: false });
    expect(texts(fresh)).toEqual(['new']);
    await clock.advanceAsync(10_000);
    expect(a.hub.dialogCount).toBe(1);
    fresh.drop();
    await expectNothingLeft(a);
    await expectNothingLeft(b);
  });

  it('closes a session that is joining it', async () => {
    const gates = new Gates();
    const { node, join, enter } = makeWorld();
    const [a, b] = [node({}, gates.wrap), node()];
    await join(b);
    gates.isShut = true;
    const peer = enter(a);
    await gates.step(3);
    await b.backplane.directory.deleteDialog('d');
    await settle();
    expect(peer.closedWith).toBe(4004);
    await gates.openAll();
    await peer.joined;
    await expectNothingLeft(a);
  });
});

describe('what a node finds by itself', () => {
  it('is what a dead subscription lost, within the verify interval', async () => {
    const { node, join, clock } = makeWorld();
    const [a, b] = [node({ verifyIntervalMs: 60_000 }), node()];
    const peers: Peer[] = [];
    for (let i = 0; i < 7; i += 1) peers.push(await join(a, { dialogId: `d${i}` }));
    const writer = await join(b, { dialogId: 'd3' });
    a.loses = () => true;
    writer.say(message('lost'));
    await settle();
    expect(texts(peers[3] as Peer)).toEqual([]);
    await clock.advanceAsync(61_000);
    expect(texts(peers[3] as Peer)).toEqual(['lost']);
  });

  it('is what was published while its subscriptions were interrupted', async () => {
    const { node, join, cluster } = makeWorld();
    const [a, b] = [node(), node()];
    const peer = await join(a);
    const writer = await join(b);
    cluster.setDeaf(a.incarnation, true);
    for (let i = 1; i <= 5; i += 1) writer.say(message(String(i)));
    await settle();
    cluster.setDeaf(a.incarnation, false);
    await settle();
    expect(texts(peer)).toEqual(['1', '2', '3', '4', '5']);
    expect(a.hub.stats.gaps.behind).toBe(1);
  });

  it('is a store that lost its tail, which is told as a reset and not passed over', async () => {
    const { node, join, cluster } = makeWorld();
    const [a, b] = [node(), node()];
    const peer = await join(a);
    const writer = await join(b);
    writer.say(message('1'));
    await settle();
    const snapshot = cluster.snapshot();
    writer.say(message('2'));
    await settle();
    cluster.restore(snapshot, { sameRun: true });
    writer.say(message('other 2'));
    await settle();
    await a.hub.verifyAll();
    await settle();
    expect(peer.of('reset')).toMatchObject([{ track: 'main', reason: 'new_epoch' }]);
    writer.say(message('3'));
    await settle();
    expect(texts(peer).at(-1)).toBe('3');
  });

  it('is a registration that the store has lost', async () => {
    const { node, join, clock, cluster } = makeWorld();
    const n = node({ verifyIntervalMs: 10_000 });
    const peer = await join(n, { id: 'u' });
    cluster.flush();
    await clock.advanceAsync(12_000);
    expect((await n.backplane.roster.connections('d')).map(({ member }) => member.id)).toEqual(['u']);
    expect(peer.closedWith).toBeUndefined();
  });
});
