import { describe, expect, it } from 'vitest';
import { assertDelivery, checkDelivery, type DeliveryEntry, PositionTracker } from '../src/index.js';

const acknowledged = ['a', 'b', 'c'].map((key, index) => ({ key, offset: index + 1 }));

function log(reader: string, ...offsets: [string, number][]): { reader: string; entries: DeliveryEntry[] } {
  const start: DeliveryEntry = { kind: 'start', epoch: 'e', offset: 0 };
  const rest = offsets.map(([key, offset]): DeliveryEntry => ({ kind: 'publication', epoch: 'e', offset, key }));
  return { reader, entries: [start, ...rest] };
}

const whole = log('whole', ['a', 1], ['b', 2], ['c', 3]);

describe('checkDelivery', () => {
  it('passes a delivery without a fault', () => {
    expect(checkDelivery({ readers: [whole, { ...whole, reader: 'other' }], acknowledged })).toEqual([]);
  });

  const planted: [string, ReturnType<typeof log>, RegExp][] = [
    ['a lost tail', log('r', ['a', 1], ['b', 2]), /lost: r never got c/],
    ['a hole', log('r', ['a', 1], ['c', 3]), /gap: r: c at offset 3 after offset 1/],
    ['a duplicate', log('r', ['a', 1], ['b', 2], ['b', 2], ['c', 3]), /2 times: r got b/],
    ['a duplicate at a new offset', log('r', ['a', 1], ['b', 2], ['c', 3], ['a', 4]), /2 times: r got a/],
    ['a reversal', log('r', ['b', 2], ['a', 1], ['c', 3]), /not in order/],
    ['another order', log('r', ['b', 1], ['a', 2], ['c', 3]), /two orders: e:1/],
    ['a foreign message', log('r', ['a', 1], ['b', 2], ['c', 3], ['x', 4]), /foreign: r got x/],
    ['an offset that is not the acknowledged one', log('r', ['b', 1]), /b came at offset 1, acknowledged at 2/],
  ];
  it.each(planted)('finds %s', (_name, reader, fault) => {
    const faults = checkDelivery({ readers: [whole, reader], acknowledged });
    expect(faults.join('\n')).toMatch(fault);
    expect(() => assertDelivery({ readers: [whole, reader], acknowledged })).toThrow(fault);
  });

  it('finds one offset acknowledged to two messages', () => {
    const twice = [...acknowledged, { key: 'd', offset: 3 }];
    expect(checkDelivery({ readers: [], acknowledged: twice }).join()).toMatch(/acknowledged twice: offset 3/);
  });

  it('expects of a reader that starts late what follows its start only', () => {
    const late = {
      reader: 'late',
      entries: [{ kind: 'start', epoch: 'e', offset: 2 } as const, ...log('', ['c', 3]).entries.slice(1)],
    };
    expect(checkDelivery({ readers: [whole, late], acknowledged })).toEqual([]);
  });

  it('allows a break that a reset announces', () => {
    const reset: DeliveryEntry = { kind: 'start', epoch: 'f', offset: 2 };
    const last: DeliveryEntry = { kind: 'publication', epoch: 'f', offset: 3, key: 'c' };
    const reader = { reader: 'r', entries: [...log('', ['a', 1]).entries, reset, last] };
    expect(checkDelivery({ readers: [reader], acknowledged })).toEqual([]);
  });

  it('allows a missing tail, not a hole, while readers may be behind', () => {
    const readers = [log('r', ['a', 1], ['b', 2])];
    expect(checkDelivery({ readers, acknowledged, complete: false })).toEqual([]);
  });

  it('accepts what was sent and not acknowledged, once', () => {
    const readers = [log('r', ['a', 1], ['b', 2], ['c', 3], ['u', 4])];
    expect(checkDelivery({ readers, acknowledged, maybe: ['u'] })).toEqual([]);
  });
});

describe('PositionTracker', () => {
  it('keeps the old position after a recovery until the missed publications have come', () => {
    const tracker = new PositionTracker({ epoch: 'e', offset: 3 }, undefined, true);
    tracker.see({ type: 'connected', epoch: 'e', offset: 5, recovered: true });
    expect(tracker.main).toEqual({ epoch: 'e', offset: 3 });
    tracker.see({ type: 'message', id: 'x', offset: 4, sender: { role: 'user', id: 'v' } });
    expect(tracker.main).toEqual({ epoch: 'e', offset: 4 });
    expect(tracker.entries.main).toEqual([{ kind: 'publication', epoch: 'e', offset: 4, key: 'user/v/x' }]);
  });

  it('starts anew where nothing was recovered, and at a reset of either track', () => {
    const tracker = new PositionTracker({ epoch: 'e', offset: 3 }, undefined, true);
    tracker.see({ type: 'connected', epoch: 'f', offset: 9, recovered: false, internal: { epoch: 'n', offset: 1 } });
    expect([tracker.main, tracker.internal]).toEqual([
      { epoch: 'f', offset: 9 },
      { epoch: 'n', offset: 1 },
    ]);
    tracker.see({ type: 'reset', track: 'internal', epoch: 'm', offset: 4 });
    expect(tracker.internal).toEqual({ epoch: 'm', offset: 4 });
  });
});
