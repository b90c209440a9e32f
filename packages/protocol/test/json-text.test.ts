import { describe, expect, it } from 'vitest';
import { depthOf, type JsonRefusal, parseJsonObject } from '../src/schemas/json-text.js';

const nested = (depth: number, open = '{"a":', close = '}'): string => `${open.repeat(depth)}1${close.repeat(depth)}`;

describe('parseJsonObject', () => {
  it.each<[string, string]>([
    ['an empty object', '{}'],
    ['white space around', ' \n\t{"a" : 1}\r '],
    ['the same field on two levels', '{"a":{"a":{"a":1}}}'],
    ['the same field in two elements of a list', '{"l":[{"a":1},{"a":2}]}'],
    ['colons, braces and brackets inside strings', '{"a:":"{\\"b\\":[}:,","c":["::","]"]}'],
    ['strings that end in backslashes', '{"a":"\\\\","b":"x\\\\\\\\"}'],
    ['escaped quotes next to backslashes', '{"a":"\\\\\\"","b":"\\"\\\\"}'],
    ['keys with escapes', '{"\\u0061":1,"b":2}'],
    ['a well-formed pair of surrogates as escapes', '{"a":"\\ud83d\\ude00"}'],
    ['__proto__ as a plain field', '{"__proto__":1,"constructor":2}'],
    ['as deep as allowed', nested(10)],
    ['an object at the bottom of lists', '{"a":[[[[[[[[{}]]]]]]]]}'],
  ])('takes %s', (_, text) => {
    const result = parseJsonObject(text);
    expect(result).toEqual({ ok: true, value: JSON.parse(text) });
  });

  it.each<[string, string, JsonRefusal]>([
    ['nothing', '', 'is not JSON'],
    ['white space only', '  \n', 'is not JSON'],
    ['a word', 'hello', 'is not JSON'],
    ['a cut object', '{"a":1', 'is not JSON'],
    ['a cut string', '{"a":"b', 'is not JSON'],
    ['a string that ends in an escaped quote', '{"a":"b\\"}', 'is not JSON'],
    ['two objects', '{}{}', 'is not JSON'],
    ['a trailing comma', '{"a":1,}', 'is not JSON'],
    ['a comment', '{"a":1/*:*/}', 'is not JSON'],
    ['a control character in a string', '{"a":"\u0001"}', 'is not JSON'],
    ['a byte order mark', '\ufeff{}', 'is not JSON'],
    ['NaN', '{"a":NaN}', 'is not JSON'],
    ['a list', '[]', 'is not an object'],
    ['a string', '"a"', 'is not an object'],
    ['a number', '1', 'is not an object'],
    ['null', 'null', 'is not an object'],
    ['a repeated field', '{"a":1,"a":1}', 'repeats a field'],
    ['a field repeated by an escape', '{"a":1,"\\u0061":1}', 'repeats a field'],
    ['a field repeated in a nested object', '{"m":{"x":1,"x":2}}', 'repeats a field'],
    ['a field repeated in an object in a list', '{"m":[1,{"x":1,"y":2,"x":3}]}', 'repeats a field'],
    ['a repeated empty field', '{"":1,"":2}', 'repeats a field'],
    ['a repeated __proto__', '{"__proto__":1,"__proto__":2}', 'repeats a field'],
    ['a repeat whose first value had more fields', '{"a":{"b":1,"c":2},"a":1}', 'repeats a field'],
    ['one level too deep', nested(11), 'is nested too deeply'],
    ['lists one level too deep', `{"a":${nested(10, '[', ']')}}`, 'is nested too deeply'],
    ['a bomb of brackets', '['.repeat(60_000), 'is nested too deeply'],
    ['a lone high surrogate', '{"a":"\\ud800"}', 'holds text that is not well-formed Unicode'],
    ['a lone low surrogate in a key', '{"\\udc00":1}', 'holds text that is not well-formed Unicode'],
    ['a lone surrogate deep inside', '{"a":[{"b":"\\udfff"}]}', 'holds text that is not well-formed Unicode'],
    ['a pair the wrong way round', '{"a":"\\ude00\\ud83d"}', 'holds text that is not well-formed Unicode'],
  ])('refuses %s', (_, text, why) => {
    expect(parseJsonObject(text)).toEqual({ ok: false, why });
  });

  it('keeps __proto__ an own field and changes no prototype', () => {
    const result = parseJsonObject('{"__proto__":{"admin":true}}');
    if (!result.ok) throw new Error(result.why);
    expect(Object.hasOwn(result.value, '__proto__')).toBe(true);
    expect(Object.getPrototypeOf(result.value)).toBe(Object.prototype);
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
  });

  it('scans 64 KiB of quotes and backslashes in linear time', () => {
    for (const unit of ['\\"', '\\\\', '"\\', '"', '\\', '":"'])
      expect(parseJsonObject(`{"a":"${unit.repeat(32_000)}`).ok).toBe(false);
  });

  it('honours a smaller bound of depth', () => {
    expect(parseJsonObject('{"a":{}}', 2).ok).toBe(true);
    expect(parseJsonObject('{"a":{"b":{}}}', 2)).toEqual({ ok: false, why: 'is nested too deeply' });
  });
});

describe('depthOf', () => {
  it.each<[unknown, number]>([
    [1, 0],
    ['{', 0],
    [null, 0],
    [undefined, 0],
    [{}, 1],
    [[], 1],
    [{ a: 1, b: { c: [] } }, 3],
    [[[[]]], 3],
  ])('of %j is %i', (value, depth) => {
    expect(depthOf(value)).toBe(depth);
  });
});
