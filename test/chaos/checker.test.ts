import { describe, expect, it } from 'vitest';
import type { Entry } from './journal.js';
import { acked, fault, got, head, joined, judge, kept, member, rulesOf, sent } from './journal-fixture.js';

const CROWD: readonly Entry[] = [
  member('v1', 'd1', 'visitor'),
  member('op1', 'd1', 'operator'),
  member('v2', 'd2', 'visitor'),
  joined('v1', 'd1'),
  joined('op1', 'd1'),
  joined('v2', 'd2'),
];

/** Three messages of a visitor, seen by both sides; a message in another dialog. */
const HEALTHY: readonly Entry[] = [
  ...CROWD,
  ...[1, 2, 3].flatMap((n) => [
    sent('v1', 'd1', `m${n}`),
    got('v1', `m${n}`, n),
    acked('v1', `m${n}`, n),
    got('op1', `m${n}`, n),
  ]),
  sent('v2', 'd2', 'x1'),
  acked('v2', 'x1', 1),
  got('v2', 'x1', 1),
  ...[1, 2, 3].map((n) => kept('d1', `m${n}`, n)),
  head('d1', 3),
  kept('d2', 'x1', 1),
  head('d2', 1),
];

type Same = (entry: Entry) => boolean;
const isGot =
  (who: string, id: string): Same =>
  (entry) =>
    entry.kind === 'got' && entry.who === who && entry.id === id;
const isAck =
  (id: string): Same =>
  (entry) =>
    entry.kind === 'acked' && entry.id === id;
const without = (same: Same): Entry[] => HEALTHY.filter((entry) => !same(entry));
const followed = (same: Same, ...more: readonly Entry[]): Entry[] =>
  HEALTHY.flatMap((entry) => (same(entry) ? [entry, ...more] : [entry]));
const changed = (same: Same, change: object): Entry[] =>
  HEALTHY.map((entry) => (same(entry) ? ({ ...entry, ...change } as Entry) : entry));

describe('the checker', () => {
  it('finds nothing in a run that kept every promise, and counts it', () => {
    const { breaches, counts } = judge(HEALTHY);
    expect(breaches).toEqual([]);
    expect(counts).toMatchObject({ sent: 4, acked: 4, delivered: 7, announcedResets: 0 });
  });

  const planted: readonly [string, readonly Entry[], readonly string[]][] = [
    ['a message that one receiver never got', without(isGot('op1', 'm2')), ['silent gap']],
    ['the last message that one receiver never got', without(isGot('op1', 'm3')), ['behind']],
    ['a message that came twice', followed(isGot('op1', 'm2'), got('op1', 'm2', 2)), ['order', 'repeated']],
    [
      'a message that came again under a new offset',
      followed(isGot('op1', 'm3'), got('op1', 'm3', 4)),
      ['repeated', 'behind'],
    ],
    [
      'two messages in the wrong order',
      [...without(isGot('op1', 'm2')).flatMap((e) => (isGot('op1', 'm3')(e) ? [e, got('op1', 'm2', 2)] : [e]))],
      ['silent gap', 'order', 'behind'],
    ],
    [
      'two receivers with two orders',
      HEALTHY.filter((e) => e.kind !== 'got' || e.who !== 'op1').flatMap((e) =>
        isAck('m3')(e) ? [e, got('op1', 'm1', 1), got('op1', 'm3', 2), got('op1', 'm2', 3)] : [e],
      ),
      ['two contents'],
    ],
    ['a message of another dialog', followed(isGot('v2', 'x1'), got('v2', 'm1', 2)), ['leaked', 'behind']],
    ['a socket joined to another dialog', [...HEALTHY, joined('v2', 'd1', 3, false)], ['leaked', 'behind']],
    [
      'a note shown to the visitor',
      followed(isAck('m3'), sent('op1', 'd1', 'n1', { track: 'internal' }), got('v1', 'n1', 1, { track: 'internal' })),
      ['leaked'],
    ],
    [
      'a note shown to the visitor as a message',
      followed(isGot('op1', 'm3'), sent('op1', 'd1', 'n1', { track: 'internal' }), got('v1', 'n1', 4)),
      ['leaked', 'behind'],
    ],
    ['a hint of the notes at the visitor', [...HEALTHY, { kind: 'hinted', who: 'v1', frame: 'typing' }], ['leaked']],
    [
      'an acknowledgement without an append',
      followed(isAck('m3'), sent('v1', 'd1', 'm4'), acked('v1', 'm4', 4)),
      ['acked and lost'],
    ],
    [
      'an acknowledged message that the history lost at its end',
      HEALTHY.filter((e) => !(e.kind === 'kept' && e.id === 'm3')).map((e) =>
        e.kind === 'head' && e.dialog === 'd1' ? head('d1', 2) : e,
      ),
      ['acked and lost', 'behind'],
    ],
    [
      'a hole in the history',
      HEALTHY.filter((e) => !(e.kind === 'kept' && e.id === 'm2')),
      ['history', 'acked and lost'],
    ],
    ['an acknowledgement with the wrong offset', changed(isAck('m2'), { offset: 7 }), ['wrong ack']],
    ['an acknowledgement of what was never sent', [...HEALTHY, acked('v1', 'm9', 9)], ['ack of nothing']],
    ['a message with another text', changed(isGot('op1', 'm2'), { digest: 'other' }), ['two contents', 'altered']],
    ['a message that nobody sent', [...HEALTHY, got('op1', 'ghost', 4)], ['unknown', 'behind']],
    [
      'a message that was appended twice',
      HEALTHY.flatMap((e) => (e.kind === 'head' && e.dialog === 'd1' ? [kept('d1', 'm1', 4), head('d1', 4)] : [e])),
      ['appended twice', 'behind'],
    ],
    [
      'a refusal of a sound message',
      [...HEALTHY, { kind: 'refused', who: 'v1', id: 'm3', code: 'conflict', temporary: false }],
      ['refused'],
    ],
    ['a client that was sent away', [...HEALTHY, { kind: 'left', who: 'v1' }], ['sent away']],
    [
      'a recovery that skips a message',
      [
        ...without(isGot('op1', 'm3')),
        { kind: 'connecting', who: 'op1', main: { epoch: 'e1', offset: 2 } },
        joined('op1', 'd1', 3, true),
      ],
      ['silent gap'],
    ],
    [
      'a recovery in another epoch',
      [
        ...HEALTHY,
        { kind: 'connecting', who: 'v1', main: { epoch: 'e1', offset: 3 } },
        joined('v1', 'd1', 3, true, 'e2'),
      ],
      ['silent gap', 'behind'],
    ],
    [
      'a recovery that nobody asked for',
      [...HEALTHY, { kind: 'connecting', who: 'v1' }, joined('v1', 'd1', 3, true)],
      ['unclaimed recovery'],
    ],
    [
      'a frame before connected',
      [member('v9', 'd1', 'visitor'), ...CROWD, sent('v1', 'd1', 'm1'), got('v9', 'm1', 1)],
      ['before connected'],
    ],
  ];
  it.each(planted)('catches %s', (_what, entries, rules) => {
    expect(rulesOf(entries)).toEqual(rules);
  });
});

describe('a jump that is announced', () => {
  it('is no breach where the history kept everything', () => {
    const resumed = [
      ...without(isGot('op1', 'm3')),
      { kind: 'connecting', who: 'op1', main: { epoch: 'e1', offset: 2 } },
      joined('op1', 'd1', 3),
    ] as Entry[];
    expect(judge(resumed)).toMatchObject({ breaches: [], counts: { announcedResets: 2 } });
  });

  /** Redis is emptied after two messages; a third starts a new epoch. */
  const emptied = (losesData: boolean, ...more: readonly Entry[]): Entry[] => [
    ...CROWD.filter((entry) => !('who' in entry) || entry.who !== 'v2'),
    ...[1, 2].flatMap((n) => [
      sent('v1', 'd1', `m${n}`),
      acked('v1', `m${n}`, n),
      got('v1', `m${n}`, n),
      got('op1', `m${n}`, n),
    ]),
    fault('begins', losesData),
    fault('ends', losesData),
    ...['v1', 'op1'].map((who): Entry => ({ kind: 'reset', who, track: 'main', epoch: 'e2', offset: 0 })),
    sent('v1', 'd1', 'm3'),
    acked('v1', 'm3', 1),
    got('v1', 'm3', 1),
    got('op1', 'm3', 1),
    ...more,
  ];
  const end = [kept('d1', 'm3', 1, 'e2'), head('d1', 1, 'e2')];

  it('excuses what a fault that loses data has lost', () => {
    expect(judge(emptied(true, ...end)).breaches).toEqual([]);
  });

  it('excuses nothing where no fault loses data', () => {
    expect(rulesOf(emptied(false, ...end))).toEqual(['acked and lost']);
  });

  it('excuses nothing that was sent after the last epoch was seen', () => {
    const late = [sent('v1', 'd1', 'm4'), acked('v1', 'm4', 2), ...end];
    expect(judge(emptied(true, ...late)).breaches).toMatchObject([{ rule: 'acked and lost', about: ['m4'] }]);
  });

  it('is demanded of every receiver', () => {
    const untold = emptied(true, ...end).filter((entry) => entry.kind !== 'reset' || entry.who !== 'op1');
    expect(rulesOf(untold)).toEqual(expect.arrayContaining(['order', 'behind']));
  });

  it('lets an id be appended again after the loss, and never before', () => {
    const again = [sent('v1', 'd1', 'm1'), acked('v1', 'm1', 2), got('v1', 'm1', 2), got('op1', 'm1', 2)];
    const ends = [kept('d1', 'm3', 1, 'e2'), kept('d1', 'm1', 2, 'e2'), head('d1', 2, 'e2')];
    expect(judge(emptied(true, ...again, ...ends)).breaches).toEqual([]);
    expect(rulesOf(emptied(false, ...again, ...ends))).toContain('repeated');
  });
});

describe('an acknowledgement after a loss', () => {
  /** Appended before the loss and not answered; appended again after it, before anybody heard of the new epoch. */
  const again = (losesData: boolean): Entry[] => [
    ...CROWD.filter((entry) => !('who' in entry) || entry.who === 'v1'),
    sent('v1', 'd1', 'm1'),
    got('v1', 'm1', 1),
    fault('begins', losesData),
    sent('v1', 'd1', 'm1'),
    acked('v1', 'm1', 5),
    { kind: 'reset', who: 'v1', track: 'main', epoch: 'e2', offset: 8 },
    fault('ends', losesData),
    fault('begins', true),
    { kind: 'reset', who: 'v1', track: 'main', epoch: 'e3', offset: 0 },
    fault('ends', true),
    head('d1', 0, 'e3'),
  ];
  it('may name an offset that nobody saw, of an epoch that a later loss has ended', () => {
    expect(rulesOf(again(true))).toEqual([]);
    expect(rulesOf(again(false))).toEqual(['wrong ack']);
  });
});

describe('what is written after it may not be', () => {
  const revoked: Entry = { kind: 'revoked', name: 'r', sub: 'sub-v1', withinMs: 15 };
  it('is a breach once the time to close has passed: messages and connections of the subject, and no one else', () => {
    const late = [head('d9', 0), head('d9', 0)];
    const soon = [
      revoked,
      ...late,
      sent('v1', 'd1', 'm1'),
      acked('v1', 'm1', 1),
      got('v1', 'm1', 1),
      got('op1', 'm1', 1),
    ];
    const end = [kept('d1', 'm1', 1), head('d1', 1)];
    expect(rulesOf([...CROWD, revoked, acked('op1', 'm0', 1)])).toEqual(['ack of nothing']);
    expect(rulesOf([...CROWD, ...soon, ...end])).toEqual(['revoked']);
    expect(
      rulesOf([
        ...CROWD,
        sent('v1', 'd1', 'm1'),
        revoked,
        acked('v1', 'm1', 1),
        got('v1', 'm1', 1),
        got('op1', 'm1', 1),
        ...end,
      ]),
    ).toEqual([]);
    expect(rulesOf([...CROWD, revoked, sent('op1', 'd1', 'm1'), joined('v1', 'd1', 0)])).toEqual(['revoked']);
    expect(rulesOf([...CROWD, revoked, { kind: 'left', who: 'v1' }])).toEqual([]);
  });

  it('is a breach where a fence falls, in the order of the offsets', () => {
    const fenced = (id: string, offset: number, fence: number): Entry[] => [
      sent('backend', 'd1', id, { fence }),
      acked('backend', id, offset, { epoch: 'e1' }),
    ];
    const shown = ['v1', 'op1'].flatMap((who) => ['a', 'b', 'c'].map((id, i) => got(who, id, i + 1)));
    const end = [...['a', 'b', 'c'].map((id, i) => kept('d1', id, i + 1)), head('d1', 3)];
    // Answers come in any order; only the offsets count.
    const grown = [...fenced('c', 3, 7), ...fenced('a', 1, 5), ...fenced('b', 2, 5)];
    expect(rulesOf([...CROWD, ...grown, ...shown, ...end])).toEqual([]);
    const fallen = [...fenced('a', 1, 5), ...fenced('b', 2, 7), ...fenced('c', 3, 5)];
    expect(rulesOf([...CROWD, ...fallen, ...shown, ...end])).toEqual(['stale fence']);
  });
});
