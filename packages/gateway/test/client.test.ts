import { type ConnectedFrame, closeCodeOf, type PublicationFrame, parsePosition } from '@replyx/protocol';
import { describe, expect, it } from 'vitest';
import { Place } from '../src/client/place.js';
import { jsonLine, printable } from '../src/client/printable.js';
import { type Ending, nextStep } from '../src/client/reconnect.js';
import { readServerFrame } from '../src/client/server-frame.js';

const ending = (fields: Partial<Ending> = {}): Ending => ({
  code: undefined,
  reconnect: undefined,
  httpStatus: undefined,
  why: undefined,
  wasConnected: false,
  livedMs: 0,
  ...fields,
});

describe('what a client does after an end', () => {
  const almostOne = 1 - Number.EPSILON;
  const again = (delayMs: number, refresh = false) => ({ again: true, delayMs, refresh });
  const rows: readonly (readonly [string, Partial<Ending>, number, unknown])[] = [
    ['cut', {}, 1, again(1_000)],
    ['cut for the third time', {}, 3, again(4_000)],
    ['cut for the thirtieth time', {}, 30, again(30_000)],
    ['refused', { code: 4002 }, 1, { again: false }],
    ['replaced', { code: 4009 }, 1, { again: false }],
    ['expired', { code: 4001 }, 5, again(0, true)],
    ['too many', { code: 4006 }, 1, again(30_000)],
    ['too many, again and again', { code: 4008 }, 9, again(300_000)],
    ['timed out', { code: 4007 }, 1, again(0)],
    ['timed out at once', { code: 4007 }, 2, again(2_000)],
    ['slow', { code: 4010 }, 1, again(2_000)],
    ['drained', { code: 1012, reconnect: { mode: 'delay', delayMs: 700 } }, 1, again(700)],
    ['drained, the last frame lost', { code: 1012 }, 1, again(1_000)],
    ['told otherwise than by the code', { code: 1001, reconnect: { mode: 'never', delayMs: 0 } }, 1, { again: false }],
    ['told what it does not know', { code: 4002, reconnect: { mode: 'dance', delayMs: 0 } }, 1, { again: false }],
    ['closed with an unknown code', { code: 4999 }, 1, again(1_000)],
    ['HTTP 404', { httpStatus: 404 }, 1, { again: false }],
    ['HTTP 429', { httpStatus: 429 }, 1, again(30_000)],
    ['HTTP 502', { httpStatus: 502 }, 1, again(1_000)],
  ];
  it.each(rows)('%s', (_, fields, failures, step) => {
    expect(nextStep(ending(fields), failures, 1, almostOne)).toEqual(step);
  });

  it('tries each address before it waits longer, and spreads from zero on', () => {
    const delays = [1, 2, 3, 4, 5].map((failures) => nextStep(ending(), failures, 2, almostOne));
    expect(delays.map((step) => step.again && step.delayMs)).toEqual([1_000, 1_000, 2_000, 2_000, 4_000]);
    expect(nextStep(ending(), 9, 1, 0)).toEqual(again(0));
    expect(closeCodeOf(4006)?.reconnect).toBe('long_backoff');
  });
});

describe('a place', () => {
  const message = (offset: number) => ({ type: 'message', offset }) as PublicationFrame;
  const connected = (epoch: string, offset: number, head: number) =>
    ({ type: 'connected', epoch, offset, head, recovered: true }) as ConnectedFrame;

  it('moves by one publication at a time: what is recovered is asked for again until it has come', () => {
    const place = new Place({ main: { epoch: 'e', offset: 3 } }, ['main']);
    place.connected(connected('e', 3, 9));
    expect([4, 4, 6, 5, 6].map((offset) => place.publication(message(offset)))).toEqual([
      'next',
      'other',
      'gap',
      'next',
      'next',
    ]);
    expect(place.of('main')).toEqual(parsePosition('e', '6'));
  });

  it('keeps nothing of a track that is not followed', () => {
    const place = new Place({}, ['main']);
    place.reset({ type: 'reset', track: 'internal', epoch: 'e', offset: 1, reason: 'new_epoch' });
    expect(place.of('internal')).toBeUndefined();
    expect(place.publication({ ...message(2), type: 'note' })).toBe('other');
  });
});

it('reads the frames that it acts upon, and nothing of a wrong shape', () => {
  const sender = { role: 'user', id: 'v' };
  const message = { type: 'message', offset: 1, id: 'i', text: 't', sender, meta: { a: [1] }, later: true };
  expect(readServerFrame(JSON.stringify(message))).toEqual(message);
  for (const wrong of [{ offset: '1' }, { offset: -1 }, { sender: 'v' }, { text: 7 }, { type: 'constructor' }])
    expect(readServerFrame(JSON.stringify({ ...message, ...wrong }))).toBeUndefined();
  for (const raw of ['', 'null', '[]', '__pong__']) expect(readServerFrame(raw)).toBeUndefined();
});

it('shows what would drive a terminal as escapes, and leaves other writing as it is', () => {
  expect(printable('\u001b[2J\u009b1m\u007f\r\n\t\u202e\u2029\ud800')).toBe(
    '\\u001b[2J\\u009b1m\\u007f\\u000d\\n\\t\\u202e\\u2029\\ud800',
  );
  expect(printable('Grüße, مرحبا, 👩‍👩‍👧 \\u')).toBe('Grüße, مرحبا, 👩‍👩‍👧 \\u');
  const value = { text: '\u001b\u009b\u202e"\\\n' };
  expect(jsonLine(value)).toBe('{"text":"\\u001b\\u009b\\u202e\\"\\\\\\n"}\n');
  expect(JSON.parse(jsonLine(value))).toEqual(value);
});
