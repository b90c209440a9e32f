import { fakeClock } from '@replyx/testkit';
import { Command } from 'ioredis';
import { describe, expect, test } from 'vitest';
import { CallDeadlines, ScriptCall } from '../src/script-call.js';
import { SCRIPTS } from '../src/scripts.js';

const DEADLINE_MS = 2_000;

const call = (): ScriptCall => {
  const one = new ScriptCall(SCRIPTS.forget, ['a', 'b'], []);
  one.promise.catch(() => {});
  return one;
};

describe('the call of a script', () => {
  test.each<[string, (string | number)[]]>([
    ['nothing', []],
    ['text and numbers', ['text', '', 7, 1.5, -1]],
    ['what takes more bytes than characters', ['Grüße', '\u{1f600}', '\u2028']],
    ['what the protocol is made of', ['$3\r\nabc\r\n', '*1\r\n']],
  ])('is printed as the library prints it, with %s', (_, args) => {
    const { sha } = SCRIPTS.forget;
    const plain = new Command('EVALSHA', [sha, 2, 'k1', 'k2', ...args], { replyEncoding: null });
    expect(new ScriptCall(SCRIPTS.forget, ['k1', 'k2'], args).toWritable()).toBe(plain.toWritable({} as never));
  });

  test('names as many keys as it is given where the script takes any', () => {
    const text = new ScriptCall(SCRIPTS.take, ['k1', 'k2', 'k3'], ['x']).toWritable();
    expect(text).toContain('\r\n$1\r\n3\r\n$2\r\nk1\r\n');
  });
});

describe('the deadlines of calls', () => {
  const make = () => {
    const clock = fakeClock();
    const deadlines = new CallDeadlines(clock, DEADLINE_MS);
    const failed: string[] = [];
    const add = (name: string): ScriptCall => {
      const one = call();
      one.promise.catch((error: Error) => failed.push(`${name}: ${error.message}`));
      deadlines.add(one);
      return one;
    };
    return { clock, deadlines, failed, add };
  };

  test('fail each call when its own time is up, and not before', async () => {
    const { clock, failed, add } = make();
    add('a');
    await clock.advanceAsync(500);
    add('b');
    await clock.advanceAsync(DEADLINE_MS - 501);
    expect(failed).toEqual([]);
    await clock.advanceAsync(1);
    expect(failed).toEqual(['a: Command timed out']);
    await clock.advanceAsync(499);
    expect(failed).toHaveLength(1);
    await clock.advanceAsync(1);
    expect(failed).toEqual(['a: Command timed out', 'b: Command timed out']);
  });

  test('wait for what has arrived to be read, and go on for what comes meanwhile', async () => {
    const clock = fakeClock();
    const turns: (() => void)[] = [];
    const deadlines = new CallDeadlines(clock, DEADLINE_MS, (work) => turns.push(work));
    const failed: string[] = [];
    const add = (name: string): ScriptCall => {
      const one = call();
      one.promise.catch(() => failed.push(name));
      deadlines.add(one);
      return one;
    };
    const arrived = add('arrived');
    add('lost');
    await clock.advanceAsync(10 * DEADLINE_MS);
    expect([failed, turns.length]).toEqual([[], 1]);
    deadlines.remove(arrived);
    add('younger');
    turns.shift()?.();
    await clock.advanceAsync(0);
    expect(failed).toEqual(['lost']);
    await clock.advanceAsync(DEADLINE_MS);
    turns.shift()?.();
    await clock.advanceAsync(0);
    expect(failed).toEqual(['lost', 'younger']);
  });

  test('leave alone what was answered, and go on for those that come later', async () => {
    const { clock, deadlines, failed, add } = make();
    const answered = Array.from({ length: 200 }, (_, i) => add(`answered ${i}`));
    const open = add('open');
    for (const one of answered) deadlines.remove(one);
    await clock.advanceAsync(DEADLINE_MS);
    expect(failed).toEqual(['open: Command timed out']);
    deadlines.remove(open);
    await clock.advanceAsync(10 * DEADLINE_MS);
    add('late');
    await clock.advanceAsync(DEADLINE_MS);
    expect(failed).toEqual(['open: Command timed out', 'late: Command timed out']);
  });
});
