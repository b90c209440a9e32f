import { describe, expect, it } from 'vitest';
import { liveFeed, owedAck, Recorder, settle, TrackModel } from './fakes.js';

/** A live feed at offset 3 with so many subscribers that what comes in one turn is handed over together. */
const crowdedFeed = async () => {
  const model = new TrackModel('e1', 3);
  const { feed, reader, log } = await liveFeed(model);
  const crowd = [reader, ...Array.from({ length: 9 }, () => new Recorder(3))];
  for (const one of crowd.slice(1)) feed.attach(one);
  return { model, feed, crowd, log };
};

describe('a crowded feed', () => {
  it('hands over together what comes in one turn, in order', async () => {
    const { model, feed, crowd } = await crowdedFeed();
    const groups: string[][] = [];
    const [first] = crowd as [Recorder];
    first.together = (work) => {
      const before = first.got.length;
      work();
      groups.push(first.got.slice(before));
    };
    for (let i = 0; i < 3; i += 1) feed.arrive(model.publish());
    expect(first.got).toEqual([]);
    await settle();
    expect(groups).toEqual([['e1:4', 'e1:5', 'e1:6']]);
    feed.arrive(model.publish());
    await settle();
    for (const one of crowd) expect(one.got).toEqual(['e1:4', 'e1:5', 'e1:6', 'e1:7']);
  });

  it('gives the owner its acknowledgement with the publication, and says so', async () => {
    const { model, feed, crowd } = await crowdedFeed();
    const owner = crowd[4] as Recorder;
    expect(feed.arrive(model.publish(), owedAck(owner))).toBe(true);
    feed.arrive(model.publish());
    await settle();
    expect(owner.got).toEqual(['ack', 'e1:4', 'e1:5']);
    expect(crowd[5]?.got).toEqual(['e1:4', 'e1:5']);
  });

  it('does not say so of an owner who has the publication already, or is not attached', async () => {
    const { model, feed, crowd } = await crowdedFeed();
    const owner = crowd[4] as Recorder;
    owner.cursor = 4;
    expect(feed.arrive(model.publish(), owedAck(owner))).toBe(false);
    expect(feed.arrive(model.publish(), owedAck(new Recorder(3)))).toBe(false);
    await settle();
    expect(owner.got).toEqual(['e1:5']);
  });

  it('gives a newcomer nothing that its position includes, and one who leaves what came before', async () => {
    const { model, feed, crowd } = await crowdedFeed();
    const leaver = crowd[2] as Recorder;
    feed.arrive(model.publish());
    const newcomer = new Recorder(feed.position.offset);
    feed.attach(newcomer);
    feed.detach(leaver);
    feed.arrive(model.publish());
    await settle();
    expect(newcomer.got).toEqual(['e1:5']);
    expect(leaver.got).toEqual(['e1:4']);
    expect(crowd[3]?.got).toEqual(['e1:4', 'e1:5']);
  });

  it('tells a reset after what came before it', async () => {
    const { model, feed, crowd, log } = await crowdedFeed();
    feed.arrive(model.publish());
    const next = new TrackModel('e2', 7);
    feed.arrive(next.publish());
    log.reads.next().answer(next.read({ after: 4, limit: 100 }));
    await feed.settled();
    expect(crowd[0]?.got).toEqual(['e1:4', 'reset e2:8 new_epoch']);
  });

  it('hands over what waits when it is closed', async () => {
    const { model, feed, crowd } = await crowdedFeed();
    feed.arrive(model.publish());
    feed.close();
    expect(crowd[0]?.got).toEqual(['e1:4']);
  });
});
