import type {
  AssistantRecord,
  Backplane,
  Ban,
  ControlCursor,
  ControlEntry,
  Revocation,
  RevocationRule,
  SnapshotEntry,
  Tombstone,
} from '@replyx/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { freshId, type MakeWorld, patiently, type World } from './world.js';

const HOUR_MS = 3_600_000;
const ASSISTANT: AssistantRecord = {
  tenant: 't',
  active: true,
  allowedDomains: ['bücher.example'],
  widgetVersion: 3,
  inbox: false,
  limits: { messages: 5 },
};

const RULES: readonly RevocationRule[] = [
  { by: 'jti', jti: 'Zoë 😀:{x}|\\n"' },
  { by: 'subject', sub: 's|1', tenant: 't', issuedBefore: 1_767_225_600.5 },
  { by: 'subject', sub: 's', issuedBefore: 0 },
  { by: 'assistant', assistantId: 'a', belowVersion: Number.MAX_SAFE_INTEGER },
  { by: 'dialog', dialogId: 'd' },
];

export const describeControlContract = (name: string, makeWorld: MakeWorld): void => {
  describe(`${name}: control`, () => {
    let world: World;
    let a: Backplane;
    let b: Backplane;
    let nowMs: number;

    beforeEach(async () => {
      world = await makeWorld();
      [a, b] = await Promise.all([world.open(), world.open()]);
      nowMs = await world.nowMs();
    });
    afterEach(() => world.close());

    const revocation = (
      id: string,
      rule: RevocationRule | { readonly sub?: string; readonly issuedBefore?: number } = {},
      times: Partial<Revocation> = {},
    ): Revocation => ({
      kind: 'revocation',
      id,
      rule: 'by' in rule ? rule : { by: 'subject', sub: 's', tenant: 't', issuedBefore: 100, ...rule },
      createdMs: nowMs,
      expiresMs: nowMs + HOUR_MS,
      ...times,
    });
    const ban = (id: string, rest: Partial<Ban> = {}): Ban => ({
      kind: 'ban',
      id,
      network: '198.51.100.7',
      source: 'api',
      createdMs: nowMs,
      expiresMs: nowMs + HOUR_MS,
      ...rest,
    });
    const lift = (id: string, rest: Partial<Tombstone> = {}): Tombstone => ({
      kind: 'lifted',
      id,
      of: 'revocation',
      createdMs: nowMs,
      expiresMs: nowMs + HOUR_MS,
      ...rest,
    });
    const entriesOf = async (node: Backplane): Promise<readonly SnapshotEntry[]> =>
      [...(await node.control.snapshot()).entries].sort((x, y) => x.id.localeCompare(y.id));
    const cursorOf = async (node: Backplane): Promise<ControlCursor> => (await node.control.snapshot()).cursor;
    /** What came after a place, page by page, and where it ends. */
    const read = async (node: Backplane, from: ControlCursor) => {
      const entries: ControlEntry[] = [];
      for (let cursor = from; ; ) {
        const result = await node.control.tail(cursor);
        if (result.status === 'lost') return 'lost';
        if (result.entries.length === 0) return { entries, cursor };
        entries.push(...result.entries);
        cursor = result.cursor;
      }
    };

    test.each(RULES)('keeps and tells a revocation by %j', async (rule) => {
      const cursor = await cursorOf(b);
      const entry = revocation('r', rule);
      expect(await a.control.write(entry)).toEqual(entry);
      expect(await entriesOf(b)).toEqual([entry]);
      expect(await read(b, cursor)).toMatchObject({ entries: [entry] });
    });

    test('keeps and tells bans; one more of a network replaces the first', async () => {
      const cursor = await cursorOf(b);
      await a.control.write(ban('b', { reason: 'Zoë|\n', expiresMs: nowMs + 2 * HOUR_MS }));
      const second = await a.control.write(ban('b', { source: 'score' }));
      expect(second).toMatchObject({ source: 'score', expiresMs: nowMs + HOUR_MS });
      expect(second.createdMs).toBeGreaterThan(nowMs);
      expect(await entriesOf(b)).toEqual([second]);
      expect(await read(b, cursor)).toMatchObject({ entries: [{ reason: 'Zoë|\n' }, second] });
    });

    test('only tells of a disconnect', async () => {
      const cursor = await cursorOf(b);
      const target = { sub: 'ö', tenant: 't' };
      const entry = { kind: 'disconnect', target, code: 'GOING_AWAY', earlierOnly: true } as const;
      expect(await a.control.write(entry)).toEqual(entry);
      expect(await entriesOf(b)).toEqual([]);
      expect(await read(b, cursor)).toMatchObject({ entries: [entry] });
    });

    test('tells of assistants as the directory changes, and holds them all', async () => {
      const cursor = await cursorOf(b);
      const [one, two] = [freshId('assistant'), freshId('assistant')];
      await a.directory.putAssistant(one, ASSISTANT);
      await a.control.write({ kind: 'assistant', assistantId: two, record: { ...ASSISTANT, active: false } });
      expect(await b.directory.assistant(two)).toEqual({ ...ASSISTANT, active: false });
      expect((await b.control.snapshot()).assistants).toEqual(
        new Map([
          [one, ASSISTANT],
          [two, { ...ASSISTANT, active: false }],
        ]),
      );
      expect(await a.directory.deleteAssistant(one)).toBe(true);
      expect(await a.directory.deleteAssistant(one)).toBe(false);
      const told = await read(b, cursor);
      expect(told).toMatchObject({
        entries: [
          { kind: 'assistant', assistantId: one, record: ASSISTANT },
          { kind: 'assistant', assistantId: two, record: { active: false } },
          { kind: 'assistant', assistantId: one },
        ],
      });
      if (told !== 'lost') expect(told.entries.at(-1)).not.toHaveProperty('record.tenant');
    });

    test('a revocation that is written again is never narrower or shorter', async () => {
      await a.control.write(revocation('r', { issuedBefore: 200 }, { expiresMs: nowMs + 2 * HOUR_MS }));
      const again = await b.control.write(revocation('r', { issuedBefore: 150 }));
      expect(again).toMatchObject({ rule: { issuedBefore: 200 }, expiresMs: nowMs + 2 * HOUR_MS });
      const wider = await b.control.write(revocation('r', { issuedBefore: 300 }));
      expect(wider).toMatchObject({ rule: { issuedBefore: 300, tenant: 't' }, expiresMs: nowMs + 2 * HOUR_MS });
      expect(await entriesOf(a)).toEqual([wider]);
    });

    test('a lift is kept as long as what it lifted, and gives way to what is written after it', async () => {
      const cursor = await cursorOf(b);
      await a.control.write(revocation('r', {}, { expiresMs: nowMs + 2 * HOUR_MS }));
      const lifted = await b.control.write(lift('r', { createdMs: nowMs - HOUR_MS }));
      expect(lifted).toMatchObject({ kind: 'lifted', expiresMs: nowMs + 2 * HOUR_MS });
      expect(lifted.createdMs).toBeGreaterThan(nowMs);
      expect(await entriesOf(a)).toEqual([lifted]);
      const after = await a.control.write(revocation('r', { issuedBefore: 1 }));
      expect(after).toMatchObject({ rule: { issuedBefore: 1 } });
      expect(await entriesOf(b)).toEqual([after]);
      expect(await read(b, cursor)).toMatchObject({ entries: [{ kind: 'revocation' }, lifted, after] });
    });

    test('drops what has expired, lifts too', async () => {
      const soon = { expiresMs: nowMs + 60 };
      await a.control.write(revocation('r', {}, soon));
      await a.control.write(ban('b', soon));
      await a.control.write(lift('x', soon));
      expect(await entriesOf(b)).toHaveLength(3);
      await world.pass(70);
      expect(await entriesOf(b)).toEqual([]);
      const anew = await a.control.write(revocation('r', { issuedBefore: 1 }));
      expect(anew).toMatchObject({ rule: { issuedBefore: 1 }, createdMs: nowMs });
    });

    test('a tail begins where the snapshot was noted, and goes on where it ended', async () => {
      await a.control.write(revocation('before'));
      const cursor = await cursorOf(b);
      expect(await read(b, cursor)).toEqual({ entries: [], cursor });
      await a.control.write(revocation('one'));
      const first = await read(b, cursor);
      expect(first).toMatchObject({ entries: [{ id: 'one' }] });
      if (first === 'lost') return;
      await a.control.write(revocation('two'));
      expect(await read(b, first.cursor)).toMatchObject({ entries: [{ id: 'two' }] });
      expect(await read(a, cursor)).toMatchObject({ entries: [{ id: 'one' }, { id: 'two' }] });
    });

    test('a tail over many pages is whole and in order', async () => {
      const cursor = await cursorOf(b);
      const ids = Array.from({ length: 1_234 }, (_, i) => `r${i}`);
      await Promise.all(ids.map((id) => a.control.write(revocation(id))));
      const told = await read(b, cursor);
      if (told === 'lost') throw new Error('the place is kept');
      expect(new Set(told.entries.map((entry) => 'id' in entry && entry.id))).toEqual(new Set(ids));
      expect(told.entries).toHaveLength(ids.length);
      expect(await entriesOf(b)).toHaveLength(ids.length);
    });

    test('a place is lost when what came after it was trimmed, and not before', async () => {
      await a.control.write(revocation('one'));
      const cursor = await cursorOf(b);
      await world.trimControl();
      expect(await read(b, cursor)).toEqual({ entries: [], cursor });
      await a.control.write(revocation('two'));
      expect(await read(b, cursor)).toMatchObject({ entries: [{ id: 'two' }] });
      await world.trimControl();
      expect(await b.control.tail(cursor)).toEqual({ status: 'lost' });
      const { epoch } = cursor;
      expect(await cursorOf(b)).toMatchObject({ epoch });
      expect(await entriesOf(b)).toMatchObject([{ id: 'one' }, { id: 'two' }]);
    });

    test('an emptied store has another epoch, younger than a moment, and knows no place of the old one', async () => {
      await a.control.write(revocation('r'));
      const cursor = await cursorOf(b);
      await world.flush();
      await patiently(async () => expect(await b.control.tail(cursor)).toEqual({ status: 'lost' }));
      const snapshot = await b.control.snapshot();
      expect(snapshot.cursor.epoch).not.toBe(cursor.epoch);
      expect(snapshot).toMatchObject({ entries: [], assistants: new Map() });
      expect(snapshot.epochAgeMs).toBeLessThan(30_000);
      expect((await cursorOf(a)).epoch).toBe(snapshot.cursor.epoch);
    });

    test('two nodes that find it emptied at once find one epoch', async () => {
      await world.flush();
      const [x, y] = await patiently(() => Promise.all([cursorOf(a), cursorOf(b)]));
      expect(x.epoch).toBe(y.epoch);
    });

    test.each<[string, () => Promise<() => Promise<void>>]>([
      ['by a process that lost its tail', () => world.saveForRollback()],
      ['without any sign of it', () => world.saveForSilentRollback()],
    ])('a store that was rolled back %s has another epoch', async (_, save) => {
      await a.control.write(revocation('kept'));
      const behind = await cursorOf(b);
      const rollBack = await save();
      await a.control.write(revocation('lost'));
      const ahead = await cursorOf(a);
      await rollBack();
      await patiently(async () => expect(await a.control.tail(ahead)).toEqual({ status: 'lost' }));
      await patiently(async () => expect(await b.control.tail(behind)).toEqual({ status: 'lost' }));
      expect((await cursorOf(b)).epoch).not.toBe(ahead.epoch);
      expect(await entriesOf(b)).toMatchObject([{ id: 'kept' }]);
    });

    test('a store that was rolled back silently is found out also where as much was written since', async () => {
      const rollBack = await world.saveForSilentRollback();
      await a.control.write(revocation('lost'));
      const ahead = await cursorOf(a);
      await rollBack();
      // Nobody looks in between.
      await b.control.write(revocation('new'));
      await world.pass(2);
      expect(await a.control.tail(ahead)).toEqual({ status: 'lost' });
    });

    test('seeds what is lost, and tells the others of it', async () => {
      const kept = [await a.control.write(revocation('r')), await a.control.write(ban('b'))];
      const lifted = await a.control.write(lift('x', { of: 'ban' }));
      await world.flush();
      const cursor = await patiently(() => cursorOf(b));
      await a.control.seed([...kept, lifted]);
      const expected = [kept[1], kept[0], lifted];
      expect(await entriesOf(b)).toEqual(expected);
      const told = await read(b, cursor);
      expect(told !== 'lost' && [...told.entries]).toEqual(expect.arrayContaining(expected));
      if (told === 'lost') return;
      await b.control.seed([...kept, lifted]);
      expect(await read(b, told.cursor)).toMatchObject({ entries: [] });
    });

    test('seeds a great many', async () => {
      const many = Array.from({ length: 1_000 }, (_, i) => revocation(`r${i}`, { sub: `s${i}` }));
      await a.control.seed(many);
      expect((await entriesOf(b)).map(({ id }) => id).sort()).toEqual(many.map(({ id }) => id).sort());
    });

    test.each<[string, () => readonly SnapshotEntry[], (ids: readonly SnapshotEntry[]) => SnapshotEntry | undefined]>([
      [
        'a lift over what it lifted',
        () => [revocation('e'), lift('e', { createdMs: nowMs + 1 })],
        ([, second]) => second,
      ],
      ['a lift of the same time', () => [revocation('e'), lift('e')], ([, second]) => second],
      [
        'what was written after a lift',
        () => [lift('e'), revocation('e', {}, { createdMs: nowMs + 1 })],
        ([, second]) => second,
      ],
      [
        'the later of two bans',
        () => [ban('e', { expiresMs: nowMs + 9 * HOUR_MS }), ban('e', { createdMs: nowMs + 1 })],
        ([, second]) => second,
      ],
      [
        'of two bans of one time that of the later expiry',
        () => [ban('e'), ban('e', { expiresMs: nowMs + 9 * HOUR_MS })],
        ([, second]) => second,
      ],
      [
        'of two revocations the wider and the longer',
        () => [revocation('e', { issuedBefore: 500 }), revocation('e', {}, { expiresMs: nowMs + 9 * HOUR_MS })],
        () => revocation('e', { issuedBefore: 500 }, { expiresMs: nowMs + 9 * HOUR_MS }),
      ],
      [
        'nothing that has expired',
        () => [ban('e', { expiresMs: nowMs - 1 }), lift('e', { of: 'ban', expiresMs: nowMs - 1 })],
        () => undefined,
      ],
    ])('seeding keeps %s, in whatever order they come', async (_, make, wins) => {
      const entries = make().map((entry) =>
        entry.kind === 'lifted' && make().some(({ kind }) => kind === 'ban') ? { ...entry, of: 'ban' as const } : entry,
      );
      const winner = wins(entries);
      for (const order of [entries, [...entries].reverse()]) {
        await world.flush();
        await patiently(() => a.control.seed(order));
        await b.control.seed(order);
        expect(await entriesOf(b)).toEqual(winner === undefined ? [] : [winner]);
      }
    });

    test('tells the time of the store', async () => {
      const before = await world.nowMs();
      const told = await a.control.nowMs();
      expect(told).toBeGreaterThanOrEqual(before);
      expect((await a.control.snapshot()).nowMs).toBeGreaterThanOrEqual(told);
    });
  });
};
