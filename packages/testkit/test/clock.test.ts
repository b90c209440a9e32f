import type { Clock, Random } from '@replyx/core';
import { describe, expect, it } from 'vitest';
import { fakeClock, seededRandom } from '../src/index.js';

describe('fakeClock', () => {
  it('has the shape of the clock and randomness that core asks for', () => {
    const clock: Clock = fakeClock();
    const random: Random = seededRandom(1);
    expect(clock.monotonicMs()).toBe(0);
    expect(random.bytes(3)).toHaveLength(3);
  });

  it('runs due tasks in order of time, then of scheduling, each at its own time', () => {
    const clock = fakeClock(1_000);
    const seen: string[] = [];
    clock.schedule(20, () => seen.push(`b@${clock.nowMs()}`));
    clock.schedule(10, () => seen.push(`a@${clock.nowMs()}`));
    clock.schedule(20, () => seen.push(`c@${clock.nowMs()}`));
    clock.schedule(31, () => seen.push('late'));
    clock.advance(30);
    expect(seen).toEqual(['a@1010', 'b@1020', 'c@1020']);
    expect(clock.nowMs()).toBe(1_030);
    expect(clock.pending()).toBe(1);
  });

  it('runs a task that a task schedules, when it falls due within the same advance', () => {
    const clock = fakeClock();
    const at: number[] = [];
    const repeat = (): void => {
      at.push(clock.monotonicMs());
      clock.schedule(10, repeat);
    };
    clock.schedule(10, repeat);
    clock.advance(35);
    expect(at).toEqual([10, 20, 30]);
  });

  it('does not run a cancelled task, and cancels once only', () => {
    const clock = fakeClock();
    let runs = 0;
    const cancel = clock.schedule(5, () => runs++);
    cancel();
    cancel();
    clock.advance(100);
    expect(runs).toBe(0);
  });

  it('lets promises settle between tasks in advanceAsync', async () => {
    const clock = fakeClock();
    const seen: string[] = [];
    clock.schedule(1, () => void Promise.resolve().then(() => seen.push('settled')));
    clock.schedule(2, () => seen.push('second'));
    await clock.advanceAsync(5);
    expect(seen).toEqual(['settled', 'second']);
  });

  it('jumps the wall clock without moving the monotonic one', () => {
    const clock = fakeClock(1_000);
    clock.jumpWall(-500);
    clock.advance(10);
    expect([clock.nowMs(), clock.monotonicMs()]).toEqual([510, 10]);
  });
});

describe('seededRandom', () => {
  it('repeats itself for a seed and differs for another', () => {
    const take = (seed: number): number[] => Array.from({ length: 5 }, seededRandom(seed).float);
    expect(take(7)).toEqual(take(7));
    expect(take(7)).not.toEqual(take(8));
    expect(take(7).every((value) => value >= 0 && value < 1)).toBe(true);
  });
});
