import { fakeClock, seededRandom } from '@replyx/testkit';
import { describe, expect, it } from 'vitest';
import { createDrain } from '../src/lifecycle/drain.js';

const world = (count: number, drain = { waitMs: 5_000, spreadMs: 15_000, graceMs: 28_000 }) => {
  const clock = fakeClock();
  const events: string[] = [];
  const open = new Set<object>();
  const sessions = Array.from({ length: count }, () => {
    const session = {
      close: () => {
        open.delete(session);
        if (open.size === 0) events.push(`last closed at ${clock.monotonicMs()}`);
      },
    };
    open.add(session);
    return session;
  });
  const leave = createDrain({
    clock,
    random: seededRandom(1),
    drain,
    hub: {
      sessions: () => sessions as never,
      get connectionCount() {
        return open.size;
      },
    },
    onLeaving: async () => {
      events.push(`leaving at ${clock.monotonicMs()}`);
    },
    onRefusing: () => events.push(`refusing at ${clock.monotonicMs()}`),
  });
  return { clock, events, leave, open };
};

describe('the drain', () => {
  it('is not ready, waits, refuses, closes over the spread, and is through before the grace', async () => {
    const { clock, events, leave } = world(3_000);
    let through: number | undefined;
    leave.run().then(() => {
      through = clock.monotonicMs();
    });
    await clock.advanceAsync(28_000);
    expect(events).toEqual(['leaving at 0', 'refusing at 5000', 'last closed at 19950']);
    expect(through).toBe(19_950);
  });

  it('shortens its pace to what the grace leaves', async () => {
    const { clock, events, leave } = world(3_000, { waitMs: 5_000, spreadMs: 15_000, graceMs: 21_000 });
    leave.run();
    await clock.advanceAsync(21_000);
    expect(events.at(-1)).toBe('last closed at 17450');
  });

  it.each([
    [1_000, 'refusing at 1000', 'last closed at 1000'],
    [9_000, 'refusing at 5000', 'last closed at 9000'],
  ])('hurries when it is asked again after %i ms', async (afterMs, refusing, closed) => {
    const { clock, events, leave } = world(3_000);
    leave.run();
    await clock.advanceAsync(afterMs);
    leave.hurry();
    await clock.advanceAsync(10);
    expect(events).toEqual(['leaving at 0', refusing, closed]);
  });

  it('runs once, however often it is asked', async () => {
    const { clock, events, leave } = world(0);
    const both = Promise.all([leave.run(), leave.run()]);
    await clock.advanceAsync(10_000);
    await both;
    expect(events).toEqual(['leaving at 0', 'refusing at 5000']);
  });
});
