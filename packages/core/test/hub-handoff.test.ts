import { BOUNDS } from '@replyx/protocol';
import { beforeEach, describe, expect, it } from 'vitest';
import { createHandoffDesk } from '../src/handoff-desk.js';
import type { HandoffRequest } from '../src/handoff-port.js';
import { createStats } from '../src/stats.js';
import { finishStream } from '../src/stream-writer.js';
import { away, settle } from './fakes.js';
import { Gates, type HubNode, makeWorld, type Peer } from './hub-world.js';

const BOT = { id: 'bot', name: 'Bot' };

const begin = async (node: HubNode, streamId = 's', fence?: number) =>
  node.backplane.streams.start({ dialogId: 'd', streamId, sender: BOT, fence, mustExist: false });
const add = async (node: HubNode, index: number, text: string, streamId = 's') => {
  const result = await node.backplane.streams.append({ dialogId: 'd', streamId, index, text });
  await settle();
  return result;
};
const write = async (node: HubNode, texts: readonly string[], streamId = 's') => {
  await begin(node, streamId);
  for (const [index, text] of texts.entries()) await add(node, index, text, streamId);
};
const finish = (node: HubNode, streamId = 's', given = {}) =>
  finishStream(
    { streams: node.backplane.streams, append: (publication) => node.hub.append(publication) },
    { dialogId: 'd', streamId },
    given,
  );

/** The deltas that a peer was given: index, text and what else they say. */
const deltas = (peer: Peer) =>
  peer
    .of('delta')
    .map(({ index, text, whole, done, reason }) => [
      index,
      text,
      whole === true ? 'whole' : done === true ? reason : '',
    ]);
const types = (peer: Peer) => peer.frames.map(({ type }) => type);
const handoffs = (peer: Peer) => peer.of('handoff').map(({ type: _type, ...rest }) => rest);
const say = async (peer: Peer, id: string, action: string) => {
  peer.say({ type: 'handoff', id, action });
  await settle();
  return peer.answers(id).at(-1);
};

describe('a handoff', () => {
  it('is asked for, taken and released, and everybody on every node is told what it may know', async () => {
    const { node, join } = makeWorld();
    const [n1, n2] = [node(), node()];
    const visitor = await join(n1, { id: 'u' });
    const anna = await join(n2, { kind: 'operator', id: 'anna', name: 'Anna' });
    expect(await say(visitor, 'h1', 'request')).toEqual({ type: 'ack', id: 'h1' });
    expect(await say(anna, 'h2', 'take')).toEqual({ type: 'ack', id: 'h2' });
    anna.say({ type: 'message', id: 'm', text: 'hello' });
    await settle();
    expect(await say(anna, 'h3', 'release')).toEqual({ type: 'ack', id: 'h3' });
    const shown = { role: 'manager', id: 'anna', name: 'Anna' };
    expect(handoffs(anna)).toEqual([
      { state: 'requested' },
      { state: 'active', operator: shown },
      { state: 'released', operator: shown },
    ]);
    expect(handoffs(visitor)).toEqual([
      { state: 'requested' },
      { state: 'active', operator: { role: 'manager' } },
      { state: 'released', operator: { ...shown, id: 'public-anna' } },
    ]);
    expect(JSON.stringify(visitor.frames)).not.toContain('"anna"');
    expect([n1.bugs, n2.bugs]).toEqual([[], []]);
  });

  it('is repeated without effect, and refused where the state does not allow it', async () => {
    const { node, join, cluster } = makeWorld();
    const n = node();
    const visitor = await join(n);
    const anna = await join(n, { kind: 'operator', id: 'anna' });
    const boris = await join(n, { kind: 'operator', id: 'boris' });
    await say(anna, 'h', 'take');
    expect(await say(anna, 'h', 'take')).toEqual({ type: 'ack', id: 'h', duplicate: true });
    expect(await say(boris, 'h', 'take')).toMatchObject({ type: 'error', code: 'conflict', temporary: false });
    expect(await say(visitor, 'v1', 'request')).toMatchObject({ code: 'conflict' });
    expect(await say(visitor, 'v2', 'release')).toMatchObject({ code: 'not_allowed' });
    await n.backplane.directory.putDialog('d', { tenant: 't', closed: true });
    expect(await say(anna, 'h4', 'release')).toMatchObject({ code: 'closed' });
    cluster.setOutage(true);
    expect(await say(anna, 'h5', 'release')).toMatchObject({ code: 'unavailable', temporary: true });
    expect(handoffs(visitor)).toHaveLength(1);
  });

  it('stays when the operator leaves, and is in connected for whoever comes', async () => {
    const { node, join } = makeWorld();
    const n = node();
    const anna = await join(n, { kind: 'operator', id: 'anna', name: 'Anna' });
    await say(anna, 'h', 'take');
    anna.drop();
    await n.hub.settled();
    const visitor = await join(n);
    expect(visitor.frames[0]).toMatchObject({ handoff: { state: 'active', operator: { role: 'manager' } } });
    const boris = await join(n, { kind: 'operator', id: 'boris' });
    expect(boris.frames[0]).toMatchObject({ handoff: { operator: { role: 'manager', id: 'anna', name: 'Anna' } } });
    expect(await say(boris, 'h', 'release')).toMatchObject({ type: 'ack' });
  });

  it('that changed while a client joined is told after connected, and no older state than that', async () => {
    const gates = new Gates();
    const { node, join, enter } = makeWorld();
    const n = node({}, gates.wrap);
    const anna = await join(n, { kind: 'operator', id: 'anna' });
    gates.isShut = true;
    const visitor = enter(n);
    // It follows the channel, and is about to be registered.
    await settle();
    while (gates.waiting[0]?.name !== 'register') await gates.step();
    await say(anna, 'h1', 'request');
    await say(anna, 'h2', 'take');
    await gates.step();
    await say(anna, 'h3', 'release');
    await gates.openAll();
    await visitor.joined;
    expect(visitor.frames[0]).toMatchObject({ type: 'connected', handoff: { state: 'active' } });
    expect(handoffs(visitor).map(({ state }) => state)).toEqual(['released']);
  });

  it('that a node has not heard of is told once its subscriptions are restored', async () => {
    const { node, join, cluster } = makeWorld();
    const [n1, n2] = [node(), node()];
    const visitor = await join(n1);
    const anna = await join(n2, { kind: 'operator', id: 'anna' });
    cluster.setDeaf(n1.incarnation, true);
    await say(anna, 'h1', 'take');
    cluster.setDeaf(n1.incarnation, false);
    await settle();
    await settle();
    expect(handoffs(visitor)).toEqual([{ state: 'active', operator: { role: 'manager' } }]);
    cluster.setDeaf(n1.incarnation, true);
    cluster.setDeaf(n1.incarnation, false);
    await settle();
    expect(handoffs(visitor)).toHaveLength(1);
  });
});

describe('the desk, where locks give fences too', () => {
  let stats = createStats();
  beforeEach(() => {
    stats = createStats();
  });
  const take: HandoffRequest = {
    dialogId: 'd',
    action: 'take',
    id: 'h',
    sender: { role: 'manager', id: 'anna' },
    operator: { role: 'manager', id: 'anna', publicId: 'p' },
    mustExist: false,
  };

  it('raises them before and after, so that nobody holds a greater one when the dialog is taken', async () => {
    const { node } = makeWorld();
    const { handoffs: port } = node().backplane;
    let counter = 100;
    const asked: number[] = [];
    const desk = createHandoffDesk(
      port,
      async (_, atLeast) => {
        asked.push(atLeast);
        counter = Math.max(counter + 1, atLeast);
        const given = counter;
        // Somebody takes a lock right after, and sees a dialog that nobody has taken.
        counter += 1;
        return given;
      },
      stats,
    );
    expect(await desk.act(take)).toMatchObject({ status: 'done', handoff: { state: 'active', fence: 103 } });
    expect(asked).toEqual([1, 101]);
    expect(await port.current('d')).toMatchObject({ fence: 103 });
    await desk.act({ ...take, action: 'release', id: 'r' });
    expect(asked).toHaveLength(2);
  });

  it('goes on where a call was cut off between the two', async () => {
    const { node } = makeWorld();
    const { handoffs: port } = node().backplane;
    let calls = 0;
    const desk = createHandoffDesk(
      port,
      async () => {
        calls += 1;
        if (calls === 2) throw away();
        return 100 + calls;
      },
      stats,
    );
    await expect(desk.act(take)).rejects.toThrow('away');
    expect(stats.handoffs.take).toMatchObject({ done: 0, unavailable: 1 });
    expect(await port.current('d')).toMatchObject({ state: 'active', fence: 101 });
    expect(await desk.act(take)).toMatchObject({ status: 'duplicate', handoff: { fence: 104 } });
    expect(await port.current('d')).toMatchObject({ fence: 104 });
  });

  it('raises nothing for a call that is refused, or whose dialog was given back since', async () => {
    const { node } = makeWorld();
    const { handoffs: port } = node().backplane;
    let fence = 100;
    const desk = createHandoffDesk(
      port,
      async () => {
        fence += 1;
        return fence;
      },
      stats,
    );
    await desk.act(take);
    const boris = { ...take, sender: { role: 'manager', id: 'boris' } } as const;
    expect((await desk.act(boris)).status).toBe('conflict');
    await desk.act({ ...take, action: 'release', id: 'r' });
    expect(await desk.act(take)).toMatchObject({ status: 'duplicate', handoff: { state: 'released', fence: 102 } });
    expect(await port.current('d')).toMatchObject({ fence: 102 });
    expect(stats.handoffs.take).toMatchObject({ done: 1, duplicate: 1, conflict: 1, unavailable: 0 });
    expect(stats.handoffs.release).toMatchObject({ done: 1, conflict: 0 });
  });
});

describe('an answer that is being written', () => {
  it('is given to all sockets of all nodes piece by piece, and becomes one message with its id', async () => {
    const { node, join } = makeWorld();
    const [n1, n2] = [node(), node()];
    const peers = [await join(n1), await join(n2), await join(n2, { kind: 'operator' })];
    await write(n1, ['Hel', 'lo']);
    expect(await finish(n2)).toMatchObject({ status: 'published', offset: 1, duplicate: false });
    expect(await finish(n1)).toMatchObject({ status: 'published', offset: 1, duplicate: true });
    await settle();
    for (const peer of peers) {
      expect(deltas(peer)).toEqual([
        [0, 'Hel', ''],
        [1, 'lo', ''],
        [2, '', 'finished'],
      ]);
      expect(types(peer).slice(-2)).toEqual(['delta', 'message']);
      expect(peer.of('message')).toMatchObject([
        { id: 's', text: 'Hello', sender: { role: 'assistant', id: 'bot', name: 'Bot' } },
      ]);
    }
  });

  it('may end with another text, and with meta', async () => {
    const { node, join } = makeWorld();
    const n = node();
    const peer = await join(n);
    await write(n, ['Hel']);
    expect(await finish(n, 's', { text: 'Hello.', meta: { a: 1 } })).toMatchObject({ status: 'published' });
    expect(await finish(n, 'unknown')).toEqual({ status: 'not_found' });
    await settle();
    expect(peer.of('message')).toMatchObject([{ text: 'Hello.', meta: { a: 1 } }]);
  });

  it('is whole for one who joins in the middle, on a node that did not follow before, and goes on', async () => {
    const { node, join } = makeWorld();
    const [n1, n2] = [node(), node()];
    await join(n1);
    await write(n1, ['a', 'b']);
    const late = await join(n2, { id: 'u' });
    await add(n1, 2, 'c');
    const later = await join(n2, { id: 'u' });
    await add(n1, 3, 'd');
    expect(types(late).slice(0, 3)).toEqual(['connected', 'delta', 'presence']);
    expect(deltas(late)).toEqual([
      [1, 'ab', 'whole'],
      [2, 'c', ''],
      [3, 'd', ''],
    ]);
    expect(deltas(later)).toEqual([
      [2, 'abc', 'whole'],
      [3, 'd', ''],
    ]);
  });

  it('is whole for one who joins while pieces come, wherever they come in between', async () => {
    for (let steps = 0; steps < 18; steps += 1) {
      const gates = new Gates();
      const { node, join, enter } = makeWorld();
      const [n1, n2] = [node(), node({}, gates.wrap)];
      await join(n1);
      await write(n1, ['a', 'b']);
      gates.isShut = true;
      const late = enter(n2);
      await gates.step(steps);
      await add(n1, 2, 'c');
      await gates.step();
      await add(n1, 3, 'd');
      await gates.openAll();
      await late.joined;
      await settle();
      await add(n1, 4, 'e');
      const texts = deltas(late).reduce(
        (text, [, piece, how]) => (how === 'whole' ? `${piece}` : `${text}${piece}`),
        '',
      );
      expect([steps, texts]).toEqual([steps, 'abcde']);
      const indexes = deltas(late).map(([index]) => Number(index));
      expect(indexes).toEqual(indexes.map((_, at) => (indexes[0] ?? 0) + at));
      expect(n2.bugs).toEqual([]);
    }
  });

  it('that ends while one joins has its last delta after connected, and is not begun again', async () => {
    const gates = new Gates();
    const { node, join, enter } = makeWorld();
    const [n1, n2] = [node(), node({}, gates.wrap)];
    await join(n1);
    await write(n1, ['a', 'b']);
    gates.isShut = true;
    const late = enter(n2);
    while (gates.waiting[0]?.name !== 'register answered') await gates.step();
    await n1.backplane.streams.abort({ dialogId: 'd', streamId: 's' });
    await gates.openAll();
    await late.joined;
    expect(deltas(late)).toEqual([[2, '', 'aborted']]);
  });

  it('is left out for a reader who is behind, who has all of it once it reads on', async () => {
    const { node, join, clock } = makeWorld();
    const n = node();
    const slow = await join(n);
    slow.transport.stalled = true;
    slow.transport.buffered = 100_000;
    slow.say({ type: 'ping' });
    await write(n, ['a', 'b']);
    expect(deltas(slow)).toEqual([]);
    slow.transport.stalled = false;
    slow.drain();
    await clock.advanceAsync(1_000);
    expect(deltas(slow)).toEqual([[1, 'ab', 'whole']]);
    await add(n, 2, 'c');
    expect(deltas(slow).at(-1)).toEqual([2, 'c', '']);
  });

  it('is filled from the store where a node has lost a piece', async () => {
    const { node, join } = makeWorld();
    const n = node();
    const peer = await join(n);
    await write(n, ['a']);
    n.loses = () => true;
    await add(n, 1, 'b');
    n.loses = () => false;
    await add(n, 2, 'c');
    await settle();
    await add(n, 3, 'd');
    expect(deltas(peer)).toEqual([
      [0, 'a', ''],
      [2, 'abc', 'whole'],
      [3, 'd', ''],
    ]);
  });

  it('ends by itself when nobody goes on with it, exactly once for everybody', async () => {
    const { node, join, clock } = makeWorld();
    const [n1, n2] = [node(), node()];
    const peers = [await join(n1), await join(n2)];
    await write(n1, ['a']);
    await clock.advanceAsync(BOUNDS.streamIdleMs - 1_000);
    for (const peer of peers) expect(deltas(peer)).toHaveLength(1);
    await clock.advanceAsync(10_000);
    for (const peer of peers) {
      expect(deltas(peer)).toEqual([
        [0, 'a', ''],
        [1, '', 'expired'],
      ]);
    }
  });

  it('whose end a node has not heard ends there all the same', async () => {
    const { node, join, clock, cluster } = makeWorld();
    const n = node();
    const peer = await join(n);
    await write(n, ['a']);
    cluster.setDeaf(n.incarnation, true);
    await n.backplane.streams.abort({ dialogId: 'd', streamId: 's' });
    cluster.setDeaf(n.incarnation, false);
    await clock.advanceAsync(7_000);
    expect(deltas(peer)).toEqual([
      [0, 'a', ''],
      [1, '', undefined],
    ]);
  });

  it('is ended by a takeover before the handoff is told, and no message comes of it', async () => {
    const { node, join } = makeWorld();
    const [n1, n2] = [node(), node()];
    const visitor = await join(n1);
    const anna = await join(n2, { kind: 'operator', id: 'anna' });
    await write(n1, ['a', 'b']);
    await say(anna, 'h', 'take');
    expect(await add(n1, 2, 'c')).toEqual({ status: 'over', how: 'stale_fence' });
    expect(await finish(n1)).toEqual({ status: 'over', how: 'stale_fence' });
    expect(types(visitor).slice(-2)).toEqual(['delta', 'handoff']);
    expect(deltas(visitor).at(-1)).toEqual([2, '', 'stale_fence']);
    expect(visitor.of('message')).toEqual([]);
  });

  it('that was finished when a person took the dialog is not published, and says so for good', async () => {
    const { node, join } = makeWorld();
    const n = node();
    const anna = await join(n, { kind: 'operator', id: 'anna' });
    await write(n, ['a']);
    const taking = finishStream(
      {
        streams: n.backplane.streams,
        append: async (publication) => {
          await say(anna, 'h', 'take');
          return n.hub.append(publication);
        },
      },
      { dialogId: 'd', streamId: 's' },
      {},
    );
    expect(await taking).toEqual({ status: 'stale_fence' });
    expect(await finish(n)).toEqual({ status: 'over', how: 'stale_fence' });
    expect(deltas(anna).at(-1)).toEqual([1, '', 'finished']);
    expect(anna.of('message')).toEqual([]);
  });

  it('is published by a retry where the backplane was away in the middle', async () => {
    const { node, join, cluster } = makeWorld();
    const n = node();
    const peer = await join(n);
    await write(n, ['a']);
    const cut = finishStream(
      {
        streams: n.backplane.streams,
        append: (publication) => {
          cluster.setOutage(true);
          return n.hub.append(publication);
        },
      },
      { dialogId: 'd', streamId: 's' },
      {},
    );
    await expect(cut).rejects.toThrow('not reachable');
    cluster.setOutage(false);
    expect(await finish(n)).toMatchObject({ status: 'published', duplicate: false });
    await settle();
    expect(deltas(peer).filter(([, , how]) => how === 'finished')).toHaveLength(1);
    expect(peer.of('message')).toMatchObject([{ id: 's', text: 'a' }]);
  });

  it('whose id is a message of the same sender already is a conflict in the end', async () => {
    const { node, join } = makeWorld();
    const n = node();
    await join(n);
    await n.hub.append({
      dialogId: 'd',
      track: 'main',
      scope: { role: 'assistant', id: 'bot' },
      sender: { role: 'assistant', id: 'bot' },
      content: { id: 's', text: 'earlier' },
      window: { limit: 0, windowMs: 1 },
      mustExist: false,
    });
    await write(n, ['a']);
    expect(await finish(n)).toEqual({ status: 'conflict' });
    expect(await finish(n)).toEqual({ status: 'over', how: 'aborted' });
  });
});
