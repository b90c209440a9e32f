import { seededRandom } from '@replyx/testkit';
import { describe, expect, it } from 'vitest';
import type { AwaitedHead, Feed } from '../src/feed.js';
import { away, liveFeed, makeFeed, offsets, owedAck, Recorder, settle, TrackModel } from './fakes.js';

describe('opening a feed', () => {
  it('reads the position only when the channel is confirmed', async () => {
    const { feed, fanout, log } = makeFeed();
    const opened = feed.open();
    await settle();
    expect(log.reads.count).toBe(0);
    fanout.subscribes.next().answer();
    await settle();
    log.reads.next().answer(new TrackModel('e1', 3).read({ limit: 0 }));
    await opened;
    expect(feed.position).toEqual({ epoch: 'e1', offset: 3 });
  });

  it('subscribes and reads once for all who open it together', async () => {
    const { feed, fanout, log } = makeFeed();
    const opened = Promise.all([feed.open(), feed.open(), feed.follow()]);
    fanout.subscribes.next().answer();
    await settle();
    log.reads.next().answer(new TrackModel().read({ limit: 0 }));
    await opened;
    await feed.open();
    expect([fanout.subscribes.count, log.reads.count]).toEqual([1, 1]);
  });

  it('rejects every waiting opener when the channel is refused, and can be opened again', async () => {
    const { feed, fanout, log } = makeFeed();
    const opened = Promise.allSettled([feed.open(), feed.follow()]);
    fanout.subscribes.next().fail(away());
    expect((await opened).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(feed.isOpen).toBe(false);
    const again = feed.open();
    fanout.subscribes.next().answer();
    await settle();
    log.reads.next().answer(new TrackModel('e1', 1).read({ limit: 0 }));
    await again;
    expect(feed.position.offset).toBe(1);
  });

  it('leaves the channel when the position cannot be read', async () => {
    const { feed, fanout, log } = makeFeed();
    const opened = feed.open();
    fanout.subscribes.next().answer();
    await settle();
    log.reads.next().fail(away());
    await expect(opened).rejects.toThrow('away');
    expect([feed.isOpen, fanout.unsubscribed]).toEqual([false, ['d/main']]);
  });

  it('stays closed when it is closed while its position is read', async () => {
    const { feed, fanout, log } = makeFeed();
    const opened = feed.open();
    fanout.subscribes.next().answer();
    await settle();
    feed.close();
    log.reads.next().answer(new TrackModel().read({ limit: 0 }));
    await expect(opened).rejects.toThrow('closed');
    expect(feed.isOpen).toBe(false);
    expect(feed.arrive(new TrackModel().publish())).toBe(false);
  });

  describe('with a head that is brought', () => {
    const following = async () => {
      const world = makeFeed();
      const followed = world.feed.follow();
      world.fanout.subscribes.next().answer();
      await followed;
      return world;
    };
    const openWith = (feed: Feed, awaited: AwaitedHead | undefined, epoch: string, offset: number): Promise<void> => {
      if (awaited === undefined) throw new Error('expected a head to be wanted');
      awaited.put({ epoch, offset });
      return feed.open();
    };

    it('reads nothing', async () => {
      const { feed, log } = await following();
      await openWith(feed, feed.awaitHead(), 'e1', 3);
      expect([log.reads.count, feed.position]).toEqual([0, { epoch: 'e1', offset: 3 }]);
    });

    it('delivers each once of what arrives while it is on its way', async () => {
      const { feed, log } = await following();
      const model = new TrackModel('e1', 5);
      feed.arrive(model.publish());
      const awaited = feed.awaitHead();
      // The head says 7: it was read between the second and the third.
      for (let i = 0; i < 2; i += 1) feed.arrive(model.publish());
      await openWith(feed, awaited, 'e1', 7);
      expect(feed.position.offset).toBe(7);
      const subscriber = new Recorder(7);
      feed.attach(subscriber);
      log.reads.next().answer(model.read({ after: 7, limit: 100 }));
      await feed.settled();
      feed.arrive(model.publish());
      expect(subscriber.got).toEqual(offsets('e1', 8, 9));
    });

    it('wants one only while it follows, knows nothing and nobody else reads it', async () => {
      const { feed } = makeFeed();
      expect(feed.awaitHead()).toBeUndefined();
      const { feed: other, log } = await following();
      expect(other.awaitHead()).toBeDefined();
      expect(other.awaitHead()).toBeUndefined();
      const opened = other.open();
      await settle();
      log.reads.next().answer(new TrackModel('e1', 1).read({ limit: 0 }));
      await opened;
      expect(other.awaitHead()).toBeUndefined();
    });

    it('does not believe one of an earlier time of following', async () => {
      const { feed, fanout, log } = await following();
      const awaited = feed.awaitHead();
      feed.close();
      const followed = feed.follow();
      fanout.subscribes.next().answer();
      await followed;
      // Published while the channel was not followed: nobody will tell.
      const opened = openWith(feed, awaited, 'e1', 3);
      await settle();
      log.reads.next().answer(new TrackModel('e1', 4).read({ limit: 0 }));
      await opened;
      expect(feed.position).toEqual({ epoch: 'e1', offset: 4 });
    });
  });

  it.each<[string, number, number]>([
    ['all of them before the read', 3, 3],
    ['some of them before the read', 3, 1],
    ['none of them before the read', 3, 0],
  ])('delivers what arrives meanwhile, once, where the store had made %s', async (_, arrivals, seen) => {
    const { feed, fanout, log } = makeFeed();
    const model = new TrackModel('e1', 5);
    const opened = feed.open();
    fanout.subscribes.next().answer();
    await settle();
    const early = new TrackModel('e1', 5 + seen).read({ limit: 0 });
    for (let i = 0; i < arrivals; i += 1) feed.arrive(model.publish());
    log.reads.next().answer(early);
    await opened;
    if (log.reads.open > 0) log.reads.next().answer(model.read({ after: feed.position.offset, limit: 100 }));
    await feed.settled();
    expect(feed.position.offset).toBe(8);
    expect(log.reads.count).toBeLessThanOrEqual(2);
  });

  it('reads again when its subscription was interrupted while the first read was under way', async () => {
    const { feed, fanout, log } = makeFeed();
    const model = new TrackModel('e1', 5);
    const opened = feed.open();
    fanout.subscribes.next().answer();
    await settle();
    const before = model.read({ limit: 0 });
    model.append();
    feed.refill('behind');
    log.reads.next().answer(before);
    await opened;
    const reader = new Recorder(5);
    feed.attach(reader);
    log.reads.next().answer(model.read({ after: 5, limit: 100 }));
    await feed.settled();
    expect(reader.got).toEqual(['e1:6']);
  });

  it('keeps no more than its bound while it opens, and reads what it dropped', async () => {
    const { feed, fanout, log } = makeFeed();
    const model = new TrackModel('e1', 0);
    const opened = feed.open();
    fanout.subscribes.next().answer();
    await settle();
    const before = model.read({ limit: 0 });
    for (let i = 0; i < 1_500; i += 1) feed.arrive(model.publish());
    log.reads.next().answer(before);
    await opened;
    const reader = new Recorder(0);
    feed.attach(reader);
    while (log.reads.open > 0) {
      const { request, answer } = log.reads.next();
      answer(model.read(request));
      await settle();
    }
    expect(reader.got).toEqual(offsets('e1', 1, 1_500));
  });
});

describe('a live feed', () => {
  it('hands on what arrives in order at once, without a read', async () => {
    const model = new TrackModel('e1', 2);
    const { feed, log, reader } = await liveFeed(model);
    for (let i = 0; i < 3; i += 1) feed.arrive(model.publish());
    expect(reader.got).toEqual(offsets('e1', 3, 5));
    expect(log.reads.count).toBe(1);
  });

  it('fills a gap from history before it delivers what is behind it', async () => {
    const model = new TrackModel('e1', 2);
    const { feed, log, reader, gaps } = await liveFeed(model);
    model.append();
    model.append();
    feed.arrive(model.publish());
    expect(reader.got).toEqual([]);
    const { request, answer } = log.reads.next();
    expect(request).toMatchObject({ after: 2, known: { epoch: 'e1', offset: 5 } });
    answer(model.read(request));
    await feed.settled();
    expect(reader.got).toEqual(offsets('e1', 3, 5));
    expect(gaps).toEqual(['gap']);
  });

  it('puts arrivals in the wrong order right', async () => {
    const model = new TrackModel('e1', 0);
    const { feed, log, reader } = await liveFeed(model);
    const [a, b, c] = [model.publish(), model.publish(), model.publish()];
    for (const delivery of [c, a, b]) feed.arrive(delivery);
    log.reads.next().answer(model.read({ after: 0, limit: 100 }));
    await feed.settled();
    expect(reader.got).toEqual(offsets('e1', 1, 3));
    expect(log.reads.open).toBe(0);
  });

  it('delivers what arrives while it fills, past what the fill brought', async () => {
    const model = new TrackModel('e1', 0);
    const { feed, log, reader } = await liveFeed(model);
    model.append();
    feed.arrive(model.publish());
    const read = log.reads.next();
    const page = model.read(read.request);
    feed.arrive(model.publish());
    feed.arrive(model.publish());
    read.answer(page);
    await feed.settled();
    expect(reader.got).toEqual(offsets('e1', 1, 4));
  });

  it('drops a repeated delivery without a read', async () => {
    const model = new TrackModel('e1', 0);
    const { feed, log, reader } = await liveFeed(model);
    const delivery = model.publish();
    for (let i = 0; i < 3; i += 1) feed.arrive(delivery);
    expect(reader.got).toEqual(['e1:1']);
    expect(log.reads.count).toBe(1);
  });

  it('asks the store about a delivery so old that its origin is forgotten', async () => {
    const model = new TrackModel('e1', 0);
    const { feed, log, reader } = await liveFeed(model);
    const old = model.publish();
    feed.arrive(old);
    for (let i = 0; i < 40; i += 1) feed.arrive(model.publish());
    feed.arrive(old);
    log.reads.next().answer(model.read({ after: 41, limit: 100 }));
    await feed.settled();
    expect(reader.got).toEqual(offsets('e1', 1, 41));
  });

  it('has a new epoch minted when one offset arrives with two publications', async () => {
    const model = new TrackModel('e1', 0);
    const { feed, log, reader, gaps } = await liveFeed(model);
    feed.arrive(model.publish('n1:1'));
    const rolledBack = new TrackModel('e1', 0);
    feed.arrive(rolledBack.publish('n2:1'));
    const { request, answer } = log.reads.next();
    expect(request).toMatchObject({ mint: true, known: { epoch: 'e1', offset: 1 } });
    rolledBack.epoch = 'e2';
    answer(rolledBack.read(request));
    await feed.settled();
    expect(reader.got).toEqual(['e1:1', 'reset e2:1 new_epoch']);
    expect(gaps).toEqual(['conflict']);
    feed.refill('verify');
    expect(log.reads.next().request.mint).toBe(false);
  });

  it('tells a publication with a known offset and another origin apart also when it arrives during a fill', async () => {
    const model = new TrackModel('e1', 0);
    const { feed, log } = await liveFeed(model);
    feed.arrive(model.publish('n1:1'));
    feed.refill('verify');
    feed.arrive(new TrackModel('e1', 0).publish('n2:1'));
    log.reads.next().answer(model.read({ after: 1, limit: 100 }));
    await settle();
    expect(log.reads.next().request.mint).toBe(true);
  });

  it('resets to the head of a new epoch that an arrival names, and goes on from there', async () => {
    const model = new TrackModel('e1', 4);
    const { feed, log, reader, resets } = await liveFeed(model);
    model.epoch = 'e2';
    feed.arrive(model.publish());
    const { request, answer } = log.reads.next();
    answer(model.read(request));
    await feed.settled();
    feed.arrive(model.publish());
    expect(reader.got).toEqual(['reset e2:5 new_epoch', 'e2:6']);
    expect(resets).toEqual(['new_epoch']);
  });

  it('keeps what arrives of a new epoch after its read was issued', async () => {
    const model = new TrackModel('e1', 4);
    const { feed, log, reader } = await liveFeed(model);
    model.epoch = 'e2';
    feed.arrive(model.publish());
    const { request, answer } = log.reads.next();
    const page = model.read(request);
    feed.arrive(model.publish());
    feed.arrive(model.publish());
    answer(page);
    await feed.settled();
    expect(reader.got).toEqual(['reset e2:5 new_epoch', 'e2:6', 'e2:7']);
    expect(log.reads.open).toBe(0);
  });

  it('finds a new epoch that begins while a read of the old one is under way', async () => {
    const model = new TrackModel('e1', 4);
    const { feed, log, reader } = await liveFeed(model);
    feed.refill('verify');
    const read = log.reads.next();
    const page = model.read(read.request);
    model.epoch = 'e2';
    feed.arrive(model.publish());
    read.answer(page);
    await settle();
    log.reads.next().answer(model.read({ after: 4, limit: 100 }));
    await feed.settled();
    expect(reader.got).toEqual(['reset e2:5 new_epoch']);
  });

  it('drops late arrivals of an epoch that has ended', async () => {
    const model = new TrackModel('e1', 4);
    const { feed, log, reader } = await liveFeed(model);
    const late = model.publish();
    const ended = new TrackModel('e2', 5);
    feed.arrive(ended.publish());
    log.reads.next().answer(ended.read({ after: 4, limit: 100 }));
    await feed.settled();
    feed.arrive(late);
    log.reads.next().answer(ended.read({ after: 6, limit: 100 }));
    await feed.settled();
    feed.arrive(ended.publish());
    expect(reader.got).toEqual(['reset e2:6 new_epoch', 'e2:7']);
    expect(log.reads.open).toBe(0);
  });

  it('tells the store of a publication that it has lost since', async () => {
    const { feed, log, reader } = await liveFeed(new TrackModel('e1', 4));
    const lost = new TrackModel('e1', 6);
    feed.arrive(lost.publish());
    const rolledBack = new TrackModel('e2', 5);
    const { request, answer } = log.reads.next();
    expect(request.known).toEqual({ epoch: 'e1', offset: 7 });
    answer(rolledBack.read(request));
    await feed.settled();
    expect(reader.got).toEqual(['reset e2:5 new_epoch']);
    expect(log.reads.open).toBe(0);
  });

  it('tells the store also of a loss in an epoch that it had not entered yet', async () => {
    const { feed, log, reader } = await liveFeed(new TrackModel('e1', 4));
    feed.arrive(new TrackModel('e2', 9).publish());
    log.reads.next().answer(new TrackModel('e2', 8).read({ after: 4, limit: 100 }));
    await settle();
    const { request, answer } = log.reads.next();
    expect(request.known).toEqual({ epoch: 'e2', offset: 10 });
    answer(new TrackModel('e3', 8).read(request));
    await feed.settled();
    expect(reader.got).toEqual(['reset e2:8 new_epoch', 'reset e3:8 new_epoch']);
  });

  it('announces it when history no longer reaches back to its position', async () => {
    const model = new TrackModel('e1', 4);
    model.historySize = 2;
    const { feed, log, reader, resets } = await liveFeed(model);
    for (let i = 0; i < 3; i += 1) model.append();
    feed.refill('behind');
    log.reads.next().answer(model.read({ after: 4, limit: 100 }));
    await feed.settled();
    feed.arrive(model.publish());
    expect(reader.got).toEqual(['reset e1:7 history_lost', 'e1:8']);
    expect(resets).toEqual(['history_lost']);
  });

  it.each<[string, number[], boolean]>([
    ['a hole in the middle', [5, 7], false],
    ['nothing of what the head promises', [], false],
    ['a promise of more without progress', [7], true],
  ])('announces %s in what is kept, rather than wait for ever', async (_, kept, more) => {
    const model = new TrackModel('e1', 4);
    const { feed, log, reader } = await liveFeed(model);
    for (let i = 0; i < 3; i += 1) model.append();
    feed.refill('behind');
    const page = model.read({ after: 4, limit: 100 });
    log.reads.next().answer({ ...page, more, entries: page.entries.filter(({ offset }) => kept.includes(offset)) });
    await feed.settled();
    expect(reader.got.at(-1)).toBe('reset e1:7 history_lost');
    expect(log.reads.open).toBe(0);
  });

  it('reads page after page until it is at the head', async () => {
    const model = new TrackModel('e1', 0);
    const { feed, log, reader } = await liveFeed(model);
    for (let i = 0; i < 250; i += 1) model.append();
    feed.refill('behind');
    for (let page = 0; page < 3; page += 1) {
      const { request, answer } = log.reads.next();
      answer(model.read(request));
      await settle();
    }
    expect(reader.got).toEqual(offsets('e1', 1, 250));
    expect(log.reads.open).toBe(0);
  });

  it.each<[string, number, number]>([
    ['too many arrivals', 1_100, 0],
    ['arrivals too large', 40, 60_000],
  ])('drops and reads again %s of a long fill, in bounded memory', async (_, arrivals, bytes) => {
    const model = new TrackModel('e1', 0);
    model.frameBytes = bytes;
    const { feed, log, reader } = await liveFeed(model);
    feed.refill('verify');
    const first = log.reads.next();
    const page = model.read(first.request);
    for (let i = 0; i < arrivals; i += 1) feed.arrive(model.publish());
    first.answer(page);
    await settle();
    for (let reads = 0; log.reads.open > 0; reads += 1) {
      if (reads > 20) throw new Error('it reads without end');
      const { request, answer } = log.reads.next();
      answer(model.read(request));
      await settle();
    }
    expect(reader.got).toEqual(offsets('e1', 1, arrivals));
  });

  it('retries while the backplane is away, and delivers all of it in the end', async () => {
    const model = new TrackModel('e1', 0);
    const { feed, log, reader, clock, bugs } = await liveFeed(model);
    model.append();
    feed.arrive(model.publish());
    for (let attempt = 0; attempt < 5; attempt += 1) {
      log.reads.next().fail(away());
      feed.arrive(model.publish());
      await clock.advanceAsync(2_000);
    }
    const { request, answer } = log.reads.next();
    answer(model.read(request));
    await feed.settled();
    expect(reader.got).toEqual(offsets('e1', 1, 7));
    expect(bugs).toEqual([]);
  });

  it('begins anew at the next arrival when a bug has ended a fill', async () => {
    const model = new TrackModel('e1', 0);
    const { feed, log, reader, bugs } = await liveFeed(model);
    model.append();
    feed.arrive(model.publish());
    log.reads.next().fail(new Error('a bug'));
    await settle();
    expect(bugs).toHaveLength(1);
    feed.arrive(model.publish());
    log.reads.next().answer(model.read({ after: 0, limit: 100 }));
    await feed.settled();
    expect(reader.got).toEqual(offsets('e1', 1, 3));
  });

  it('gives nothing to anybody once it is closed during a fill', async () => {
    const model = new TrackModel('e1', 0);
    const { feed, log, reader } = await liveFeed(model);
    model.append();
    feed.arrive(model.publish());
    feed.close();
    log.reads.next().answer(model.read({ after: 0, limit: 100 }));
    await feed.settled();
    expect(reader.got).toEqual([]);
    expect(feed.isOpen).toBe(false);
  });

  it('stops retrying once it is closed during an outage', async () => {
    const model = new TrackModel('e1', 0);
    const { feed, log, clock } = await liveFeed(model);
    feed.refill('verify');
    log.reads.next().fail(away());
    await settle();
    feed.close();
    await clock.advanceAsync(10_000);
    expect(log.reads.open).toBe(0);
    expect(clock.pending()).toBe(0);
  });

  it('verifies with one read, and tells nobody when nothing is missing', async () => {
    const model = new TrackModel('e1', 3);
    const { feed, log, reader, gaps } = await liveFeed(model);
    feed.refill('verify');
    feed.refill('verify');
    log.reads.next().answer(model.read({ after: 3, limit: 100 }));
    await settle();
    while (log.reads.open > 0) log.reads.next().answer(model.read({ after: 3, limit: 100 }));
    await feed.settled();
    expect([reader.got, gaps]).toEqual([[], []]);
    expect(log.reads.count).toBeLessThanOrEqual(3);
  });

  it('causes few reads where publications arrive faster than reads come back', async () => {
    const model = new TrackModel('e1', 0);
    const { feed, log, reader } = await liveFeed(model);
    feed.refill('verify');
    let reads = 0;
    // Each read sees what arrives while it is under way, and two hundred arrive in that time.
    for (let burst = 0; burst < 50; burst += 1) {
      const read = log.reads.open > 0 ? log.reads.next() : undefined;
      for (let i = 0; i < 200; i += 1) feed.arrive(model.publish());
      if (read !== undefined) {
        reads += 1;
        read.answer(model.read(read.request));
        await settle();
      }
    }
    for (; log.reads.open > 0; reads += 1) {
      const { request, answer } = log.reads.next();
      answer(model.read(request));
      await settle();
    }
    expect(reader.got).toEqual(offsets('e1', 1, 10_000));
    expect(reads).toBeLessThan(120);
  });

  it('drains a hundred arrivals that its own fill has brought already with one read more at most', async () => {
    const model = new TrackModel('e1', 0);
    const { feed, log, reader } = await liveFeed(model);
    feed.refill('verify');
    const read = log.reads.next();
    for (let i = 0; i < 100; i += 1) feed.arrive(model.publish());
    read.answer(model.read(read.request));
    await settle();
    while (log.reads.open > 0) {
      const { request, answer } = log.reads.next();
      answer(model.read(request));
      await settle();
    }
    expect(reader.got).toEqual(offsets('e1', 1, 100));
    expect(log.reads.count).toBeLessThanOrEqual(3);
  });

  it('lets a subscriber detach another one, or itself, while it delivers', async () => {
    const model = new TrackModel('e1', 0);
    const { feed, reader } = await liveFeed(model);
    const [second, third] = [new Recorder(), new Recorder()];
    feed.attach(second);
    feed.attach(third);
    reader.onDeliver = () => {
      feed.detach(reader);
      feed.detach(second);
    };
    feed.arrive(model.publish());
    feed.arrive(model.publish());
    expect([reader.got, third.got]).toEqual([['e1:1'], offsets('e1', 1, 2)]);
    expect(second.got.length).toBeLessThanOrEqual(1);
    expect(feed.subscriberCount).toBe(1);
  });

  it('gives a subscriber that is ahead nothing that it has', async () => {
    const model = new TrackModel('e1', 0);
    const { feed } = await liveFeed(model);
    const ahead = new Recorder(2);
    feed.attach(ahead);
    for (let i = 0; i < 3; i += 1) feed.arrive(model.publish());
    expect(ahead.got).toEqual(['e1:3']);
  });

  it('delivers every interleaving of arrivals, losses, repeats and reads once and in order', async () => {
    for (let seed = 1; seed <= 300; seed += 1) {
      const random = seededRandom(seed);
      const model = new TrackModel('e1', random.below(3));
      const { feed, log, reader } = await liveFeed(model);
      const start = model.offset;
      const channel = [];
      for (let step = 0; step < 60; step += 1) {
        const roll = random.float();
        if (roll < 0.4) channel.push(model.publish());
        else if (roll < 0.7) {
          const delivery = channel.splice(random.float() < 0.8 ? 0 : random.below(channel.length + 1), 1)[0];
          if (delivery !== undefined && random.float() < 0.9) feed.arrive(delivery);
          if (delivery !== undefined && random.float() < 0.1) feed.arrive(delivery);
        } else if (roll < 0.9 && log.reads.open > 0) {
          const { request, answer } = log.reads.next();
          answer(model.read(request));
          if (random.float() < 0.5) await settle();
        } else if (roll > 0.97) feed.refill('verify');
      }
      for (const delivery of channel) feed.arrive(delivery);
      feed.refill('verify');
      for (let reads = 0; reads < 50 && (log.reads.open > 0 || reads === 0); reads += 1) {
        await settle();
        if (log.reads.open === 0) continue;
        const { request, answer } = log.reads.next();
        answer(model.read(request));
        await settle();
      }
      expect(reader.got, `seed ${seed}`).toEqual(offsets('e1', start + 1, model.offset));
    }
  });
});

describe('an owed acknowledgement', () => {
  it('goes out with the publication, just before it, to its owner only', async () => {
    const model = new TrackModel('e1', 0);
    const { feed, reader } = await liveFeed(model);
    const other = new Recorder();
    feed.attach(other);
    expect(feed.arrive(model.publish(), owedAck(reader))).toBe(true);
    expect([reader.got, other.got]).toEqual([['ack', 'e1:1'], ['e1:1']]);
  });

  it.each<[string, (parts: Awaited<ReturnType<typeof liveFeed>>) => void]>([
    ['the feed fills', ({ feed }) => feed.refill('verify')],
    ['the feed is closed', ({ feed }) => feed.close()],
    ['its owner is not attached', ({ feed, reader }) => feed.detach(reader)],
    [
      'its owner is ahead already',
      ({ reader }) => {
        reader.cursor = 1;
      },
    ],
  ])('is left to the caller when %s', async (_, prepare) => {
    const model = new TrackModel('e1', 0);
    const parts = await liveFeed(model);
    prepare(parts);
    expect(parts.feed.arrive(model.publish(), owedAck(parts.reader))).toBe(false);
    expect(parts.reader.got).toEqual([]);
  });
});

describe('the tail', () => {
  it('keeps what is applied while somebody holds it, and nothing afterwards', async () => {
    const model = new TrackModel('e1', 3);
    const { feed } = await liveFeed(model);
    feed.arrive(model.publish());
    expect(feed.tailAfter(3)).toBeUndefined();
    feed.holdTail();
    feed.holdTail();
    feed.arrive(model.publish());
    feed.arrive(model.publish());
    expect(feed.tailAfter(4)?.map(({ offset }) => offset)).toEqual([5, 6]);
    expect(feed.tailAfter(5)?.map(({ offset }) => offset)).toEqual([6]);
    expect(feed.tailAfter(6)).toEqual([]);
    expect(feed.tailAfter(9)).toEqual([]);
    expect(feed.tailAfter(3)).toBeUndefined();
    feed.releaseTail();
    expect(feed.tailAfter(5)).toHaveLength(1);
    feed.releaseTail();
    expect(feed.tailAfter(5)).toBeUndefined();
  });

  it.each([
    ['entries', 600, 0],
    ['bytes', 20, 20_000],
  ])('is bounded by %s', async (_, count, bytes) => {
    const model = new TrackModel('e1', 0);
    model.frameBytes = bytes;
    const { feed } = await liveFeed(model);
    feed.holdTail();
    for (let i = 0; i < count; i += 1) feed.arrive(model.publish());
    expect(feed.tailAfter(0)).toBeUndefined();
    expect(feed.tailAfter(count - 2)).toHaveLength(2);
  });

  it('does not reach over a reset', async () => {
    const model = new TrackModel('e1', 0);
    const { feed, log } = await liveFeed(model);
    feed.holdTail();
    feed.arrive(model.publish());
    model.epoch = 'e2';
    feed.arrive(model.publish());
    log.reads.next().answer(model.read({ after: 1, limit: 100 }));
    await feed.settled();
    feed.arrive(model.publish());
    expect(feed.tailAfter(1)).toBeUndefined();
    expect(feed.tailAfter(2)).toHaveLength(1);
  });
});
