import type { TrackRef } from '@replyx/core';
import { describe, expect, test } from 'vitest';
import { decodeDelivery, decodeEntry, encodeEphemeral } from '../src/codec.js';

const ref: TrackRef = { dialogId: 'd1', track: 'main' };
const bytes = (text: string): Buffer => Buffer.from(text, 'utf8');

/** Nodes of two versions read each other's bytes: these do not change. */
describe('the channel payload', () => {
  test.each([
    ['all', '{"type":"typing"}', 'e61 0a 7b2274797065223a22747970696e67227d'],
    ['operators', 'ü\n', 'e6f 0a c3bc0a'],
    ['visitors', '', 'e76 0a'],
  ] as const)('writes a frame for %s', (audience, frame, golden) => {
    const hex = `65${golden.slice(1).replaceAll(' ', '')}`;
    expect(encodeEphemeral(audience, frame).toString('hex')).toBe(hex);
    expect(encodeEphemeral(audience, bytes(frame)).toString('hex')).toBe(hex);
  });

  test.each<[string, string, object]>([
    [
      'a publication',
      'pAbC-_9:42:node.boot-1:7\n{"type":"message","text":"Zoë\\n😀\n"}',
      {
        kind: 'publication',
        ref,
        epoch: 'AbC-_9',
        offset: 42,
        origin: 'node.boot-1:7',
        frame: '{"type":"message","text":"Zoë\\n😀\n"}',
      },
    ],
    ['a frame for all', 'ea\nx', { kind: 'ephemeral', ref, audience: 'all', frame: 'x' }],
    [
      'a piece of an answer',
      'd12:0:a:1 "odd" 😀\n{"text":"x\\n"}',
      { kind: 'delta', dialogId: 'd1', streamId: 'a:1 "odd" 😀', index: 12, done: false, frame: '{"text":"x\\n"}' },
    ],
    [
      'the last of an answer',
      'd0:1:s\nx',
      { kind: 'delta', dialogId: 'd1', streamId: 's', index: 0, done: true, frame: 'x' },
    ],
    ['a handoff', 'hv:7\nx', { kind: 'handoff', dialogId: 'd1', audience: 'visitors', version: 7, frame: 'x' }],
    ['a frame for operators', 'eo\nx', { kind: 'ephemeral', ref, audience: 'operators', frame: 'x' }],
    ['a frame for visitors', 'ev\n', { kind: 'ephemeral', ref, audience: 'visitors', frame: '' }],
    [
      'who joined',
      'j0\n{"role":"manager","id":"Zoë","name":"Z","publicId":"p"}',
      {
        kind: 'presence',
        dialogId: 'd1',
        change: { state: 'join', member: { role: 'manager', id: 'Zoë', name: 'Z', publicId: 'p', wrote: false } },
      },
    ],
    [
      'who left',
      'l1\n{"role":"user","id":"v","publicId":"v"}',
      {
        kind: 'presence',
        dialogId: 'd1',
        change: { state: 'leave', member: { role: 'user', id: 'v', publicId: 'v', wrote: true } },
      },
    ],
    [
      'a connection whose client came again',
      'vc\nAbC-_9',
      { kind: 'evicted', dialogId: 'd1', connectionId: 'AbC-_9', code: 'CONFLICT_CONNECTION' },
    ],
    [
      'a connection that gave way at the limit',
      'vl\nAbC-_9',
      { kind: 'evicted', dialogId: 'd1', connectionId: 'AbC-_9', code: 'CONNECTION_LIMIT' },
    ],
    ['the end', 'x\n', { kind: 'erased', dialogId: 'd1' }],
  ])('reads %s', (_, payload, expected) => {
    const delivery = decodeDelivery(ref, bytes(payload));
    const shown = delivery && 'frame' in delivery ? { ...delivery, frame: String(delivery.frame) } : delivery;
    expect(shown).toEqual(expected);
  });

  test.each(['', 'no line end', '\n', 'q\n', 'e?\nx', 'v?\nx', 'p\n', 'pepoch\n', 'pepoch:1\n', 'pepoch:x:o:1\n'])(
    'gives nothing for %j',
    (payload) => expect(decodeDelivery(ref, bytes(payload))).toBeUndefined(),
  );
});

describe('a log entry', () => {
  test('is named by its stream id, whatever epoch it was appended in', () => {
    const entry = decodeEntry(bytes('42-0'), bytes('pold:42:n.b:7\nframe'));
    expect({ ...entry, frame: String(entry.frame) }).toEqual({ offset: 42, origin: 'n.b:7', frame: 'frame' });
  });

  test('without a header is a fault', () => {
    expect(() => decodeEntry(bytes('1-0'), bytes('frame'))).toThrow('header');
  });
});
