import { describe, expect, it } from 'vitest';
import { FrameScanner } from '../src/frame-scan.js';
import { MessageIdReader, writeMessageId } from '../src/message-id.js';

const bytes = (frame: unknown): Buffer => Buffer.from(JSON.stringify(frame));

const scan = (frame: unknown) => {
  const scanner = new FrameScanner();
  const data = bytes(frame);
  const kind = scanner.scan(data);
  if (kind === 'other') return { kind };
  return { kind, offset: scanner.offset, id: data.toString('utf8', scanner.idStart, scanner.idEnd) };
};

describe('FrameScanner', () => {
  it('finds offset and id of a publication', () => {
    const frame = {
      type: 'message',
      offset: 1234,
      timestamp: 1700000000000,
      id: 'ab.c',
      sender: { role: 'user', id: 'x' },
      text: 't',
    };
    expect(scan(frame)).toEqual({ kind: 'message', offset: 1234, id: 'ab.c' });
  });

  it('finds offset and id of an acknowledgement, and whether it is of a retry', () => {
    expect(scan({ type: 'ack', id: 'ab', offset: 7 })).toEqual({ kind: 'ack', offset: 7, id: 'ab' });
    const scanner = new FrameScanner();
    scanner.scan(bytes({ type: 'ack', id: 'ab', offset: 7, duplicate: true }));
    expect(scanner.duplicate).toBe(true);
  });

  it.each([
    { type: 'message', id: 'a', offset: 1, timestamp: 1, text: '' },
    { type: 'message', offset: 1, timestamp: 1, id: 'a"b', text: '' },
    { type: 'ack', offset: 1, id: 'a' },
    { type: 'connected' },
    {},
  ])('leaves what it does not know to a parser: %j', (frame) => {
    expect(scan(frame)).toEqual({ kind: 'other' });
  });

  it('never reads past a frame that is cut off', () => {
    const whole = bytes({ type: 'message', offset: 12, timestamp: 3, id: 'abc' });
    const scanner = new FrameScanner();
    const idEnds = whole.lastIndexOf('"');
    for (let length = 0; length <= idEnds; length += 1) {
      expect(scanner.scan(whole.subarray(0, length))).toBe('other');
    }
  });
});

describe('MessageIdReader', () => {
  const read = (id: string, run = 'r4nd0m') => {
    const reader = new MessageIdReader(run);
    const data = Buffer.from(id);
    if (!reader.read(data, 0, data.length)) return undefined;
    const { driver, dialog, seq, dueUs } = reader;
    return [driver, dialog, seq, dueUs];
  };

  it.each([
    [0, 0, 0, 0],
    [3, 49_999, 123_456, 7_200_000_000],
    [63, 4_999_999, 2 ** 31, 31_536_000_000_000],
  ])('reads what was written: %i %i %i %i', (...numbers) => {
    const id = writeMessageId('r4nd0m', ...numbers);
    expect(id.length).toBeLessThanOrEqual(64);
    expect(read(id)).toEqual(numbers);
  });

  it.each([
    '',
    'r4nd0m',
    'r4nd0m.',
    'r4nd0m.1.2.3',
    'r4nd0m.1.2.3.',
    'r4nd0m.1..3.4',
    'r4nd0m.1.2.3.4.5',
    'r4nd0m.1.2.3.4A',
    'other1.1.2.3.4',
    '7f0c2a5e',
  ])('does not take %j for an id of the run', (id) => {
    expect(read(id)).toBeUndefined();
  });
});
