import { Outbox } from '@replyx/core';
import { describe, expect, it } from 'vitest';
import { positionOfEventId, SseFrames } from '../src/public/sse-frames.js';
import type { HttpResponse } from '../src/uws/module.js';
import { SseTransport } from '../src/uws/sse-transport.js';

const CONNECTED = '{"type":"connected","connection_id":"c","epoch":"e1","offset":4,"recovered":false}';
const message = (offset: number, text = 'hi') =>
  new TextEncoder().encode(`{"type":"message","offset":${offset},"timestamp":1,"id":"a","text":"${text}"}`);
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

describe('frames as events', () => {
  it('carry where they lead as id: connected, publications, and resets', () => {
    const frames = new SseFrames();
    const ids = [
      CONNECTED,
      message(5),
      message(9_007_199_254_740_991),
      '{"type":"reset","track":"main","epoch":"e2","offset":7,"reason":"new_epoch"}',
      message(8),
    ].map((frame) => /^id: (.*)\ndata: \{.*\}\n\n$/.exec(textOf(frames.event(frame)))?.[1]);
    expect(ids).toEqual(['e1:4', 'e1:5', 'e1:9007199254740991', 'e2:7', 'e2:8']);
  });

  it('carry none where they lead nowhere', () => {
    const frames = new SseFrames();
    frames.event(CONNECTED);
    for (const frame of ['{"type":"typing","offset":3}', '{"type":"presence","state":"join","users":[]}', '{"a":1}'])
      expect(textOf(frames.event(frame))).toBe(`data: ${frame}\n\n`);
  });

  it('are one line each, whatever is written', () => {
    const text = JSON.stringify('a\nb\r\n\u2028 id: x').slice(1, -1);
    expect(textOf(new SseFrames().event(message(1, text))).split(/\r|\n/)).toHaveLength(4);
  });

  it.each([
    ['e1:4', { epoch: 'e1', offset: '4' }],
    ['e1', { epoch: 'e1' }],
    ['a:b:4', { epoch: 'a:b', offset: '4' }],
    [':', { epoch: '', offset: '' }],
  ])('resume from %j', (id, position) => {
    expect(positionOfEventId(id)).toEqual(position);
  });
});

/** As the module does: a short write is told at the next one, and only that one's answer says whether it could go on. */
class FakeResponse {
  readonly wire: string[] = [];
  writes = 0;
  room = Number.POSITIVE_INFINITY;
  isEnded = false;
  private held = '';
  private writable: (offset: number) => boolean = () => true;

  onWritable(handler: (offset: number) => boolean): void {
    this.writable = handler;
  }
  cork(work: () => void): void {
    work();
  }
  writeStatus(): void {}
  writeHeader(): void {}
  write(bytes: Uint8Array | string): boolean {
    if (this.isEnded) throw new Error('used after its end');
    this.writes += 1;
    const hadHeld = this.held !== '';
    this.held += typeof bytes === 'string' ? bytes : textOf(bytes);
    const isThrough = !hadHeld || this.drain();
    this.drain();
    return isThrough;
  }
  end(): void {
    this.isEnded = true;
  }
  /** The reader takes some. */
  takes(bytes: number): void {
    this.room += bytes;
    this.writable(0);
  }
  get heldBytes(): number {
    return this.held.length;
  }
  private drain(): boolean {
    const now = this.held.slice(0, this.room);
    this.held = this.held.slice(now.length);
    this.room -= now.length;
    if (now !== '') this.wire.push(now);
    return this.held === '';
  }
}

const open = () => {
  const res = new FakeResponse();
  const transport = new SseTransport(res as unknown as HttpResponse, {});
  const told = { drained: 0, ended: 0, bugs: [] as unknown[] };
  const outbox = new Outbox(transport, 100_000);
  transport.attach({
    onDrained: () => {
      told.drained += 1;
      outbox.drained();
    },
    onEnded: () => {
      told.ended += 1;
    },
    onBug: (error) => told.bugs.push(error),
  });
  const text = () => res.wire.join('').replaceAll(/^: ping\n\n/gm, '');
  return { res, transport, told, outbox, text };
};

describe('a stream', () => {
  it('writes what comes together in one write', () => {
    const { res, transport, text } = open();
    const before = res.writes;
    transport.cork(() => {
      transport.send(CONNECTED);
      transport.cork(() => transport.send(message(5)));
      transport.send(message(6));
    });
    expect(res.writes - before).toBe(1);
    expect(text().match(/^id: /gm)).toHaveLength(3);
  });

  it('counts what waits, to the byte, once the module has said that it could not write', () => {
    const { res, transport, outbox } = open();
    res.room = 0;
    const first = 'x'.repeat(1_000);
    expect(transport.send(message(1, first))).toBe('sent');
    expect(transport.send(message(2, first))).toBe('buffered');
    const waiting = transport.bufferedBytes();
    expect(waiting).toBeGreaterThan(1_000);
    for (let i = 3; i < 50; i += 1) expect(outbox.write(message(i, first))).toBe('ok');
    expect(transport.bufferedBytes()).toBeGreaterThan(waiting + 47_000);
    // No more than the two writes are in the module.
    expect(res.heldBytes).toBeLessThan(2_400);
  });

  it('refuses what would pass its bound, and gives everything before in order when the reader comes back', () => {
    const { res, transport, outbox, text, told } = open();
    res.room = 500;
    let last = 0;
    while (outbox.write(message(last + 1, 'y'.repeat(900))) === 'ok') last += 1;
    expect(transport.bufferedBytes()).toBeLessThanOrEqual(100_000);
    expect(outbox.isWritable).toBe(false);
    for (let i = 0; i < 400; i += 1) res.takes(700);
    expect(transport.bufferedBytes()).toBe(0);
    expect(outbox.isWritable).toBe(true);
    expect(told.drained).toBeGreaterThan(0);
    const offsets = [...text().matchAll(/"offset":(\d+)/g)].map(([, offset]) => Number(offset));
    expect(offsets).toEqual(Array.from({ length: last }, (_, i) => i + 1));
    expect(transport.send(message(1))).toBe('sent');
    expect(told.bugs).toEqual([]);
  });

  it('pings with a comment, unless something waits', () => {
    const { res, transport } = open();
    const before = res.writes;
    transport.ping();
    expect(res.writes - before).toBe(1);
    expect(res.wire.at(-1)).toBe(': ping\n\n');
    res.room = 0;
    transport.send(message(1));
    transport.send(message(2));
    const waiting = transport.bufferedBytes();
    transport.ping();
    expect(transport.bufferedBytes()).toBe(waiting);
  });

  it('hands over what waits when it ends, last words included, and tells its owner once', () => {
    const { res, transport, told } = open();
    res.room = 0;
    for (let i = 1; i < 9; i += 1) transport.send(message(i));
    transport.send('{"type":"disconnect"}');
    transport.end();
    transport.end();
    expect(res.isEnded).toBe(true);
    expect(told.ended).toBe(1);
    expect(transport.bufferedBytes()).toBe(0);
    expect(transport.send(message(9))).toBe('dropped');
    transport.ping();
    res.takes(1_000_000);
    expect(told.bugs).toEqual([]);
  });

  it('touches nothing after the peer has gone', () => {
    const { res, transport, told } = open();
    const before = res.writes;
    transport.aborted();
    res.isEnded = true;
    expect(transport.send(message(1))).toBe('dropped');
    transport.ping();
    transport.end();
    res.takes(10);
    expect(res.writes).toBe(before);
    expect(told).toEqual({ drained: 0, ended: 1, bugs: [] });
  });
});
