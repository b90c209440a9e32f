import { seededRandom } from '@replyx/testkit';
import { describe, expect, it } from 'vitest';
import type { Log, ReadRequest, ReadResult } from '../src/ports.js';
import { abandonPlan, catchUp, isWhole, planRecovery, type ResumePoint } from '../src/recovery.js';
import { away, liveFeed, offsets, Recorder, ScriptedLog, settle, TrackModel } from './fakes.js';

const page = (model: TrackModel, after: number, limit = 100): ReadResult => model.read({ after, limit });

/** A feed at the model's head, and a session that catches up from `from`; reads of the catch-up are answered by hand. */
const catchingUp = async (model: TrackModel, from: number, reader = new Recorder(from)) => {
  const parts = await liveFeed(model);
  parts.feed.detach(parts.reader);
  parts.feed.holdTail();
  const log = new ScriptedLog();
  const start = () => catchUp(parts.feed, reader, page(model, from), { log, retry: parts.retry });
  const answer = (result?: ReadResult) => {
    const { request, answer: give } = log.reads.next();
    give(result ?? model.read(request));
    return settle();
  };
  return { ...parts, feedLog: parts.log, log, reader, start, answer };
};

describe('isWhole', () => {
  it.each<[string, string, number, { epoch: string; offset: number; oldest: number }, boolean]>([
    ['at the head', 'e1', 9, { epoch: 'e1', offset: 9, oldest: 1 }, true],
    ['at the head, nothing kept', 'e1', 9, { epoch: 'e1', offset: 9, oldest: 10 }, true],
    ['one behind, nothing kept', 'e1', 8, { epoch: 'e1', offset: 9, oldest: 10 }, false],
    ['behind, all kept', 'e1', 0, { epoch: 'e1', offset: 9, oldest: 1 }, true],
    ['just before the oldest', 'e1', 4, { epoch: 'e1', offset: 9, oldest: 5 }, true],
    ['two before the oldest', 'e1', 3, { epoch: 'e1', offset: 9, oldest: 5 }, false],
    ['beyond the head', 'e1', 10, { epoch: 'e1', offset: 9, oldest: 1 }, false],
    ['another epoch', 'e0', 9, { epoch: 'e1', offset: 9, oldest: 1 }, false],
    ['the beginning of an empty track', 'e1', 0, { epoch: 'e1', offset: 0, oldest: 1 }, true],
  ])('%s', (_, epoch, offset, head, expected) => {
    expect(isWhole({ epoch, offset }, head)).toBe(expected);
  });
});

describe('planRecovery', () => {
  it.each<[string, ResumePoint]>([
    ['no position', undefined],
    ['a malformed position', 'malformed'],
  ])('starts %s at the head without a read', async (_, from) => {
    const { feed } = await liveFeed(new TrackModel('e1', 3));
    const log = new ScriptedLog();
    expect(await planRecovery(feed, from, log)).toMatchObject({ recovered: false, firstPage: undefined });
    expect(log.reads.count).toBe(0);
  });

  it.each<[string, ResumePoint, boolean]>([
    ['where it left off', { epoch: 'e1', offset: 2 }, true],
    ['at the head', { epoch: 'e1', offset: 5 }, true],
    ['beyond the head', { epoch: 'e1', offset: 6 }, false],
    ['in another epoch', { epoch: 'e0', offset: 2 }, false],
  ])('of a client %s', async (_, from, recovered) => {
    const model = new TrackModel('e1', 5);
    const { feed } = await liveFeed(model);
    const log = new ScriptedLog();
    const planned = planRecovery(feed, from, log);
    const { request, answer } = log.reads.next();
    expect(request.known).toEqual({ epoch: 'e1', offset: 5 });
    answer(model.read(request));
    const plan = await planned;
    expect(plan.recovered).toBe(recovered);
    feed.arrive(model.publish());
    // The tail is held for as long as there is a plan to carry out.
    expect(feed.tailAfter(5) !== undefined).toBe(recovered);
    abandonPlan(feed, plan);
    expect(feed.tailAfter(5)).toBeUndefined();
  });

  it('brings the feed to the epoch that the store names before it judges', async () => {
    const model = new TrackModel('e1', 5);
    const { feed, log: feedLog } = await liveFeed(model);
    const log = new ScriptedLog();
    model.epoch = 'e2';
    const planned = planRecovery(feed, { epoch: 'e2', offset: 3 }, log);
    log.reads.next().answer(page(model, 3));
    await settle();
    feedLog.reads.next().answer(page(model, 5));
    await settle();
    log.reads.next().answer(page(model, 3));
    expect(await planned).toMatchObject({ recovered: true, from: 3 });
    expect(feed.position).toEqual({ epoch: 'e2', offset: 5 });
  });

  it('gives up on an epoch that changes with every read', async () => {
    const model = new TrackModel('e0', 5);
    const { feed, log: feedLog } = await liveFeed(model);
    const log = new ScriptedLog();
    const planned = planRecovery(feed, { epoch: 'x', offset: 3 }, log);
    for (let i = 1; i <= 3; i += 1) {
      model.epoch = `a${i}`;
      log.reads.next().answer(page(model, 3));
      await settle();
      model.epoch = `b${i}`;
      feedLog.reads.next().answer(page(model, 5));
      await settle();
    }
    expect(await planned).toMatchObject({ recovered: false });
    feed.arrive(model.publish());
    expect(feed.tailAfter(5)).toBeUndefined();
  });

  it('lets go of the tail when the read fails', async () => {
    const model = new TrackModel('e1', 5);
    const { feed } = await liveFeed(model);
    const log = new ScriptedLog();
    const planned = planRecovery(feed, { epoch: 'e1', offset: 3 }, log);
    log.reads.next().fail(away());
    await expect(planned).rejects.toThrow('away');
    feed.arrive(model.publish());
    expect(feed.tailAfter(5)).toBeUndefined();
  });
});

describe('catchUp', () => {
  it('gives the first page and attaches before the first await', async () => {
    const model = new TrackModel('e1', 5);
    const { feed, reader, start } = await catchingUp(model, 2);
    const done = start();
    expect(reader.got).toEqual(offsets('e1', 3, 5));
    expect(feed.subscriberCount).toBe(1);
    await done;
  });

  it('bridges what came since the page from the tail, without a read', async () => {
    const model = new TrackModel('e1', 5);
    const { feed, reader, log } = await catchingUp(model, 2);
    const first = page(model, 2);
    for (let i = 0; i < 3; i += 1) feed.arrive(model.publish());
    await catchUp(feed, reader, first, { log, retry: async () => undefined });
    feed.arrive(model.publish());
    expect(reader.got).toEqual(offsets('e1', 3, 9));
  });

  it('does not repeat what its page has and the feed gets later', async () => {
    const model = new TrackModel('e1', 5);
    const { feed, reader, start } = await catchingUp(model, 2);
    const late = [model.publish(), model.publish()];
    await start();
    for (const delivery of late) feed.arrive(delivery);
    feed.arrive(model.publish());
    expect(reader.got).toEqual(offsets('e1', 3, 8));
  });

  it('pages a client that is far behind at the speed at which it drains', async () => {
    const model = new TrackModel('e1', 350);
    const { feed, reader, log, start, answer } = await catchingUp(model, 0);
    reader.onDeliver = () => {
      if (reader.got.length % 60 === 0) reader.isWritable = false;
    };
    const done = start();
    await settle();
    while (feed.subscriberCount === 0) {
      expect(log.reads.open).toBe(0);
      expect(reader.isWaiting).toBe(true);
      reader.drain();
      await settle();
      if (log.reads.open > 0) await answer();
    }
    await done;
    expect(reader.got).toEqual(offsets('e1', 1, 350));
  });

  it('asks for smaller pages where publications are large', async () => {
    const model = new TrackModel('e1', 0);
    model.frameBytes = 20_000;
    for (let i = 0; i < 200; i += 1) model.append();
    const { reader, log, start } = await catchingUp(model, 0);
    reader.isWritable = false;
    void start();
    reader.drain();
    await settle();
    expect(log.reads.next().request.limit).toBe(6);
  });

  it('reaches live while 2,000 publications a second flow', async () => {
    const model = new TrackModel('e1', 3_000);
    const { feed, reader, log, start } = await catchingUp(model, 0);
    const done = start();
    await settle();
    let reads = 0;
    // Five milliseconds a read: ten publications come in the meantime.
    for (; feed.subscriberCount === 0; reads += 1) {
      if (reads > 100) throw new Error('it never reaches live');
      const read = log.reads.next();
      const result = model.read(read.request);
      for (let i = 0; i < 10; i += 1) feed.arrive(model.publish());
      read.answer(result);
      await settle();
    }
    await done;
    for (let i = 0; i < 10; i += 1) feed.arrive(model.publish());
    expect(reader.got).toEqual(offsets('e1', 1, model.offset));
  });

  it('reaches live although the feed fills all the while', async () => {
    const model = new TrackModel('e1', 250);
    const { feed, feedLog, reader, start, answer } = await catchingUp(model, 0);
    feed.refill('verify');
    const pending = feedLog.reads.next();
    const verified = model.read(pending.request);
    const done = start();
    await settle();
    feed.arrive(model.publish());
    await answer();
    await answer();
    await done;
    pending.answer(verified);
    await feed.settled();
    feed.arrive(model.publish());
    expect(reader.got).toEqual(offsets('e1', 1, 252));
  });

  it('announces it when history is trimmed past its cursor', async () => {
    const model = new TrackModel('e1', 300);
    const { feed, reader, start, answer } = await catchingUp(model, 0);
    const done = start();
    await settle();
    model.historySize = 50;
    feed.arrive(model.publish());
    await answer();
    await done;
    feed.arrive(model.publish());
    expect(reader.got.slice(100)).toEqual(['reset e1:301 history_lost', 'e1:302']);
  });

  it('announces a new epoch that the store names first', async () => {
    const model = new TrackModel('e1', 300);
    const { feed, feedLog, reader, start, answer } = await catchingUp(model, 0);
    const done = start();
    await settle();
    model.epoch = 'e2';
    await answer();
    feedLog.reads.next().answer(page(model, 300));
    await done;
    feed.arrive(model.publish());
    expect(reader.got.slice(100)).toEqual(['reset e2:300 new_epoch', 'e2:301']);
  });

  it('announces a new epoch that the feed finds first, however near the end it is', async () => {
    const model = new TrackModel('e1', 5);
    const { feed, feedLog, reader, log } = await catchingUp(model, 2);
    const first = page(model, 2);
    model.epoch = 'e2';
    feed.arrive(model.publish());
    feedLog.reads.next().answer(page(model, 5));
    await feed.settled();
    const done = catchUp(feed, reader, first, { log, retry: async (attempt) => attempt() });
    await settle();
    log.reads.next().answer(page(model, 5));
    await settle();
    feedLog.reads.next().answer(page(model, 6));
    await done;
    feed.arrive(model.publish());
    expect(reader.got).toEqual([...offsets('e1', 3, 5), 'reset e2:6 new_epoch', 'e2:7']);
  });

  it('retries its reads while the backplane is away', async () => {
    const model = new TrackModel('e1', 150);
    const { feed, reader, log, clock, start, answer } = await catchingUp(model, 0);
    const done = start();
    await settle();
    for (let i = 0; i < 4; i += 1) {
      log.reads.next().fail(away());
      await clock.advanceAsync(2_000);
    }
    await answer();
    await done;
    expect(reader.got).toEqual(offsets('e1', 1, 150));
    expect(feed.subscriberCount).toBe(1);
  });

  type Stage = (parts: Awaited<ReturnType<typeof catchingUp>>) => Promise<unknown> | undefined;
  it.each<[string, Stage]>([
    [
      'before it begins',
      ({ reader, start }) => {
        reader.close();
        return start();
      },
    ],
    [
      'while it gets its first page',
      ({ reader, start }) => {
        reader.onDeliver = () => reader.close();
        return start();
      },
    ],
    [
      'while it waits to be writable',
      async ({ reader, start }) => {
        reader.isWritable = false;
        const done = start();
        await settle();
        reader.close();
        return done;
      },
    ],
    [
      'while a page is read',
      async ({ reader, log, start }) => {
        const done = start();
        await settle();
        reader.close();
        log.reads.next().answer(page(new TrackModel('e1', 300), 100));
        return done;
      },
    ],
    [
      'while the backplane is away',
      async ({ reader, log, clock, start }) => {
        const done = start();
        await settle();
        log.reads.next().fail(away());
        await settle();
        reader.close();
        await clock.advanceAsync(5_000);
        return done;
      },
    ],
    [
      'while a new epoch is looked up',
      async ({ reader, log, feedLog, start }) => {
        const done = start();
        await settle();
        const other = new TrackModel('e2', 300);
        log.reads.next().answer(page(other, 100));
        await settle();
        reader.close();
        feedLog.reads.next().answer(page(other, 300));
        return done;
      },
    ],
  ])('leaves nothing behind when the session closes %s', async (_, stage) => {
    const model = new TrackModel('e1', 300);
    const parts = await catchingUp(model, 0);
    await stage(parts);
    const { feed, reader } = parts;
    const had = reader.got.length;
    feed.arrive({ ...model.publish(), epoch: feed.position.epoch, offset: feed.position.offset + 1 });
    expect([feed.subscriberCount, reader.got.length]).toEqual([0, had]);
    expect(feed.tailAfter(feed.position.offset - 1)).toBeUndefined();
  });

  it('brings readers of every speed to live, each publication once and in order', async () => {
    for (let seed = 1; seed <= 100; seed += 1) {
      const random = seededRandom(seed);
      const model = new TrackModel('e1', random.below(400));
      const parts = await liveFeed(model);
      const { feed, retry } = parts;
      const reads: (() => void)[] = [];
      const log: Pick<Log, 'read'> = {
        read: (request: ReadRequest) =>
          new Promise((resolve) => {
            reads.push(() => resolve(model.read(request)));
          }),
      };
      const from = random.below(model.offset + 1);
      const reader = new Recorder(from);
      reader.onDeliver = () => {
        if (random.float() < 0.05) reader.isWritable = false;
      };
      feed.holdTail();
      let done = false;
      void catchUp(feed, reader, page(model, from), { log: log as Log, retry }).then(() => {
        done = true;
      });
      for (let step = 0; step < 2_000 && !done; step += 1) {
        const roll = random.float();
        if (roll < 0.3) feed.arrive(model.publish());
        else if (roll < 0.6) reader.drain();
        else reads.shift()?.();
        await Promise.resolve();
        if (roll > 0.9) await settle();
      }
      expect(done, `seed ${seed}`).toBe(true);
      feed.arrive(model.publish());
      expect(reader.got, `seed ${seed}`).toEqual(offsets('e1', from + 1, model.offset));
    }
  });
});
