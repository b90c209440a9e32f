import { fakeClock } from '@replyx/testkit';
import { describe, expect, it } from 'vitest';
import { WorkerWatchdog } from '../src/cluster/worker-watchdog.js';

const LOOK_MS = 5_000;

const watch = (silenceMs: number) => {
  const clock = fakeClock();
  /** How late the clock is seen to be: the fake one runs its tasks in time. */
  let lateMs = 0;
  const asked: string[] = [];
  const stuck: string[] = [];
  const watchdog = new WorkerWatchdog<string>({
    clock: { monotonicMs: () => clock.monotonicMs() + lateMs, schedule: clock.schedule },
    silenceMs,
    ask: (worker) => asked.push(worker),
    onStuck: (worker) => stuck.push(worker),
  });
  return {
    ...{ clock, watchdog, asked, stuck },
    /** This process was stopped for so long while it waited for the next look, which therefore is late. */
    lookLate: (byMs: number) => {
      lateMs += byMs;
      clock.advance(LOOK_MS);
    },
  };
};

describe('the watchdog of workers', () => {
  it.each([
    [30_000, 6],
    [12_000, 3],
    [1, 2],
  ])('ends one that %i ms of questions brought no answer from, and not before', (silenceMs, looks) => {
    const { clock, watchdog, asked, stuck } = watch(silenceMs);
    watchdog.heard('a');
    watchdog.start();
    clock.advance(looks * LOOK_MS - 1);
    expect([asked.length, stuck]).toEqual([looks, []]);
    clock.advance(1);
    expect([asked.length, stuck]).toEqual([looks, ['a']]);
    clock.advance(10 * LOOK_MS);
    expect([asked.length, stuck]).toEqual([looks, ['a']]);
  });

  it('begins to count again with each word, and forgets what has ended', () => {
    const { clock, watchdog, stuck } = watch(10_000);
    watchdog.heard('a');
    watchdog.heard('b');
    watchdog.heard('gone');
    watchdog.start();
    watchdog.forget('gone');
    clock.advance(2 * LOOK_MS - 1);
    watchdog.heard('a');
    clock.advance(1);
    expect(stuck).toEqual(['b']);
    clock.advance(LOOK_MS);
    expect(stuck).toEqual(['b']);
    clock.advance(LOOK_MS);
    expect(stuck).toEqual(['b', 'a']);
  });

  it('ends nobody for a stop of its own process, whose look runs before the answers are read', () => {
    const { watchdog, asked, stuck, lookLate } = watch(10_000);
    watchdog.heard('a');
    watchdog.start();
    for (let look = 0; look < 10; look += 1) lookLate(120_000);
    expect(stuck).toEqual([]);
    expect(asked).toHaveLength(11);
  });

  it('finds one that is stuck after a stop of its own process, too', () => {
    const { clock, watchdog, stuck, lookLate } = watch(10_000);
    watchdog.heard('a');
    watchdog.start();
    lookLate(120_000);
    clock.advance(LOOK_MS);
    expect(stuck).toEqual([]);
    clock.advance(LOOK_MS);
    expect(stuck).toEqual(['a']);
  });

  it('asks nobody any more once it is stopped', () => {
    const { clock, watchdog, asked } = watch(10_000);
    watchdog.heard('a');
    watchdog.start();
    watchdog.stop();
    clock.advance(10 * LOOK_MS);
    expect([asked, clock.pending()]).toEqual([['a'], 0]);
  });
});
