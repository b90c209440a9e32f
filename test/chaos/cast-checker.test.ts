import { describe, expect, it } from 'vitest';
import { digestOf, type Entry, type HandoffAction } from './journal.js';
import { acked, digest, fault, got, head, joined, kept, member, rulesOf, sent } from './journal-fixture.js';

const CROWD: readonly Entry[] = [
  member('v1', 'd1', 'visitor'),
  member('op1', 'd1', 'operator'),
  member('op2', 'd1', 'operator'),
  joined('v1', 'd1'),
  joined('op1', 'd1'),
  joined('op2', 'd1'),
];

type Planted = readonly [string, readonly Entry[], readonly string[]];

describe('streamed answers', () => {
  const delta = (who: string, stream: string, index: number, more: object = {}): Entry =>
    ({ kind: 'delta', who, stream, index, whole: false, done: false, digest: '', ...more }) as Entry;
  const done = (who: string, stream: string, index: number, reason = 'finished', text = 'text'): Entry =>
    delta(who, stream, index, { done: true, reason, digest: digestOf(text) });
  const away: Entry = { kind: 'connecting', who: 'v1', main: { epoch: 'e1', offset: 0 } };
  const message: readonly Entry[] = [
    sent('bot', 'd1', 's1'),
    acked('bot', 's1', 1, { epoch: 'e1' }),
    ...['v1', 'op1', 'op2'].map((who) => got(who, 's1', 1)),
    kept('d1', 's1', 1),
    head('d1', 1),
  ];
  const pieces = [delta('v1', 's1', 0), delta('v1', 's1', 1)];
  const cases: readonly Planted[] = [
    ['nothing in a sound one', [...pieces, done('v1', 's1', 2), ...message], []],
    [
      'nothing in one that is given whole after a reconnect',
      [
        ...pieces,
        away,
        joined('v1', 'd1', 0, true),
        delta('v1', 's1', 3, { whole: true }),
        delta('v1', 's1', 4),
        done('v1', 's1', 5),
        ...message,
      ],
      [],
    ],
    ['a second end', [...pieces, done('v1', 's1', 2), done('v1', 's1', 2), ...message], ['after the end']],
    ['a piece after the end', [...pieces, done('v1', 's1', 2, 'aborted'), delta('v1', 's1', 2)], ['after the end']],
    [
      'a whole text after the end, on another connection',
      [
        ...pieces,
        done('v1', 's1', 2, 'aborted'),
        away,
        joined('v1', 'd1', 0, true),
        delta('v1', 's1', 1, { whole: true }),
        done('v1', 's1', 2, 'aborted'),
      ],
      ['after the end'],
    ],
    [
      'a piece that came twice',
      [...pieces, delta('v1', 's1', 1), done('v1', 's1', 2, 'aborted')],
      ['piece order', 'piece missing'],
    ],
    [
      'a piece left out',
      [delta('v1', 's1', 0), delta('v1', 's1', 2), done('v1', 's1', 3, 'aborted')],
      ['piece missing'],
    ],
    ['an answer that never ends', pieces, ['answer left open']],
    [
      'an end with another text than its message',
      [...pieces, done('v1', 's1', 2, 'finished', 'tex'), ...message],
      ['altered'],
    ],
    ['an answer that is gone though nothing was lost', [{ kind: 'gone', dialog: 'd1', id: 's1' }], ['stream lost']],
    [
      'nothing in one that an emptied Redis forgot',
      [fault('begins', true), { kind: 'gone', dialog: 'd1', id: 's1' }],
      [],
    ],
  ];
  it.each(cases)('finds %s', (_what, entries, rules) => {
    expect(rulesOf([...CROWD, ...entries])).toEqual(rules);
  });
});

describe('handoffs', () => {
  const acting = (who: string, id: string, action: HandoffAction): Entry => ({
    kind: 'acting',
    who,
    dialog: 'd1',
    id,
    action,
  });
  const acted = (who: string, id: string, done = true): Entry => ({ kind: 'acted', who, id, done });
  const act = (who: string, id: string, action: HandoffAction, done = true): Entry[] => [
    acting(who, id, action),
    acted(who, id, done),
  ];
  const both = [acting('op1', 'a', 'take'), acting('op2', 'b', 'take')];
  const says = (id: string, offset: number, more: object = {}): Entry[] => [
    sent('backend', 'd1', id, more),
    acked('backend', id, offset, { epoch: 'e1' }),
  ];
  const shown = (...ids: readonly string[]): Entry[] => [
    ...['v1', 'op1', 'op2'].flatMap((who) => ids.map((id, i) => got(who, id, i + 1))),
    ...ids.map((id, i) => kept('d1', id, i + 1)),
    head('d1', ids.length),
  ];
  const locked = (fence: number): Entry => ({
    kind: 'locked',
    who: 'w',
    dialog: 'd1',
    lock: `l${fence}`,
    fence,
    since: 0,
    forMs: 0,
  });
  const stepped = (id: string, step: 'start' | 'append', since: number): Entry => ({
    kind: 'stepped',
    dialog: 'd1',
    id,
    step,
    since,
  });
  const cases: readonly Planted[] = [
    ['nothing where one of two wins', [...both, acted('op1', 'a'), acted('op2', 'b', false)], []],
    ['two winners of one moment', [...both, acted('op1', 'a'), acted('op2', 'b')], ['handoff']],
    ['two holders one after the other', [...act('op1', 'a', 'take'), ...act('op2', 'b', 'take')], ['handoff']],
    [
      'nothing where a release lies between, answered late',
      [
        acting('op2', 'r', 'release'),
        ...act('op1', 'a', 'take'),
        acting('op2', 'b', 'take'),
        acted('op2', 'b'),
        acted('op2', 'r'),
      ],
      [],
    ],
    [
      'two winners with one release, which came before both',
      [...act('op1', 'r', 'release', false), ...both, acted('op1', 'a'), acted('op2', 'b')],
      ['handoff'],
    ],
    ['a conflict where nobody had the dialog', act('op1', 'a', 'take', false), ['handoff']],
    ['a cancelled request that nobody made', act('v1', 'c', 'cancel'), ['handoff']],
    ['an answer to what was never asked', [acted('op1', 'x')], ['ack of nothing']],
    [
      'nothing in the late effect of an attempt whose retry was refused',
      [
        ...act('op2', 'b', 'take'),
        acting('op1', 'a', 'take'),
        ...act('op1', 'a', 'take', false),
        ...act('op2', 'r', 'release'),
        ...act('op2', 'c', 'take', false),
      ],
      [],
    ],
    [
      'nothing in a state that an emptied Redis forgot, but what does not fit afterwards',
      [
        ...act('op1', 'a', 'take'),
        fault('begins', true),
        fault('ends', true),
        ...act('op2', 'b', 'take'),
        ...act('op1', 'c', 'take'),
      ],
      ['handoff'],
    ],
    [
      'an assistant that speaks while a person has the dialog',
      [...act('op1', 'a', 'take'), ...says('m1', 1), ...shown('m1')],
      ['spoke in between'],
    ],
    [
      'nothing where a release was under way',
      [...act('op1', 'a', 'take'), acting('op1', 'r', 'release'), ...says('m1', 1), acted('op1', 'r'), ...shown('m1')],
      [],
    ],
    [
      'a fence from before the take that is accepted after it',
      [
        locked(5),
        ...act('op1', 'a', 'take'),
        ...act('op1', 'r', 'release'),
        ...says('m1', 1, { fence: 5 }),
        ...shown('m1'),
      ],
      ['stale after take'],
    ],
    [
      'nothing in a fence that was given after the take',
      [...act('op1', 'a', 'take'), locked(5), ...says('m1', 1, { fence: 5 }), ...shown('m1')],
      [],
    ],
    [
      'a streamed answer that goes on after a take',
      [
        stepped('s1', 'start', 0),
        ...act('op1', 'a', 'take'),
        ...act('op1', 'r', 'release'),
        stepped('s1', 'append', 1_000),
      ],
      ['stale after take'],
    ],
    [
      'a receiver that does not know who has the dialog',
      [
        { kind: 'told', who: 'v1', state: 'active' },
        { kind: 'held', dialog: 'd1', state: 'released' },
      ],
      ['handoff behind'],
    ],
  ];
  it.each(cases)('finds %s', (_what, entries, rules) => {
    expect(rulesOf([...CROWD, ...entries])).toEqual(rules);
  });
});

describe('locks', () => {
  const locked = (who: string, fence: number, since: number, at: number, more: object = {}): Entry =>
    ({ kind: 'locked', who, dialog: 'd1', lock: `lock-${who}`, fence, since, forMs: 500, at, ...more }) as Entry;
  const cases: readonly Planted[] = [
    ['nothing where one follows another', [locked('w1', 5, 10, 12), locked('w2', 6, 500, 512)], []],
    [
      'a second holder while the first surely holds it',
      [locked('w1', 5, 10, 12), locked('w2', 6, 100, 300)],
      ['two holders'],
    ],
    [
      'a second holder within a renewed time',
      [locked('w1', 5, 10, 12), locked('w1', 5, 400, 410), locked('w2', 6, 700, 800)],
      ['two holders'],
    ],
    [
      'nothing after a release',
      [
        locked('w1', 5, 10, 12),
        { kind: 'unlocking', who: 'w1', dialog: 'd1', lock: 'lock-w1' },
        locked('w2', 6, 100, 110),
      ],
      [],
    ],
    ['a fence that does not grow', [locked('w1', 5, 10, 12), locked('w2', 5, 600, 610)], ['fence order']],
    [
      'nothing in fences that were asked for at once',
      [locked('w1', 6, 10, 600), locked('w2', 5, 20, 700, { forMs: 0 })],
      [],
    ],
  ];
  it.each(cases)('finds %s', (_what, entries, rules) => {
    expect(rulesOf([...CROWD, ...entries])).toEqual(rules);
  });
});

describe('the webhook', () => {
  const delivered = (id: string, offset: number, taken = true, more: object = {}): Entry =>
    ({ kind: 'delivered', dialog: 'd1', id, digest, epoch: 'e1', offset, taken, ...more }) as Entry;
  const written: readonly Entry[] = [1, 2].flatMap((n) => [
    sent('v1', 'd1', `m${n}`),
    acked('v1', `m${n}`, n),
    ...['v1', 'op1', 'op2'].map((who) => got(who, `m${n}`, n)),
  ]);
  const end = [kept('d1', 'm1', 1), kept('d1', 'm2', 2), head('d1', 2)];
  const cases: readonly Planted[] = [
    [
      'nothing where all came, some twice',
      [delivered('m1', 1, false), delivered('m1', 1), delivered('m2', 2), delivered('m1', 1)],
      [],
    ],
    ['a message that never came', [delivered('m1', 1)], ['not delivered']],
    [
      'a message that came and was never acknowledged',
      [delivered('m1', 1), delivered('m2', 2, false)],
      ['not delivered'],
    ],
    ['a message that came before an earlier one', [delivered('m2', 2), delivered('m1', 1)], ['delivery order']],
    ['a message with another text', [delivered('m1', 1), delivered('m2', 2, true, { digest: 'other' })], ['altered']],
    ['a message of another dialog', [delivered('m1', 1), delivered('m2', 2, true, { dialog: 'd2' })], ['leaked']],
    ['a message that nobody sent', [delivered('m1', 1), delivered('m2', 2), delivered('ghost', 3)], ['unknown']],
  ];
  it.each(cases)('finds %s', (_what, entries, rules) => {
    expect(rulesOf([...CROWD, ...written, ...entries, ...end])).toEqual(rules);
  });

  it('owes nothing that was sent before a fault that loses data was over', () => {
    const lost = [fault('begins', true), fault('ends', true)];
    expect(rulesOf([...CROWD, ...written, delivered('m1', 1), ...lost, ...end])).toEqual([]);
  });
});

describe('a token that is revoked', () => {
  const REVOKED: Entry = { kind: 'revoked', name: 'p1', pass: 'p1', withinMs: 15 };
  const connecting = (pass: string, node = 0): Entry => ({ kind: 'connecting', who: 'v1', node, pass });
  const wait = [head('d2', 0), head('d2', 0)];
  const writes = [
    sent('v1', 'd1', 'm1'),
    acked('v1', 'm1', 1),
    ...['v1', 'op1', 'op2'].map((who) => got(who, 'm1', 1)),
  ];
  const end = [kept('d1', 'm1', 1), head('d1', 1)];
  const on = (name: string, phase: 'begins' | 'ends', node?: number): Entry =>
    ({ kind: 'fault', name, phase, losesData: false, ...(node === undefined ? {} : { node }) }) as Entry;
  const cases: readonly Planted[] = [
    ['a message on its connection, late', [connecting('p1'), REVOKED, ...wait, ...writes, ...end], ['revoked']],
    [
      'nothing on a connection with the next token',
      [connecting('p1'), REVOKED, connecting('p2'), ...wait, ...writes, ...end],
      [],
    ],
    [
      'nothing in an answer that is read late',
      [connecting('p1'), REVOKED, ...writes.slice(0, 1), ...wait, ...writes.slice(1), ...end],
      [],
    ],
    ['a connection with it', [REVOKED, ...wait, connecting('p1'), joined('v1', 'd1')], ['revoked']],
    [
      'a handoff on its connection',
      [
        connecting('p1'),
        REVOKED,
        ...wait,
        { kind: 'acting', who: 'v1', dialog: 'd1', id: 'h', action: 'request' },
        { kind: 'acted', who: 'v1', id: 'h', done: true },
      ],
      ['revoked'],
    ],
    [
      'nothing while its node is cut off, and right after',
      [
        connecting('p1'),
        REVOKED,
        on('net-blackhole', 'begins', 0),
        ...wait,
        ...writes.slice(0, 2),
        on('net-blackhole', 'ends', 0),
        ...writes.slice(2),
        ...end,
      ],
      [],
    ],
    [
      'nothing right after its node said that it is unavailable',
      [
        connecting('p1'),
        REVOKED,
        ...wait,
        ...writes.slice(0, 1),
        { kind: 'refused', who: 'v1', id: 'm1', code: 'unavailable', temporary: true },
        ...writes.slice(1),
        ...end,
      ],
      [],
    ],
    [
      'a message long after its node said so',
      [
        connecting('p1'),
        REVOKED,
        { kind: 'refused', who: 'v1', id: 'm1', code: 'unavailable', temporary: true },
        ...wait,
        ...writes,
        ...end,
      ],
      ['revoked'],
    ],
    [
      'what another node or a client suffers to be no excuse',
      [
        connecting('p1'),
        REVOKED,
        on('net-blackhole', 'begins', 1),
        on('client-slow', 'begins'),
        ...wait,
        ...writes,
        ...end,
      ],
      ['revoked'],
    ],
    [
      'nothing where it was sent away',
      [connecting('p1'), { kind: 'revoking', name: 'p1', pass: 'p1' }, { kind: 'left', who: 'v1' }],
      [],
    ],
    [
      'one that was sent away with another token',
      [connecting('p2'), { kind: 'revoking', name: 'p1', pass: 'p1' }, { kind: 'left', who: 'v1' }],
      ['sent away'],
    ],
  ];
  it.each(cases)('finds %s', (_what, entries, rules) => {
    expect(rulesOf([...CROWD, ...entries])).toEqual(rules);
  });
});
