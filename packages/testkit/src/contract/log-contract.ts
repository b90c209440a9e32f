import type { Backplane, PublishRequest, PublishResult, ReadRequest } from '@replyx/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  appended,
  freshId,
  type MakeWorld,
  patiently,
  publication,
  Recorder,
  settled,
  textOf,
  type World,
} from './world.js';

/** What a refusal needs: how to bring it about, and how to take its cause away. */
interface Refusal {
  readonly status: PublishResult['status'];
  readonly overrides?: Partial<PublishRequest>;
  prepare(node: Backplane, dialogId: string): Promise<void>;
  /** Changes of the retry that must be appended, once the cause is gone. */
  lift(node: Backplane, dialogId: string, world: World): Promise<Partial<PublishRequest>>;
}

const WINDOW_MS = 1_000;

const REFUSALS: readonly Refusal[] = [
  {
    status: 'not_found',
    overrides: { mustExist: true },
    prepare: async () => {},
    lift: async (node, dialogId) => {
      await node.directory.putDialog(dialogId, { tenant: 't', closed: false });
      return {};
    },
  },
  {
    status: 'closed',
    prepare: async (node, dialogId) => {
      await node.directory.putDialog(dialogId, { tenant: 't', closed: true });
    },
    lift: async (node, dialogId) => {
      await node.directory.putDialog(dialogId, { tenant: 't', closed: false });
      return {};
    },
  },
  {
    status: 'stale_fence',
    overrides: { fence: 4 },
    prepare: async (node, dialogId) => {
      appended(await node.log.publish(publication(dialogId, { fence: 5 })));
    },
    lift: async () => ({ fence: 5 }),
  },
  {
    status: 'rate_limited',
    overrides: { windowLimit: 2, windowMs: WINDOW_MS, fence: 9 },
    prepare: async (node, dialogId) => {
      for (let sent = 0; sent < 2; sent++) {
        appended(await node.log.publish(publication(dialogId, { windowLimit: 2, windowMs: WINDOW_MS, fence: 5 })));
      }
    },
    lift: async (_node, _dialogId, world) => {
      await world.pass(WINDOW_MS + 2);
      // The refused attempt carried fence 9, and must not have raised it.
      return { fence: 5 };
    },
  },
];

interface PageCase {
  readonly name: string;
  readonly ask: Omit<ReadRequest, 'dialogId' | 'track'>;
  readonly offsets: readonly number[];
  readonly more: boolean;
}

/** Of ten publications, 4 to 10 are kept. */
const PAGES: readonly PageCase[] = [
  { name: 'the position alone', ask: { limit: 0 }, offsets: [], more: false },
  { name: 'the newest', ask: { limit: 3 }, offsets: [8, 9, 10], more: true },
  { name: 'all that are kept', ask: { limit: 7 }, offsets: [4, 5, 6, 7, 8, 9, 10], more: false },
  { name: 'from the start', ask: { after: 0, limit: 2 }, offsets: [4, 5], more: true },
  { name: 'after one', ask: { after: 7, limit: 2 }, offsets: [8, 9], more: true },
  { name: 'after one, to the end', ask: { after: 7, limit: 3 }, offsets: [8, 9, 10], more: false },
  { name: 'after the head', ask: { after: 10, limit: 5 }, offsets: [], more: false },
  { name: 'after more than the head', ask: { after: 1_000_000, limit: 5 }, offsets: [], more: false },
  { name: 'before one', ask: { before: 9, limit: 2 }, offsets: [7, 8], more: true },
  { name: 'before one, to the oldest', ask: { before: 6, limit: 5 }, offsets: [4, 5], more: false },
  { name: 'before the oldest', ask: { before: 4, limit: 5 }, offsets: [], more: false },
  { name: 'before the first', ask: { before: 1, limit: 5 }, offsets: [], more: false },
  { name: 'before more than the head', ask: { before: 1_000_000, limit: 2 }, offsets: [9, 10], more: true },
];

export const describeLogContract = (name: string, makeWorld: MakeWorld): void => {
  describe(`${name}: log`, () => {
    let world: World;
    let a: Backplane;
    let b: Backplane;
    let dialogId: string;

    beforeEach(async () => {
      world = await makeWorld();
      [a, b] = await Promise.all([world.open(), world.open()]);
      dialogId = freshId();
    });
    afterEach(() => world.close());

    const head = async (node: Backplane, track: 'main' | 'internal' = 'main') => {
      const { epoch, offset, oldest } = await patiently(() => node.log.read({ dialogId, track, limit: 0 }));
      return { epoch, offset, oldest };
    };
    const offsets = async (node: Backplane): Promise<number[]> => {
      const { entries } = await node.log.read({ dialogId, track: 'main', limit: 100 });
      return entries.map(({ offset }) => offset);
    };
    const send = async (count: number, node = a): Promise<void> => {
      for (let sent = 0; sent < count; sent++) appended(await node.log.publish(publication(dialogId)));
    };

    describe('appending', () => {
      test('numbers publications from 1 in one epoch, whichever node publishes', async () => {
        const first = appended(await a.log.publish(publication(dialogId)));
        const second = appended(await b.log.publish(publication(dialogId)));
        expect([first.offset, second.offset]).toEqual([1, 2]);
        expect(second.epoch).toBe(first.epoch);
        expect(first.epoch).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
        expect(await head(b)).toEqual({ epoch: first.epoch, offset: 2, oldest: 1 });
      });

      test('gives the two tracks offsets and epochs of their own', async () => {
        const main = appended(await a.log.publish(publication(dialogId)));
        const note = appended(await a.log.publish(publication(dialogId, { track: 'internal' })));
        expect(note.offset).toBe(1);
        expect(note.epoch).not.toBe(main.epoch);
      });

      test('builds the frame around offset and time, and passes every byte through', async () => {
        const recorder = new Recorder(b);
        await b.fanout.subscribe([{ dialogId, track: 'main' }]);
        const text = `${'€😀\u0000\u2028\\"\n'.repeat(4_000)}end`;
        const tail = `,"text":${JSON.stringify(text)}}`;
        const before = await world.nowMs();
        await a.log.publish(publication(dialogId, { frameTail: tail }));
        const [delivery] = await recorder.atLeast('publication', 1);
        const frame = textOf(delivery?.frame as Uint8Array);
        const parsed = JSON.parse(frame) as { offset: number; timestamp: number; text: string };
        expect(frame).toBe(`{"type":"message","offset":1,"timestamp":${parsed.timestamp}${tail}`);
        expect(parsed.timestamp).toBeGreaterThanOrEqual(before - 1_000);
        expect(parsed.timestamp).toBeLessThanOrEqual((await world.nowMs()) + 1_000);
        const { entries } = await b.log.read({ dialogId, track: 'main', limit: 1 });
        expect(textOf(entries[0]?.frame as Uint8Array)).toBe(frame);
      });

      test('tells origin and position alike in the delivery, the answer and the history', async () => {
        const recorder = new Recorder(a);
        await a.fanout.subscribe([{ dialogId, track: 'main' }]);
        const request = publication(dialogId);
        const answer = appended(await b.log.publish(request));
        const [delivery] = await recorder.atLeast('publication', 1);
        const origin = `${world.incarnationOf(b)}:${request.request}`;
        expect(delivery).toMatchObject({ ...answer, origin, ref: { dialogId, track: 'main' } });
        const { entries } = await a.log.read({ dialogId, track: 'main', limit: 1 });
        expect(entries).toMatchObject([{ offset: answer.offset, origin }]);
      });

      test('keeps one dense order under concurrent publications of three nodes', async () => {
        const c = await world.open({ historySize: 500 });
        const recorders = [new Recorder(a), new Recorder(b), new Recorder(c)];
        const ref = { dialogId, track: 'main' } as const;
        await Promise.all([a, b, c].map((node) => node.fanout.subscribe([ref])));
        const nodes = [a, b, c];
        const results = await Promise.all(
          Array.from({ length: 200 }, (_, index) => (nodes[index % 3] as Backplane).log.publish(publication(dialogId))),
        );
        const taken = results.map((result) => appended(result).offset).sort((x, y) => x - y);
        expect(taken).toEqual(Array.from({ length: 200 }, (_, index) => index + 1));
        const orders = await Promise.all(recorders.map((recorder) => recorder.atLeast('publication', 200)));
        for (const order of orders) {
          expect(order.map(({ offset }) => offset)).toEqual(Array.from({ length: 200 }, (_, index) => index + 1));
          expect(order.map(({ origin }) => origin)).toEqual(orders[0]?.map(({ origin }) => origin));
        }
      });
    });

    describe('idempotency', () => {
      test('answers a retry with the first offset, from any node, and appends nothing', async () => {
        const request = publication(dialogId, { id: 'once' });
        const first = appended(await a.log.publish(request));
        await send(3);
        expect(await b.log.publish({ ...request, request: 99 })).toEqual({ status: 'duplicate', ...first });
        expect((await head(a)).offset).toBe(4);
      });

      test('appends once when two nodes publish the same id at once', async () => {
        for (let round = 0; round < 10; round++) {
          const request = publication(dialogId);
          const results = await Promise.all([a, b, a, b].map((node) => node.log.publish(request)));
          expect(results.map(({ status }) => status).sort()).toEqual([
            'appended',
            'duplicate',
            'duplicate',
            'duplicate',
          ]);
          expect(new Set(results.map((result) => (result as { offset: number }).offset)).size).toBe(1);
          expect((await head(a)).offset).toBe(round + 1);
        }
      });

      test('refuses the same id with another body, and keeps the first', async () => {
        const request = publication(dialogId, { id: 'once' });
        await a.log.publish(request);
        expect(await b.log.publish({ ...request, bodyDigest: 'another' })).toEqual({ status: 'conflict' });
        expect((await a.log.publish(request)).status).toBe('duplicate');
        expect((await head(a)).offset).toBe(1);
      });

      test.each([
        ['another sender', { sender: { role: 'user', id: 'someone else' } }],
        ['another role', { sender: { role: 'manager', id: 'visitor' } }],
        ['another track', { track: 'internal' }],
      ] as const)('takes the same id of %s for another message', async (_, overrides) => {
        appended(await a.log.publish(publication(dialogId, { id: 'same' })));
        appended(await a.log.publish(publication(dialogId, { id: 'same', ...overrides })));
      });

      test.each(['a:b', 'a b', 'ü€😀', '{x}', '*'])('keeps ids apart that are %j', async (odd) => {
        const sender = { role: 'user', id: odd } as const;
        appended(await a.log.publish(publication(dialogId, { id: odd, sender })));
        expect((await b.log.publish(publication(dialogId, { id: odd, sender }))).status).toBe('duplicate');
        appended(await a.log.publish(publication(dialogId, { id: `${odd}:`, sender })));
      });

      test.each<[string, (request: PublishRequest) => Promise<Partial<PublishRequest>>]>([
        [
          'has been closed',
          async () => {
            await a.directory.putDialog(dialogId, { tenant: 't', closed: true });
            return {};
          },
        ],
        [
          'has a newer fence',
          async () => {
            await a.log.publish(publication(dialogId, { fence: 9 }));
            return { fence: 1 };
          },
        ],
        [
          'has a full window',
          async () => {
            await a.log.publish(publication(dialogId, { windowLimit: 1, windowMs: 60_000 }));
            return { windowLimit: 1, windowMs: 60_000 };
          },
        ],
      ])('still answers a retry as a duplicate when the dialog %s since', async (_, change) => {
        const request = publication(dialogId, { fence: 1 });
        const first = appended(await a.log.publish(request));
        const overrides = await change(request);
        expect(await b.log.publish({ ...request, ...overrides })).toEqual({ status: 'duplicate', ...first });
      });

      test('forgets an id after its time', async () => {
        const node = await world.open({ idempotencyTtlMs: 150 });
        const request = publication(dialogId);
        expect(appended(await node.log.publish(request)).offset).toBe(1);
        await world.pass(200);
        expect(appended(await node.log.publish(request)).offset).toBe(2);
      });
    });

    describe('refusals', () => {
      test.each(REFUSALS)('$status leaves nothing behind', async ({ status, overrides, prepare, lift }) => {
        const recorder = new Recorder(b);
        const ref = { dialogId, track: 'main' } as const;
        await b.fanout.subscribe([ref]);
        await prepare(a, dialogId);
        await settled(a, ref, [recorder]);
        recorder.clear();
        const before = (await head(a)).offset;
        const request = publication(dialogId, overrides);
        for (const node of [a, b, a]) expect((await node.log.publish(request)).status).toBe(status);
        expect((await head(b)).offset).toBe(before);
        await settled(a, ref, [recorder]);
        expect(recorder.of('publication')).toEqual([]);
        const changes = await lift(a, dialogId, world);
        expect(appended(await b.log.publish({ ...request, ...changes })).offset).toBe(before + 1);
      });

      test('closes the main track only', async () => {
        await a.directory.putDialog(dialogId, { tenant: 't', closed: true });
        expect(await b.log.publish(publication(dialogId))).toEqual({ status: 'closed' });
        appended(await b.log.publish(publication(dialogId, { track: 'internal' })));
      });

      test('takes a fence that is equal or newer, or none, and refuses an older one', async () => {
        appended(await a.log.publish(publication(dialogId, { fence: 7 })));
        appended(await b.log.publish(publication(dialogId, { fence: 7 })));
        appended(await b.log.publish(publication(dialogId)));
        appended(await b.log.publish(publication(dialogId, { fence: 1_767_225_600_001 })));
        expect(await a.log.publish(publication(dialogId, { fence: 1_767_225_600_000 }))).toEqual({
          status: 'stale_fence',
        });
      });
    });

    describe('the sliding window', () => {
      const windowed = (limit: number, windowMs: number, sender = 'visitor'): PublishRequest =>
        publication(dialogId, { windowLimit: limit, windowMs, sender: { role: 'user', id: sender } });

      test('admits exactly the limit from any number of nodes at once', async () => {
        const nodes = [a, b, await world.open()];
        const results = await Promise.all(
          Array.from({ length: 60 }, (_, index) => (nodes[index % 3] as Backplane).log.publish(windowed(20, 60_000))),
        );
        expect(results.filter(({ status }) => status === 'appended')).toHaveLength(20);
        for (const result of results) {
          if (result.status === 'appended') continue;
          expect(result.status).toBe('rate_limited');
          const { retryAfterMs } = result as { retryAfterMs: number };
          expect(retryAfterMs).toBeGreaterThan(0);
          expect(retryAfterMs).toBeLessThanOrEqual(60_001);
        }
      });

      test('admits again after the wait that it names', async () => {
        const windowMs = 600;
        appended(await a.log.publish(windowed(1, windowMs)));
        const refused = await b.log.publish(windowed(1, windowMs));
        expect(refused.status).toBe('rate_limited');
        await world.pass((refused as { retryAfterMs: number }).retryAfterMs);
        appended(await b.log.publish(windowed(1, windowMs)));
      });

      test('in a dry run appends what it would refuse, and says so', async () => {
        const windowMs = 2_000;
        const dry = () => ({ ...windowed(2, windowMs), windowIsDryRun: true });
        const results = [];
        for (const node of [a, b, a, b]) results.push(await node.log.publish(dry()));
        const epoch = expect.any(String);
        expect(results).toEqual([
          { status: 'appended', epoch, offset: 1 },
          { status: 'appended', epoch, offset: 2 },
          { status: 'appended', epoch, offset: 3, overLimit: true },
          { status: 'appended', epoch, offset: 4, overLimit: true },
        ]);
        // They take no room: it is the window that it would be.
        await world.pass(((await a.log.publish(windowed(2, windowMs))) as { retryAfterMs: number }).retryAfterMs);
        expect(await a.log.publish(dry())).toEqual({ status: 'appended', epoch, offset: 5 });
      });

      test('counts each sender alone, and one sender over both tracks', async () => {
        appended(await a.log.publish(windowed(1, 60_000)));
        appended(await a.log.publish(windowed(1, 60_000, 'another')));
        expect((await a.log.publish({ ...windowed(1, 60_000), track: 'internal' })).status).toBe('rate_limited');
      });

      test('never admits more than the limit in any window, and refuses none too early', async () => {
        const [limit, windowMs] = [5, 100];
        const recorder = new Recorder(a);
        await a.fanout.subscribe([{ dialogId, track: 'main' }]);
        const refusedAt: number[] = [];
        let admitted = 0;
        const start = await world.nowMs();
        while ((await world.nowMs()) - start < 1_000) {
          const earliest = await world.nowMs();
          const result = await (admitted % 2 === 0 ? a : b).log.publish(windowed(limit, windowMs));
          if (result.status === 'appended') admitted++;
          else refusedAt.push(earliest);
          await world.pass(1 + (admitted % 3));
        }
        const times = (await recorder.atLeast('publication', admitted)).map(
          ({ frame }) => (JSON.parse(textOf(frame)) as { timestamp: number }).timestamp,
        );
        expect(admitted).toBeGreaterThan(limit * 3);
        times.forEach((time, index) => {
          const earlier = times[index - limit];
          if (earlier !== undefined) expect(time - earlier).toBeGreaterThan(windowMs);
        });
        for (const time of refusedAt) {
          const within = times.filter((each) => each <= time + windowMs * 0.02 + 5 && each >= time - windowMs - 1);
          expect(within.length).toBeGreaterThanOrEqual(limit);
        }
      });
    });

    describe('reading', () => {
      test('mints the epoch of an unknown track, once for all nodes', async () => {
        const reads = await Promise.all([a, b, a].map((node) => node.log.read({ dialogId, track: 'main', limit: 10 })));
        expect(new Set(reads.map(({ epoch }) => epoch)).size).toBe(1);
        expect(reads[0]).toMatchObject({ offset: 0, oldest: 1, entries: [], more: false });
        expect(appended(await b.log.publish(publication(dialogId))).epoch).toBe(reads[0]?.epoch);
      });

      test.each(PAGES)('gives $name', async ({ ask, offsets: expected, more }) => {
        const node = await world.open({ historySize: 7 });
        await send(10, node);
        const page = await node.log.read({ dialogId, track: 'main', ...ask });
        expect(page.entries.map(({ offset }) => offset)).toEqual(expected);
        expect(page).toMatchObject({ offset: 10, oldest: 4, more });
      });

      test('keeps the newest publications, trimmed by count', async () => {
        const node = await world.open({ historySize: 3 });
        await send(150, node);
        expect(await offsets(node)).toEqual([148, 149, 150]);
        expect(await head(b)).toMatchObject({ offset: 150, oldest: 148 });
      });

      test('lets the history expire by the time since the last publication, and goes on counting', async () => {
        const node = await world.open({ historyTtlMs: 600 });
        await send(2, node);
        const before = await head(node);
        await world.pass(400);
        await send(1, node);
        await world.pass(400);
        expect(await offsets(node)).toEqual([1, 2, 3]);
        await world.pass(660);
        expect(await head(node)).toEqual({ epoch: before.epoch, offset: 3, oldest: 4 });
        expect(appended(await node.log.publish(publication(dialogId)))).toEqual({ epoch: before.epoch, offset: 4 });
        expect(await head(node)).toMatchObject({ offset: 4, oldest: 4 });
      });
    });

    describe('a store that loses', () => {
      test('everything: the next use mints a new epoch from offset 0', async () => {
        const before = appended(await a.log.publish(publication(dialogId)));
        await world.flush();
        const after = await head(b);
        expect(after).toMatchObject({ offset: 0, oldest: 1 });
        expect(after.epoch).not.toBe(before.epoch);
        expect(appended(await a.log.publish(publication(dialogId)))).toEqual({ epoch: after.epoch, offset: 1 });
      });

      test('a dialog whole: the same', async () => {
        const before = appended(await a.log.publish(publication(dialogId)));
        await world.expire(dialogId, 'all');
        const after = appended(await b.log.publish(publication(dialogId)));
        expect(after.offset).toBe(1);
        expect(after.epoch).not.toBe(before.epoch);
      });

      test('a log: epoch and offset go on, the history is empty, a retry is still a duplicate', async () => {
        const request = publication(dialogId);
        const before = appended(await a.log.publish(request));
        await world.expire(dialogId, 'log');
        expect(await head(b)).toEqual({ epoch: before.epoch, offset: 1, oldest: 2 });
        expect((await b.log.publish(request)).status).toBe('duplicate');
        expect(appended(await b.log.publish(publication(dialogId)))).toEqual({ epoch: before.epoch, offset: 2 });
      });

      test('a meta key: the log is cleared, and a retry of the former life is appended', async () => {
        const request = publication(dialogId);
        const before = appended(await a.log.publish(request));
        await send(5);
        await world.expire(dialogId, 'meta');
        const after = appended(await b.log.publish(request));
        expect(after.offset).toBe(1);
        expect(after.epoch).not.toBe(before.epoch);
        expect(await offsets(a)).toEqual([1]);
      });

      test('a tail, by a restart: new epoch, the same life; what is kept keeps its offsets and the next follows it', async () => {
        const kept = publication(dialogId);
        await send(2);
        appended(await a.log.publish(kept));
        const before = await head(a);
        const rollBack = await world.saveForRollback();
        await send(4);
        await rollBack();
        const after = await head(b);
        expect(after.epoch).not.toBe(before.epoch);
        expect(after).toMatchObject({ offset: 3, oldest: 1 });
        expect(await patiently(() => a.log.publish(kept))).toEqual({
          status: 'duplicate',
          epoch: after.epoch,
          offset: 3,
        });
        expect(appended(await a.log.publish(publication(dialogId)))).toEqual({ epoch: after.epoch, offset: 4 });
        expect(await offsets(b)).toEqual([1, 2, 3, 4]);
        expect((await head(a)).epoch).toBe(after.epoch);
      });

      test('a tail, without a sign: a node that has seen more has a new epoch minted, by reading or by publishing', async () => {
        await send(2);
        const rollBack = await world.saveForSilentRollback();
        await send(3);
        const known = await head(a);
        expect(known.offset).toBe(5);
        await rollBack();
        expect((await head(b)).epoch).toBe(known.epoch);
        const after = await a.log.read({ dialogId, track: 'main', known, limit: 100 });
        expect(after.epoch).not.toBe(known.epoch);
        expect(after).toMatchObject({ offset: 2, oldest: 1 });
        expect(after.entries.map(({ offset }) => offset)).toEqual([1, 2]);
        // The news has come round: the same claim mints nothing more.
        expect((await b.log.read({ dialogId, track: 'main', known, limit: 0 })).epoch).toBe(after.epoch);
        const next = appended(await b.log.publish(publication(dialogId, { known })));
        expect(next).toEqual({ epoch: after.epoch, offset: 3 });
        await rollBack();
        const again = appended(await b.log.publish(publication(dialogId, { known })));
        expect(again.offset).toBe(3);
        expect([known.epoch, after.epoch]).not.toContain(again.epoch);
      });

      test('nothing: a position at the head mints nothing', async () => {
        await send(3);
        const known = await head(a);
        expect(await head(b)).toEqual(known);
        expect((await b.log.read({ dialogId, track: 'main', known, limit: 0 })).epoch).toBe(known.epoch);
        expect(appended(await b.log.publish(publication(dialogId, { known }))).epoch).toBe(known.epoch);
        const foreign = { epoch: 'another', offset: 1_000 };
        expect((await b.log.read({ dialogId, track: 'main', known: foreign, limit: 0 })).epoch).toBe(known.epoch);
      });

      test('one offset to two publications: the node that proves it has a new epoch minted, once', async () => {
        await send(3);
        const known = await head(a);
        const minted = await a.log.read({ dialogId, track: 'main', known, mint: true, limit: 0 });
        expect(minted.epoch).not.toBe(known.epoch);
        expect(minted.offset).toBe(3);
        const again = await b.log.read({ dialogId, track: 'main', known, mint: true, limit: 0 });
        expect(again.epoch).toBe(minted.epoch);
      });
    });

    describe('erasing', () => {
      test('clears both tracks and what a retry goes by, tells the nodes, and leaves the directory', async () => {
        const recorder = new Recorder(b);
        await b.fanout.subscribe([{ dialogId, track: 'main' }]);
        await a.directory.putDialog(dialogId, { tenant: 't', assistantId: 'bot', visitorId: 'v', closed: false });
        const request = publication(dialogId);
        const before = appended(await a.log.publish(request));
        await a.log.publish(publication(dialogId, { track: 'internal' }));
        await a.log.erase(dialogId);
        await recorder.atLeast('erased', 1);
        expect((await head(b)).offset).toBe(0);
        expect((await head(b, 'internal')).offset).toBe(0);
        const after = appended(await b.log.publish(request));
        expect(after.offset).toBe(1);
        expect(after.epoch).not.toBe(before.epoch);
        expect(await b.directory.dialog(dialogId)).toEqual({
          tenant: 't',
          assistantId: 'bot',
          visitorId: 'v',
          closed: false,
        });
      });

      test('is harmless for an unknown dialog', async () => {
        await a.log.erase(dialogId);
        expect(await a.directory.dialog(dialogId)).toBeUndefined();
      });
    });
  });
};
