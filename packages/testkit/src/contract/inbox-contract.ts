import type {
  Backplane,
  InboxAddress,
  InboxEntry,
  InboxExchange,
  InboxOutcome,
  InboxReply,
  Member,
  RegisterRequest,
} from '@replyx/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../wait.js';
import { appended, freshId, type MakeWorld, nodeInfo, publication, textOf, type World } from './world.js';

type Served = Extract<InboxReply, { status: 'served' }>;

const NODE_TTL_MS = 500;
const TTL_MS = 30_000;
const ADDRESS: InboxAddress = { tenant: 't', assistantId: 'bot' };
const VISITOR: Member = { role: 'user', id: 'Zoë 😀:|{x}/"', name: 'Zoë', publicId: 'Zoë 😀:|{x}/"' };

const DEFAULTS: Omit<InboxExchange, 'partition'> = {
  leaseTtlMs: TTL_MS,
  outcomes: [],
  after: '',
  limit: 100,
  parkedLimit: 0,
  claimMs: 5_000,
};

/** The partitions in which something waits, by the node that serves them from now on. */
const serveAll = async ({ inbox }: Backplane, overrides: Partial<InboxExchange> = {}) => {
  const numbers = Array.from({ length: inbox.partitions }, (_, partition) => partition);
  const replies = await Promise.all(
    numbers.map(async (partition) => ({
      partition,
      reply: await inbox.exchange({ ...DEFAULTS, partition, ...overrides }),
    })),
  );
  return replies.flatMap(({ partition, reply }) => (reply.status === 'served' ? [{ partition, reply }] : []));
};

/** One partition as its dispatcher serves it. */
class ServedPartition {
  readonly backplane: Backplane;
  readonly partition: number;
  reply: Served;

  constructor(backplane: Backplane, partition: number, reply: Served) {
    this.backplane = backplane;
    this.partition = partition;
    this.reply = reply;
  }

  async exchange(outcomes: readonly InboxOutcome[] = [], overrides: Partial<InboxExchange> = {}): Promise<Served> {
    const reply = await this.ask(outcomes, overrides);
    if (reply.status !== 'served') throw new Error(`expected to serve, got ${reply.status}`);
    this.reply = reply;
    return reply;
  }

  ask(outcomes: readonly InboxOutcome[] = [], overrides: Partial<InboxExchange> = {}): Promise<InboxReply> {
    const { partition } = this;
    return this.backplane.inbox.exchange({ ...DEFAULTS, partition, token: this.reply.token, outcomes, ...overrides });
  }

  give(): Promise<void> {
    return this.backplane.inbox.release(this.partition, this.reply.token);
  }
}

const serve = async (backplane: Backplane, overrides: Partial<InboxExchange> = {}): Promise<ServedPartition> => {
  const served = await serveAll(backplane, overrides);
  if (served.length !== 1 || served[0] === undefined) throw new Error(`${served.length} partitions have entries`);
  return new ServedPartition(backplane, served[0].partition, served[0].reply);
};

const bodyOf = ({ body }: InboxEntry): Record<string, unknown> => JSON.parse(body) as Record<string, unknown>;
const idsOf = (entries: readonly InboxEntry[]): unknown[] =>
  entries.map((entry) => (bodyOf(entry)['message'] as { id: string }).id);
const kindsOf = (entries: readonly InboxEntry[]): unknown[] => entries.map((entry) => bodyOf(entry)['kind']);
const at = (entries: readonly InboxEntry[], index: number): InboxEntry => {
  const entry = entries[index];
  if (entry === undefined) throw new Error(`no entry ${index}`);
  return entry;
};

const done = (entry: InboxEntry, from: 'stream' | 'parked' = 'stream'): InboxOutcome => ({ kind: 'done', from, entry });
const park = (entry: InboxEntry, attempts?: number, dueInMs?: number): InboxOutcome => ({
  kind: 'parked',
  from: 'stream',
  entry,
  attempts,
  dueInMs,
});
const again = (entry: InboxEntry, attempts: number, dueInMs: number): InboxOutcome => ({
  kind: 'parked',
  from: 'parked',
  entry,
  attempts,
  dueInMs,
});

export const describeInboxContract = (name: string, makeWorld: MakeWorld): void => {
  describe(`${name}: inbox`, () => {
    let world: World;
    let a: Backplane;
    let b: Backplane;
    let dialogId: string;

    beforeEach(async () => {
      world = await makeWorld();
      const options = { nodeTtlMs: NODE_TTL_MS, inboxMax: 5 };
      [a, b] = await Promise.all([world.open(options), world.open(options)]);
      dialogId = freshId();
    });
    afterEach(() => world.close());

    const write = async (node: Backplane, count: number, inbox = 'bot', dialog = dialogId): Promise<string[]> => {
      const ids: string[] = [];
      for (let i = 0; i < count; i += 1) {
        const request = publication(dialog, { inbox });
        appended(await node.log.publish(request));
        ids.push(request.id);
      }
      return ids;
    };

    const beat = async (...nodes: Backplane[]): Promise<void> => {
      for (const node of nodes) await node.membership.beat(nodeInfo(world.incarnationOf(node)));
    };

    const joining = (connectionId: string, overrides: Partial<RegisterRequest> = {}): RegisterRequest => ({
      dialogId,
      connectionId,
      member: VISITOR,
      claim: { tenant: 't', assistantId: 'bot', visitorId: VISITOR.id, directory: 'open' },
      inbox: ADDRESS,
      ...overrides,
    });

    // ── what is appended ────────────────────────────────────────────────────────────────────────────────────────────

    test("gets a visitor's message with the publication, as it was published", async () => {
      await a.directory.putDialog(dialogId, { tenant: 't', assistantId: 'bot', closed: false });
      const request = publication(dialogId, { inbox: 'bot' });
      const position = appended(await a.log.publish(request));
      const { entries } = (await serve(b)).reply;
      const [entry] = (await a.log.read({ dialogId, track: 'main', after: 0, limit: 1 })).entries;
      const message = JSON.parse(textOf(entry?.frame ?? new Uint8Array())) as Record<string, unknown>;
      expect(entries).toHaveLength(1);
      expect(at(entries, 0)).toMatchObject({ assistantId: 'bot', dialogId, isBehind: false });
      expect(bodyOf(at(entries, 0))).toEqual({
        kind: 'message',
        assistant_id: 'bot',
        tenant: 't',
        dialog_id: dialogId,
        time: message['timestamp'],
        epoch: position.epoch,
        message,
      });
    });

    test('gets nothing of what is not for it, is refused, or is a retry', async () => {
      await a.log.publish(publication(dialogId));
      const request = publication(dialogId, { inbox: 'bot', windowLimit: 1, windowMs: 60_000 });
      await a.log.publish(request);
      expect(await b.log.publish(request)).toMatchObject({ status: 'duplicate' });
      expect(await b.log.publish({ ...request, bodyDigest: 'other' })).toEqual({ status: 'conflict' });
      expect(await a.log.publish({ ...request, id: 'next' })).toMatchObject({ status: 'rate_limited' });
      await a.directory.putDialog(dialogId, { tenant: 't', assistantId: 'bot', closed: true });
      expect(await a.log.publish(publication(dialogId, { inbox: 'bot' }))).toEqual({ status: 'closed' });
      expect(idsOf((await serve(a)).reply.entries)).toEqual([request.id]);
    });

    test('refuses a message of an assistant that has its bound unacknowledged, leaving nothing, and no other', async () => {
      await write(a, 5);
      const refused = publication(dialogId, { inbox: 'bot', windowLimit: 1, windowMs: 60_000 });
      expect(await a.log.publish(refused)).toEqual({ status: 'inbox_full' });
      expect(await b.log.publish(refused)).toEqual({ status: 'inbox_full' });
      expect(await a.log.read({ dialogId, track: 'main', after: 0, limit: 50 })).toMatchObject({ offset: 5 });
      await write(a, 1, 'other');
      await a.log.publish(publication(dialogId));
      const served = await serve(a);
      expect(served.reply.standing).toMatchObject({ entries: 6, full: ['bot'] });
      const first = at(served.reply.entries, 0);
      await served.exchange([park(first, 1, 60_000)]);
      expect(await a.log.publish(refused)).toEqual({ status: 'inbox_full' });
      // It is not in the stream any more.
      await served.exchange([done(first)]);
      const { entries, standing } = await served.exchange();
      expect(standing).toMatchObject({ entries: 6, parkedDialogs: 1, full: ['bot'] });
      expect((await served.exchange([done(at(entries, 0))])).standing).toMatchObject({ entries: 5, full: [] });
      expect(await a.log.publish(refused)).toMatchObject({ status: 'appended', offset: 8 });
      expect(await a.log.publish({ ...refused, id: 'next', windowLimit: 0 })).toEqual({ status: 'inbox_full' });
    });

    test('is told once when a dialog opens and closes, whoever makes it', async () => {
      const record = { tenant: 't', assistantId: 'bot', closed: false };
      await a.directory.putDialog(dialogId, record, true);
      await b.directory.putDialog(dialogId, record, true);
      await a.directory.putDialog(dialogId, { ...record, closed: true }, true);
      await b.directory.putDialog(dialogId, { ...record, closed: true }, true);
      await a.directory.putDialog(dialogId, record, true);
      await a.directory.deleteDialog(dialogId, 'other');
      const { entries } = (await serve(a)).reply;
      expect(kindsOf(entries)).toEqual(['opened', 'closed', 'opened']);
      expect(bodyOf(at(entries, 1))).toMatchObject({ ...ADDRESS_BODY, dialog_id: dialogId, reason: 'closed' });
    });

    test('is told of a dialog that a visitor opens, and of one that is deleted while it is open', async () => {
      const owner = { ...ADDRESS, visitorId: VISITOR.id };
      await a.directory.openDialog(dialogId, owner, 'make', true);
      await b.directory.openDialog(dialogId, owner, 'make', true);
      await a.directory.deleteDialog(dialogId, 'bot');
      await a.directory.deleteDialog(dialogId, 'bot');
      const { entries } = (await serve(a)).reply;
      expect(kindsOf(entries)).toEqual(['opened', 'closed']);
      expect(bodyOf(at(entries, 1))).toMatchObject({ reason: 'deleted' });
    });

    test('is told when a visitor comes and goes, not of each connection, and of nobody else', async () => {
      await beat(a, b, a);
      await a.roster.register(joining('one'));
      await b.roster.register(joining('two'));
      const operator = { role: 'manager', id: 'op', publicId: 'op' } as const;
      await a.roster.register(
        joining('op', { member: operator, claim: { tenant: 't', directory: 'open' }, inbox: undefined }),
      );
      await a.roster.unregister(dialogId, 'one');
      await a.roster.unregister(dialogId, 'op');
      await b.roster.unregister(dialogId, 'two');
      await b.roster.unregister(dialogId, 'two');
      const { entries } = (await serve(a)).reply;
      expect(kindsOf(entries)).toEqual(['opened', 'user_connected', 'user_disconnected']);
      for (const entry of entries.slice(1)) {
        expect(bodyOf(entry)).toMatchObject({ ...ADDRESS_BODY, user: { role: 'user', id: VISITOR.id, name: 'Zoë' } });
        expect(Object.keys(bodyOf(entry)['user'] as object).sort()).toEqual(['id', 'name', 'role']);
      }
    });

    test('is told that a visitor is gone when the node that held the connection is swept', async () => {
      await beat(a, b, a);
      await a.roster.register(joining('one'));
      await world.kill(a);
      await world.pass(NODE_TTL_MS + 50);
      await beat(b);
      expect(await b.roster.sweep(world.incarnationOf(a))).toBe(1);
      expect(await b.roster.sweep(world.incarnationOf(a))).toBe(0);
      expect(kindsOf((await serve(b)).reply.entries)).toEqual(['opened', 'user_connected', 'user_disconnected']);
    });

    test('is told nothing of a visitor who is back before the dead node is swept', async () => {
      await beat(a, b, a);
      await a.roster.register(joining('one'));
      await world.kill(a);
      await world.pass(NODE_TTL_MS + 50);
      await beat(b);
      await b.roster.register(joining('two'));
      await b.roster.sweep(world.incarnationOf(a));
      expect(kindsOf((await serve(b)).reply.entries)).toEqual(['opened', 'user_connected']);
    });

    test('is told of a visitor whose registration is restored', async () => {
      await beat(a);
      const { member, connectionId } = joining('one');
      await a.roster.renew([{ dialogId, connectionId, member, inbox: ADDRESS }]);
      await a.roster.renew([{ dialogId, connectionId, member, inbox: ADDRESS }]);
      await a.roster.unregister(dialogId, 'one');
      expect(kindsOf((await serve(a)).reply.entries)).toEqual(['user_connected', 'user_disconnected']);
    });

    test('takes events up to twice the bound, drops the rest, and says so in the next entry', async () => {
      const record = { tenant: 't', assistantId: 'bot', closed: false };
      for (let i = 0; i < 13; i += 1) await a.directory.putDialog(dialogId, { ...record, closed: i % 2 === 1 }, true);
      const served = await serve(a);
      expect(served.reply.entries).toHaveLength(10);
      await served.exchange(served.reply.entries.map((entry) => done(entry)));
      await write(a, 2);
      const { entries } = await served.exchange();
      expect(entries.map((entry) => bodyOf(entry)['dropped'])).toEqual([3, undefined]);
    });

    // ── who serves it ───────────────────────────────────────────────────────────────────────────────────────────────

    test('is served by one node at a time, and by nobody while nothing waits', async () => {
      expect(await serveAll(a)).toEqual([]);
      await write(a, 1);
      const served = await serve(a);
      const { partition } = served;
      const held = await b.inbox.exchange({ ...DEFAULTS, partition });
      expect(held.status).toBe('held');
      expect(held.status === 'held' && held.leftMs > 0 && held.leftMs <= TTL_MS).toBe(true);
      await b.inbox.release(partition, 'not the token');
      expect((await b.inbox.exchange({ ...DEFAULTS, partition })).status).toBe('held');
      await served.give();
      await served.give();
      const other = await serve(b);
      expect(other.reply.token).not.toBe(served.reply.token);
      expect((await served.ask()).status).toBe('lost');
    });

    test('changes nothing for a node whose lease has run out', async () => {
      const [first] = await write(a, 2);
      const served = await serve(a, { leaseTtlMs: 100 });
      await world.pass(150);
      expect((await served.ask([done(at(served.reply.entries, 0))])).status).toBe('lost');
      const other = await serve(b);
      expect(idsOf(other.reply.entries)[0]).toBe(first);
      expect((await served.ask([done(at(served.reply.entries, 0))])).status).toBe('lost');
      expect((await other.exchange()).entries).toHaveLength(2);
    });

    test('keeps the lease of a node that goes on', async () => {
      await write(a, 1);
      const served = await serve(a, { leaseTtlMs: 300 });
      for (let i = 0; i < 4; i += 1) {
        await world.pass(100);
        await served.exchange([], { leaseTtlMs: 300 });
      }
      expect((await b.inbox.exchange({ ...DEFAULTS, partition: served.partition })).status).toBe('held');
    });

    test('wakes who watches when something comes into what was idle', async () => {
      const woken: number[] = [];
      await write(a, 1);
      const served = await serve(a);
      const { partition } = served;
      a.inbox.watch([partition], (number) => woken.push(number));
      await served.exchange(served.reply.entries.map((entry) => done(entry)));
      await until(
        async () => {
          await served.exchange();
          await write(b, 1);
          await served.exchange((await served.exchange()).entries.map((entry) => done(entry)));
          return woken.length > 0;
        },
        { what: 'the wake-up', everyMs: 20 },
      );
      expect(new Set(woken)).toEqual(new Set([partition]));
    });

    // ── what becomes of it ──────────────────────────────────────────────────────────────────────────────────────────

    test('gives what waits in order and in pages, until it is done', async () => {
      const ids = await write(a, 5);
      const served = await serve(b, { limit: 2 });
      expect(idsOf(served.reply.entries)).toEqual(ids.slice(0, 2));
      expect(served.reply.more).toBe(true);
      const { after, entries } = served.reply;
      await served.exchange([done(at(entries, 1))], { after, limit: 2 });
      expect(idsOf(served.reply.entries)).toEqual(ids.slice(2, 4));
      await served.exchange([], { after: served.reply.after });
      expect(idsOf(served.reply.entries)).toEqual(ids.slice(4));
      expect(served.reply.more).toBe(false);
      await served.give();
      expect(idsOf((await serve(a)).reply.entries)).toEqual([ids[0], ...ids.slice(2)]);
    });

    test('parks a dialog in order, whatever the order in which its entries are put there', async () => {
      const ids = await write(a, 4);
      const other = await write(a, 1, 'other');
      const served = await serve(a);
      const { entries } = served.reply;
      await served.exchange([park(at(entries, 1)), park(at(entries, 0), 1, 0), park(at(entries, 0), 1, 0)]);
      expect(idsOf(served.reply.entries)).toEqual([...ids.slice(2), ...other]);
      expect(served.reply.entries.map(({ isBehind }) => isBehind)).toEqual([true, true, true]);
      await served.exchange([park(at(entries, 3)), park(at(entries, 2))]);
      const taken: unknown[] = [];
      for (let i = 0; i < 4; i += 1) {
        const { parked } = await served.exchange([], { parkedLimit: 5 });
        expect(parked).toHaveLength(1);
        expect(parked[0]?.attempts).toBe(i === 0 ? 1 : 0);
        taken.push(...idsOf(parked));
        await served.exchange([done(at(parked, 0), 'parked'), done(at(parked, 0), 'parked')]);
      }
      expect(taken).toEqual(ids);
      expect(served.reply.standing).toMatchObject({ entries: 1, parkedDialogs: 0 });
      expect(served.reply.entries.map(({ isBehind }) => isBehind)).toEqual([false]);
    });

    test('gives a parked dialog when it is due, and to one attempt at a time', async () => {
      await write(a, 1);
      const served = await serve(a);
      await served.exchange([park(at(served.reply.entries, 0), 1, 200)], { parkedLimit: 5 });
      expect(served.reply.parked).toEqual([]);
      expect(served.reply.nextDueMs).toBeLessThanOrEqual(200);
      await world.pass(210);
      await served.exchange([], { parkedLimit: 5, claimMs: 300 });
      const { parked } = served.reply;
      expect(parked).toHaveLength(1);
      expect((await served.exchange([], { parkedLimit: 5 })).parked).toEqual([]);
      await served.exchange([again(at(parked, 0), 2, 100)], { parkedLimit: 5 });
      expect(served.reply.parked).toEqual([]);
      await world.pass(110);
      expect((await served.exchange([], { parkedLimit: 5, claimMs: 100 })).parked).toMatchObject([{ attempts: 2 }]);
      // Who claimed it died.
      await world.pass(110);
      expect((await served.exchange([], { parkedLimit: 5 })).parked).toMatchObject([{ attempts: 2 }]);
    });

    test('says the age of the oldest entry, parked or not', async () => {
      await write(a, 1);
      await world.pass(100);
      await write(a, 1);
      const served = await serve(a);
      expect(served.reply.standing.oldestMs).toBeGreaterThanOrEqual(100);
      await served.exchange([park(at(served.reply.entries, 0), 1, 60_000)]);
      expect(served.reply.standing.oldestMs).toBeGreaterThanOrEqual(100);
      const { entries } = served.reply;
      await served.exchange([done(at(entries, 0))]);
      expect(served.reply.standing.oldestMs).toBeGreaterThanOrEqual(100);
      await served.exchange([], { parkedLimit: 1 });
    });

    // ── dead letters ────────────────────────────────────────────────────────────────────────────────────────────────

    /** Parks everything of the stream and lets it die, one after the other. */
    const letDie = async (served: ServedPartition): Promise<InboxEntry[]> => {
      const dead: InboxEntry[] = [];
      await served.exchange([], { after: '' });
      await served.exchange(served.reply.entries.map((entry) => park(entry)));
      for (;;) {
        const { parked } = await served.exchange([], { parkedLimit: 1 });
        if (parked[0] === undefined) return dead;
        const kill: InboxOutcome = { kind: 'dead', entry: parked[0], attempts: 12, reason: 'timeout' };
        await served.exchange([kill, kill]);
        dead.push(parked[0]);
        await world.pass(2);
      }
    };

    test('lists what was given up, the newest first, by assistant and in pages', async () => {
      await write(a, 3);
      await write(a, 2, 'other');
      const served = await serve(a);
      const dead = (await letDie(served)).reverse();
      expect(dead).toHaveLength(5);
      expect(served.reply.standing).toMatchObject({ entries: 0, deadLetters: 5, parkedDialogs: 0 });
      const all = await b.inbox.deadLetters({ limit: 100 });
      expect(all.map(({ id }) => id)).toEqual(dead.map(({ id }) => id));
      const { id, assistantId, body } = at(dead, 0);
      expect(all[0]).toMatchObject({ id, assistantId, dialogId, body, attempts: 12, reason: 'timeout' });
      const first = await b.inbox.deadLetters({ assistantId: 'bot', limit: 2 });
      const rest = await b.inbox.deadLetters({ assistantId: 'bot', limit: 2, after: first[1] });
      const ours = dead.filter((entry) => entry.assistantId === 'bot');
      expect([...first, ...rest].map((letter) => letter.id)).toEqual(ours.map((entry) => entry.id));
    });

    test('pages through letters of many partitions without a gap', async () => {
      for (let i = 0; i < 12; i += 1) await write(a, 1, 'bot', freshId());
      for (const { partition, reply } of await serveAll(a)) await letDie(new ServedPartition(a, partition, reply));
      const seen: string[] = [];
      for (let after: { diedMs: number; letterId: string } | undefined; ; ) {
        const page = await b.inbox.deadLetters({ limit: 5, ...(after === undefined ? {} : { after }) });
        seen.push(...page.map(({ letterId }) => letterId));
        after = page.at(-1);
        if (page.length < 5) break;
      }
      expect(new Set(seen).size).toBe(12);
      expect(seen).toHaveLength(12);
    });

    test('replays a dead letter behind what waits, and discards one', async () => {
      const [first] = await write(a, 2);
      const served = await serve(a);
      const dead = await letDie(served);
      const [late] = await write(a, 1);
      const letters = await b.inbox.deadLetters({ limit: 10 });
      const letter = letters.find(({ id }) => id === dead[0]?.id);
      expect(await b.inbox.replay(letter?.letterId ?? '')).toBe(true);
      expect(await b.inbox.replay(letter?.letterId ?? '')).toBe(false);
      const { entries, standing } = await served.exchange();
      expect(idsOf(entries)).toEqual([late, first]);
      expect(entries.map(({ replayOf }) => replayOf)).toEqual([undefined, dead[0]?.id]);
      expect(standing).toMatchObject({ entries: 2, deadLetters: 1 });
      const other = letters.find(({ id }) => id === dead[1]?.id);
      expect(await a.inbox.discard(other?.letterId ?? '')).toBe(true);
      expect(await a.inbox.discard(other?.letterId ?? '')).toBe(false);
      expect(await b.inbox.deadLetters({ limit: 10 })).toEqual([]);
      for (const unknown of ['', 'x', '9999-1-1', '01-1-1', '0-1-1']) expect(await a.inbox.replay(unknown)).toBe(false);
    });
  });
};

const ADDRESS_BODY = { assistant_id: 'bot', tenant: 't' };
