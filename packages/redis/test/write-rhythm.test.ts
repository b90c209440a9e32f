import { fakeClock } from '@replyx/testkit';
import { expect, test } from 'vitest';
import { WriteRhythm } from '../src/write-rhythm.js';

const INTERVAL_MS = 2;

const world = () => {
  const clock = fakeClock();
  const turnEnds: (() => void)[] = [];
  const rhythm = new WriteRhythm(clock, (work) => void turnEnds.push(work), INTERVAL_MS);
  const writes: string[] = [];
  const makeStream = (name: string) => {
    let depth = 0;
    return {
      cork: () => {
        depth += 1;
      },
      uncork: () => {
        depth -= 1;
        if (depth === 0) writes.push(`${name} ${clock.monotonicMs() - start}`);
      },
    };
  };
  const start = clock.monotonicMs();
  const endTurn = () => {
    for (const work of turnEnds.splice(0)) work();
  };
  return { clock, rhythm, writes, makeStream, endTurn };
};

test('after a quiet moment what one turn asks leaves at its end', async () => {
  const { clock, rhythm, writes, makeStream, endTurn } = world();
  const stream = makeStream('a');
  for (const atMs of [0, INTERVAL_MS, 10]) {
    await clock.advanceAsync(atMs - (writes.length === 0 ? 0 : Number(writes.at(-1)?.split(' ')[1])));
    rhythm.join(stream);
    rhythm.join(stream);
    endTurn();
  }
  expect(writes).toEqual(['a 0', `a ${INTERVAL_MS}`, 'a 10']);
});

test('what comes sooner leaves in one write when the interval is over', async () => {
  const { clock, rhythm, writes, makeStream, endTurn } = world();
  const stream = makeStream('a');
  rhythm.join(stream);
  endTurn();
  rhythm.join(stream);
  await clock.advanceAsync(1);
  rhythm.join(stream);
  endTurn();
  expect(writes).toEqual(['a 0']);
  await clock.advanceAsync(1);
  expect(writes).toEqual(['a 0', `a ${INTERVAL_MS}`]);
  rhythm.join(stream);
  await clock.advanceAsync(INTERVAL_MS);
  expect(writes).toEqual(['a 0', 'a 2', 'a 4']);
});

test('a connection that was replaced meanwhile keeps neither itself nor the next one corked', async () => {
  const { clock, rhythm, writes, makeStream, endTurn } = world();
  const [a, b] = [makeStream('a'), makeStream('b')];
  rhythm.join(a);
  endTurn();
  rhythm.join(a);
  rhythm.join(b);
  rhythm.join(b);
  await clock.advanceAsync(INTERVAL_MS);
  endTurn();
  expect(writes.sort()).toEqual(['a 0', 'a 2', 'b 2']);
});

test('what is to happen right before a write happens in it, once, and may ask for more', async () => {
  const { clock, rhythm, writes, makeStream, endTurn } = world();
  const stream = makeStream('a');
  const order: string[] = [];
  const ask = (name: string, more?: () => void) =>
    rhythm.beforeWrite(stream, () => {
      order.push(`${name} before ${writes.length}`);
      rhythm.join(stream);
      more?.();
    });
  ask('one', () => ask('two'));
  ask('three');
  expect(order).toEqual([]);
  endTurn();
  expect(order).toEqual(['one before 0', 'three before 0', 'two before 0']);
  expect(writes).toEqual(['a 0']);
  ask('four');
  await clock.advanceAsync(INTERVAL_MS);
  expect(order.at(-1)).toBe('four before 1');
  expect(writes).toEqual(['a 0', 'a 2']);
});

test('what gives back comes before what takes, however late it is asked for', async () => {
  const { rhythm, writes, makeStream, endTurn } = world();
  const stream = makeStream('a');
  const order: string[] = [];
  rhythm.beforeWrite(stream, () => order.push('take'));
  rhythm.beforeWrite(stream, () => order.push('give back'), 'first');
  endTurn();
  expect([order, writes]).toEqual([['give back', 'take'], ['a 0']]);
});
