import type { Backplane, TrackRef } from '@replyx/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { freshId, type MakeWorld, publication, Recorder, settled, textOf, type World } from './world.js';

export const describeFanoutContract = (name: string, makeWorld: MakeWorld): void => {
  describe(`${name}: fan-out`, () => {
    let world: World;
    let a: Backplane;
    let b: Backplane;
    let dialogId: string;
    let main: TrackRef;
    let internal: TrackRef;

    beforeEach(async () => {
      world = await makeWorld();
      [a, b] = await Promise.all([world.open(), world.open()]);
      dialogId = freshId();
      main = { dialogId, track: 'main' };
      internal = { dialogId, track: 'internal' };
    });
    afterEach(() => world.close());

    test('delivers what is published after subscribe resolves, to every node that holds the track', async () => {
      const [toA, toB] = [new Recorder(a), new Recorder(b)];
      await Promise.all([a.fanout.subscribe([main]), b.fanout.subscribe([main])]);
      await a.log.publish(publication(dialogId));
      expect(await toA.atLeast('publication', 1)).toMatchObject([{ ref: main, offset: 1 }]);
      expect(await toB.atLeast('publication', 1)).toMatchObject([{ ref: main, offset: 1 }]);
    });

    test('delivers nothing of other dialogs and tracks', async () => {
      const [toA, toB] = [new Recorder(a), new Recorder(b)];
      await a.fanout.subscribe([internal]);
      await b.fanout.subscribe([main]);
      await a.log.publish(publication(dialogId));
      await a.log.publish(publication(freshId()));
      await b.log.publish(publication(dialogId, { track: 'internal' }));
      await settled(a, internal, [toA]);
      await settled(a, main, [toB]);
      expect(toA.deliveries).toMatchObject([{ kind: 'publication', ref: internal }]);
      expect(toB.deliveries).toMatchObject([{ kind: 'publication', ref: main }]);
    });

    test('never delivers inside the call that caused it', async () => {
      const recorder = new Recorder(a);
      await a.fanout.subscribe([main]);
      const done = a.fanout.emit(main, 'all', 'x');
      expect(recorder.deliveries).toEqual([]);
      await done;
      await recorder.atLeast('ephemeral', 1);
    });

    test.each(['all', 'operators', 'visitors'] as const)(
      'sends a frame for %s, its bytes unchanged',
      async (audience) => {
        const recorder = new Recorder(b);
        await b.fanout.subscribe([main]);
        const text = '{"type":"typing","name":"Zoë\\n😀"}\nsecond line';
        await a.fanout.emit(main, audience, text);
        await a.fanout.emit(main, audience, new TextEncoder().encode(text));
        const deliveries = await recorder.atLeast('ephemeral', 2);
        for (const delivery of deliveries) {
          expect(delivery).toMatchObject({ ref: main, audience });
          expect(textOf(delivery.frame)).toBe(text);
        }
      },
    );

    test('passes bytes that are no text through', async () => {
      const recorder = new Recorder(b);
      await b.fanout.subscribe([main]);
      const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
      await a.fanout.emit(main, 'all', bytes);
      const deliveries = await recorder.atLeast('ephemeral', 1);
      expect(deliveries.map(({ frame }) => [...frame])).toEqual([[...bytes]]);
    });

    test('keeps the order of one node on a track, whatever the kind', async () => {
      const recorder = new Recorder(b);
      await b.fanout.subscribe([main]);
      const sent: Promise<unknown>[] = [];
      for (let index = 1; index <= 100; index++) {
        sent.push(
          index % 3 === 0
            ? a.fanout.emit(main, 'all', String(index))
            : a.log.publish(publication(dialogId, { request: index })),
        );
      }
      await Promise.all(sent);
      await settled(a, main, [recorder]);
      const order = recorder.deliveries.map((delivery) =>
        delivery.kind === 'publication'
          ? Number(delivery.origin.split(':')[1])
          : delivery.kind === 'ephemeral' && Number(textOf(delivery.frame)),
      );
      expect(order).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
    });

    test('subscribes to hundreds of tracks in one tick', async () => {
      const recorder = new Recorder(a);
      const refs = Array.from({ length: 500 }, (_, index) => ({
        dialogId: `${dialogId}-${index}`,
        track: 'main' as const,
      }));
      await Promise.all([
        a.fanout.subscribe(refs.slice(0, 200)),
        ...refs.slice(200).map((ref) => a.fanout.subscribe([ref])),
      ]);
      await Promise.all(refs.map((ref) => b.fanout.emit(ref, 'all', ref.dialogId)));
      const deliveries = await recorder.atLeast('ephemeral', 500);
      expect(new Set(deliveries.map(({ ref }) => ref.dialogId)).size).toBe(500);
      for (const { ref, frame } of deliveries) expect(textOf(frame)).toBe(ref.dialogId);
    });

    test('delivers once, however often a track is subscribed to', async () => {
      const recorder = new Recorder(a);
      await Promise.all([a.fanout.subscribe([main, main]), a.fanout.subscribe([main])]);
      await a.fanout.subscribe([main]);
      await b.fanout.emit(main, 'all', 'one');
      await settled(b, main, [recorder]);
      expect(recorder.deliveries).toHaveLength(1);
    });

    test('ends with unsubscribe, and begins again with subscribe', async () => {
      const recorder = new Recorder(a);
      await a.fanout.subscribe([main, internal]);
      a.fanout.unsubscribe([main]);
      // A subscription that is confirmed later proves that the end has gone through.
      await a.fanout.subscribe([{ dialogId: freshId(), track: 'main' }]);
      await b.fanout.emit(main, 'all', 'not heard');
      await settled(b, internal, [recorder]);
      expect(recorder.deliveries).toEqual([]);
      await a.fanout.subscribe([main]);
      await b.fanout.emit(main, 'all', 'heard');
      expect((await recorder.atLeast('ephemeral', 1)).map(({ frame }) => textOf(frame))).toEqual(['heard']);
    });

    test('keeps a subscription that is given up and taken again at once', async () => {
      const recorder = new Recorder(a);
      for (let round = 0; round < 20; round++) {
        await a.fanout.subscribe([main]);
        await b.fanout.emit(main, 'all', String(round));
        await recorder.atLeast('ephemeral', round + 1);
        a.fanout.unsubscribe([main]);
        if (round % 2 === 0) await Promise.resolve();
      }
    });

    test('ignores what it was never subscribed to', async () => {
      a.fanout.unsubscribe([main]);
      await a.fanout.subscribe([]);
      await b.fanout.emit(main, 'all', 'nobody');
    });

    test('is healthy', () => {
      expect(a.health()).toEqual({ ok: true, reasons: [] });
    });

    test('may be closed twice', async () => {
      await a.close();
      await a.close();
    });
  });
};
