import type {
  Backplane,
  DialogClaim,
  DialogRecord,
  Member,
  NodeInfo,
  RegisterRequest,
  RegisterResult,
} from '@replyx/core';
import type { Track } from '@replyx/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { freshId, type MakeWorld, nodeInfo, publication, Recorder, settled, textOf, type World } from './world.js';

const NODE_TTL_MS = 500;
const VISITOR: Member = { role: 'user', id: 'Zoë 😀\u200b:|{x}', name: 'Zoë', publicId: 'Zoë 😀\u200b:|{x}' };
const OPERATOR: Member = { role: 'manager', id: 'secret-sub', name: 'Anna', publicId: 'public-anna' };
const OTHER: Member = { role: 'manager', id: 'other-sub', publicId: 'public-other' };

const VISITOR_CLAIM: DialogClaim = { tenant: 't', assistantId: 'bot', visitorId: VISITOR.id, directory: 'strict' };
const OPERATOR_CLAIM: DialogClaim = { tenant: 't', directory: 'strict' };
const RECORD: DialogRecord = { tenant: 't', assistantId: 'bot', visitorId: VISITOR.id, closed: false };

interface ClaimCase {
  readonly name: string;
  readonly record?: DialogRecord;
  readonly claim: DialogClaim;
  /** The record afterwards; `undefined`: not found, and the record as it was. */
  readonly result: DialogRecord | undefined;
}

const CLAIMS: readonly ClaimCase[] = [
  { name: 'a visitor of the dialog', record: RECORD, claim: VISITOR_CLAIM, result: RECORD },
  { name: 'an operator of the tenant', record: RECORD, claim: OPERATOR_CLAIM, result: RECORD },
  {
    name: 'anybody in a closed dialog',
    record: { ...RECORD, closed: true },
    claim: VISITOR_CLAIM,
    result: { ...RECORD, closed: true },
  },
  { name: 'nobody in an unknown dialog', claim: VISITOR_CLAIM, result: undefined },
  { name: 'no operator in an unknown dialog', claim: OPERATOR_CLAIM, result: undefined },
  { name: 'no other tenant', record: RECORD, claim: { ...VISITOR_CLAIM, tenant: 'other' }, result: undefined },
  {
    name: "no other tenant's operator",
    record: RECORD,
    claim: { ...OPERATOR_CLAIM, tenant: 'other' },
    result: undefined,
  },
  { name: 'no other assistant', record: RECORD, claim: { ...VISITOR_CLAIM, assistantId: 'x' }, result: undefined },
  { name: 'no other visitor', record: RECORD, claim: { ...VISITOR_CLAIM, visitorId: 'x' }, result: undefined },
  {
    name: 'the first visitor, who becomes the owner',
    record: { tenant: 't', assistantId: 'bot', closed: false },
    claim: VISITOR_CLAIM,
    result: RECORD,
  },
  {
    name: 'no first visitor of another assistant',
    record: { tenant: 't', assistantId: 'bot', closed: false },
    claim: { ...VISITOR_CLAIM, assistantId: 'x' },
    result: undefined,
  },
  {
    name: 'no visitor where a strict directory has no assistant',
    record: { tenant: 't', closed: false },
    claim: VISITOR_CLAIM,
    result: undefined,
  },
  {
    name: 'an operator of the assistant',
    record: RECORD,
    claim: { ...OPERATOR_CLAIM, assistants: ['a', 'bot'] },
    result: RECORD,
  },
  {
    name: 'no operator of other assistants',
    record: RECORD,
    claim: { ...OPERATOR_CLAIM, assistants: ['bo', 'bott'] },
    result: undefined,
  },
  {
    name: 'no operator of no assistant',
    record: RECORD,
    claim: { ...OPERATOR_CLAIM, assistants: [] },
    result: undefined,
  },
  {
    name: 'no operator of some assistants where none is set',
    record: { tenant: 't', closed: false },
    claim: { ...OPERATOR_CLAIM, assistants: ['bot'] },
    result: undefined,
  },
  {
    name: 'a visitor who makes the dialog in an open directory',
    claim: { ...VISITOR_CLAIM, directory: 'open' },
    result: RECORD,
  },
  {
    name: 'an operator who makes the dialog in an open directory',
    claim: { ...OPERATOR_CLAIM, directory: 'open' },
    result: { tenant: 't', closed: false },
  },
  {
    name: 'the first visitor where an operator made the dialog',
    record: { tenant: 't', closed: false },
    claim: { ...VISITOR_CLAIM, directory: 'open' },
    result: RECORD,
  },
  {
    name: 'no other tenant in an open directory either',
    record: RECORD,
    claim: { ...VISITOR_CLAIM, tenant: 'other', directory: 'open' },
    result: undefined,
  },
  {
    name: 'no other visitor in an open directory either',
    record: RECORD,
    claim: { ...VISITOR_CLAIM, visitorId: 'x', directory: 'open' },
    result: undefined,
  },
  {
    name: 'no operator of some assistants who would make the dialog',
    claim: { ...OPERATOR_CLAIM, assistants: ['bot'], directory: 'open' },
    result: undefined,
  },
];

type Registered = Extract<RegisterResult, { status: 'registered' }>;

export const describeRosterContract = (name: string, makeWorld: MakeWorld): void => {
  describe(`${name}: roster`, () => {
    let world: World;
    let a: Backplane;
    let b: Backplane;
    let dialogId: string;
    let toA: Recorder;

    beforeEach(async () => {
      world = await makeWorld();
      [a, b] = await Promise.all([world.open({ nodeTtlMs: NODE_TTL_MS }), world.open({ nodeTtlMs: NODE_TTL_MS })]);
      dialogId = freshId();
      toA = new Recorder(a);
      await a.fanout.subscribe([
        { dialogId, track: 'main' },
        { dialogId, track: 'internal' },
      ]);
    });
    afterEach(() => world.close());

    const info = (node: Backplane): NodeInfo => nodeInfo(world.incarnationOf(node));
    /** Every node knows of every other, and of the dead. */
    const beatAll = async (...nodes: Backplane[]): Promise<void> => {
      for (const node of [...nodes, ...nodes]) await node.membership.beat(info(node));
    };
    const register = async (
      node: Backplane,
      connectionId: string,
      member: Member,
      claim: Partial<DialogClaim> = {},
    ): Promise<Registered> => {
      const base = member.role === 'manager' ? OPERATOR_CLAIM : VISITOR_CLAIM;
      const result = await node.roster.register({
        dialogId,
        connectionId,
        member,
        claim: { ...base, directory: 'open', ...claim },
      });
      if (result.status !== 'registered') throw new Error('expected to be registered');
      return result;
    };
    const changes = async (): Promise<string[]> => {
      await settled(a, { dialogId, track: 'main' }, [toA]);
      return toA.of('presence').map(({ change: { state, member } }) => `${state} ${member.id} ${member.wrote}`);
    };
    const write = (node: Backplane, member: Member, track: 'main' | 'internal' = 'main') =>
      node.log.publish(publication(dialogId, { track, sender: { role: member.role, id: member.id } }));

    describe('the claim', () => {
      test.each(CLAIMS)('decides whom it lets in: $name', async ({ record, claim, result }) => {
        if (record !== undefined) await a.directory.putDialog(dialogId, record);
        const member = claim.visitorId === undefined ? OPERATOR : VISITOR;
        const registered = await b.roster.register({ dialogId, connectionId: 'c1', member, claim });
        expect(registered).toEqual(
          result === undefined ? { status: 'not_found' } : expect.objectContaining({ dialog: result }),
        );
        expect(await a.directory.dialog(dialogId)).toEqual(result ?? record);
        expect(await b.roster.connections(dialogId)).toHaveLength(result === undefined ? 0 : 1);
        expect(await changes()).toHaveLength(result === undefined ? 0 : 1);
      });

      test('lets only one of two first visitors own an open dialog', async () => {
        const claims = ['one', 'two'].map((id) => ({ ...VISITOR_CLAIM, visitorId: id, directory: 'open' as const }));
        const results = await Promise.all(
          claims.map((claim, index) =>
            (index === 0 ? a : b).roster.register({
              dialogId,
              connectionId: `c${index}`,
              member: { ...VISITOR, id: claim.visitorId },
              claim,
            }),
          ),
        );
        expect(results.map(({ status }) => status).sort()).toEqual(['not_found', 'registered']);
      });
    });

    describe('the heads', () => {
      const heads = async (node: Backplane, tracks: readonly Track[]) => {
        const result = await node.roster.register({
          dialogId,
          connectionId: freshId(),
          member: OPERATOR,
          claim: { ...OPERATOR_CLAIM, directory: 'open' },
          heads: tracks,
        });
        return result.status === 'registered' ? result.heads : undefined;
      };
      const positionOf = async (track: Track) => {
        const { epoch, offset } = await b.log.read({ dialogId, track, known: undefined, limit: 0 });
        return { epoch, offset };
      };

      test('are told where they are asked for, as a read tells them', async () => {
        expect((await register(a, 'c', VISITOR)).heads).toEqual([]);
        await write(a, VISITOR);
        for (let i = 0; i < 2; i += 1) await write(a, OPERATOR, 'internal');
        expect(await heads(b, ['internal', 'main'])).toEqual([await positionOf('internal'), await positionOf('main')]);
        expect(await heads(b, ['internal'])).toEqual([expect.objectContaining({ offset: 2 })]);
      });

      test('begin an epoch where there is none', async () => {
        const [main, internal] = (await heads(a, ['main', 'internal'])) ?? [];
        expect([main?.offset, internal?.offset]).toEqual([0, 0]);
        expect(await positionOf('main')).toEqual(main);
        expect(await write(b, VISITOR)).toMatchObject({ status: 'appended', epoch: main?.epoch, offset: 1 });
        expect(await positionOf('internal')).toEqual(internal);
      });
    });

    describe('presence', () => {
      beforeEach(() => beatAll(a, b));

      test('lists each user once, the newcomer too, with what visitors may know', async () => {
        expect(await register(a, 'c1', VISITOR)).toMatchObject({
          members: [{ ...VISITOR, wrote: true }],
          count: { operators: 1, visitors: 1 },
          wrote: true,
          marks: [],
        });
        await register(a, 'c2', VISITOR);
        const seen = await register(b, 'c3', OPERATOR);
        expect(seen.members).toHaveLength(2);
        expect(seen.members).toEqual(
          expect.arrayContaining([
            { ...VISITOR, wrote: true },
            { ...OPERATOR, wrote: false },
          ]),
        );
        expect(seen.count).toEqual({ operators: 2, visitors: 1 });
        expect(seen.wrote).toBe(false);
      });

      test('lists at most a hundred users and counts all, the newcomer listed', async () => {
        for (let index = 0; index < 105; index++) {
          await register(index % 2 === 0 ? a : b, `c${index}`, { ...OTHER, id: `m${index}` });
        }
        const seen = await register(b, 'last', OPERATOR);
        expect(seen.members).toHaveLength(100);
        expect(seen.members).toContainEqual({ ...OPERATOR, wrote: false });
        expect(seen.count).toEqual({ operators: 106, visitors: 0 });
      });

      test('is per user, not per socket, over all nodes', async () => {
        await register(a, 'c1', VISITOR);
        await register(b, 'c2', VISITOR);
        await a.roster.unregister(dialogId, 'c1');
        await b.roster.unregister(dialogId, 'c2');
        expect(await changes()).toEqual([`join ${VISITOR.id} true`, `leave ${VISITOR.id} true`]);
      });

      test('carries the whole member', async () => {
        await register(b, 'c1', OPERATOR);
        await changes();
        expect(toA.of('presence')).toEqual([
          { kind: 'presence', dialogId, change: { state: 'join', member: { ...OPERATOR, wrote: false } } },
        ]);
      });

      test('is the same after registering twice and unregistering twice', async () => {
        await register(a, 'c1', VISITOR);
        await register(a, 'c1', VISITOR);
        expect(await b.roster.connections(dialogId)).toHaveLength(1);
        await a.roster.unregister(dialogId, 'c1');
        await a.roster.unregister(dialogId, 'c1');
        await a.roster.unregister(dialogId, 'never');
        await a.roster.unregister(freshId(), 'never');
        expect(await changes()).toEqual([`join ${VISITOR.id} true`, `leave ${VISITOR.id} true`]);
      });

      test('shows the API who is connected, and where', async () => {
        await register(a, 'c1', VISITOR);
        await register(b, 'c2', OPERATOR);
        const connections = await a.roster.connections(dialogId);
        expect(connections).toHaveLength(2);
        expect(connections).toEqual(
          expect.arrayContaining([
            expect.objectContaining({
              dialogId,
              connectionId: 'c1',
              member: VISITOR,
              incarnation: world.incarnationOf(a),
            }),
            expect.objectContaining({
              dialogId,
              connectionId: 'c2',
              member: OPERATOR,
              incarnation: world.incarnationOf(b),
            }),
          ]),
        );
        expect(await a.roster.connections(freshId())).toEqual([]);
      });

      test('lets visitors know of an operator from the first message in main on, not from a note', async () => {
        await register(b, 'c1', OPERATOR);
        await write(b, OPERATOR, 'internal');
        expect((await register(a, 'c2', VISITOR)).count).toEqual({ operators: 2, visitors: 1 });
        await write(b, OPERATOR);
        await write(b, OPERATOR);
        expect((await register(a, 'c3', VISITOR)).count).toEqual({ operators: 2, visitors: 2 });
        await b.roster.unregister(dialogId, 'c1');
        expect(await changes()).toEqual([
          'join secret-sub false',
          `join ${VISITOR.id} true`,
          'join secret-sub true',
          'leave secret-sub true',
        ]);
        expect((await register(b, 'c4', OPERATOR)).wrote).toBe(true);
      });

      test('does not show an operator who writes without being connected', async () => {
        await write(b, OPERATOR);
        expect(await changes()).toEqual([]);
        expect((await register(b, 'c1', OPERATOR)).wrote).toBe(true);
      });

      test('ends with the history', async () => {
        await register(a, 'c1', VISITOR);
        await write(b, OPERATOR);
        await a.log.erase(dialogId);
        expect(await a.roster.connections(dialogId)).toEqual([]);
        expect((await register(b, 'c2', OPERATOR)).wrote).toBe(false);
      });
    });

    describe('a dead node', () => {
      beforeEach(() => beatAll(a, b));

      const die = async (): Promise<string> => {
        const incarnation = world.incarnationOf(b);
        await world.kill(b);
        await world.pass(NODE_TTL_MS + 5);
        const { dead } = await a.membership.beat(info(a));
        expect(dead).toEqual([incarnation]);
        return incarnation;
      };

      test('counts no more, even before it is swept', async () => {
        await register(b, 'c1', VISITOR);
        await register(b, 'c2', OPERATOR);
        await die();
        expect(await a.roster.connections(dialogId)).toEqual([]);
        expect((await register(a, 'c3', OTHER)).members).toEqual([{ ...OTHER, wrote: false }]);
      });

      test('is swept: what it left is gone, and nodes are told of those who were only there', async () => {
        await register(b, 'c1', VISITOR);
        await register(b, 'c2', VISITOR);
        await register(b, 'c3', OPERATOR);
        await register(a, 'c4', OPERATOR);
        const elsewhere = freshId();
        await b.roster.register({
          dialogId: elsewhere,
          connectionId: 'c5',
          member: OTHER,
          claim: { ...OPERATOR_CLAIM, directory: 'open' },
        });
        const incarnation = await die();
        toA.clear();
        expect(await a.roster.sweep(incarnation)).toBe(4);
        expect(await a.roster.sweep(incarnation)).toBe(0);
        expect(await changes()).toEqual([`leave ${VISITOR.id} true`]);
        expect(await a.roster.connections(dialogId)).toMatchObject([{ connectionId: 'c4' }]);
        await a.membership.forget(incarnation);
        expect((await a.membership.beat(info(a))).dead).toEqual([]);
      });

      test('is swept by any number of nodes at once, and each leave is told once', async () => {
        const c = await world.open({ nodeTtlMs: NODE_TTL_MS });
        for (let index = 0; index < 12; index++) await register(b, `c${index}`, { ...OTHER, id: `m${index}` });
        const incarnation = await die();
        await c.membership.beat(info(c));
        toA.clear();
        const counts = await Promise.all([a, c, a, c].map((node) => node.roster.sweep(incarnation)));
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe(12);
        expect((await changes()).sort()).toEqual(
          Array.from({ length: 12 }, (_, index) => `leave m${index} false`).sort(),
        );
      });

      test('is not swept while it lives', async () => {
        await register(b, 'c1', VISITOR);
        expect(await a.roster.sweep(world.incarnationOf(b))).toBe(0);
        expect(await a.roster.connections(dialogId)).toHaveLength(1);
      });

      test('that was only silent restores what was swept, and its users are told', async () => {
        await register(b, 'c1', VISITOR);
        await register(b, 'c2', OPERATOR);
        await world.pass(NODE_TTL_MS + 5);
        await a.membership.beat(info(a));
        await a.roster.sweep(world.incarnationOf(b));
        await a.membership.forget(world.incarnationOf(b));
        expect((await b.membership.beat(info(b))).lapsed).toBe(true);
        const held = [
          { dialogId, connectionId: 'c1', member: VISITOR },
          { dialogId, connectionId: 'c2', member: OPERATOR },
        ];
        expect(await b.roster.renew(held)).toBe(2);
        expect(await b.roster.renew(held)).toBe(0);
        await a.membership.beat(info(a));
        expect(await a.roster.connections(dialogId)).toHaveLength(2);
        expect(await changes()).toEqual([
          `join ${VISITOR.id} true`,
          'join secret-sub false',
          ...[`leave ${VISITOR.id} true`, 'leave secret-sub false'].sort(
            (x, y) =>
              toA.of('presence').findIndex(({ change }) => x.includes(change.member.id) && change.state === 'leave') -
              toA.of('presence').findIndex(({ change }) => y.includes(change.member.id) && change.state === 'leave'),
          ),
          `join ${VISITOR.id} true`,
          'join secret-sub false',
        ]);
      });

      test('and an emptied store: a node restores its own', async () => {
        await register(a, 'c1', VISITOR);
        await world.flush();
        expect(await a.roster.connections(dialogId)).toEqual([]);
        expect(await a.roster.renew([{ dialogId, connectionId: 'c1', member: VISITOR }])).toBe(1);
        expect(await a.roster.connections(dialogId)).toMatchObject([{ connectionId: 'c1', member: VISITOR }]);
        expect(await a.roster.renew([])).toBe(0);
      });
    });

    describe('the limit', () => {
      let c: Backplane;

      beforeEach(async () => {
        c = await world.open({ nodeTtlMs: NODE_TTL_MS });
        await beatAll(a, b, c);
      });

      const come = (
        node: Backplane,
        connectionId: string,
        member: Member,
        overrides: Partial<RegisterRequest> = {},
      ): Promise<RegisterResult> =>
        node.roster.register({
          dialogId,
          connectionId,
          member,
          claim: { tenant: 't', directory: 'open' },
          limit: 2,
          ...overrides,
        });
      const present = async (): Promise<string[]> =>
        (await a.roster.connections(dialogId)).map(({ connectionId }) => connectionId).sort();
      const evicted = async (): Promise<[string, string][]> => {
        await settled(a, { dialogId, track: 'main' }, [toA]);
        return toA.of('evicted').map(({ connectionId, code, dialogId: where }) => {
          expect(where).toBe(dialogId);
          return [connectionId, code];
        });
      };

      test('admits exactly twenty of a rush of sixty from three nodes', async () => {
        const rush = await Promise.all(
          Array.from({ length: 60 }, (_, i) =>
            come([a, b, c][i % 3] as Backplane, `c${i}`, { ...OTHER, id: `m${i % 7}` }, { limit: 20 }),
          ),
        );
        expect(rush.filter(({ status }) => status === 'registered')).toHaveLength(20);
        expect(rush.filter(({ status }) => status === 'full')).toHaveLength(40);
        expect(await present()).toHaveLength(20);
        await a.roster.unregister(dialogId, (await present())[0] as string);
        expect(await come(b, 'next', OTHER, { limit: 20 })).toMatchObject({ status: 'registered' });
        expect(await come(b, 'more', OTHER, { limit: 20 })).toEqual({ status: 'full' });
      });

      test('refuses without a trace, and is off at 0', async () => {
        await come(a, 'c1', OPERATOR);
        await come(b, 'c2', OPERATOR);
        await changes();
        toA.clear();
        expect(await come(c, 'c3', VISITOR, { claim: { ...VISITOR_CLAIM, directory: 'open' } })).toEqual({
          status: 'full',
        });
        expect(await present()).toEqual(['c1', 'c2']);
        expect(await changes()).toEqual([]);
        expect(await a.directory.dialog(dialogId)).toEqual({ tenant: 't', closed: false });
        expect(await come(c, 'c3', OTHER, { limit: 0 })).toMatchObject({ status: 'registered' });
        expect(await come(c, 'c4', OTHER, { limit: undefined })).toMatchObject({ status: 'registered' });
        expect(await evicted()).toEqual([]);
      });

      test('does not hold for a connection that is there already', async () => {
        await come(a, 'c1', OPERATOR);
        await come(b, 'c2', OPERATOR);
        expect(await come(a, 'c1', OPERATOR)).toMatchObject({ status: 'registered' });
        expect(await present()).toEqual(['c1', 'c2']);
      });

      test('does not count connections of a dead node, and does those of one that came back', async () => {
        await come(b, 'c1', OPERATOR);
        await come(b, 'c2', OPERATOR);
        await world.pass(NODE_TTL_MS + 5);
        await beatAll(a);
        expect(await come(a, 'c3', OTHER)).toMatchObject({ status: 'registered' });
        await beatAll(b, a);
        expect(await come(a, 'c4', OTHER, { limit: 3 })).toEqual({ status: 'full' });
      });

      test("lets the member's own oldest connection give way to its newest, wherever it is", async () => {
        await come(b, 'c1', OPERATOR);
        await world.pass(3);
        await come(a, 'c2', OPERATOR);
        await world.pass(3);
        // A renewal makes nobody younger.
        await b.roster.renew([{ dialogId, connectionId: 'c1', member: OPERATOR }]);
        expect(await come(c, 'c3', OPERATOR, { atLimit: 'replace' })).toMatchObject({ status: 'registered' });
        expect(await present()).toEqual(['c2', 'c3']);
        expect(await evicted()).toEqual([['c1', 'CONNECTION_LIMIT']]);
        expect(await changes()).toEqual(['join secret-sub false']);
        // Its node takes off one that is gone already.
        await b.roster.unregister(dialogId, 'c1');
        expect(await present()).toEqual(['c2', 'c3']);
        expect(await changes()).toEqual(['join secret-sub false']);
      });

      test('refuses a newcomer that has no connection of its own to give way', async () => {
        await come(a, 'c1', OPERATOR);
        await come(b, 'c2', OPERATOR);
        expect(await come(c, 'c3', OTHER, { atLimit: 'replace' })).toEqual({ status: 'full' });
        expect(await come(c, 'c3', { ...OTHER, id: OPERATOR.id, role: 'user' }, { atLimit: 'replace' })).toEqual({
          status: 'full',
        });
        expect(await evicted()).toEqual([]);
      });

      test('is held under a rush of members whose oldest give way', async () => {
        for (let i = 0; i < 10; i++) {
          await come([a, b, c][i % 3] as Backplane, `old-${i}`, OPERATOR, { limit: 10 });
        }
        await world.pass(3);
        const rush = await Promise.all(
          Array.from({ length: 10 }, (_, i) =>
            come([a, b, c][i % 3] as Backplane, `new-${i}`, OPERATOR, { limit: 10, atLimit: 'replace' }),
          ),
        );
        expect(rush.every(({ status }) => status === 'registered')).toBe(true);
        expect(await present()).toEqual(Array.from({ length: 10 }, (_, i) => `new-${i}`));
        expect((await evicted()).map(([id]) => id).sort()).toEqual(Array.from({ length: 10 }, (_, i) => `old-${i}`));
      });

      test('names older connections of the same client, which do not count, and evicts them when it is asked to', async () => {
        await come(b, 'c1', OPERATOR, { clientId: 'tab', limit: 0 });
        await come(b, 'c2', OPERATOR, { clientId: 'other', limit: 0 });
        expect(await a.roster.connections(dialogId)).toEqual(
          expect.arrayContaining([expect.objectContaining({ connectionId: 'c1', clientId: 'tab' })]),
        );
        await b.roster.renew([{ dialogId, connectionId: 'c1', member: OPERATOR, clientId: 'tab' }]);
        // At the limit it makes room for itself.
        expect(await come(c, 'c3', OPERATOR, { clientId: 'tab' })).toMatchObject({
          status: 'registered',
          superseded: ['c1'],
        });
        // A registration alone ends nothing: it may arrive when its node has long given up.
        expect(await present()).toEqual(['c1', 'c2', 'c3']);
        expect(await evicted()).toEqual([]);
        await c.roster.evict(dialogId, ['c1', 'gone']);
        await c.roster.evict(dialogId, ['c1']);
        expect(await present()).toEqual(['c2', 'c3']);
        expect(await evicted()).toEqual([['c1', 'CONFLICT_CONNECTION']]);
        expect(await changes()).toEqual(['join secret-sub false']);
      });

      test('takes the client id of another member, or none, for another client', async () => {
        await come(a, 'c1', OPERATOR, { clientId: 'tab', limit: 0 });
        await come(b, 'c2', OTHER, { clientId: 'tab', limit: 0 });
        await come(b, 'c3', OPERATOR, { limit: 0 });
        await come(b, 'c4', OPERATOR, { limit: 0 });
        await come(a, 'c1', OPERATOR, { clientId: 'tab', limit: 0 });
        expect(await present()).toEqual(['c1', 'c2', 'c3', 'c4']);
        expect(await evicted()).toEqual([]);
      });

      test('finds the same client also after its registration was restored', async () => {
        await come(b, 'c1', OPERATOR, { clientId: 'tab' });
        await world.flush();
        await beatAll(a, b, c);
        await b.roster.renew([{ dialogId, connectionId: 'c1', member: OPERATOR, clientId: 'tab' }]);
        expect(await come(a, 'c2', OPERATOR, { clientId: 'tab' })).toMatchObject({ superseded: ['c1'] });
      });

      test('lets nobody give way to one that the claim refuses', async () => {
        await come(b, 'c1', OPERATOR, { clientId: 'tab' });
        await come(b, 'c2', OPERATOR);
        const foreign = { claim: { tenant: 'other', directory: 'open' } } as const;
        expect(await come(a, 'c3', OPERATOR, { ...foreign, clientId: 'tab', atLimit: 'replace' })).toEqual({
          status: 'not_found',
        });
        expect(await present()).toEqual(['c1', 'c2']);
        expect(await evicted()).toEqual([]);
      });
    });

    describe('read marks', () => {
      const send = async (count: number, track: 'main' | 'internal' = 'main'): Promise<void> => {
        for (let sent = 0; sent < count; sent++) await b.log.publish(publication(dialogId, { track }));
      };
      const frames = async (track: 'main' | 'internal' = 'main'): Promise<[string, unknown][]> => {
        await settled(b, { dialogId, track }, [toA]);
        return toA.of('ephemeral').map(({ audience, frame }) => [audience, JSON.parse(textOf(frame))]);
      };
      const mark = (member: Member, offset: number, track: 'main' | 'internal' = 'main') =>
        b.roster.mark({ dialogId, track, member, offset });

      test('never fall and never pass the head', async () => {
        await send(5);
        expect(await mark(VISITOR, 3)).toBe(3);
        expect(await mark(VISITOR, 2)).toBe(3);
        expect(await mark(VISITOR, 1_000_000)).toBe(5);
        expect(await mark(VISITOR, 5)).toBe(5);
        expect((await frames()).map(([, frame]) => (frame as { offset: number }).offset)).toEqual([3, 5]);
        expect(await b.roster.mark({ dialogId: freshId(), track: 'main', member: VISITOR, offset: 4 })).toBe(0);
      });

      test('of visitors and assistants are for all', async () => {
        await send(2);
        await mark(VISITOR, 1);
        await mark({ role: 'assistant', id: 'bot', publicId: 'bot' }, 2);
        expect(await frames()).toEqual([
          ['all', { type: 'read', sender: { role: 'user', id: VISITOR.id, name: 'Zoë' }, offset: 1 }],
          ['all', { type: 'read', sender: { role: 'assistant', id: 'bot' }, offset: 2 }],
        ]);
      });

      test('of an operator who has not written in main are for operators only', async () => {
        await send(1);
        await mark(OPERATOR, 1);
        expect(await frames()).toEqual([
          ['operators', { type: 'read', sender: { role: 'manager', id: 'secret-sub', name: 'Anna' }, offset: 1 }],
        ]);
      });

      test('of an operator who has written show visitors the public id, and never the other', async () => {
        await write(b, OPERATOR);
        await mark(OPERATOR, 1);
        const shown = await frames();
        expect(shown).toHaveLength(2);
        expect(shown).toEqual(
          expect.arrayContaining([
            ['operators', { type: 'read', sender: { role: 'manager', id: 'secret-sub', name: 'Anna' }, offset: 1 }],
            ['visitors', { type: 'read', sender: { role: 'manager', id: 'public-anna', name: 'Anna' }, offset: 1 }],
          ]),
        );
        for (const { audience, frame } of toA.of('ephemeral')) {
          if (audience !== 'operators') expect(textOf(frame)).not.toContain('secret-sub');
        }
      });

      test('of notes stay on the internal track', async () => {
        await write(b, OPERATOR);
        await send(3, 'internal');
        expect(await mark(OPERATOR, 2, 'internal')).toBe(2);
        expect(await frames('internal')).toEqual([
          [
            'operators',
            {
              type: 'read',
              sender: { role: 'manager', id: 'secret-sub', name: 'Anna' },
              offset: 2,
              track: 'internal',
            },
          ],
        ]);
        expect(toA.of('ephemeral').every(({ ref }) => ref.track === 'internal')).toBe(true);
      });

      test('come with registering, both tracks, with what visitors may know', async () => {
        await write(b, OPERATOR);
        await send(2);
        await send(2, 'internal');
        await mark(OPERATOR, 1);
        await mark(OPERATOR, 2, 'internal');
        await mark(OTHER, 2);
        await mark(VISITOR, 3);
        const { marks } = await register(a, 'c1', VISITOR);
        expect(marks).toHaveLength(4);
        expect(marks).toEqual(
          expect.arrayContaining([
            { ...OPERATOR, track: 'main', offset: 1, wrote: true },
            { ...OPERATOR, track: 'internal', offset: 2, wrote: true },
            { ...OTHER, track: 'main', offset: 2, wrote: false },
            { ...VISITOR, track: 'main', offset: 3, wrote: true },
          ]),
        );
      });

      test('go with the history', async () => {
        await send(3);
        await mark(VISITOR, 3);
        await b.log.erase(dialogId);
        expect((await register(a, 'c1', VISITOR)).marks).toEqual([]);
        await send(1);
        expect(await mark(VISITOR, 3)).toBe(1);
      });

      test('never pass the head of a history that began anew beneath them', async () => {
        await send(3);
        await mark(VISITOR, 3);
        await world.expire(dialogId, 'meta');
        await send(1);
        expect((await register(a, 'c1', VISITOR)).marks).toMatchObject([{ offset: 1 }]);
      });
    });
  });
};
