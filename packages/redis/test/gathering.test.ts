import { BackplaneUnavailable } from '@replyx/core';
import { expect, test } from 'vitest';
import { Gathering } from '../src/gathering.js';

/** Each slot is one for itself. */
const writes = (later: (flush: () => void) => void) => ({
  unit: (slot: number) => slot,
  link: () => ({ beforeWrite: later }),
});
const inAStep = writes(process.nextTick);
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

test('what is asked of one slot until its time is one call, and each gets its own answer', async () => {
  const calls: (readonly number[])[] = [];
  const doubled = new Gathering<number, number>(inAStep, 100, async (items) => {
    calls.push(items);
    return items.map((item) => item * 2);
  });
  const ask = (slot: number, item: number) => doubled.ask(slot, item);
  const first = [ask(1, 1), ask(2, 2), Promise.resolve().then(() => ask(1, 3))];
  expect(await Promise.all(first)).toEqual([2, 4, 6]);
  await nextTurn();
  expect(await ask(1, 4)).toBe(8);
  expect(calls).toEqual([[1, 3], [2], [4]]);
});

test('a call has at most so many, and the rest another', async () => {
  const sizes: number[] = [];
  const counted = new Gathering<number, number>(writes(setImmediate), 3, async (items) => {
    sizes.push(items.length);
    return items;
  });
  const asked = [0, 1, 2, 3, 4, 5, 6];
  expect(await Promise.all(asked.map((item) => counted.ask(1, item)))).toEqual(asked);
  expect(sizes).toEqual([3, 3, 1]);
});

test('an outage is that of all of a call, and of no other', async () => {
  const failing = new Gathering<number, string>(inAStep, 100, async (items) => {
    if (items.includes(1)) throw new BackplaneUnavailable('away');
    return items.map(String);
  });
  const ask = (slot: number, item: number) => failing.ask(slot, item);
  const outcomes = await Promise.allSettled([ask(1, 1), ask(1, 2), ask(2, 3)]);
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
});

test('what fails for what one of several is fails for that one alone', async () => {
  const calls: (readonly number[])[] = [];
  const failing = new Gathering<number, string>(inAStep, 100, async (items) => {
    calls.push(items);
    if (items.includes(2)) throw new Error('WRONGTYPE');
    return items.map(String);
  });
  const outcomes = await Promise.allSettled([1, 2, 3].map((item) => failing.ask(1, item)));
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(calls).toEqual([[1, 2, 3], [1], [2], [3]]);
});
