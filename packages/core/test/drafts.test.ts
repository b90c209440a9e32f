import { BOUNDS } from '@replyx/protocol';
import { describe, expect, it } from 'vitest';
import { type DraftReader, Drafts } from '../src/drafts.js';
import { encodeFrame } from '../src/frame-text.js';
import type { OpenStream } from '../src/stream-port.js';
import { away, Calls, settle, textOf } from './fakes.js';

class Reader implements DraftReader {
  isJoined = true;
  readonly outbox = { isBehind: false };
  readonly frames: { index: number; text: string; whole?: true }[] = [];

  write(frame: string | Uint8Array): void {
    this.frames.push(JSON.parse(textOf(frame)));
  }

  /** What a client that follows the rule has. */
  get text(): string {
    return this.frames.reduce((text, frame) => (frame.whole === true ? frame.text : text + frame.text), '');
  }

  get indexes(): (number | string)[] {
    return this.frames.map(({ index, whole }) => (whole === true ? `${index} whole` : index));
  }
}

const delta = (index: number, text: string, streamId = 's') => ({
  kind: 'delta' as const,
  dialogId: 'd',
  streamId,
  index,
  done: false,
  frame: new TextEncoder().encode(encodeFrame({ type: 'delta', stream_id: streamId, index, text })),
});
const last = (index: number, streamId = 's') => ({ ...delta(index, '', streamId), done: true });

const setUp = (readers = [new Reader()]) => {
  const loads = new Calls<undefined, readonly OpenStream[]>();
  const time = { nowMs: 0 };
  const drafts = new Drafts('d', { openStreams: () => loads.ask(undefined), monotonicMs: () => time.nowMs });
  const all = () => readers;
  const arrive = (one: ReturnType<typeof delta>) => drafts.arrive(one, readers);
  return {
    drafts,
    loads,
    time,
    readers,
    reader: readers[0] as Reader,
    arrive,
    /** A first piece comes, of a stream of which the store then knows nothing. */
    miss: async () => {
      arrive(delta(0, 'a'));
      const done = drafts.refresh(all);
      loads.next().answer([]);
      await done;
    },
    refresh: () => drafts.refresh(all),
    complete: () => drafts.complete(all),
    tick: () => drafts.tick(readers),
  };
};

describe('pieces', () => {
  it('are passed on as they come, each once', () => {
    const { arrive, reader } = setUp();
    for (const one of [delta(0, 'a'), delta(1, 'b'), delta(1, 'b'), delta(0, 'a'), delta(2, 'c')]) arrive(one);
    expect(reader.indexes).toEqual([0, 1, 2]);
    expect(reader.text).toBe('abc');
  });

  it('of two streams are told apart', () => {
    const { arrive, reader } = setUp();
    for (const one of [delta(0, 'a'), delta(0, 'x', 't'), delta(1, 'b'), delta(1, 'y', 't')]) arrive(one);
    expect(reader.indexes).toEqual([0, 0, 1, 1]);
  });

  it('end with the last delta, which is for all, and what is late is a stream of its own to nobody', () => {
    const { arrive, drafts } = setUp();
    arrive(delta(0, 'a'));
    expect(arrive(last(1))).toBe(true);
    expect(drafts.isEmpty).toBe(true);
  });

  it('are left out for one who is behind, who then gets the whole text with the next', () => {
    const { arrive, reader } = setUp();
    arrive(delta(0, 'a'));
    reader.outbox.isBehind = true;
    arrive(delta(1, 'b'));
    arrive(delta(2, 'c'));
    reader.outbox.isBehind = false;
    arrive(delta(3, 'd'));
    arrive(delta(4, 'e'));
    expect(reader.indexes).toEqual([0, '3 whole', 4]);
    expect(reader.text).toBe('abcde');
  });

  it('that one who is behind lacks are given by a tick where nothing follows', () => {
    const { arrive, drafts, reader, tick } = setUp();
    drafts.foundNothing();
    reader.outbox.isBehind = true;
    arrive(delta(0, 'a'));
    tick();
    expect(reader.indexes).toEqual([]);
    reader.outbox.isBehind = false;
    expect(tick()).toEqual({ needsLook: false, ended: [] });
    tick();
    expect(reader.indexes).toEqual(['0 whole']);
  });
});

describe('one who joins', () => {
  it('is given everything so far, then goes on at the next index', () => {
    const late = new Reader();
    const { arrive, drafts, readers } = setUp([new Reader()]);
    arrive(delta(0, 'a'));
    arrive(delta(1, 'b'));
    drafts.greet(late);
    readers.push(late);
    arrive(delta(2, 'c'));
    expect(late.indexes).toEqual(['1 whole', 2]);
    expect(late.text).toBe('abc');
  });

  it('gets nothing before it has joined', () => {
    const { arrive, drafts, reader } = setUp();
    reader.isJoined = false;
    arrive(delta(0, 'a'));
    arrive(delta(1, 'b'));
    reader.isJoined = true;
    drafts.greet(reader);
    expect(reader.indexes).toEqual(['1 whole']);
  });

  it('is forgotten when it leaves', () => {
    const { arrive, drafts, reader } = setUp();
    arrive(delta(0, 'a'));
    drafts.forget(reader);
    drafts.greet(reader);
    expect(reader.indexes).toEqual([0, '0 whole']);
  });
});

describe('a node that begins in the middle', () => {
  it('reads the store, and joins what came meanwhile, whichever is ahead', async () => {
    for (const stored of [1, 2, 3, 4]) {
      const { arrive, complete, loads, reader } = setUp();
      const done = complete();
      arrive(delta(3, 'd'));
      arrive(delta(4, 'e'));
      expect(reader.frames).toEqual([]);
      loads.next().answer([{ streamId: 's', index: stored, text: 'abcde'.slice(0, stored + 1) }]);
      await done;
      arrive(delta(5, 'f'));
      if (stored === 1) {
        // One piece is missing still: it was told before the channel was followed, or lost.
        expect(reader.text).toBe('ab');
        continue;
      }
      expect(reader.text).toBe('abcdef');
      expect(reader.indexes).toEqual(['4 whole', 5]);
    }
  });

  it('does not bring back what has ended while the store was read', async () => {
    const { arrive, complete, drafts, loads, reader } = setUp();
    const done = complete();
    expect(arrive(last(3))).toBe(true);
    loads.next().answer([{ streamId: 's', index: 2, text: 'abc' }]);
    await done;
    expect([drafts.isEmpty, reader.frames]).toEqual([true, []]);
  });

  it('reads the store once for all who join, and no more once it has everything', async () => {
    const { complete, loads } = setUp();
    const joins = [complete(), complete()];
    loads.next().answer([]);
    await Promise.all(joins);
    await complete();
    expect(loads.count).toBe(1);
  });

  it('needs no read where nothing was open when it began', async () => {
    const { complete, drafts, loads } = setUp();
    drafts.foundNothing();
    await complete();
    expect(loads.count).toBe(0);
    drafts.doubt();
    const done = complete();
    loads.next().fail(away());
    await expect(done).rejects.toThrow('away');
    const again = complete();
    loads.next().answer([]);
    await again;
  });
});

describe('a lost piece', () => {
  it('is read from the store; nothing goes out of order meanwhile', async () => {
    const { arrive, drafts, loads, reader, refresh } = setUp();
    arrive(delta(0, 'a'));
    arrive(delta(2, 'c'));
    expect(drafts.hasGap).toBe(true);
    const done = refresh();
    arrive(delta(3, 'd'));
    expect(reader.indexes).toEqual([0]);
    loads.next().answer([{ streamId: 's', index: 2, text: 'abc' }]);
    await done;
    expect([reader.text, drafts.hasGap]).toEqual(['abcd', false]);
    expect(reader.indexes).toEqual([0, '3 whole']);
  });

  it('is asked for again by a tick, after a read that failed', async () => {
    const { arrive, loads, refresh, tick } = setUp();
    arrive(delta(1, 'b'));
    const done = refresh();
    loads.next().fail(away());
    await expect(done).rejects.toThrow('away');
    expect(tick().needsLook).toBe(true);
  });
});

describe('a lost end', () => {
  it('is found by a look after the idle time, and told once', async () => {
    const { arrive, drafts, loads, reader, refresh, tick, time } = setUp();
    drafts.foundNothing();
    arrive(delta(0, 'a'));
    time.nowMs = BOUNDS.streamIdleMs;
    expect(tick().needsLook).toBe(false);
    time.nowMs += 2_000;
    expect(tick().needsLook).toBe(true);
    const done = refresh();
    arrive(delta(0, 'x', 'young'));
    loads.next().answer([]);
    await done;
    time.nowMs += 4_999;
    expect(tick().ended).toEqual([]);
    time.nowMs += 1;
    const { ended } = tick();
    expect(ended.map((one) => [JSON.parse(one.frame), one.readers])).toEqual([
      [{ type: 'delta', stream_id: 's', index: 1, text: '', done: true }, [reader]],
    ]);
    expect(tick().ended).toEqual([]);
    // Its own last delta, and what else is late, is nobody's any more; one that began meanwhile lives.
    expect([arrive(last(1)), arrive(delta(1, 'b'))]).toEqual([false, false]);
    expect(drafts.isEmpty).toBe(false);
  });

  it('is looked for by each tick while something may have been lost, also when a read fails or had begun before', async () => {
    const { arrive, complete, drafts, loads, refresh, tick } = setUp();
    drafts.foundNothing();
    arrive(delta(0, 'a'));
    expect(tick().needsLook).toBe(false);
    const early = refresh();
    drafts.doubt();
    loads.next().answer([{ streamId: 's', index: 0, text: 'a' }]);
    await early;
    expect(tick().needsLook).toBe(true);
    const failed = refresh();
    loads.next().fail(away());
    await expect(failed).rejects.toThrow('away');
    expect(tick().needsLook).toBe(true);
    const done = complete();
    loads.next().answer([]);
    await done;
    expect(tick().needsLook).toBe(false);
  });

  it('is looked for where nothing is open by a registration', async () => {
    const { arrive, complete, drafts, loads, tick, time } = setUp();
    drafts.foundNothing();
    arrive(delta(0, 'a'));
    // The answer is older than the piece, or the end was lost: only the store knows.
    drafts.foundNothing();
    const done = complete();
    loads.next().answer([]);
    await done;
    time.nowMs += 5_000;
    expect(tick().ended).toHaveLength(1);
  });

  it('shows the answer to nobody who comes while it is not known whether it lives, and is told to none of them', async () => {
    const { drafts, miss, reader, readers, tick, time } = setUp();
    await miss();
    const late = new Reader();
    drafts.greet(late);
    readers.push(late);
    tick();
    expect(late.frames).toEqual([]);
    time.nowMs += 5_000;
    expect(tick().ended.map((one) => one.readers)).toEqual([[reader]]);
  });

  it('of an answer that lives after all is no end: who came meanwhile is given it whole', async () => {
    const { arrive, drafts, miss, readers } = setUp();
    await miss();
    const late = new Reader();
    drafts.greet(late);
    readers.push(late);
    arrive(delta(1, 'b'));
    expect(late.indexes).toEqual(['1 whole']);
  });

  it('that comes late after all is the one that is told', async () => {
    const { arrive, miss, tick, time } = setUp();
    await miss();
    expect(arrive(last(1))).toBe(true);
    time.nowMs += 10_000;
    expect(tick().ended).toEqual([]);
  });
});

it('a node keeps no more drafts than its bound, and tells the end of those it lets go', async () => {
  const { arrive, tick, time } = setUp();
  const most = 4 * BOUNDS.openStreams;
  for (let number = 0; number < most + 3; number += 1) {
    time.nowMs += 1;
    arrive(delta(0, 'a', `s${number}`));
    tick();
  }
  await settle();
  expect(tick().ended).toEqual([]);
  expect([0, 1, 2].map((number) => arrive(last(1, `s${number}`)))).toEqual([false, false, false]);
  expect(arrive(last(1, 's3'))).toBe(true);
});
