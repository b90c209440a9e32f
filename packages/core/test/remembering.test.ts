import { expect, test } from 'vitest';
import { remembering } from '../src/remembering.js';

const counted = (most: number) => {
  const asked: string[] = [];
  const lengthOf = remembering(
    (text: string) => {
      asked.push(text);
      return text === '' ? undefined : text.length;
    },
    { most, maxChars: 5 },
  );
  return { asked, lengthOf };
};

test('a text is worked on once, also where the answer is none', () => {
  const { asked, lengthOf } = counted(2);
  expect(['ab', '', 'ab', ''].map(lengthOf)).toEqual([2, undefined, 2, undefined]);
  expect(asked).toEqual(['ab', '']);
});

test('no more texts are kept than were allowed, and none that is too long', () => {
  const { asked, lengthOf } = counted(2);
  expect(['a', 'bb', 'ccc', 'a', 'longer', 'longer'].map(lengthOf)).toEqual([1, 2, 3, 1, 6, 6]);
  expect(asked).toEqual(['a', 'bb', 'ccc', 'a', 'longer', 'longer']);
});
