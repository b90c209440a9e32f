import { fakeClock, seededRandom } from '@replyx/testkit';
import { describe, expect, it } from 'vitest';
import { coarseWait } from '../src/coarse-wait.js';
import { DeadlineWheel } from '../src/deadline-wheel.js';
import {
  ackFrame,
  bodyDigest,
  disconnectFrame,
  errorFrame,
  historyFrame,
  publicationParts,
} from '../src/frame-text.js';
import { boundPage } from '../src/history-page.js';
import { Outbox } from '../src/outbox.js';
import { BackplaneUnavailable, type PresenceChange, type PresentMember } from '../src/ports.js';
import { PresenceChanges, renderMember, renderSnapshot } from '../src/presence.js';
import { shownSender } from '../src/publisher.js';
import { createRetry } from '../src/retry.js';
import { renderMarks, renderSender } from '../src/sender-view.js';
import { SlidingCounter } from '../src/sliding-counter.js';
import { TurnWheel } from '../src/turn-wheel.js';
import { TYPING_LIFE_MS, TypingTracker } from '../src/typing.js';
import { FakeTransport, settle, TrackModel } from './fakes.js';

describe('DeadlineWheel', () => {
  const at = (name: string) => ({ name, deadlineSecond: 0 });
  const names = (items: { name: string }[]) => items.map(({ name }) => name).sort();

  it('is never early and at most a second late', () => {
    const wheel = new DeadlineWheel<ReturnType<typeof at>>(10_000);
    wheel.set(at('a'), 12_500);
    expect(names(wheel.due(12_499))).toEqual([]);
    expect(names(wheel.due(12_999))).toEqual([]);
    expect(names(wheel.due(13_000))).toEqual(['a']);
    expect(names(wheel.due(14_000))).toEqual([]);
  });

  it('moves an item that is set again, and forgets one that is deleted', () => {
    const wheel = new DeadlineWheel<ReturnType<typeof at>>(0);
    const [a, b] = [at('a'), at('b')];
    wheel.set(a, 2_000);
    wheel.set(b, 2_000);
    wheel.set(a, 5_000);
    wheel.delete(b);
    wheel.delete(b);
    expect(names(wheel.due(4_000))).toEqual([]);
    expect(names(wheel.due(5_000))).toEqual(['a']);
  });

  it.each([1_000, 50_000, 86_400_000])('gives everything that fell due in a pause of %i ms, in order', (pauseMs) => {
    const wheel = new DeadlineWheel<ReturnType<typeof at>>(0);
    const random = seededRandom(3);
    const items = Array.from({ length: 100 }, (_, i) => ({ ...at(String(i)), ms: random.below(200_000) }));
    for (const item of items) wheel.set(item, item.ms);
    const due = wheel.due(pauseMs) as typeof items;
    expect(names(due)).toEqual(names(items.filter(({ ms }) => Math.max(1, Math.ceil(ms / 1000)) * 1000 <= pauseMs)));
    const seconds = due.map(({ ms }) => Math.ceil(ms / 1000));
    expect(seconds).toEqual([...seconds].sort((a, b) => a - b));
  });

  it('takes a deadline that has passed at the next turn, and one that never comes', () => {
    const wheel = new DeadlineWheel<ReturnType<typeof at>>(100_000);
    wheel.set(at('past'), 5);
    wheel.set(at('never'), Number.POSITIVE_INFINITY);
    expect(names(wheel.due(101_000))).toEqual(['past']);
    expect(names(wheel.due(1e12))).toEqual([]);
  });

  it('gives nothing twice when the clock goes backwards', () => {
    const wheel = new DeadlineWheel<ReturnType<typeof at>>(10_000);
    wheel.set(at('a'), 11_000);
    expect(wheel.due(12_000)).toHaveLength(1);
    expect(wheel.due(9_000)).toEqual([]);
    wheel.set(at('b'), 10_000);
    expect(names(wheel.due(12_999))).toEqual([]);
    expect(names(wheel.due(13_000))).toEqual(['b']);
  });
});

describe('TurnWheel', () => {
  it('gives each item one turn a round, evenly spread', () => {
    const wheel = new TurnWheel<{ turnSlot: number }>(5);
    const items = Array.from({ length: 23 }, () => ({ turnSlot: -1 }));
    for (const item of items) wheel.add(item);
    const rounds = Array.from({ length: 5 }, () => [...wheel.turn()]);
    expect(rounds.map(({ length }) => length).sort()).toEqual([4, 4, 5, 5, 5]);
    expect(new Set(rounds.flat()).size).toBe(23);
  });

  it('forgets what is deleted, also while its turn is under way', () => {
    const wheel = new TurnWheel<{ turnSlot: number }>(1);
    const [a, b] = [{ turnSlot: -1 }, { turnSlot: -1 }];
    wheel.add(a);
    wheel.add(b);
    const seen: unknown[] = [];
    for (const item of wheel.turn()) {
      seen.push(item);
      wheel.delete(b);
      wheel.delete(b);
    }
    expect(seen).toEqual([a]);
  });
});

describe('SlidingCounter', () => {
  it.each([1, 7, 200, 65_535, 70_000])('admits exactly %i at once, and again after the window', (limit) => {
    const counter = new SlidingCounter(limit, 10_000);
    for (const nowMs of [5, 10_205, 60_000]) {
      let admitted = 0;
      for (let i = 0; i < limit + 5; i += 1) if (counter.admit(nowMs)) admitted += 1;
      expect(admitted).toBe(limit);
    }
  });

  it('lets no window of its length admit more than the limit, and refuses none 2 % too early', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const random = seededRandom(seed);
      const limit = 1 + random.below(30);
      const counter = new SlidingCounter(limit, 10_000);
      const admitted: number[] = [];
      let nowMs = 0;
      for (let i = 0; i < 2_000; i += 1) {
        nowMs += random.float() < 0.05 ? random.float() * 12_000 : random.float() * 150;
        if (counter.admit(nowMs)) {
          admitted.push(nowMs);
          const inWindow = admitted.filter((ms) => ms > nowMs - 10_000).length;
          expect(inWindow, `seed ${seed}`).toBeLessThanOrEqual(limit);
        } else {
          const nearly = admitted.filter((ms) => ms > nowMs - 10_200).length;
          expect(nearly, `seed ${seed}`).toBeGreaterThanOrEqual(limit);
        }
      }
    }
  });
});

describe('TypingTracker', () => {
  it('tells a start once, again after the quiet time, and a stop only to those who were told', () => {
    const typing = new TypingTracker<object>();
    const session = {};
    expect(typing.stop(session, 'main')).toBe(false);
    expect([0, 1_000, 2_999, 3_000, 5_000].map((ms) => typing.start(session, 'main', ms))).toEqual([
      true,
      false,
      false,
      true,
      false,
    ]);
    expect(typing.stop(session, 'main')).toBe(true);
    expect(typing.stop(session, 'main')).toBe(false);
  });

  it('expires by itself, each track alone, and a renewal puts it off', () => {
    const typing = new TypingTracker<object>();
    const session = {};
    typing.start(session, 'main', 0);
    typing.start(session, 'internal', 1_000);
    typing.start(session, 'main', 2_000);
    expect(typing.expired(TYPING_LIFE_MS + 999)).toEqual([]);
    expect(typing.expired(TYPING_LIFE_MS + 1_000).map(({ track }) => track)).toEqual(['internal']);
    expect(typing.expired(TYPING_LIFE_MS + 2_000).map(({ track }) => track)).toEqual(['main']);
    expect(typing.leave(session)).toEqual([]);
  });

  it('names the tracks of a session that leaves, and forgets it', () => {
    const typing = new TypingTracker<object>();
    const session = {};
    typing.start(session, 'main', 0);
    typing.start(session, 'internal', 0);
    expect(typing.leave(session)).toEqual(['main', 'internal']);
    expect(typing.expired(1e9)).toEqual([]);
  });
});

const member = (role: PresentMember['role'], id: string, wrote = role !== 'manager'): PresentMember => ({
  role,
  id,
  name: `name of ${id}`,
  publicId: `public-${id}`,
  wrote,
});

describe('presence', () => {
  it('shows operators who, visitors role and name only, and no operator who has not written', () => {
    expect(renderMember(member('manager', 'o'), 'operator')).toEqual({ role: 'manager', id: 'o', name: 'name of o' });
    expect(renderMember(member('manager', 'o', true), 'visitor')).toEqual({ role: 'manager', name: 'name of o' });
    expect(renderMember(member('user', 'u'), 'visitor')).toEqual({ role: 'user', name: 'name of u' });
    expect(renderMember(member('manager', 'o'), 'visitor')).toBeUndefined();
  });

  it('counts for each viewer those that it may know of', () => {
    const members = [member('user', 'u'), member('manager', 'a'), member('manager', 'b', true)];
    const count = { operators: 3, visitors: 2 };
    expect(renderSnapshot(members, count, 'operator')).toMatchObject({ count: 3, users: { length: 3 } });
    expect(renderSnapshot(members, count, 'visitor')).toMatchObject({ count: 2, users: { length: 2 } });
  });

  const join = (one: PresentMember): PresenceChange => ({ state: 'join', member: one });
  const leave = (one: PresentMember): PresenceChange => ({ state: 'leave', member: one });
  const [u, hidden, shown] = [member('user', 'o'), member('manager', 'o'), member('manager', 'o', true)];
  it.each<[string, PresenceChange[], PresenceChange[]]>([
    ['a join', [join(u)], [join(u)]],
    ['a leave', [leave(u)], [leave(u)]],
    ['a reconnect is no news', [leave(u), join(u)], []],
    ['a short visit is no news', [join(u), leave(u)], []],
    ['the last of several is what counts', [leave(u), join(u), leave(u)], [leave(u)]],
    ['the same id in another role is somebody else', [join(u), leave(hidden)], [join(u), leave(hidden)]],
    ['the first message makes a reconnect news', [leave(hidden), join(hidden), join(shown)], [join(shown)]],
    ['who becomes visible and goes has gone', [join(shown), leave(shown)], [leave(shown)]],
    ['a hidden operator who comes and goes is no news', [join(hidden), leave(hidden)], []],
  ])('coalesced: %s', (_, changes, net) => {
    const coalesced = new PresenceChanges();
    for (const change of changes) coalesced.add(change);
    expect(coalesced.net()).toEqual(net);
  });
});

describe('what a notice shows of its sender', () => {
  it.each<[string, PresentMember, boolean, 'operator' | 'visitor', object]>([
    ['an operator to operators', member('manager', 'o'), false, 'operator', { id: 'o', name: 'name of o' }],
    [
      'an operator who wrote to visitors',
      member('manager', 'o'),
      true,
      'visitor',
      { id: 'public-o', name: 'name of o' },
    ],
    ['an operator who did not write to visitors', member('manager', 'o'), false, 'visitor', {}],
    ['a visitor to visitors', member('user', 'u'), true, 'visitor', { id: 'u', name: 'name of u' }],
  ])('%s', (_, who, wrote, viewer, expected) => {
    expect(renderSender(who, wrote, viewer)).toEqual({ role: who.role, ...expected });
  });

  it('leaves marks of notes and of unseen operators out for visitors', () => {
    const marks = [
      { ...member('user', 'u'), track: 'main' as const, offset: 1 },
      { ...member('manager', 'a'), track: 'main' as const, offset: 2 },
      { ...member('manager', 'b', true), track: 'main' as const, offset: 3 },
      { ...member('manager', 'b', true), track: 'internal' as const, offset: 4 },
    ];
    expect(renderMarks(marks, 'main', 'visitor').map(({ offset, id }) => [offset, id])).toEqual([
      [1, 'u'],
      [3, 'public-b'],
    ]);
    expect(renderMarks(marks, 'main', 'operator').map(({ offset }) => offset)).toEqual([1, 2, 3]);
    expect(renderMarks(marks, 'internal', 'operator').map(({ offset, id }) => [offset, id])).toEqual([[4, 'b']]);
  });

  it('names an operator by the public id in the main track and by the subject in notes', () => {
    const operator = member('manager', 'o');
    expect(shownSender(operator, 'main').id).toBe('public-o');
    expect(shownSender(operator, 'internal').id).toBe('o');
    expect(shownSender(member('user', 'u'), 'main').id).toBe('u');
  });
});

describe('Outbox', () => {
  const stalled = (maxBytes: number) => {
    const transport = new FakeTransport();
    transport.stalled = true;
    return { transport, outbox: new Outbox(transport, maxBytes) };
  };

  it('refuses the frame that would pass its bound, and sends nothing of it', () => {
    const { transport, outbox } = stalled(1_000);
    expect(outbox.write('x'.repeat(900))).toBe('ok');
    expect(outbox.write('x'.repeat(100))).toBe('ok');
    expect(outbox.write('x')).toBe('overflow');
    expect(outbox.write(new Uint8Array(1))).toBe('overflow');
    expect(transport.buffered).toBe(1_000);
  });

  it('counts the bytes of a text, not three for every unit, where that decides', () => {
    const { outbox } = stalled(1_000);
    outbox.write('x'.repeat(500));
    expect(outbox.write('x'.repeat(500))).toBe('ok');
    const other = stalled(1_000).outbox;
    other.write('x'.repeat(500));
    expect(other.write('€'.repeat(167))).toBe('overflow');
  });

  it('tells of a frame that the transport dropped', () => {
    const { transport, outbox } = stalled(1_000);
    transport.dropsAfter = 0;
    expect(outbox.write('x')).toBe('overflow');
  });

  it('wakes who waits when the client has drained enough, and all when it ends', async () => {
    const { transport, outbox } = stalled(1_000);
    outbox.write('x'.repeat(600));
    expect([outbox.isWritable, outbox.isBehind]).toEqual([false, true]);
    const woken: boolean[] = [];
    void outbox.whenWritable().then((writable) => woken.push(writable));
    void outbox.whenWritable().then((writable) => woken.push(writable));
    transport.buffered = 300;
    outbox.drained();
    await settle();
    expect(woken).toEqual([]);
    transport.buffered = 200;
    outbox.drained();
    await settle();
    expect(woken).toEqual([true, true]);
    transport.buffered = 900;
    void outbox.whenWritable().then((writable) => woken.push(writable));
    outbox.closed();
    await settle();
    expect(woken).toEqual([true, true, false]);
  });
});

describe('boundPage', () => {
  const model = new TrackModel('e1', 0);
  model.frameBytes = 100;
  for (let i = 0; i < 10; i += 1) model.append();
  const shown = (page: { entries: readonly { offset: number }[]; more: boolean }) => [
    page.entries.map(({ offset }) => offset),
    page.more,
  ];

  it.each<[string, 'after' | 'before', number, number[], boolean]>([
    ['all of a page that fits', 'after', 500, [1, 2, 3, 4, 5], true],
    ['the oldest of those after', 'after', 300, [1, 2, 3], true],
    ['one entry at least', 'after', 1, [1], true],
    ['the newest of those before', 'before', 250, [9, 10], true],
    ['one entry at least, the newest', 'before', 1, [10], true],
  ])('keeps %s', (_, direction, maxBytes, kept, more) => {
    const page = model.read(direction === 'after' ? { after: 0, limit: 5 } : { before: 99, limit: 5 });
    expect(shown(boundPage(page, direction, maxBytes))).toEqual([kept, more]);
  });

  it('does not say that there is more when nothing was cut', () => {
    expect(shown(boundPage(model.read({ after: 8, limit: 5 }), 'after', 200))).toEqual([[9, 10], false]);
  });
});

describe('frames as text', () => {
  it('have their golden form', () => {
    expect(ackFrame('i', 3, 'main', false)).toBe('{"type":"ack","id":"i","offset":3}');
    expect(ackFrame('i', 3, 'internal', true)).toBe(
      '{"type":"ack","id":"i","offset":3,"track":"internal","duplicate":true}',
    );
    expect(errorFrame('rate_limited', 'i', undefined, 250)).toBe(
      '{"type":"error","id":"i","code":"rate_limited","message":"Too many requests; retry after the given wait.","temporary":true,"retry_after_ms":250}',
    );
    expect(disconnectFrame('SERVICE_RESTART', 1_500)).toBe(
      '{"type":"disconnect","code":1012,"reason":"SERVICE_RESTART","reconnect":{"mode":"delay","delay_ms":1500}}',
    );
  });

  it('put a publication together around what the append assigns', () => {
    const sender = { role: 'user', id: 'u"', name: undefined };
    const content = { id: 'i', text: '"\u2028\n😀', meta: { a: [1] } };
    const { frameHead, frameTail } = publicationParts('main', sender, content);
    expect(JSON.parse(`${frameHead}7,"timestamp":9${frameTail}`)).toEqual({
      type: 'message',
      offset: 7,
      timestamp: 9,
      id: 'i',
      sender: { role: 'user', id: 'u"' },
      text: content.text,
      meta: { a: [1] },
    });
    expect(publicationParts('internal', sender, content).frameHead).toContain('"note"');
  });

  it('join a history page from stored text', () => {
    const encode = (offset: number) => ({
      offset,
      origin: '',
      frame: new TextEncoder().encode(`{"offset":${offset}}`),
    });
    const page = { epoch: 'e1', offset: 9, oldest: 1, entries: [encode(1), encode(2)], more: true };
    expect(JSON.parse(historyFrame('h', 'main', page))).toEqual({
      type: 'history',
      id: 'h',
      track: 'main',
      messages: [{ offset: 1 }, { offset: 2 }],
      epoch: 'e1',
      offset: 9,
      more: true,
    });
    expect(JSON.parse(historyFrame('h', 'internal', { ...page, entries: [] }))).toMatchObject({ messages: [] });
  });

  it('digest every part that the sender chose', () => {
    const digests = [
      { id: 'a', text: 'x' },
      { id: 'a', text: 'y' },
      { id: 'a', text: 'x', meta: {} },
      { id: 'a', text: 'x', meta: { a: 1 } },
      { id: 'a', text: 'xx' },
      { id: 'a', text: '' },
    ].map(bodyDigest);
    expect(new Set(digests).size).toBe(digests.length);
    expect(bodyDigest({ id: 'b', text: 'x' })).toBe(digests[0]);
  });
});

describe('coarseWait', () => {
  it('is a multiple of 250 ms, never shorter than the wait, and jittered', () => {
    const random = seededRandom(5);
    const waits = Array.from({ length: 50 }, () => coarseWait(4_321, random));
    for (const wait of waits) {
      expect(wait % 250).toBe(0);
      expect(wait).toBeGreaterThanOrEqual(4_321);
      expect(wait).toBeLessThanOrEqual(4_321 * 1.25 + 250);
    }
    expect(new Set(waits).size).toBeGreaterThan(1);
    expect(coarseWait(0, random)).toBe(250);
  });
});

describe('retry', () => {
  it('tries until the outage is over, waiting longer and longer up to its bound', async () => {
    const clock = fakeClock();
    const times: number[] = [];
    const result = createRetry(clock, seededRandom(1))(
      async () => {
        times.push(clock.monotonicMs());
        if (times.length < 12) throw new BackplaneUnavailable('away');
        return 'done';
      },
      () => true,
    );
    await clock.advanceAsync(60_000);
    expect(await result).toBe('done');
    const waits = times.slice(1).map((ms, i) => ms - (times[i] ?? 0));
    waits.forEach((wait, i) => {
      const limit = Math.min(50 * 2 ** i, 2_000);
      expect(wait).toBeGreaterThanOrEqual(limit / 2);
      expect(wait).toBeLessThanOrEqual(limit);
    });
  });

  it('throws a bug at once, and stops when it is no longer wanted', async () => {
    const clock = fakeClock();
    const retry = createRetry(clock, seededRandom(1));
    await expect(
      retry(
        () => Promise.reject(new Error('bug')),
        () => true,
      ),
    ).rejects.toThrow('bug');
    let wanted = true;
    const given = retry(
      () => Promise.reject(new BackplaneUnavailable('away')),
      () => wanted,
    );
    await settle();
    wanted = false;
    await clock.advanceAsync(100);
    expect(await given).toBeUndefined();
    expect(clock.pending()).toBe(0);
  });
});
