import { beforeEach, describe, expect, it } from 'vitest';
import { type DeliveryFaults, DialogCheck, noFaults } from '../src/dialog-check.js';
import { OffsetTrack } from '../src/offset-track.js';

describe('DialogCheck', () => {
  let faults: DeliveryFaults;
  let check: DialogCheck<string>;
  let readers: OffsetTrack[];

  beforeEach(() => {
    faults = noFaults();
    check = new DialogCheck(faults);
    check.startEpoch('e1', 0);
    readers = [new OffsetTrack(), new OffsetTrack()];
  });

  /** Sends `count` messages, each acknowledged with the next offset. */
  const send = (count: number): void => {
    for (let i = 0; i < count; i += 1) {
      const { seq } = check.sent(0, 'a');
      check.acked(seq, seq + 1);
    }
  };
  const deliver = (reader: number, ...offsets: number[]): void => {
    for (const offset of offsets) check.received(readers[reader] as OffsetTrack, offset, offset - 1);
  };
  const found = (): Partial<DeliveryFaults> => {
    check.finish(readers);
    return Object.fromEntries(Object.entries(faults).filter(([, count]) => count > 0));
  };

  it('finds nothing where every reader has all in order', () => {
    send(5);
    deliver(0, 1, 2, 3, 4, 5);
    deliver(1, 1, 2, 3, 4, 5);
    expect(check.isSettled).toBe(true);
    expect(found()).toEqual({});
  });

  it('finds a publication that one reader missed, in the middle or at the end', () => {
    send(5);
    deliver(0, 1, 2, 4, 5);
    deliver(1, 1, 2, 3, 4);
    expect(found()).toEqual({ lost: 2 });
  });

  it('finds one that nobody received although it was acknowledged', () => {
    send(3);
    deliver(0, 1, 3);
    deliver(1, 1, 3);
    expect(check.isSettled).toBe(false);
    expect(found()).toEqual({ lost: 2, undelivered: 1 });
  });

  it('finds a publication that a reader received twice', () => {
    send(2);
    deliver(0, 1, 2, 2);
    deliver(1, 1, 2, 1);
    expect(found()).toEqual({ repeated: 2 });
  });

  it('finds a publication that came after a later one, and does not call it lost', () => {
    send(3);
    deliver(0, 1, 3, 2);
    deliver(1, 1, 2, 3);
    expect(found()).toEqual({ reordered: 1 });
  });

  it('finds one message that was published twice under two offsets', () => {
    send(1);
    const [reader] = readers as [OffsetTrack];
    check.received(reader, 1, 0);
    check.received(reader, 2, 0);
    readers = [reader];
    expect(found()).toEqual({ repeated: 1 });
  });

  it('finds an acknowledgement that names another offset than the delivery', () => {
    const { seq } = check.sent(0, 'a');
    check.received(readers[0] as OffsetTrack, 1, seq);
    check.acked(seq, 2);
    readers = [];
    expect(found()).toEqual({ mismatched: 1 });
  });

  it('finds what was sent and never acknowledged, and passes over what was refused', () => {
    check.sent(0, 'a');
    const { seq } = check.sent(0, 'a');
    check.refused(seq, false);
    expect(found()).toEqual({ unacked: 1 });
  });

  it('does not call it a repetition when a message that may have been stored is delivered after all', () => {
    const { seq } = check.sent(0, 'a');
    check.refused(seq, true);
    deliver(0, 1);
    deliver(1, 1);
    expect(found()).toEqual({});
  });

  it('takes an acknowledgement of a retry for what it is', () => {
    const { seq } = check.sent(0, 'a');
    expect(check.acked(seq, 1)).toBeDefined();
    expect(check.acked(seq, 1)).toBeUndefined();
    deliver(0, 1);
    deliver(1, 1);
    expect(check.acked(seq, 1)).toBeUndefined();
    expect(found()).toEqual({});
  });

  it('begins anew with an epoch, so that offsets may come again', () => {
    send(2);
    deliver(0, 1, 2);
    deliver(1, 1, 2);
    for (const reader of readers) reader.restart(0);
    check.startEpoch('e2', 0);
    const { seq } = check.sent(0, 'a');
    check.acked(seq, 1);
    for (const reader of readers) check.received(reader, 1, seq);
    expect(found()).toEqual({});
  });

  it('counts what is missing past its list of gaps', () => {
    const [reader] = readers as [OffsetTrack];
    reader.see(50_000);
    expect(reader.missingUpTo(50_001)).toBe(50_000);
  });
});
