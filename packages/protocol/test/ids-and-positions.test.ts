import { describe, expect, it } from 'vitest';
import { EPOCH_PATTERN, FRAME_ID_PATTERN, isId, isSubject } from '../src/ids.js';
import { parsePosition } from '../src/position.js';

describe('ids', () => {
  it.each<[unknown, boolean]>([
    ['a', true],
    ['A-z_09', true],
    ['x'.repeat(128), true],
    ['x'.repeat(129), false],
    ['', false],
    ['a b', false],
    ['a/b', false],
    ['a.b', false],
    ['é', false],
    ['a\n', false],
    [1, false],
    [null, false],
    [undefined, false],
    [['a'], false],
  ])('isId(%j) is %s', (value, expected) => {
    expect(isId(value)).toBe(expected);
  });

  it.each<[unknown, boolean]>([
    ['user@example.com', true],
    ['Zoë 😀', true],
    ['x'.repeat(128), true],
    ['😀'.repeat(128), true],
    ['x'.repeat(129), false],
    ['', false],
    ['a\u0000', false],
    ['a\n', false],
    ['a\u007f', false],
    ['a\u0085', false],
    ['a\u2028', false],
    ['a\ud800', false],
    [{}, false],
  ])('isSubject(%j) is %s', (value, expected) => {
    expect(isSubject(value)).toBe(expected);
  });

  it('keep a trailing line end out of every pattern', () => {
    for (const pattern of [FRAME_ID_PATTERN, EPOCH_PATTERN]) expect(pattern.test('a\n')).toBe(false);
  });
});

describe('parsePosition', () => {
  it.each<[string, string | undefined, string | undefined, ReturnType<typeof parsePosition>]>([
    ['nothing', undefined, undefined, undefined],
    ['both', 'e1', '7', { epoch: 'e1', offset: 7 }],
    ['offset 0', 'e1', '0', { epoch: 'e1', offset: 0 }],
    ['the greatest offset', 'e1', '9007199254740991', { epoch: 'e1', offset: Number.MAX_SAFE_INTEGER }],
    ['an epoch of 64', 'e'.repeat(64), '1', { epoch: 'e'.repeat(64), offset: 1 }],
    ['epoch only', 'e1', undefined, 'malformed'],
    ['offset only', undefined, '1', 'malformed'],
    ['empty epoch', '', '1', 'malformed'],
    ['empty offset', 'e1', '', 'malformed'],
    ['both empty', '', '', 'malformed'],
    ['an epoch of 65', 'e'.repeat(65), '1', 'malformed'],
    ['an epoch with a colon', 'e:1', '1', 'malformed'],
    ['a negative offset', 'e1', '-1', 'malformed'],
    ['a signed offset', 'e1', '+1', 'malformed'],
    ['a leading zero', 'e1', '01', 'malformed'],
    ['a fraction', 'e1', '1.5', 'malformed'],
    ['an exponent', 'e1', '1e3', 'malformed'],
    ['hexadecimal', 'e1', '0x10', 'malformed'],
    ['white space', 'e1', ' 1', 'malformed'],
    ['a line end', 'e1', '1\n', 'malformed'],
    ['one past the greatest offset', 'e1', '9007199254740992', 'malformed'],
    ['seventeen digits', 'e1', '10000000000000000', 'malformed'],
    ['other digits', 'e1', '١', 'malformed'],
  ])('%s', (_, epoch, offset, expected) => {
    expect(parsePosition(epoch, offset)).toEqual(expected);
  });
});
