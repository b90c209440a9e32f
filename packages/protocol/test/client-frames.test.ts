import { chaosSeed, seededRandom } from '@replyx/testkit';
import { describe, expect, it } from 'vitest';
import { BOUNDS } from '../src/bounds.js';
import { CLIENT_FRAME_SCHEMAS, parseClientFrame } from '../src/schemas/client-frames.js';

const metaOfDepth = (depth: number): unknown => (depth === 0 ? 1 : { a: metaOfDepth(depth - 1) });
const metaOfBytes = (bytes: number): unknown => ({ a: 'x'.repeat(bytes - '{"a":""}'.length) });

const VALID: readonly object[] = [
  { type: 'message', id: 'a', text: 'hello' },
  { type: 'message', id: 'i'.repeat(64), text: 'x'.repeat(10_000), meta: {} },
  { type: 'message', id: 'é 😀', text: '😀\n\u0000\u2028', meta: { a: [1, null, true, 'x'], b: { c: 1.5 } } },
  { type: 'message', id: 'm', text: 'x', meta: metaOfDepth(BOUNDS.metaDepth) },
  { type: 'message', id: 'm', text: 'x', meta: metaOfBytes(BOUNDS.metaBytes) },
  { type: 'note', id: 'n', text: 'only us', meta: { k: 'v' } },
  { type: 'typing', state: 'start' },
  { type: 'typing', state: 'stop', track: 'internal' },
  { type: 'read', offset: 0 },
  { type: 'read', offset: Number.MAX_SAFE_INTEGER, track: 'main' },
  { type: 'history', id: 'h' },
  { type: 'history', id: 'h', before: 10, limit: 100, track: 'internal' },
  { type: 'history', id: 'h', after: 0, limit: 1 },
  { type: 'refresh', id: 'r', token: 'a.b.c' },
  { type: 'refresh', id: 'r', token: 't'.repeat(BOUNDS.tokenChars) },
  { type: 'handoff', id: 'o', action: 'request' },
  { type: 'handoff', id: 'o', action: 'cancel' },
  { type: 'handoff', id: 'o', action: 'take' },
  { type: 'handoff', id: 'o', action: 'release' },
  { type: 'ping' },
];

describe('parseClientFrame', () => {
  it.each(VALID.map((frame) => [JSON.stringify(frame).slice(0, 80), frame] as const))('takes %s', (_, frame) => {
    expect(parseClientFrame(JSON.stringify(frame))).toEqual({ ok: true, frame });
  });

  it('has a valid example of every frame type', () => {
    const types = new Set(VALID.map((frame) => (frame as { type: string }).type));
    expect([...types].sort()).toEqual(Object.keys(CLIENT_FRAME_SCHEMAS).sort());
  });

  it.each<[string, unknown, string | undefined]>([
    ['no type', { id: 'a' }, 'a'],
    ['an unknown type', { type: 'connected', id: 'a' }, 'a'],
    ['a type that every object has', { type: 'constructor', id: 'a' }, 'a'],
    ['a type that is no string', { type: ['message'], id: 'a', text: 'x' }, 'a'],
    ['__proto__ as type', { type: '__proto__' }, undefined],
    ['an unknown field', { type: 'message', id: 'a', text: 'x', sender: 'me' }, 'a'],
    ['an offset that the client chose', { type: 'message', id: 'a', text: 'x', offset: 1 }, 'a'],
    ['an unknown field on ping', { type: 'ping', id: 'a' }, 'a'],
    ['no id', { type: 'message', text: 'x' }, undefined],
    ['an empty id', { type: 'message', id: '', text: 'x' }, undefined],
    ['an id of 65 characters', { type: 'message', id: 'i'.repeat(65), text: 'x' }, undefined],
    ['a number as id', { type: 'message', id: 1, text: 'x' }, undefined],
    ['a control character in the id', { type: 'message', id: 'a\nb', text: 'x' }, undefined],
    ['a line separator in the id', { type: 'message', id: 'a\u2028', text: 'x' }, undefined],
    ['no text', { type: 'message', id: 'a' }, 'a'],
    ['empty text', { type: 'message', id: 'a', text: '' }, 'a'],
    ['text one unit too long', { type: 'message', id: 'a', text: 'x'.repeat(10_001) }, 'a'],
    ['text too long by units, not by characters', { type: 'message', id: 'a', text: '😀'.repeat(5_001) }, 'a'],
    ['text that is no string', { type: 'message', id: 'a', text: 1 }, 'a'],
    ['meta as list', { type: 'message', id: 'a', text: 'x', meta: [] }, 'a'],
    ['meta as null', { type: 'message', id: 'a', text: 'x', meta: null }, 'a'],
    ['meta as string', { type: 'message', id: 'a', text: 'x', meta: '{}' }, 'a'],
    ['meta too deep', { type: 'message', id: 'a', text: 'x', meta: metaOfDepth(BOUNDS.metaDepth + 1) }, 'a'],
    ['meta a byte too large', { type: 'message', id: 'a', text: 'x', meta: metaOfBytes(BOUNDS.metaBytes + 1) }, 'a'],
    [
      'meta too large by bytes, not by units',
      { type: 'note', id: 'a', text: 'x', meta: { a: 'é'.repeat(2_100) } },
      'a',
    ],
    ['an unknown typing state', { type: 'typing', state: 'pause' }, undefined],
    ['an unknown track', { type: 'typing', state: 'start', track: 'other' }, undefined],
    ['a negative offset', { type: 'read', offset: -1 }, undefined],
    ['a broken offset', { type: 'read', offset: 1.5 }, undefined],
    ['an offset past safe integers', { type: 'read', offset: 2 ** 53 }, undefined],
    ['an offset as text', { type: 'read', offset: '1' }, undefined],
    ['before and after', { type: 'history', id: 'h', before: 3, after: 1 }, 'h'],
    ['limit 0', { type: 'history', id: 'h', limit: 0 }, 'h'],
    ['limit 101', { type: 'history', id: 'h', limit: 101 }, 'h'],
    ['an empty token', { type: 'refresh', id: 'r', token: '' }, 'r'],
    ['a token that is too long', { type: 'refresh', id: 'r', token: 't'.repeat(BOUNDS.tokenChars + 1) }, 'r'],
    ['an unknown action', { type: 'handoff', id: 'o', action: 'steal' }, 'o'],
  ])('refuses %s', (_, frame, id) => {
    const result = parseClientFrame(JSON.stringify(frame));
    expect(result).toMatchObject({ ok: false });
    expect('id' in result ? result.id : undefined).toBe(id);
  });

  it.each<[string, string]>([
    ['nothing', ''],
    ['the first system’s heartbeat', '__ping__'],
    ['an infinite number', '{"type":"read","offset":1e400}'],
    ['a number of 400 digits', `{"type":"read","offset":${'9'.repeat(400)}}`],
    ['a repeated field', '{"type":"message","id":"a","text":"x","text":"y"}'],
    ['a field repeated by an escape', '{"type":"message","id":"a","text":"x","t\\u0065xt":"y"}'],
    ['a field repeated inside meta', '{"type":"message","id":"a","text":"x","meta":{"k":1,"\\u006b":2}}'],
    ['__proto__ beside known fields', '{"type":"ping","__proto__":{}}'],
    ['known fields on __proto__', '{"type":"message","id":"a","__proto__":{"text":"x"}}'],
    ['a lone surrogate as escape in text', '{"type":"message","id":"a","text":"\\ud800"}'],
    ['a lone surrogate in text', '{"type":"message","id":"a","text":"\ud800"}'],
    ['a lone surrogate as escape in meta', '{"type":"message","id":"a","text":"x","meta":{"k":"\\udc00"}}'],
  ])('refuses %s', (_, raw) => {
    expect(parseClientFrame(raw).ok).toBe(false);
  });

  it('passes __proto__ inside meta on as a plain field', () => {
    const raw = '{"type":"message","id":"a","text":"x","meta":{"__proto__":{"admin":true}}}';
    const result = parseClientFrame(raw);
    if (!result.ok || result.frame.type !== 'message') throw new Error('refused');
    expect(JSON.stringify(result.frame.meta)).toBe('{"__proto__":{"admin":true}}');
    expect((result.frame.meta as Record<string, unknown>)['admin']).toBeUndefined();
  });

  it('echoes nothing of a refused frame but its id', () => {
    const secret = 'S3CRET';
    for (const raw of [
      `{"type":"${secret}","id":"a"}`,
      `{"type":"message","id":"a","text":1,"${secret}":"${secret}"}`,
      `{"type":"refresh","id":"a","token":["${secret}"]}`,
      `${secret}`,
    ]) {
      expect(JSON.stringify(parseClientFrame(raw))).not.toContain(secret);
    }
  });

  it('neither throws nor changes what it accepted, over 100,000 mutations of valid frames', () => {
    const random = seededRandom(chaosSeed('client frames'));
    const texts = VALID.map((frame) => JSON.stringify(frame)).filter((text) => text.length < 500);
    const scraps = [
      '"',
      '\\',
      '{',
      '}',
      '[',
      ']',
      ':',
      ',',
      '\\u0061',
      '\\ud800',
      '1e999',
      '-',
      '0',
      'null',
      '__proto__',
    ];
    let accepted = 0;
    for (let i = 0; i < 100_000; i += 1) {
      let text = random.pick(texts);
      for (let edits = 1 + random.below(3); edits > 0; edits -= 1) {
        const at = random.below(text.length + 1);
        const cut = random.below(4);
        const other = random.pick(texts);
        const from = random.below(other.length);
        const piece = random.pick([
          '',
          random.pick(scraps),
          String.fromCharCode(random.below(0x1_0000)),
          other.slice(from, from + random.below(12)),
        ]);
        text = text.slice(0, at) + piece + text.slice(at + cut);
      }
      const result = parseClientFrame(text);
      if (!result.ok) continue;
      accepted += 1;
      const once = JSON.stringify(result.frame);
      const again = parseClientFrame(once);
      if (!again.ok || JSON.stringify(again.frame) !== once)
        throw new Error(`seed ${random.seed}: ${JSON.stringify(text)} became ${once}`);
    }
    expect(accepted).toBeGreaterThan(1_000);
  }, 60_000);
});
