import { fakeClock, seededRandom } from '@replyx/testkit';
import { describe, expect, it } from 'vitest';
import { Heartbeat } from '../src/heartbeat.js';
import { memoryCluster } from '../src/memory/index.js';
import type { BeatResult, NodeInfo } from '../src/ports.js';
import { away, Calls, settle } from './fakes.js';

const TTL_MS = 15_000;

const infoOf = (incarnation: string): NodeInfo => ({
  incarnation,
  nodeId: incarnation,
  version: '1',
  startedAtMs: 0,
  connections: 0,
  dialogs: 0,
  subscriptions: 0,
  loopLagMs: 0,
  draining: false,
});

/** A heartbeat whose every call is answered by hand. */
const scripted = () => {
  const clock = fakeClock();
  const beats = new Calls<NodeInfo, BeatResult>();
  const forgets = new Calls<string, void>();
  const sweeps = new Calls<string, number>();
  const lapses = new Calls<void, void>();
  const bugs: unknown[] = [];
  const heartbeat = new Heartbeat({
    backplane: {
      membership: { beat: beats.ask, forget: forgets.ask },
      roster: { sweep: sweeps.ask } as never,
    },
    clock,
    nodeTtlMs: TTL_MS,
    info: () => infoOf('me'),
    onLapsed: () => lapses.ask(undefined),
    onBug: (error) => bugs.push(error),
  });
  const result = (change: Partial<BeatResult> = {}): BeatResult => ({
    live: [infoOf('me')],
    dead: [],
    lapsed: false,
    ...change,
  });
  /** Begins to beat, alone, with this as the answer of the first beat. */
  const start = async (change?: Partial<BeatResult>) => {
    const started = heartbeat.start();
    beats.next().answer(result(change));
    await started;
    await settle();
  };
  const beat = async (change?: Partial<BeatResult>) => {
    await clock.advanceAsync(TTL_MS / 3);
    beats.next().answer(result(change));
    await settle();
  };
  return { clock, beats, forgets, sweeps, lapses, bugs, heartbeat, result, start, beat };
};

describe('Heartbeat', () => {
  it('beats three times within the time after which it would be dead', async () => {
    const { clock, beats, start, beat, heartbeat } = scripted();
    await start();
    for (let i = 0; i < 6; i += 1) await beat();
    expect([clock.monotonicMs(), beats.count]).toEqual([2 * TTL_MS, 7]);
    expect(heartbeat.ageMs).toBe(0);
  });

  it('is ready at once where it is alone, and after one interval where others count it', async () => {
    const alone = scripted();
    expect(alone.heartbeat.ageMs).toBeUndefined();
    await alone.start();
    const { clock, beats, heartbeat, result } = scripted();
    let isReady = false;
    void heartbeat.start().then(() => {
      isReady = true;
    });
    beats.next().answer(result({ live: [infoOf('me'), infoOf('other')] }));
    await clock.advanceAsync(TTL_MS / 3 - 1);
    expect(isReady).toBe(false);
    await clock.advanceAsync(1);
    expect(isReady).toBe(true);
    expect(heartbeat.nodes).toHaveLength(2);
  });

  it('rejects its start while the backplane is away', async () => {
    const { beats, heartbeat } = scripted();
    const started = heartbeat.start();
    beats.next().fail(away());
    await expect(started).rejects.toThrow('away');
  });

  it('goes on beating after an outage, and after a bug, which it tells of', async () => {
    const { clock, beats, start, beat, bugs, heartbeat } = scripted();
    await start();
    for (const error of [away(), new Error('bug')]) {
      await clock.advanceAsync(TTL_MS / 3);
      beats.next().fail(error);
      await settle();
    }
    expect(heartbeat.ageMs).toBe((2 * TTL_MS) / 3);
    await beat();
    expect([heartbeat.ageMs, bugs.length]).toEqual([0, 1]);
  });

  it('sweeps who is dead, one after the other, and forgets each once it is swept', async () => {
    const { start, beat, sweeps, forgets } = scripted();
    await start();
    await beat({ dead: ['a', 'b'] });
    expect([sweeps.open, forgets.open]).toEqual([1, 0]);
    const first = sweeps.next();
    expect(first.request).toBe('a');
    first.answer(3);
    await settle();
    expect(forgets.next().request).toBe('a');
    expect(sweeps.open).toBe(0);
  });

  it('beats on while a sweep is under way, however long it takes', async () => {
    const { start, beat, sweeps, forgets, beats } = scripted();
    await start();
    for (let i = 0; i < 10; i += 1) await beat({ dead: ['a'] });
    expect([beats.count, sweeps.count]).toEqual([11, 1]);
    sweeps.next().answer(1);
    await settle();
    forgets.next().answer();
    await settle();
    await beat();
    expect(sweeps.count).toBe(1);
  });

  it('sweeps again what an outage cut short', async () => {
    const { start, beat, sweeps, bugs } = scripted();
    await start();
    await beat({ dead: ['a'] });
    sweeps.next().fail(away());
    await settle();
    await beat({ dead: ['a'] });
    expect([sweeps.count, bugs.length]).toEqual([2, 0]);
  });

  it('is lapsed until what the node holds is registered again, and beats on meanwhile', async () => {
    const { start, beat, lapses, heartbeat, beats } = scripted();
    await start();
    expect(heartbeat.isLapsed).toBe(false);
    await beat({ lapsed: true });
    expect(heartbeat.isLapsed).toBe(true);
    await beat();
    await beat();
    expect([beats.count, lapses.count]).toEqual([4, 1]);
    lapses.next().answer();
    await settle();
    expect(heartbeat.isLapsed).toBe(false);
  });

  it('is lapsed while it is not heard for as long as the others would take it for dead, though nothing is lost', async () => {
    const { clock, beats, start, beat, heartbeat, result, lapses } = scripted();
    await start();
    await clock.advanceAsync(TTL_MS / 3);
    const unanswered = beats.next();
    await clock.advanceAsync((2 * TTL_MS) / 3 - 1);
    expect(heartbeat.isLapsed).toBe(false);
    await clock.advanceAsync(1);
    expect(heartbeat.isLapsed).toBe(true);
    // Its age is that of the question, not of the answer.
    unanswered.answer(result());
    await settle();
    expect([heartbeat.isLapsed, heartbeat.ageMs]).toEqual([false, (2 * TTL_MS) / 3]);
    await beat();
    expect([heartbeat.isLapsed, heartbeat.ageMs, lapses.count]).toEqual([false, 0, 0]);
  });

  it('registers again once more when it lapses while it does, and when that fails', async () => {
    const { start, beat, lapses, heartbeat } = scripted();
    await start();
    await beat({ lapsed: true });
    await beat({ lapsed: true });
    lapses.next().answer();
    await settle();
    expect([heartbeat.isLapsed, lapses.open]).toEqual([true, 1]);
    lapses.next().fail(away());
    await settle();
    expect(heartbeat.isLapsed).toBe(true);
    await beat();
    lapses.next().answer();
    await settle();
    expect(heartbeat.isLapsed).toBe(false);
  });

  it('says a last word that no beat of its own follows', async () => {
    const { start, beats, forgets, heartbeat, result, clock } = scripted();
    await start();
    void heartbeat.renew();
    const stopped = heartbeat.stop();
    await settle();
    expect(forgets.open).toBe(0);
    beats.next().answer(result());
    await settle();
    expect(forgets.next().request).toBe('me');
    await clock.advanceAsync(60_000);
    await heartbeat.renew();
    expect(beats.open).toBe(0);
    expect(stopped).toBeInstanceOf(Promise);
  });

  it('stops without waiting for a sweep or for registrations that an outage holds', async () => {
    const { start, beat, forgets, heartbeat, lapses, sweeps } = scripted();
    await start();
    await beat({ lapsed: true, dead: ['a'] });
    const stopped = heartbeat.stop();
    await settle();
    forgets.next().fail(away());
    await stopped;
    await heartbeat.stop();
    lapses.next().answer();
    await settle();
    expect(sweeps.count).toBe(0);
  });

  it('falls silent without a word when it is abandoned', async () => {
    const { start, heartbeat, beats, forgets, clock } = scripted();
    await start();
    heartbeat.abandon();
    await clock.advanceAsync(60_000);
    await heartbeat.stop();
    expect([beats.open, forgets.open]).toEqual([0, 0]);
  });
});

describe('heartbeats of a cluster', () => {
  it('find a node that died, clear up after it, and tell its dialogs', async () => {
    const clock = fakeClock();
    const cluster = memoryCluster({ clock, random: seededRandom(1) });
    const open = (incarnation: string) => {
      const backplane = cluster.open({
        incarnation,
        nodeId: incarnation,
        historySize: 10,
        historyTtlMs: 1e9,
        idempotencyTtlMs: 1e6,
        nodeTtlMs: TTL_MS,
        leaseTtlMs: TTL_MS,
      });
      const heartbeat = new Heartbeat({
        backplane,
        clock,
        nodeTtlMs: TTL_MS,
        info: () => infoOf(incarnation),
        onLapsed: () => Promise.resolve(),
        onBug: (error) => {
          throw error;
        },
      });
      return { backplane, heartbeat };
    };
    const [a, b] = [open('a'), open('b')];
    const changes: string[] = [];
    a.backplane.fanout.listen({
      onDelivery: (delivery) => {
        if (delivery.kind === 'presence') changes.push(`${delivery.change.state} ${delivery.change.member.id}`);
      },
      onRestored: () => {},
    });
    await a.backplane.fanout.subscribe([{ dialogId: 'd', track: 'main' }]);
    void a.heartbeat.start();
    void b.heartbeat.start();
    await clock.advanceAsync(TTL_MS / 3);
    const member = { role: 'user', id: 'u', publicId: 'u' } as const;
    await b.backplane.roster.register({
      dialogId: 'd',
      connectionId: 'c',
      member,
      claim: { tenant: 't', directory: 'open' },
    });
    await clock.advanceAsync(TTL_MS / 3);
    b.heartbeat.abandon();
    cluster.killNode('b');
    await clock.advanceAsync(2 * TTL_MS);
    expect(changes).toEqual(['join u', 'leave u']);
    expect(a.heartbeat.nodes.map(({ incarnation }) => incarnation)).toEqual(['a']);
    expect(await a.backplane.roster.connections('d')).toEqual([]);
  });
});
