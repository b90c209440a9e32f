import type { Backplane, HandoffAction, HandoffRequest, HandoffResult, Member } from '@replyx/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { appended, freshId, type MakeWorld, publication, Recorder, settled, textOf, type World } from './world.js';

const IDS_TTL_MS = 400;
const VISITOR = { role: 'user', id: 'Zoë 😀:|{x}' } as const;
const BACKEND = { role: 'system', id: 'api' } as const;
const ANNA: Member = { role: 'manager', id: 'secret "anna" |', name: 'Anna', publicId: 'public-anna' };
const BORIS: Member = { role: 'manager', id: 'secret-boris', publicId: 'public-boris' };
const BOT = { role: 'assistant', id: 'bot' } as const;

/** Who acts, and what: `anna take` for instance. */
type Step = readonly ['visitor' | 'backend' | 'anna' | 'boris', HandoffAction];

const TRANSITIONS: readonly {
  readonly before: readonly Step[];
  readonly step: Step;
  readonly state: string;
  /** Whether the dialog's nodes are told. */
  readonly told?: boolean;
}[] = [
  { before: [], step: ['visitor', 'request'], state: 'requested', told: true },
  { before: [], step: ['visitor', 'cancel'], state: 'conflict' },
  { before: [], step: ['anna', 'take'], state: 'active', told: true },
  { before: [], step: ['anna', 'release'], state: 'conflict' },
  { before: [['visitor', 'request']], step: ['backend', 'request'], state: 'requested' },
  { before: [['visitor', 'request']], step: ['backend', 'cancel'], state: 'cancelled', told: true },
  { before: [['visitor', 'request']], step: ['anna', 'take'], state: 'active', told: true },
  { before: [['visitor', 'request']], step: ['anna', 'release'], state: 'conflict' },
  { before: [['anna', 'take']], step: ['visitor', 'request'], state: 'conflict' },
  { before: [['anna', 'take']], step: ['visitor', 'cancel'], state: 'conflict' },
  { before: [['anna', 'take']], step: ['boris', 'take'], state: 'conflict' },
  { before: [['anna', 'take']], step: ['anna', 'take'], state: 'active' },
  { before: [['anna', 'take']], step: ['anna', 'release'], state: 'released', told: true },
  { before: [['anna', 'take']], step: ['boris', 'release'], state: 'released', told: true },
  {
    before: [
      ['anna', 'take'],
      ['anna', 'release'],
    ],
    step: ['boris', 'take'],
    state: 'active',
    told: true,
  },
  {
    before: [
      ['anna', 'take'],
      ['anna', 'release'],
    ],
    step: ['boris', 'release'],
    state: 'conflict',
  },
  {
    before: [
      ['anna', 'take'],
      ['anna', 'release'],
    ],
    step: ['visitor', 'request'],
    state: 'requested',
    told: true,
  },
  {
    before: [
      ['visitor', 'request'],
      ['visitor', 'cancel'],
    ],
    step: ['visitor', 'cancel'],
    state: 'conflict',
  },
  {
    before: [
      ['visitor', 'request'],
      ['visitor', 'cancel'],
    ],
    step: ['visitor', 'request'],
    state: 'requested',
    told: true,
  },
];

export const describeHandoffsContract = (name: string, makeWorld: MakeWorld): void => {
  describe(`${name}: handoffs`, () => {
    let world: World;
    let a: Backplane;
    let b: Backplane;
    let dialogId: string;
    let toB: Recorder;

    beforeEach(async () => {
      world = await makeWorld();
      const options = { idempotencyTtlMs: IDS_TTL_MS };
      [a, b] = await Promise.all([world.open(options), world.open(options)]);
      dialogId = freshId();
      toB = new Recorder(b);
      await b.fanout.subscribe([{ dialogId, track: 'main' }]);
    });
    afterEach(() => world.close());

    const request = ([who, action]: Step, overrides: Partial<HandoffRequest> = {}): HandoffRequest => {
      const operator = who === 'anna' ? ANNA : who === 'boris' ? BORIS : undefined;
      const { role, id } = operator ?? (who === 'visitor' ? VISITOR : BACKEND);
      return {
        dialogId,
        action,
        id: freshId('h'),
        sender: { role, id },
        ...(action === 'take' ? { operator } : {}),
        mustExist: false,
        ...overrides,
      };
    };
    const act = (step: Step, overrides?: Partial<HandoffRequest>, node = a): Promise<HandoffResult> =>
      node.handoffs.act(request(step, overrides));
    const stateOf = (result: HandoffResult) => ('handoff' in result ? result.handoff.state : result.status);
    const handoffOf = (result: HandoffResult) => {
      if (!('handoff' in result)) throw new Error(`expected a handoff, got ${result.status}`);
      return result.handoff;
    };
    const heard = async (): Promise<unknown[]> => {
      await settled(a, { dialogId, track: 'main' }, [toB]);
      return toB.of('handoff').map(({ audience, frame }) => [audience, JSON.parse(textOf(frame))]);
    };
    const put = (closed: boolean) => a.directory.putDialog(dialogId, { tenant: 't', closed });

    test.each(TRANSITIONS)('after $before, $step makes $state', async ({ before, step, state, told = false }) => {
      for (const earlier of before) expect((await act(earlier)).status).toBe('done');
      await settled(a, { dialogId, track: 'main' }, [toB]);
      toB.clear();
      const current = await a.handoffs.current(dialogId);
      const result = await act(step, {}, b);
      expect(stateOf(result)).toBe(state);
      const after = await a.handoffs.current(dialogId);
      expect((await heard()).length > 0).toBe(told);
      if (state === 'conflict') expect(after).toEqual(current);
      else {
        expect(after).toEqual(handoffOf(result));
        expect(after?.version).toBe((current?.version ?? 0) + (told ? 1 : 0));
      }
    });

    test('says how long the request had waited that is taken, from when it was first asked for, and only then', async () => {
      const waitOf = (result: HandoffResult) => ('waitedMs' in result ? result.waitedMs : undefined);
      const startedMs = await world.nowMs();
      expect(waitOf(await act(['visitor', 'request']))).toBeUndefined();
      await world.pass(60);
      // Asked for already: it has waited since the first time.
      expect(waitOf(await act(['backend', 'request']))).toBeUndefined();
      const taken = { id: freshId('h') };
      const waitedMs = waitOf(await act(['anna', 'take'], taken, b));
      expect(waitedMs).toBeGreaterThanOrEqual(60);
      expect(waitedMs).toBeLessThanOrEqual((await world.nowMs()) - startedMs);
      expect(waitOf(await act(['anna', 'take'], taken, b))).toBeUndefined();
      expect(waitOf(await act(['anna', 'take']))).toBeUndefined();
      await act(['anna', 'release']);
      expect(waitOf(await act(['boris', 'take']))).toBeUndefined();
    });

    test('tells everybody, and of an operator each what it may know', async () => {
      await act(['visitor', 'request'], { reason: 'angry "customer"' });
      await act(['anna', 'take']);
      await act(['boris', 'release']);
      const reason = 'angry "customer"';
      const anna = { role: 'manager', id: ANNA.id, name: 'Anna' };
      expect(await heard()).toEqual([
        ['all', { type: 'handoff', state: 'requested', reason }],
        ['operators', { type: 'handoff', state: 'active', operator: anna, reason }],
        ['visitors', { type: 'handoff', state: 'active', operator: { role: 'manager' }, reason }],
        ['operators', { type: 'handoff', state: 'released', operator: anna }],
        ['visitors', { type: 'handoff', state: 'released', operator: { role: 'manager' } }],
      ]);
      expect(toB.of('handoff').map(({ version }) => version)).toEqual([1, 2, 2, 3, 3]);
    });

    test('shows visitors the public id of an operator who has written', async () => {
      appended(await a.log.publish(publication(dialogId, { sender: ANNA })));
      await act(['anna', 'take']);
      const shown = { role: 'manager', id: ANNA.publicId, name: 'Anna' };
      expect((await heard()).at(-1)).toEqual(['visitors', { type: 'handoff', state: 'active', operator: shown }]);
      expect(await a.handoffs.current(dialogId)).toMatchObject({ operator: ANNA, wrote: true });
    });

    test('is told to a connection that registers, whoever made the dialog', async () => {
      const register = () =>
        b.roster.register({
          dialogId,
          connectionId: freshId('c'),
          member: { ...VISITOR, publicId: VISITOR.id },
          claim: { tenant: 't', assistantId: 'bot', visitorId: VISITOR.id, directory: 'open' },
        });
      expect(await register()).toMatchObject({ handoff: { state: 'none', version: 0, wrote: false, fence: 0 } });
      await act(['visitor', 'request'], { reason: 'help' });
      expect(await register()).toMatchObject({ handoff: { state: 'requested', version: 1, reason: 'help' } });
      await act(['anna', 'take']);
      expect(await register()).toMatchObject({
        handoff: { state: 'active', version: 2, operator: ANNA, wrote: false, reason: 'help' },
        openStreams: 0,
      });
    });

    describe('the same id again', () => {
      test('is done once, from another node too, and leaves what came after', async () => {
        const taken = request(['anna', 'take']);
        const first = handoffOf(await a.handoffs.act(taken));
        expect(await b.handoffs.act(taken)).toEqual({ status: 'duplicate', handoff: first });
        await act(['anna', 'release']);
        const again = await b.handoffs.act(taken);
        expect([again.status, stateOf(again)]).toEqual(['duplicate', 'released']);
        expect(await heard()).toHaveLength(4);
      });

      test('for another action is a conflict', async () => {
        await act(['anna', 'take'], { id: 'x' });
        expect((await act(['anna', 'release'], { id: 'x' })).status).toBe('conflict');
      });

      test('by another sender is another action', async () => {
        await act(['visitor', 'request'], { id: 'x' });
        expect(stateOf(await act(['backend', 'cancel'], { id: 'x' }))).toBe('cancelled');
      });

      test('is a duplicate also when the dialog has been closed since', async () => {
        const asked = request(['visitor', 'request']);
        await a.handoffs.act(asked);
        await put(true);
        expect((await a.handoffs.act(asked)).status).toBe('duplicate');
      });

      test('after a refusal is done, once its cause is gone', async () => {
        await act(['anna', 'take']);
        const mine = request(['boris', 'take']);
        expect((await a.handoffs.act(mine)).status).toBe('conflict');
        await act(['anna', 'release']);
        expect(await a.handoffs.act(mine)).toMatchObject({ status: 'done', handoff: { operator: BORIS } });
      });

      test('is another action in the next life of the dialog, and when it is forgotten', async () => {
        await put(false);
        const asked = request(['visitor', 'request']);
        await a.handoffs.act(asked);
        await a.log.erase(dialogId);
        expect(await a.handoffs.current(dialogId)).toMatchObject({ state: 'none', version: 0 });
        expect((await a.handoffs.act(asked)).status).toBe('done');
        await act(['visitor', 'cancel']);
        expect((await a.handoffs.act(asked)).status).toBe('duplicate');
        await world.pass(IDS_TTL_MS + 2);
        expect((await a.handoffs.act(asked)).status).toBe('done');
      });
    });

    test('a closed dialog takes no action, an unknown one none that must find it', async () => {
      expect((await act(['backend', 'request'], { mustExist: true })).status).toBe('not_found');
      expect(await a.handoffs.current(dialogId)).toBeUndefined();
      await put(true);
      for (const step of [
        ['visitor', 'request'],
        ['visitor', 'cancel'],
        ['anna', 'take'],
        ['anna', 'release'],
      ] as const)
        expect((await act(step, { mustExist: true })).status).toBe('closed');
      await put(false);
      expect((await act(['backend', 'request'], { mustExist: true })).status).toBe('done');
    });

    test('of two operators at once one takes the dialog', async () => {
      for (let round = 0; round < 20; round++) {
        const [first, second] = await Promise.all([act(['anna', 'take']), act(['boris', 'take'], {}, b)]);
        expect([first.status, second.status].sort()).toEqual(['conflict', 'done']);
        const winner = first.status === 'done' ? ANNA : BORIS;
        expect(await b.handoffs.current(dialogId)).toMatchObject({ state: 'active', operator: winner });
        await act([winner === ANNA ? 'anna' : 'boris', 'release']);
      }
    });

    describe('the fence', () => {
      const write = async (overrides: Parameters<typeof publication>[1]) =>
        (await b.log.publish(publication(dialogId, { sender: BOT, ...overrides }))).status;

      test('of a dialog that is taken is past every earlier one, and not below the time of the store', async () => {
        expect(await write({ fence: 7 })).toBe('appended');
        const before = await world.nowMs();
        const { fence } = handoffOf(await act(['anna', 'take']));
        expect(fence).toBeGreaterThanOrEqual(before);
        expect(fence).toBeLessThanOrEqual((await world.nowMs()) + 1);
        await act(['anna', 'release']);
        expect(handoffOf(await act(['anna', 'take'])).fence).toBeGreaterThan(fence);
      });

      test('is the one that is given, or one past the stored one', async () => {
        expect(handoffOf(await act(['anna', 'take'], { minimumFence: 12 })).fence).toBe(12);
        await act(['anna', 'release']);
        expect(handoffOf(await act(['boris', 'take'], { minimumFence: 5 })).fence).toBe(13);
      });

      test('grows from far beyond the time of the store, exactly', async () => {
        const far = 2 ** 52;
        expect(await write({ fence: far })).toBe('appended');
        expect(handoffOf(await act(['anna', 'take'])).fence).toBe(far + 1);
        expect(await write({ fence: far })).toBe('stale_fence');
      });

      test('stops an assistant while the dialog is taken, with the fence of before and with none', async () => {
        expect(await write({ fence: 7 })).toBe('appended');
        expect(await write({})).toBe('appended');
        const { fence } = handoffOf(await act(['anna', 'take']));
        const lost = freshId('m');
        expect(await write({ id: lost })).toBe('stale_fence');
        expect(await write({ fence: 7 })).toBe('stale_fence');
        expect(await write({ track: 'internal' })).toBe('stale_fence');
        expect(await write({ fence })).toBe('appended');
        expect(await write({ sender: ANNA })).toBe('appended');
        expect(await write({ sender: VISITOR })).toBe('appended');
        expect(await write({ sender: { role: 'system', id: 's' } })).toBe('appended');
        await act(['anna', 'release']);
        // The refusals left nothing behind.
        expect(await write({ id: lost })).toBe('appended');
        expect(await write({ fence: 7 })).toBe('stale_fence');
        expect(await write({ fence })).toBe('appended');
      });

      test('is raised, and never lowered', async () => {
        await act(['anna', 'take'], { minimumFence: 12 });
        await a.handoffs.raiseFence(dialogId, 20);
        await b.handoffs.raiseFence(dialogId, 15);
        expect(await a.handoffs.current(dialogId)).toMatchObject({ fence: 20 });
        expect(await write({ fence: 19 })).toBe('stale_fence');
        await a.handoffs.raiseFence('never-seen', 3);
        expect(await a.handoffs.current('never-seen')).toBeUndefined();
      });

      test('outlives an erasure that keeps the record', async () => {
        await put(false);
        await act(['anna', 'take'], { minimumFence: 12 });
        await a.log.erase(dialogId);
        expect(await a.handoffs.current(dialogId)).toMatchObject({ state: 'none', fence: 12 });
        expect(await write({ fence: 11 })).toBe('stale_fence');
        expect(await write({})).toBe('appended');
      });
    });
  });
};
