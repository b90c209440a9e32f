import type { Backplane, StreamStart } from '@replyx/core';
import { BOUNDS } from '@replyx/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { appended, freshId, type MakeWorld, publication, Recorder, settled, textOf, type World } from './world.js';

const IDLE_MS = 300;
const BOT = { id: 'bot "1"', name: 'Bot' };
const ANNA = { role: 'manager', id: 'anna', publicId: 'public-anna' } as const;
/** Everything that JSON, a header or a script might trip over. */
const ODD = ['"quoted" \\ back', 'line\nend\ttab\u2028', '\u0000\u001f', '😀 Zoë', '</script> / %s', ':|{x}'];

export const describeStreamsContract = (name: string, makeWorld: MakeWorld): void => {
  describe(`${name}: streams`, () => {
    let world: World;
    let a: Backplane;
    let b: Backplane;
    let dialogId: string;
    let toB: Recorder;

    beforeEach(async () => {
      world = await makeWorld();
      [a, b] = await Promise.all([world.open({ streamIdleMs: IDLE_MS }), world.open({ streamIdleMs: IDLE_MS })]);
      dialogId = freshId();
      toB = new Recorder(b);
      await b.fanout.subscribe([{ dialogId, track: 'main' }]);
    });
    afterEach(() => world.close());

    const begin = (streamId: string, overrides: Partial<StreamStart> = {}, node = a) =>
      node.streams.start({ dialogId, streamId, sender: BOT, mustExist: false, ...overrides });
    const add = (streamId: string, index: number, text: string, node = a) =>
      node.streams.append({ dialogId, streamId, index, text });
    const finish = (streamId: string, hasText = false, node = a) =>
      node.streams.finish({ dialogId, streamId }, hasText);
    const abort = (streamId: string, node = a) => node.streams.abort({ dialogId, streamId });
    const write = async (
      streamId: string,
      texts: readonly string[],
      overrides?: Partial<StreamStart>,
    ): Promise<void> => {
      expect(await begin(streamId, overrides)).toMatchObject({ status: 'open' });
      for (const [index, text] of texts.entries())
        expect(await add(streamId, index, text)).toEqual({ status: 'open', next: index + 1, duplicate: false });
    };
    const deltas = async (): Promise<Record<string, unknown>[]> => {
      await settled(a, { dialogId, track: 'main' }, [toB]);
      return toB.of('delta').map(({ streamId, index, done, frame }) => {
        const parsed = JSON.parse(textOf(frame));
        expect(parsed).toMatchObject({ type: 'delta', stream_id: streamId, index });
        expect(parsed.done === true).toBe(done);
        const { type: _type, ...rest } = parsed;
        return rest;
      });
    };
    const ends = async () =>
      (await deltas()).filter(({ done }) => done === true).map(({ stream_id, reason }) => [stream_id, reason]);
    const take = (minimumFence?: number) =>
      a.handoffs.act({
        dialogId,
        action: 'take',
        id: freshId('h'),
        sender: ANNA,
        operator: ANNA,
        minimumFence,
        mustExist: false,
      });

    test('are told piece by piece, and end with one last delta', async () => {
      const streamId = 'a:1 "odd" 😀/|';
      await write(streamId, ODD);
      expect(await finish(streamId)).toEqual({
        status: 'finishing',
        sender: BOT,
        fence: undefined,
        text: ODD.join(''),
      });
      expect(await deltas()).toEqual([
        ...ODD.map((text, index) => ({ stream_id: streamId, index, text })),
        { stream_id: streamId, index: ODD.length, text: '', done: true, reason: 'finished' },
      ]);
    });

    test('are written to by any node, and seen by any node with all their text', async () => {
      await begin('s');
      await add('s', 0, 'one ', b);
      await add('s', 1, 'two ', a);
      await begin('empty');
      await write('t', ODD);
      const open = await b.streams.open(dialogId);
      expect([...open].sort((one, other) => (one.streamId < other.streamId ? -1 : 1))).toEqual([
        { streamId: 's', index: 1, text: 'one two ' },
        { streamId: 't', index: ODD.length - 1, text: ODD.join('') },
      ]);
      await abort('t');
      await finish('s', false, b);
      expect(await a.streams.open(dialogId)).toEqual([]);
    });

    test('are counted for those who register', async () => {
      const register = async () => {
        const result = await b.roster.register({
          dialogId,
          connectionId: freshId('c'),
          member: { role: 'user', id: 'v', publicId: 'v' },
          claim: { tenant: 't', assistantId: 'bot', visitorId: 'v', directory: 'open' },
        });
        return result.status === 'registered' ? result.openStreams : undefined;
      };
      expect(await register()).toBe(0);
      await begin('s');
      await begin('t');
      expect(await register()).toBe(2);
      await finish('s', true);
      await abort('t');
      expect(await register()).toBe(0);
    });

    describe('a step again', () => {
      test('to start gives the stream as it is, to its sender', async () => {
        await write('s', ['one']);
        expect(await begin('s', {}, b)).toEqual({ status: 'open', next: 1, duplicate: true });
        expect(await begin('s', { sender: { id: 'other' } })).toEqual({ status: 'conflict' });
        await abort('s');
        expect(await begin('s')).toEqual({ status: 'over', how: 'aborted' });
      });

      test('to append the last piece adds nothing; any other index, or another text, is a conflict', async () => {
        await write('s', ['one', 'two']);
        expect(await add('s', 1, 'two', b)).toEqual({ status: 'open', next: 2, duplicate: true });
        for (const [index, text] of [
          [1, 'owt'],
          [1, 'onetwo'],
          [0, 'one'],
          [3, 'x'],
        ] as const)
          expect(await add('s', index, text)).toEqual({ status: 'conflict' });
        expect(await deltas()).toHaveLength(2);
        expect(await b.streams.open(dialogId)).toMatchObject([{ text: 'onetwo' }]);
      });

      test('to finish gives the text again until it is settled, then where its message is', async () => {
        await write('s', ['one'], { fence: 4 });
        const first = await finish('s');
        expect(first).toMatchObject({ status: 'finishing', fence: 4, text: 'one' });
        expect(await finish('s', false, b)).toEqual(first);
        await b.streams.settle({ dialogId, streamId: 's' }, { status: 'published', epoch: 'e_-1', offset: 7 });
        expect(await finish('s')).toEqual({ status: 'finished', epoch: 'e_-1', offset: 7 });
        await a.streams.settle({ dialogId, streamId: 's' }, { status: 'refused', how: 'closed' });
        expect(await finish('s')).toMatchObject({ status: 'finished' });
        expect(await abort('s')).toEqual({ status: 'over', how: 'finished' });
        expect(await ends()).toEqual([['s', 'finished']]);
      });

      test('to abort is done once', async () => {
        await write('s', ['one']);
        expect(await abort('s')).toEqual({ status: 'aborted', duplicate: false });
        expect(await abort('s', b)).toEqual({ status: 'aborted', duplicate: true });
        expect(await add('s', 1, 'two')).toEqual({ status: 'over', how: 'aborted' });
        expect(await finish('s', true)).toEqual({ status: 'over', how: 'aborted' });
        expect(await ends()).toEqual([['s', 'aborted']]);
      });

      test('to one whose message was refused says why', async () => {
        await write('s', ['one']);
        await finish('s');
        expect(await add('s', 1, 'two')).toEqual({ status: 'over', how: 'finishing' });
        await a.streams.settle({ dialogId, streamId: 's' }, { status: 'refused', how: 'stale_fence' });
        expect(await finish('s')).toEqual({ status: 'over', how: 'stale_fence' });
      });
    });

    test('without a text are not finished, but with one of the caller', async () => {
      await begin('s');
      expect(await finish('s')).toEqual({ status: 'conflict' });
      expect(await ends()).toEqual([]);
      expect(await finish('s', true)).toMatchObject({ status: 'finishing', text: '' });
    });

    test('that are unknown are not found', async () => {
      expect(await add('s', 0, 'x')).toEqual({ status: 'not_found' });
      expect(await finish('s', true)).toEqual({ status: 'not_found' });
      expect(await abort('s')).toEqual({ status: 'not_found' });
      expect(await begin('s', { mustExist: true })).toEqual({ status: 'not_found' });
      expect(await a.streams.open(dialogId)).toEqual([]);
      await write('s', ['x']);
      await a.log.erase(dialogId);
      expect(await add('s', 1, 'y')).toEqual({ status: 'not_found' });
      expect(await begin('s')).toMatchObject({ duplicate: false, next: 0 });
      await add('s', 0, 'new');
      expect(await a.streams.open(dialogId)).toEqual([{ streamId: 's', index: 0, text: 'new' }]);
    });

    test('hold no more than a message may', async () => {
      await write('s', ['😀'.repeat(BOUNDS.textUnits / 2 - 1)]);
      expect(await add('s', 1, 'xyz')).toEqual({ status: 'too_large' });
      expect(await add('s', 1, 'xy')).toMatchObject({ status: 'open' });
      expect(await add('s', 2, 'x')).toEqual({ status: 'too_large' });
      expect((await finish('s')) as object).toMatchObject({ status: 'finishing' });
    });

    test('are as many at once as may be, and one that ends makes room', async () => {
      const ids = Array.from({ length: BOUNDS.openStreams }, (_, number) => `s${number}`);
      for (const id of ids) await write(id, [`text of ${id}`]);
      const refused = await begin('more');
      expect(refused.status).toBe('full');
      expect('retryAfterMs' in refused && refused.retryAfterMs).toBeGreaterThan(0);
      expect('retryAfterMs' in refused && refused.retryAfterMs).toBeLessThanOrEqual(IDLE_MS + 1);
      await abort('s1');
      await write('more', ['more']);
      expect((await begin('even more')).status).toBe('full');
      // Finished ones that nobody settled hold no place for ever.
      for (const id of ['s0', 's2', 's3', 'more']) expect(await finish(id)).toMatchObject({ status: 'finishing' });
      for (const id of ['u0', 'u1', 'u2', 'u3']) await write(id, [`text of ${id}`]);
      expect((await a.streams.open(dialogId)).map(({ text }) => text).sort()).toEqual(
        ['u0', 'u1', 'u2', 'u3'].map((id) => `text of ${id}`),
      );
      expect(await finish('s0')).toEqual({ status: 'over', how: 'expired' });
    });

    test('are remembered up to a bound once they have ended', async () => {
      for (let number = 0; number < 60; number++) {
        await begin(`s${number}`);
        await abort(`s${number}`);
      }
      await begin('last');
      expect(await abort('s59')).toEqual({ status: 'aborted', duplicate: true });
      expect(await abort('s0')).toEqual({ status: 'not_found' });
    });

    test.each(['append', 'finish', 'start', 'look'] as const)(
      'that nobody goes on with end once, when the next one comes to %s',
      async (how) => {
        await write('s', ['one']);
        await world.pass(IDLE_MS / 2);
        await add('s', 1, 'two');
        await world.pass(IDLE_MS / 2 + 2);
        expect(await b.streams.open(dialogId)).toHaveLength(1);
        await add('s', 2, 'three');
        await world.pass(IDLE_MS + 2);
        if (how === 'append') expect(await add('s', 3, 'x')).toEqual({ status: 'over', how: 'expired' });
        else if (how === 'finish') expect(await finish('s', true)).toEqual({ status: 'over', how: 'expired' });
        else if (how === 'start') expect(await begin('s')).toEqual({ status: 'over', how: 'expired' });
        else await Promise.all([a.streams.open(dialogId), b.streams.open(dialogId)]);
        expect(await a.streams.open(dialogId)).toEqual([]);
        expect(await ends()).toEqual([['s', 'expired']]);
      },
    );

    describe('end where their turn is over:', () => {
      test('a person takes the dialog: every open one at once, and none begins', async () => {
        await write('s', ['one']);
        await write('fenced', ['one'], { fence: 9 });
        await begin('empty');
        await write('finished', ['one']);
        await finish('finished');
        await take();
        expect((await ends())[0]).toEqual(['finished', 'finished']);
        expect((await ends()).slice(1).map(String).sort()).toEqual([
          'empty,stale_fence',
          'fenced,stale_fence',
          's,stale_fence',
        ]);
        const heard = toB.deliveries.filter(({ kind }) => kind === 'delta' || kind === 'handoff');
        expect(heard.slice(-2).map(({ kind }) => kind)).toEqual(['handoff', 'handoff']);
        for (const id of ['s', 'fenced', 'empty'])
          expect(await add(id, 1, 'two')).toEqual({ status: 'over', how: 'stale_fence' });
        expect(await finish('s', true)).toEqual({ status: 'over', how: 'stale_fence' });
        expect(await begin('next')).toEqual({ status: 'stale_fence' });
        expect(await begin('next', { fence: 9 })).toEqual({ status: 'stale_fence' });
        await a.handoffs.act({ dialogId, action: 'release', id: freshId('h'), sender: ANNA, mustExist: false });
        expect(await begin('next')).toMatchObject({ status: 'open' });
        expect(await add('s', 1, 'two')).toEqual({ status: 'over', how: 'stale_fence' });
      });

      test('another holder writes with a newer fence', async () => {
        await write('s', ['one'], { fence: 5 });
        await write('unfenced', ['one']);
        expect(await begin('late', { fence: 4 })).toEqual({ status: 'stale_fence' });
        appended(await b.log.publish(publication(dialogId, { fence: 6 })));
        expect(await add('s', 1, 'two')).toEqual({ status: 'over', how: 'stale_fence' });
        expect(await add('unfenced', 1, 'two')).toMatchObject({ status: 'open' });
        expect(await ends()).toEqual([['s', 'stale_fence']]);
      });

      test('their own start raises the fence for all others', async () => {
        await begin('s', { fence: 5 });
        expect((await b.log.publish(publication(dialogId, { fence: 4 }))).status).toBe('stale_fence');
      });

      test('the dialog is closed', async () => {
        await write('s', ['one']);
        await write('t', ['one']);
        await a.directory.putDialog(dialogId, { tenant: 't', closed: true });
        expect(await add('s', 1, 'two')).toEqual({ status: 'over', how: 'closed' });
        expect(await finish('t')).toEqual({ status: 'over', how: 'closed' });
        expect(await begin('u')).toEqual({ status: 'closed' });
        expect((await ends()).sort()).toEqual([
          ['s', 'closed'],
          ['t', 'closed'],
        ]);
      });
    });

    test('taken over at any moment end once, and nothing follows', async () => {
      for (let round = 0; round < 20; round++) {
        toB.clear();
        const streamId = `race-${round}`;
        await write(streamId, ['0']);
        const pieces = (async () => {
          for (let index = 1; index <= 10; index++) {
            if ((await add(streamId, index, String(index))).status !== 'open') return;
          }
          await finish(streamId);
        })();
        const takeover = (async () => {
          for (let turn = 0; turn < round % 12; turn++) await b.handoffs.current(dialogId);
          return take();
        })();
        await Promise.all([pieces, takeover]);
        const seen = await deltas();
        expect(seen.filter(({ done }) => done === true)).toHaveLength(1);
        expect(seen.map(({ index }) => index)).toEqual(seen.map((_, index) => index));
        expect(seen.at(-1)).toMatchObject({ done: true });
        await a.handoffs.act({ dialogId, action: 'release', id: freshId('h'), sender: ANNA, mustExist: false });
      }
    });
  });
};
