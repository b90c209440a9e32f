import { fakeClock } from '@replyx/testkit';
import { describe, expect, it } from 'vitest';
import { type Running, Supervised } from '../src/cluster/supervised.js';

const world = (launches: (attempt: number) => boolean = () => true, givesUpAfter?: number) => {
  let givenUp = 0;
  const gaveUp = (): void => {
    givenUp += 1;
  };
  const clock = fakeClock();
  const running: (Running & { die(how: string): void; endedBy: string | undefined })[] = [];
  let attempts = 0;
  const supervised = new Supervised({
    name: 'node-1',
    clock,
    onLog: () => {},
    ...(givesUpAfter === undefined ? {} : { onGivenUp: { after: givesUpAfter, call: gaveUp } }),
    launch: async () => {
      attempts += 1;
      if (!launches(attempts)) throw new Error('the port is taken');
      let die: (how: string) => void = () => {};
      const ended = new Promise<string>((resolve) => {
        die = resolve;
      });
      const one = {
        ended,
        die,
        endedBy: undefined as string | undefined,
        stop: async () => {
          one.endedBy = 'stop';
          die('stopped');
        },
        kill: () => {
          one.endedBy = 'kill';
          die('killed');
        },
      };
      running.push(one);
      return one;
    },
  });
  return { clock, running, supervised, attempts: () => attempts, givenUp: () => givenUp };
};

describe('a supervised node', () => {
  it('that ends by itself is started again, later each time, and soon again after a steady run', async () => {
    const { clock, running, supervised } = world();
    await supervised.start();
    for (const delayMs of [500, 1_000, 2_000]) {
      running.at(-1)?.die('SIGSEGV');
      await clock.advanceAsync(delayMs - 1);
      expect(supervised.state).toBe('down');
      await clock.advanceAsync(1);
      expect(supervised.state).toBe('up');
    }
    await clock.advanceAsync(10_000);
    running.at(-1)?.die('SIGSEGV');
    await clock.advanceAsync(500);
    expect(supervised.state).toBe('up');
  });

  it('that was killed stays down until it is started', async () => {
    const { clock, running, supervised } = world();
    await supervised.start();
    expect(await supervised.kill()).toBe(true);
    expect(await supervised.kill()).toBe(false);
    await clock.advanceAsync(60_000);
    expect([supervised.state, running.length]).toEqual(['down', 1]);
    await supervised.start();
    await supervised.start();
    expect([supervised.state, running.length]).toEqual(['up', 2]);
  });

  it('whose restart fails is tried again; whose first start fails is not', async () => {
    const { clock, running, supervised, attempts } = world((attempt) => attempt !== 2);
    await supervised.start();
    running[0]?.die('code 1');
    await clock.advanceAsync(500);
    expect([supervised.state, attempts()]).toEqual(['down', 2]);
    await clock.advanceAsync(1_000);
    expect([supervised.state, attempts()]).toEqual(['up', 3]);
    const never = world(() => false);
    await expect(never.supervised.start()).rejects.toThrow('the port is taken');
    await never.clock.advanceAsync(60_000);
    expect([never.supervised.state, never.attempts()]).toEqual(['down', 1]);
  });

  it('is given up after so many restarts in a row, and not before a steady run', async () => {
    const { clock, running, supervised, givenUp } = world((attempt) => attempt !== 2, 3);
    await supervised.start();
    for (const delayMs of [500, 1_000]) {
      running.at(-1)?.die('SIGSEGV');
      await clock.advanceAsync(delayMs + 1_000);
    }
    await clock.advanceAsync(10_000);
    running.at(-1)?.die('SIGSEGV');
    for (const delayMs of [500, 1_000, 2_000]) {
      await clock.advanceAsync(delayMs);
      expect([supervised.state, givenUp()]).toEqual(['up', 0]);
      running.at(-1)?.die('SIGSEGV');
    }
    await clock.advanceAsync(60_000);
    expect([supervised.state, supervised.isRestarting, givenUp(), clock.pending()]).toEqual(['down', false, 1, 0]);
  });

  it('that is stopped stays down, whether it was up, starting or about to be started', async () => {
    const up = world();
    await up.supervised.start();
    await up.supervised.stop();
    expect(up.running[0]?.endedBy).toBe('stop');
    const starting = world();
    const started = starting.supervised.start();
    await starting.supervised.stop();
    await started;
    expect(starting.running[0]?.endedBy).toBe('stop');
    const waiting = world();
    await waiting.supervised.start();
    waiting.running[0]?.die('code 1');
    await waiting.clock.advanceAsync(1);
    await waiting.supervised.stop();
    for (const { clock, running, supervised } of [up, starting, waiting]) {
      await clock.advanceAsync(60_000);
      expect([supervised.state, running.length, clock.pending()]).toEqual(['down', 1, 0]);
      await expect(supervised.start()).rejects.toThrow('stopped');
    }
  });
});
