import { expect, test } from 'vitest';
import { Gathering } from '../src/gathering.js';

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

test('what is asked under one name within one step is one call, and each gets its own answer', async () => {
  const calls: (readonly number[])[] = [];
  const doubled = new Gathering<number, number>(100, process.nextTick, async (items) => {
    calls.push(items);
    return items.map((item) => item * 2);
  });
  const first = [doubled.ask('a', 1), doubled.ask('b', 2), Promise.resolve().then(() => doubled.ask('a', 3))];
  expect(await Promise.all(first)).toEqual([2, 4, 6]);
  await nextTurn();
  expect(await doubled.ask('a', 4)).toBe(8);
  expect(calls).toEqual([[1, 3], [2], [4]]);
});

test('a call has at most so many, and the rest another', async () => {
  const sizes: number[] = [];
  const counted = new Gathering<number, number>(3, setImmediate, async (items) => {
    sizes.push(items.length);
    return items;
  });
  const asked = [0, 1, 2, 3, 4, 5, 6];
  expect(await Promise.all(asked.map((item) => counted.ask('a', item)))).toEqual(asked);
  expect(sizes).toEqual([3, 3, 1]);
});

test('a call that rejects rejects for all of it and for no other', async () => {
  const failing = new Gathering<number, string>(100, process.nextTick, async (items) => {
    if (items.includes(1)) throw new Error('away');
    return items.map(String);
  });
  const outcomes = await Promise.allSettled([failing.ask('a', 1), failing.ask('a', 2), failing.ask('b', 3)]);
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
});
