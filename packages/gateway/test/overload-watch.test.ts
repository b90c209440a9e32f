import { fakeClock } from '@replyx/testkit';
import { describe, expect, it } from 'vitest';
import { watchOverload } from '../src/lifecycle/overload-watch.js';

describe('the watch over this process', () => {
  it('goes on with what it saw last while memory cannot be read, as where no descriptor is left', () => {
    const clock = fakeClock();
    const changes: string[] = [];
    const memory: (number | 'EMFILE')[] = [2_000, 2_000, 'EMFILE', 'EMFILE', 10, 10, 10];
    const watch = watchOverload(
      { loopLagMs: 0, memoryBytes: 1_000 },
      clock,
      (reasons) => changes.push(reasons.join()),
      () => {
        const next = memory.shift();
        if (typeof next !== 'number') throw new Error('EMFILE: too many open files, uv_resident_set_memory');
        return next;
      },
    );
    clock.advance(4_000);
    expect(changes).toEqual(['memory']);
    clock.advance(3_000);
    expect(changes).toEqual(['memory', '']);
    watch.stop();
    expect(clock.pending()).toBe(0);
  });
});
