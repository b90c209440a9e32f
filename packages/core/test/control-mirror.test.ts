import { fakeClock, seededRandom } from '@replyx/testkit';
import { CONTRACT_OPTIONS } from '@replyx/testkit/contract';
import { describe, expect, it } from 'vitest';
import { CONTROL_STALE_MS, ControlMirror, type ControlNotice } from '../src/control-mirror.js';
import type {
  Ban,
  Control,
  ControlCursor,
  ControlEntry,
  ControlSnapshot,
  Revocation,
  SnapshotEntry,
  TailResult,
} from '../src/control-port.js';
import { memoryCluster } from '../src/memory/index.js';
import type { AssistantRecord } from '../src/ports.js';
import type { TokenSubject } from '../src/revocation.js';
import { away, Calls, settle } from './fakes.js';

const POLL_MS = 250;
const HOUR_MS = 3_600_000;
const START_MS = 1_767_225_600_000;

const VISITOR: TokenSubject = { type: 'visitor', tenant: 't', sub: 'v', issuedAt: 100, tokenIds: ['j'], dialogId: 'd' };

const revocation = (id: string, rest: Partial<Revocation> = {}): Revocation => ({
  kind: 'revocation',
  id,
  rule: { by: 'jti', jti: id },
  createdMs: START_MS,
  expiresMs: START_MS + HOUR_MS,
  ...rest,
});
const ban = (network: string, rest: Partial<Ban> = {}): Ban => ({
  kind: 'ban',
  id: `ban_${network}`,
  network,
  source: 'api',
  createdMs: START_MS,
  expiresMs: START_MS + HOUR_MS,
  ...rest,
});
const assistant = (rest: Partial<AssistantRecord> = {}): AssistantRecord => ({
  tenant: 't',
  active: true,
  allowedDomains: [],
  widgetVersion: 0,
  inbox: false,
  ...rest,
});
const tokenOf = (jti: string): TokenSubject => ({ ...VISITOR, tokenIds: [jti] });

/** A mirror whose every call is answered by hand. */
const scripted = (maxBans?: number) => {
  const clock = fakeClock(START_MS);
  const snapshots = new Calls<void, ControlSnapshot>();
  const tails = new Calls<ControlCursor, TailResult>();
  const seeds = new Calls<readonly SnapshotEntry[], void>();
  const told: ControlEntry[] = [];
  const since: number[] = [];
  const notices: ControlNotice[] = [];
  const bugs: unknown[] = [];
  const mirror = new ControlMirror({
    control: { snapshot: () => snapshots.ask(undefined), tail: tails.ask, seed: seeds.ask },
    clock,
    random: { float: () => 0 },
    onEntries: (entries, sinceMs) => {
      told.push(...entries);
      since.push(...entries.map(() => sinceMs));
    },
    onNotice: (notice) => notices.push(notice),
    onBug: (error) => bugs.push(error),
    ...(maxBans === undefined ? {} : { maxBans }),
  });
  const snapshot = (rest: Partial<ControlSnapshot> = {}): ControlSnapshot => ({
    cursor: { epoch: 'e1', after: '0' },
    entries: [],
    assistants: new Map(),
    nowMs: clock.nowMs(),
    epochAgeMs: HOUR_MS,
    ...rest,
  });
  const answer = async (entries: readonly ControlEntry[], after: string): Promise<ControlCursor> => {
    const call = tails.next();
    call.answer({ status: 'entries', entries, cursor: { epoch: call.request.epoch, after } });
    await settle();
    return call.request;
  };
  const nothing = (): Promise<ControlCursor> => answer([], '0');
  const start = async (rest: Partial<ControlSnapshot> = {}): Promise<void> => {
    const started = mirror.start();
    snapshots.next().answer(snapshot(rest));
    await settle();
    await nothing();
    await started;
  };
  /** The next poll, with this as what came. */
  const poll = async (...entries: readonly ControlEntry[]): Promise<void> => {
    await clock.advanceAsync(POLL_MS);
    await answer(entries, String(entries.length));
    if (entries.length > 0) await nothing();
  };
  return { clock, snapshots, tails, seeds, told, since, notices, bugs, mirror, snapshot, answer, nothing, start, poll };
};

describe('ControlMirror', () => {
  it('is stale until the first snapshot and what came after it are in force', async () => {
    const { mirror, snapshots, snapshot, answer, nothing, told } = scripted();
    expect([mirror.isStale, mirror.ageMs]).toEqual([true, Number.POSITIVE_INFINITY]);
    let isStarted = false;
    const started = mirror.start().then(() => {
      isStarted = true;
    });
    snapshots.next().answer(snapshot({ cursor: { epoch: 'e1', after: '7' }, entries: [revocation('a')] }));
    await settle();
    expect([mirror.isStale, mirror.isRevoked(tokenOf('a'))]).toEqual([true, true]);
    expect(await answer([revocation('b')], '8')).toEqual({ epoch: 'e1', after: '7' });
    expect(isStarted).toBe(false);
    expect(await nothing()).toEqual({ epoch: 'e1', after: '8' });
    await started;
    expect([mirror.isStale, mirror.ageMs, mirror.isRevoked(tokenOf('b'))]).toEqual([false, 0, true]);
    expect(told.map((entry) => 'id' in entry && entry.id)).toEqual(['a', 'b']);
  });

  it('says since when what it reads was written: since the last look that found the end of the stream was asked for', async () => {
    const { start, clock, tails, answer, nothing, since, told } = scripted();
    const one = (dialogId: string): ControlEntry => ({ kind: 'disconnect', target: { dialogId }, code: 'NOT_FOUND' });
    const startedMs = clock.monotonicMs();
    await start();
    await clock.advanceAsync(POLL_MS);
    await clock.advanceAsync(40);
    await answer([one('a')], '1');
    const lookedMs = clock.monotonicMs();
    await clock.advanceAsync(30);
    // A page of it; the end was not seen yet.
    await answer([one('b')], '2');
    const endedMs = clock.monotonicMs();
    await clock.advanceAsync(20);
    await nothing();
    expect(tails.open).toBe(0);
    await clock.advanceAsync(POLL_MS);
    await answer([one('c')], '3');
    expect(told.map((entry) => entry.kind === 'disconnect' && entry.target.dialogId)).toEqual(['a', 'b', 'c']);
    expect(lookedMs).toBeGreaterThan(startedMs);
    expect(since).toEqual([startedMs, startedMs, endedMs]);
  });

  it('says of what followed the snapshot that it was written since that was asked for', async () => {
    const { mirror, snapshots, snapshot, answer, clock, since } = scripted();
    void mirror.start();
    const askedMs = clock.monotonicMs();
    await clock.advanceAsync(100);
    snapshots.next().answer(snapshot());
    await settle();
    await answer([{ kind: 'drain', nodeId: 'n' }], '1');
    expect(since).toEqual([askedMs]);
  });

  it('rejects its start while the backplane is away', async () => {
    const { mirror, snapshots } = scripted();
    const started = mirror.start();
    snapshots.next().fail(away());
    await expect(started).rejects.toThrow('away');
  });

  it('waits at its start until an epoch that has just begun may have been put in order by the others', async () => {
    const { mirror, snapshots, snapshot, nothing, clock, poll } = scripted();
    let isStarted = false;
    void mirror.start().then(() => {
      isStarted = true;
    });
    snapshots.next().answer(snapshot({ epochAgeMs: 100 }));
    await settle();
    await nothing();
    await poll();
    await poll(revocation('seeded by another'));
    await clock.advanceAsync(149);
    expect(isStarted).toBe(false);
    await clock.advanceAsync(1);
    expect(isStarted).toBe(true);
    expect(mirror.isRevoked(tokenOf('seeded by another'))).toBe(true);
  });

  it('looks every 250 ms, from where it was, and tells of what is new, once', async () => {
    const { mirror, clock, tails, start, answer, nothing, told } = scripted();
    await start();
    await clock.advanceAsync(POLL_MS - 1);
    expect(tails.open).toBe(0);
    await clock.advanceAsync(1);
    const entries: ControlEntry[] = [
      revocation('a'),
      { kind: 'disconnect', target: { sub: 'v' }, code: 'GOING_AWAY' },
      ban('198.51.100.7'),
      { kind: 'assistant', assistantId: 'bot', record: assistant() },
    ];
    await answer([...entries, revocation('a')], '5');
    expect(await nothing()).toEqual({ epoch: 'e1', after: '5' });
    expect(told).toEqual(entries);
    expect(mirror.isRevoked(tokenOf('a'))).toBe(true);
    expect(mirror.ban('198.51.100.7')).toEqual(entries[2]);
    expect(mirror.assistant('bot')).toEqual(assistant());
    expect([mirror.revocations(), mirror.bans()]).toEqual([[entries[0]], [entries[2]]]);
  });

  it('is stale when it has not looked for longer than 10 s, and no more once it has', async () => {
    const { mirror, clock, tails, snapshots, snapshot, start, nothing } = scripted();
    await start();
    for (;;) {
      await clock.advanceAsync(POLL_MS);
      if (clock.monotonicMs() > CONTROL_STALE_MS) break;
      expect(mirror.isStale).toBe(false);
      tails.next().fail(away());
      await settle();
    }
    expect([mirror.isStale, mirror.ageMs]).toEqual([true, CONTROL_STALE_MS + POLL_MS]);
    await nothing();
    expect(mirror.isStale).toBe(true);
    snapshots.next().answer(snapshot());
    await settle();
    await nothing();
    expect(mirror.isStale).toBe(false);
  });

  it('goes on from the old place after an error, and reads the snapshot whole too', async () => {
    const { mirror, clock, tails, snapshots, snapshot, start, answer, nothing, told, poll, bugs } = scripted();
    await start();
    await clock.advanceAsync(POLL_MS);
    tails.next().fail(away());
    await settle();
    await clock.advanceAsync(POLL_MS);
    const disconnect = { kind: 'disconnect', target: { sub: 'v' }, code: 'GOING_AWAY' } as const;
    expect(await answer([disconnect], '3')).toEqual({ epoch: 'e1', after: '0' });
    await nothing();
    snapshots.next().answer(snapshot({ cursor: { epoch: 'e1', after: '4' }, entries: [revocation('a')] }));
    await settle();
    expect(await nothing()).toEqual({ epoch: 'e1', after: '4' });
    expect(told).toEqual([disconnect, revocation('a')]);
    expect([mirror.isStale, bugs]).toEqual([false, []]);
    await poll();
  });

  it('tells of a bug, and goes on', async () => {
    const { clock, tails, start, bugs } = scripted();
    await start();
    await clock.advanceAsync(POLL_MS);
    tails.next().fail(new Error('bug'));
    await settle();
    await clock.advanceAsync(POLL_MS);
    expect([bugs.length, tails.open]).toEqual([1, 1]);
  });

  it('is stale from the moment at which it knows that the stream has moved on without it', async () => {
    const { mirror, clock, tails, snapshots, snapshot, seeds, start, nothing, poll, told } = scripted();
    await start();
    await poll(revocation('held'));
    await clock.advanceAsync(POLL_MS);
    tails.next().answer({ status: 'lost' });
    await settle();
    expect(mirror.isStale).toBe(true);
    snapshots
      .next()
      .answer(snapshot({ cursor: { epoch: 'e1', after: '9' }, entries: [revocation('held'), revocation('missed')] }));
    await settle();
    await nothing();
    expect([mirror.isStale, seeds.count]).toEqual([false, 0]);
    expect(told.map((entry) => 'id' in entry && entry.id)).toEqual(['held', 'missed']);
  });

  it('gives a store of another epoch back what it has lost, before it says that it is fresh', async () => {
    const { mirror, clock, tails, snapshots, snapshot, seeds, start, nothing, poll, notices } = scripted();
    await start();
    const lifted = {
      kind: 'lifted',
      id: 'l',
      of: 'revocation',
      createdMs: START_MS,
      expiresMs: START_MS + HOUR_MS,
    } as const;
    await poll(
      revocation('lost'),
      revocation('kept'),
      ban('198.51.100.7'),
      lifted,
      revocation('over', { expiresMs: START_MS + 600 }),
    );
    await clock.advanceAsync(POLL_MS);
    tails.next().answer({ status: 'lost' });
    await settle();
    const emptied = () => snapshot({ cursor: { epoch: 'e2', after: '0' }, entries: [revocation('kept')] });
    snapshots.next().answer(emptied());
    await settle();
    // The store is away again: everything from the start, with the same to give back.
    seeds.next().fail(away());
    await settle();
    expect(mirror.isStale).toBe(true);
    await clock.advanceAsync(POLL_MS);
    tails.next().answer({ status: 'lost' });
    await settle();
    snapshots.next().answer(emptied());
    await settle();
    const seed = seeds.next();
    expect(seed.request).toEqual([revocation('lost'), ban('198.51.100.7'), lifted]);
    expect(tails.open).toBe(0);
    expect(mirror.isStale).toBe(true);
    seed.answer();
    await settle();
    expect(await nothing()).toEqual({ epoch: 'e2', after: '0' });
    expect(mirror.isStale).toBe(false);
    expect(notices).toContainEqual({ event: 'control_seeded', entries: 3 });
    expect(mirror.isRevoked(tokenOf('lost'))).toBe(true);
  });

  it('lets a lift win over its entry, whichever it hears of first, and what is written after it over the lift', async () => {
    const { mirror, start, poll } = scripted();
    const lift = {
      kind: 'lifted',
      id: 'a',
      of: 'revocation',
      createdMs: START_MS + 1,
      expiresMs: START_MS + HOUR_MS,
    } as const;
    await start();
    await poll(revocation('a'));
    expect(mirror.isRevoked(tokenOf('a'))).toBe(true);
    await poll(lift);
    await poll(revocation('a'));
    expect(mirror.isRevoked(tokenOf('a'))).toBe(false);
    expect(mirror.revocations()).toEqual([]);
    await poll(revocation('a', { createdMs: START_MS + 2 }));
    expect(mirror.isRevoked(tokenOf('a'))).toBe(true);
  });

  it('forgets what has expired, by the time of the store', async () => {
    const { mirror, clock, start, poll, nothing } = scripted();
    // The store's clock is a minute ahead.
    await start({
      nowMs: START_MS + 60_000,
      entries: [revocation('r', { expiresMs: START_MS + 61_000 }), ban('1.1.1.1', { expiresMs: START_MS + 61_000 })],
    });
    for (let i = 0; i < 3; i += 1) await poll();
    await clock.advanceAsync(249);
    expect([mirror.isRevoked(tokenOf('r')), mirror.ban('1.1.1.1') !== undefined, mirror.bans().length]).toEqual([
      true,
      true,
      1,
    ]);
    clock.advance(1);
    expect([mirror.isRevoked(tokenOf('r')), mirror.ban('1.1.1.1'), mirror.bans(), mirror.banCount]).toEqual([
      false,
      undefined,
      [],
      1,
    ]);
    // The fourth look, which was due at that very moment; then those of a minute.
    await settle();
    await nothing();
    for (let i = 0; i < 240; i += 1) await poll();
    expect(mirror.banCount).toBe(0);
  });

  it('takes bans up to its bound, and says how many it did not', async () => {
    const { mirror, start, poll, notices, told } = scripted(2);
    await start({ entries: [ban('1.1.1.1'), ban('2.2.2.2')] });
    await poll(ban('3.3.3.3'), ban('4.4.4.4'));
    expect([mirror.banCount, mirror.ban('3.3.3.3')]).toEqual([2, undefined]);
    expect(notices).toContainEqual({ event: 'bans_refused', count: 2 });
    expect(told).toHaveLength(2);
  });

  it('knows the domains of all active assistants as they are now', async () => {
    const { mirror, clock, tails, snapshots, snapshot, start, poll, nothing, told } = scripted();
    const of = (...allowedDomains: string[]) => assistant({ allowedDomains });
    await start({
      assistants: new Map([
        ['one', of('a.example')],
        ['two', { ...of('off.example'), active: false }],
      ]),
    });
    const known = (...hosts: string[]) => hosts.map((host) => mirror.domains.match(host) !== undefined);
    expect(known('a.example', 'x.a.example', 'off.example', 'example', 'evila.example')).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
    await poll(
      { kind: 'assistant', assistantId: 'two', record: of('off.example') },
      { kind: 'assistant', assistantId: 'one' },
    );
    expect(known('a.example', 'off.example')).toEqual([false, true]);
    await clock.advanceAsync(POLL_MS);
    tails.next().answer({ status: 'lost' });
    await settle();
    told.length = 0;
    snapshots.next().answer(snapshot({ assistants: new Map([['three', of('new.example')]]) }));
    await settle();
    await nothing();
    expect(known('off.example', 'new.example')).toEqual([false, true]);
    expect(told).toEqual([
      { kind: 'assistant', assistantId: 'two', record: undefined },
      { kind: 'assistant', assistantId: 'three', record: of('new.example') },
    ]);
  });

  it('answers on from what it holds when it is stopped, and asks nothing more', async () => {
    const { mirror, clock, tails, snapshots, start, poll } = scripted();
    await start();
    await poll(revocation('a'));
    mirror.stop();
    mirror.stop();
    await clock.advanceAsync(60_000);
    expect([tails.open, snapshots.open, mirror.isRevoked(tokenOf('a'))]).toEqual([0, 0, true]);
  });
});

describe('mirrors of a cluster', () => {
  const world = () => {
    const clock = fakeClock(START_MS);
    const cluster = memoryCluster({ clock, random: seededRandom(3) });
    const open = async () => {
      const incarnation = `n${Math.random()}`;
      const backplane = cluster.open({ ...CONTRACT_OPTIONS, incarnation, nodeId: 'n' });
      const told: ControlEntry[] = [];
      const mirror = new ControlMirror({
        control: backplane.control,
        clock,
        random: seededRandom(4),
        onEntries: (entries) => told.push(...entries),
        onNotice: () => {},
        onBug: (error) => {
          throw error;
        },
      });
      const started = mirror.start();
      await clock.advanceAsync(1_000);
      await started;
      return { control: backplane.control as Control, mirror, told };
    };
    return { clock, cluster, open };
  };
  const SUBJECT = revocation('s', { rule: { by: 'subject', sub: 'v', tenant: 't', issuedBefore: 100 } });

  it('hear of a revocation within two looks, keep it over a loss of the store, and teach a newcomer', async () => {
    const { clock, cluster, open } = world();
    const [a, b] = [await open(), await open()];
    await a.control.write(SUBJECT);
    await clock.advanceAsync(2 * 275);
    expect([a.mirror.isRevoked(VISITOR), b.mirror.isRevoked(VISITOR)]).toEqual([true, true]);
    expect(b.mirror.isRevoked({ ...VISITOR, tenant: 'other' })).toBe(false);
    expect(b.mirror.isVisitorRevoked({ tenant: 't', sub: 'v', tokenIds: [], dialogId: 'x' })).toBe(true);
    cluster.flush();
    await clock.advanceAsync(2 * 275);
    expect((await b.control.snapshot()).entries).toEqual([SUBJECT]);
    const c = await open();
    expect([c.mirror.isRevoked(VISITOR), c.mirror.isStale]).toEqual([true, false]);
  });

  it('refuse newcomers after 10 s of an outage, and are fresh again after it', async () => {
    const { clock, cluster, open } = world();
    const { mirror } = await open();
    cluster.setOutage(true);
    await clock.advanceAsync(CONTROL_STALE_MS - 1_000);
    expect(mirror.isStale).toBe(false);
    await clock.advanceAsync(1_500);
    expect(mirror.isStale).toBe(true);
    cluster.setOutage(false);
    await clock.advanceAsync(275);
    expect(mirror.isStale).toBe(false);
  });

  it('put a revocation back that a rolled-back store has lost', async () => {
    const { clock, cluster, open } = world();
    const [a, b] = [await open(), await open()];
    const early = cluster.snapshot();
    await a.control.write(SUBJECT);
    await clock.advanceAsync(2 * 275);
    cluster.restore(early);
    await clock.advanceAsync(2 * 275);
    expect((await a.control.snapshot()).entries).toEqual([SUBJECT]);
    expect([a.mirror.isStale, b.mirror.isStale]).toEqual([false, false]);
  });
});
