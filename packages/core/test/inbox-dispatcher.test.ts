import { describe, expect, it } from 'vitest';
import { DELIVERY_ATTEMPTS, deliveryBackoffMs } from '../src/delivery-backoff.js';
import { DeliverySlots } from '../src/delivery-slots.js';
import { ownerOf } from '../src/rendezvous.js';
import { dispatching, LEASE_TTL_MS } from './inbox-world.js';

const numbered = (count: number, prefix = 'm'): string[] => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

describe('inbox dispatcher', () => {
  it('delivers at once what comes in, in order, and forgets it', async () => {
    const { clock, open, write, seen, bugs } = dispatching();
    const node = await open();
    const before = clock.monotonicMs();
    await write(node, 'd', numbered(5));
    await clock.advanceAsync(0);
    expect(seen('d')).toEqual(numbered(5));
    expect(clock.monotonicMs()).toBe(before);
    await clock.advanceAsync(LEASE_TTL_MS);
    expect(seen('d')).toHaveLength(5);
    expect(node.dispatcher.standing).toMatchObject({ entries: 0, parkedDialogs: 0, oldestMs: 0 });
    expect(bugs).toEqual([]);
  });

  it('has one attempt of a dialog under way, and many of different dialogs', async () => {
    const { clock, open, write, attempts, answering } = dispatching();
    answering(() => undefined);
    const node = await open();
    for (const dialogId of ['a', 'b', 'c']) await write(node, dialogId, numbered(3));
    await clock.advanceAsync(20_000);
    expect(attempts.map(({ dialogId, what }) => `${dialogId}${what}`).sort()).toEqual(['am0', 'bm0', 'cm0']);
    attempts.find(({ dialogId }) => dialogId === 'b')?.answer('delivered');
    await clock.advanceAsync(0);
    expect(attempts).toHaveLength(4);
    expect(attempts.at(-1)).toMatchObject({ dialogId: 'b', what: 'm1', number: 1 });
  });

  it('parks a dialog that fails, delivers the others, and goes on in order when it works again', async () => {
    const { clock, open, write, attempts, answering, notices } = dispatching();
    let isDown = true;
    answering(({ dialogId }) => (dialogId === 'bad' && isDown ? 'refused' : 'delivered'));
    const node = await open();
    await write(node, 'bad', numbered(3));
    await write(node, 'good', numbered(3));
    await clock.advanceAsync(0);
    await write(node, 'bad', ['late']);
    await write(node, 'good', ['late']);
    await clock.advanceAsync(60_000);
    const delivered = (dialogId: string, from: number) =>
      attempts.slice(from).filter((one) => one.dialogId === dialogId);
    expect(delivered('good', 0).map(({ what }) => what)).toEqual([...numbered(3), 'late']);
    // Nothing overtakes the first.
    expect(new Set(delivered('bad', 0).map(({ what }) => what))).toEqual(new Set(['m0']));
    expect(delivered('bad', 0).map(({ number }) => number)).toEqual(delivered('bad', 0).map((_, i) => i + 1));
    expect(node.dispatcher.standing).toMatchObject({ entries: 4, parkedDialogs: 1 });
    const tried = attempts.length;
    isDown = false;
    await clock.advanceAsync(1_200_000);
    expect(delivered('bad', tried).map(({ what }) => what)).toEqual([...numbered(3), 'late']);
    expect(notices.every(({ event }) => event === 'inbox_delivery_failed')).toBe(true);
    await write(node, 'bad', ['after']);
    await clock.advanceAsync(0);
    expect(attempts.at(-1)).toMatchObject({ dialogId: 'bad', what: 'after', number: 1 });
    expect(node.dispatcher.standing.entries).toBe(0);
  });

  it('gives an entry up after its last attempt, and goes on with the next of its dialog', async () => {
    const { clock, open, write, attempts, answering, notices } = dispatching();
    answering(({ what }) => (what === 'm0' ? 'timeout' : 'delivered'));
    const node = await open();
    await write(node, 'd', numbered(3));
    await clock.advanceAsync(4_000_000);
    const first = attempts.filter(({ what }) => what === 'm0');
    expect(first.map(({ number }) => number)).toEqual(numbered(DELIVERY_ATTEMPTS).map((_, i) => i + 1));
    expect(attempts.slice(first.length).map(({ what }) => what)).toEqual(['m1', 'm2']);
    expect(notices.filter(({ event }) => event === 'inbox_entry_died')).toHaveLength(1);
    const [letter] = await node.backplane.inbox.deadLetters({ limit: 10 });
    expect(letter).toMatchObject({ dialogId: 'd', attempts: DELIVERY_ATTEMPTS, reason: 'timeout' });
    answering(() => 'delivered');
    expect(await node.backplane.inbox.replay(letter?.letterId ?? '')).toBe(true);
    await clock.advanceAsync(0);
    expect(attempts.at(-1)).toMatchObject({ what: 'm0', number: 1 });
  });

  it('lets no dialog of a slow assistant hold up those of others', async () => {
    const { clock, open, write, attempts, answering } = dispatching();
    answering(({ assistantId }) => (assistantId === 'slow' ? undefined : 'delivered'));
    const node = await open();
    for (let i = 0; i < 400; i += 1) await write(node, `s${i}`, numbered(2), 'slow');
    await clock.advanceAsync(1_000);
    expect(attempts).toHaveLength(8);
    for (let i = 0; i < 50; i += 1) await write(node, `f${i}`, numbered(4), 'fast');
    await clock.advanceAsync(1_000);
    const fast = attempts.filter(({ assistantId }) => assistantId === 'fast');
    expect(fast).toHaveLength(200);
    for (let i = 0; i < 50; i += 1) {
      expect(fast.filter(({ dialogId }) => dialogId === `f${i}`).map(({ what }) => what)).toEqual(numbered(4));
    }
    // It recovers: everything arrives, each dialog in order.
    answering(() => 'delivered');
    for (const attempt of attempts) attempt.answer('delivered');
    await clock.advanceAsync(120_000);
    for (let i = 0; i < 400; i += 1) {
      expect(attempts.filter(({ dialogId }) => dialogId === `s${i}`).map(({ what }) => what)).toEqual(numbered(2));
    }
    expect(node.dispatcher.standing.entries).toBe(0);
  });

  it('keeps the order of a dialog that writes faster than it is answered', async () => {
    const { clock, open, write, attempts, answering, seen } = dispatching();
    answering(() => undefined);
    const node = await open();
    await write(node, 'd', numbered(100));
    await clock.advanceAsync(1_000);
    for (let i = 0; i < 100; i += 1) {
      expect(attempts).toHaveLength(i + 1);
      attempts.at(-1)?.answer('delivered');
      await clock.advanceAsync(i % 10 === 9 ? 400 : 0);
      if (attempts.length === i + 1) await clock.advanceAsync(40_000);
    }
    expect(seen('d')).toEqual(numbered(100));
  });

  it('passes over what waits for consumer groups until there is a webhook', async () => {
    const { clock, open, write, seen, routes } = dispatching();
    routes.set('direct', 'groups');
    const node = await open();
    await write(node, 'd', numbered(3), 'direct');
    await write(node, 'e', numbered(2));
    await clock.advanceAsync(60_000);
    expect(seen('d')).toEqual([]);
    expect(seen('e')).toEqual(numbered(2));
    expect(node.dispatcher.standing.entries).toBe(3);
    routes.delete('direct');
    node.dispatcher.reconsider('direct');
    await clock.advanceAsync(0);
    expect(seen('d')).toEqual(numbered(3));
    expect(seen('e')).toEqual(numbered(2));
  });

  it('drops the entries of an assistant that is gone, once the store says so, and none while it is not known', async () => {
    const { clock, cluster, open, write, seen, routes, confirmed } = dispatching();
    routes.set('gone', 'none');
    confirmed.set('gone', 'none');
    routes.set('new', 'none');
    confirmed.set('new', 'webhook');
    const node = await open();
    await write(node, 'd', numbered(3), 'gone');
    await write(node, 'e', numbered(2), 'new');
    cluster.setOutage(true);
    await clock.advanceAsync(5_000);
    cluster.setOutage(false);
    await clock.advanceAsync(5_000);
    expect(seen('d')).toEqual([]);
    expect(seen('e')).toEqual(numbered(2));
    expect(node.dispatcher.stats.dropped).toBe(3);
    expect(node.dispatcher.standing.entries).toBe(0);
  });

  it("stops attempts before its lease can be another node's, and delivers again what may not have arrived", async () => {
    const { clock, cluster, open, write, attempts, answering, notices } = dispatching();
    answering(() => undefined);
    const node = await open();
    await write(node, 'd', numbered(2));
    await clock.advanceAsync(0);
    expect(attempts).toHaveLength(1);
    cluster.setOutage(true);
    let heldMs = 0;
    while (attempts[0]?.signal.aborted === false && heldMs < LEASE_TTL_MS) {
      await clock.advanceAsync(100);
      heldMs += 100;
    }
    expect(attempts[0]?.signal.aborted).toBe(true);
    expect(heldMs).toBeLessThanOrEqual(LEASE_TTL_MS * 0.8 + 100);
    expect(notices).toMatchObject([{ event: 'inbox_lease_lost' }]);
    cluster.setOutage(false);
    answering(() => 'delivered');
    await clock.advanceAsync(LEASE_TTL_MS);
    expect(attempts.map(({ what }) => what)).toEqual(['m0', 'm0', 'm1']);
  });

  it('survives a short outage without a repeat', async () => {
    const { clock, cluster, open, write, attempts, answering } = dispatching();
    answering(() => undefined);
    const node = await open();
    await write(node, 'd', numbered(2));
    await clock.advanceAsync(0);
    cluster.setOutage(true);
    attempts[0]?.answer('delivered');
    await clock.advanceAsync(5_000);
    cluster.setOutage(false);
    answering(() => 'delivered');
    await clock.advanceAsync(5_000);
    attempts[1]?.answer('delivered');
    await clock.advanceAsync(5_000);
    expect(attempts.map(({ what }) => what)).toEqual(['m0', 'm1']);
    expect(node.dispatcher.standing.entries).toBe(0);
  });

  it('comes back soon to a parked dialog that was under way when the lease was lost', async () => {
    const { clock, cluster, open, write, attempts, answering } = dispatching();
    answering(({ number }) => (number === 1 ? 'refused' : undefined));
    const node = await open();
    await write(node, 'd', numbered(2));
    while (attempts.length < 2) await clock.advanceAsync(100);
    cluster.setOutage(true);
    await clock.advanceAsync(LEASE_TTL_MS);
    answering(() => 'delivered');
    cluster.setOutage(false);
    await clock.advanceAsync(5_000);
    expect(attempts.map(({ what, number }) => `${what} ${number}`)).toEqual(['m0 1', 'm0 2', 'm0 2', 'm1 1']);
  });

  it('asks no more often while a parked dialog waits long for its turn', async () => {
    const { clock, open, write, attempts, answering } = dispatching();
    answering(({ number }) => (number === 1 ? 'refused' : undefined));
    const node = await open();
    const { inbox } = node.backplane;
    const exchange = inbox.exchange.bind(inbox);
    await write(node, 'd', numbered(2));
    while (attempts.length < 2) await clock.advanceAsync(100);
    let asked = 0;
    inbox.exchange = (request) => {
      asked += 1;
      return exchange(request);
    };
    await clock.advanceAsync(120_000);
    // Each partition three times a lease, and once for each end of the claim.
    expect(asked).toBeLessThan((inbox.partitions * 120_000 * 3.5) / LEASE_TTL_MS);
    expect(attempts).toHaveLength(2);
  });

  it('shares the partitions among the live nodes, each served by one of them', async () => {
    const { clock, open, write, attempts } = dispatching();
    const nodes = [await open(), await open(), await open()];
    await clock.advanceAsync(LEASE_TTL_MS);
    const all = nodes.flatMap(({ dispatcher }) => dispatcher.partitions);
    expect([...all].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    for (let i = 0; i < 64; i += 1) await write(nodes[i % 3]!, `d${i}`, numbered(3));
    await clock.advanceAsync(LEASE_TTL_MS);
    expect(attempts).toHaveLength(192);
    const byNode = new Map<string, number>();
    for (const { node } of attempts) byNode.set(node, (byNode.get(node) ?? 0) + 1);
    expect(byNode.size).toBe(nodes.filter(({ dispatcher }) => dispatcher.partitions.length > 0).length);
  });

  it('takes over from a node that died, in order and without a loss', async () => {
    const { clock, open, write, kill, attempts, answering } = dispatching();
    answering(({ node }) => (node === 'n0' ? undefined : 'delivered'));
    const first = await open();
    for (let i = 0; i < 8; i += 1) await write(first, `d${i}`, numbered(20));
    await clock.advanceAsync(0);
    await open();
    kill(first);
    const killedAt = attempts.length;
    await clock.advanceAsync(2 * LEASE_TTL_MS + 60_000);
    for (let i = 0; i < 8; i += 1) {
      const mine = attempts.slice(killedAt).filter(({ dialogId }) => dialogId === `d${i}`);
      expect(mine.map(({ what }) => what)).toEqual(numbered(20));
    }
  });

  it('hands over at an orderly stop: what is under way ends, nothing is repeated', async () => {
    const { clock, open, write, attempts, answering, nodes } = dispatching();
    answering(({ node }) => (node === 'n0' ? undefined : 'delivered'));
    const first = await open();
    for (let i = 0; i < 8; i += 1) await write(first, `d${i}`, numbered(3));
    await clock.advanceAsync(0);
    const underWay = attempts.length;
    first.draining = true;
    await open();
    const stopped = first.dispatcher.stop(5_000);
    await clock.advanceAsync(1_000);
    for (const attempt of [...attempts]) attempt.answer('delivered');
    await clock.advanceAsync(1_000);
    await stopped;
    nodes.splice(0, 1);
    await clock.advanceAsync(5_000);
    expect(attempts.length).toBe(24);
    expect(attempts.slice(0, underWay).every(({ what }) => what === 'm0')).toBe(true);
    for (let i = 0; i < 8; i += 1) {
      expect(attempts.filter(({ dialogId }) => dialogId === `d${i}`).map(({ what }) => what)).toEqual(numbered(3));
    }
  });

  it('costs one look for each partition in a third of the lease while nothing waits', async () => {
    const { clock, cluster, open } = dispatching();
    await open();
    await clock.advanceAsync(LEASE_TTL_MS);
    let looks = 0;
    const { enter } = cluster;
    cluster.enter = (node) => {
      looks += 1;
      enter.call(cluster, node);
    };
    await clock.advanceAsync(LEASE_TTL_MS * 10);
    expect(looks).toBeGreaterThanOrEqual(8 * 29);
    expect(looks).toBeLessThanOrEqual(8 * 34);
  });
});

describe('delivery backoff', () => {
  it('doubles its bound up to twenty minutes, and takes less than an hour in all', () => {
    const longest = Array.from({ length: DELIVERY_ATTEMPTS - 1 }, (_, i) =>
      deliveryBackoffMs(i + 1, { float: () => 1 }),
    );
    expect(longest.slice(0, 3)).toEqual([2_000, 4_000, 8_000]);
    expect(longest.at(-1)).toBe(1_200_000);
    expect(longest.reduce((sum, ms) => sum + ms, 0)).toBeLessThan(3_600_000);
    expect(deliveryBackoffMs(5, { float: () => 0 })).toBe(0);
  });
});

describe('delivery slots', () => {
  const held = () => {
    const running: { assistantId: string; end: (isWell: boolean) => void }[] = [];
    const slots = new DeliverySlots({ total: 8, perAssistant: 4 });
    const ask = (assistantId: string) =>
      slots.run(
        assistantId,
        () =>
          new Promise((resolve) => {
            const one = {
              assistantId,
              end: (isWell: boolean) => {
                running.splice(running.indexOf(one), 1);
                resolve(isWell);
              },
            };
            running.push(one);
          }),
      );
    const count = (assistantId: string) => running.filter((one) => one.assistantId === assistantId).length;
    return { slots, running, ask, count };
  };
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

  it('are shared by turns, up to a bound for each', async () => {
    const { ask, count, running, slots } = held();
    for (let i = 0; i < 10; i += 1) ask('a');
    for (const other of ['b', 'c', 'd', 'e', 'f']) for (let i = 0; i < 3; i += 1) ask(other);
    expect(count('a')).toBe(4);
    expect(slots.runningCount).toBe(8);
    for (let i = 0; i < 8; i += 1) {
      running[0]?.end(true);
      await settle();
      expect(slots.runningCount).toBe(8);
    }
    for (const other of ['c', 'd', 'e', 'f']) expect(count(other)).toBeGreaterThan(0);
  });

  it('leave half to those whose backends work, however many fail', async () => {
    const { ask, count, running, slots } = held();
    const failing = Array.from({ length: 10 }, (_, i) => `bad${i}`);
    for (const assistantId of failing) {
      ask(assistantId);
      running.at(-1)?.end(false);
      await settle();
    }
    for (const assistantId of failing) for (let i = 0; i < 5; i += 1) ask(assistantId);
    await settle();
    expect(slots.runningCount).toBe(4);
    for (const assistantId of failing) expect(count(assistantId)).toBeLessThanOrEqual(1);
    for (let i = 0; i < 6; i += 1) ask('good');
    expect(count('good')).toBe(4);
    running.find(({ assistantId }) => assistantId === 'bad0')?.end(true);
    await settle();
    expect(count('bad0')).toBe(0);
  });
});

describe('rendezvous', () => {
  it('gives every share to one, about as many to each, and moves none but those of who comes or goes', () => {
    const names = ['one.a', 'two.b', 'three.c', 'four.d'];
    const shares = Array.from({ length: 128 }, (_, i) => i);
    const owners = shares.map((share) => ownerOf(share, names));
    for (const name of names) {
      const count = owners.filter((owner) => owner === name).length;
      expect(count).toBeGreaterThan(16);
      expect(count).toBeLessThan(52);
    }
    const without = shares.map((share) => ownerOf(share, names.slice(1)));
    shares.forEach((share) => {
      if (owners[share] !== names[0]) expect(without[share]).toBe(owners[share]);
    });
    expect(ownerOf(1, [...names].reverse())).toBe(owners[1]);
    expect(ownerOf(1, [])).toBeUndefined();
  });
});
