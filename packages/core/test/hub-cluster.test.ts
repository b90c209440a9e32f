import type { Track } from '@replyx/protocol';
import { chaosSeed, seededRandom } from '@replyx/testkit';
import { describe, expect, it } from 'vitest';
import type { ResumePoint } from '../src/recovery.js';
import { settle } from './fakes.js';
import { type Copy, endOf, type HubNode, makeWorld, type Peer } from './hub-world.js';

/** Closes that a client may meet here: it went itself, the backplane was away, it said too much before it was let in, it read too slowly, it joined too slowly. */
const EXPECTED_CLOSES = new Set([1006, 1013, 4008, 4010, 4011]);

interface Faults {
  /** Whether the store may lose what it has acknowledged. */
  readonly storeLoses: boolean;
  readonly historySize: number;
}

/** One run: three nodes, clients that come, go, stall and send, and a backplane that fails in every way it can. */
const run = async (seed: number, { storeLoses, historySize }: Faults): Promise<void> => {
  const random = seededRandom(seed);
  const world = makeWorld({ historySize, seed });
  const { cluster, clock } = world;
  const nodes = [1, 2, 3].map(() => world.node({ verifyIntervalMs: 10_000, outboxMaxBytes: 30_000, lingerMs: 3_000 }));
  const live = new Set<Peer>();
  const parked: { kind: 'site' | 'operator'; copies: Partial<Record<Track, Copy>> }[] = [];
  const sent: { peer: Peer; id: string; text: string; type: string }[] = [];
  let snapshot = cluster.snapshot();
  let serial = 0;
  let outage = false;
  const why = `seed ${seed}`;

  const follow = (): void => {
    for (const peer of live) {
      peer.follow();
      if (peer.closedWith === undefined) continue;
      expect(EXPECTED_CLOSES, `${why}: closed with ${peer.closedWith}`).toContain(peer.closedWith);
      live.delete(peer);
      parked.push({ kind: peer.session.identity.kind === 'operator' ? 'operator' : 'site', copies: peer.copies });
    }
  };

  const resumeOf = (copy: Copy | undefined): ResumePoint => (copy === undefined ? undefined : endOf(copy));

  const comeIn = (node: HubNode): void => {
    if (live.size >= 8) return;
    const back = random.float() < 0.7 ? parked.splice(random.below(parked.length + 1), 1)[0] : undefined;
    const copies = back?.copies ?? {};
    const isSlow = random.float() < 0.3;
    live.add(
      world.enter(node, {
        kind: back?.kind ?? random.pick(['site', 'operator'] as const),
        resume: { main: resumeOf(copies.main), internal: resumeOf(copies.internal) },
        copies,
        prepare: ({ transport }) => {
          transport.stalled = isSlow;
        },
      }),
    );
  };

  const say = (peer: Peer): void => {
    serial += 1;
    const type = peer.session.internal !== undefined && random.float() < 0.4 ? 'note' : 'message';
    const text = `${serial}${random.float() < 0.1 ? '.'.repeat(2_000) : ''}`;
    const id = `m${serial}`;
    sent.push({ peer, id, text, type });
    peer.say({ type, id, text });
  };

  const anyPeer = (): Peer | undefined => (live.size === 0 ? undefined : random.pick([...live]));

  const act = async (): Promise<void> => {
    const node = random.pick(nodes);
    const roll = random.float();
    if (roll < 0.18) comeIn(node);
    else if (roll < 0.24) anyPeer()?.drop();
    else if (roll < 0.6) {
      const peer = anyPeer();
      for (let i = 1 + random.below(4); i > 0 && peer !== undefined && peer.closedWith === undefined; i -= 1) say(peer);
    } else if (roll < 0.7) anyPeer()?.drain();
    else if (roll < 0.74) {
      const peer = anyPeer();
      if (peer !== undefined) peer.transport.stalled = !peer.transport.stalled;
    } else if (roll < 0.78) cluster.setDeaf(node.incarnation, random.float() < 0.5);
    else if (roll < 0.82) {
      const isLossy = random.float() < 0.5;
      node.loses = () => isLossy && random.float() < 0.5;
    } else if (roll < 0.85) {
      outage = !outage;
      cluster.setOutage(outage);
    } else if (roll < 0.87 && storeLoses) cluster.restore(snapshot);
    else if (roll < 0.875 && storeLoses) cluster.flush();
    else if (roll < 0.88) snapshot = cluster.snapshot();
    else if (roll < 0.95) await settle();
    else await clock.advanceAsync(random.below(4_000));
    if (random.float() < 0.5) await Promise.resolve();
    follow();
  };

  for (let step = 0; step < 200; step += 1) await act();

  // Everything heals; whoever is not closed must come to stand where the store stands.
  cluster.setOutage(false);
  for (const node of nodes) {
    node.loses = () => false;
    cluster.setDeaf(node.incarnation, true);
    cluster.setDeaf(node.incarnation, false);
  }
  for (let i = 0; i < 30; i += 1) {
    for (const peer of live) {
      peer.transport.stalled = false;
      peer.drain();
    }
    await clock.advanceAsync(1_000);
    follow();
  }

  const [reader] = nodes;
  for (const track of ['main', 'internal'] as const) {
    const store = await (reader as HubNode).backplane.log.read({ dialogId: 'd', track, after: 0, limit: 1e6 });
    const kept = new Map(
      store.entries.map(({ offset, frame }) => [
        offset,
        (JSON.parse(new TextDecoder().decode(frame)) as { text: string }).text,
      ]),
    );
    for (const peer of live) {
      const copy = peer.copies[track];
      if (copy === undefined) {
        expect([track, peer.session.identity.kind], why).toEqual(['internal', 'site']);
        continue;
      }
      expect(copy.faults, why).toEqual([]);
      expect(endOf(copy), why).toEqual({ epoch: store.epoch, offset: store.offset });
      copy.texts.forEach((text, i) => {
        const offset = copy.base + i + 1;
        if (offset >= store.oldest) expect(text, `${why}: ${track} ${offset}`).toBe(kept.get(offset));
      });
    }
    if (!storeLoses && historySize > 10_000) {
      const texts = new Set(kept.values());
      for (const { peer, id, text, type } of sent) {
        if (type !== (track === 'main' ? 'message' : 'note')) continue;
        if (peer.answers(id)[0]?.type === 'ack') expect(texts, `${why}: acknowledged ${id}`).toContain(text);
      }
    }
  }

  for (const { peer, id } of sent) {
    const answers = peer.answers(id).length;
    if (live.has(peer)) expect(answers, `${why}: answers to ${id}`).toBe(1);
    else expect(answers, `${why}: answers to ${id}`).toBeLessThanOrEqual(1);
  }

  // Nothing is left of those who go.
  for (const peer of live) peer.drop();
  for (let i = 0; i < 10; i += 1) await clock.advanceAsync(1_000);
  for (const node of nodes) {
    await node.hub.settled();
    expect(node.bugs, why).toEqual([]);
    expect([node.hub.connectionCount, node.hub.dialogCount, node.hub.subscriptionCount], why).toEqual([0, 0, 0]);
  }
  // A store that is rolled back brings registrations back that were taken off since.
  if (!storeLoses) expect(await (reader as HubNode).backplane.roster.connections('d'), why).toEqual([]);
};

describe('three hubs under chaos', () => {
  /** Runs of each kind; more of them for a long search. */
  const RUNS = Number(process.env['TEST_RUNS'] ?? 25);
  it.each<[string, Faults]>([
    ['a store that keeps everything', { storeLoses: false, historySize: 100_000 }],
    ['a store that trims', { storeLoses: false, historySize: 20 }],
    ['a store that is rolled back and emptied', { storeLoses: true, historySize: 100_000 }],
    ['a store that trims, is rolled back and emptied', { storeLoses: true, historySize: 20 }],
  ])(
    'give every session each publication once and in order, or tell it to start anew, on %s',
    async (name, faults) => {
      const first = chaosSeed(name);
      const runs = process.env['TEST_SEED'] === undefined ? RUNS : 1;
      for (let i = 0; i < runs; i += 1) await run((first + i) >>> 0, faults);
    },
    60_000 + RUNS * 1_000,
  );
});
