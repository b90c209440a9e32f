import type { AssistantRecord, Backplane, DialogRecord } from '@replyx/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { appended, freshId, type MakeWorld, publication, Recorder, type World } from './world.js';

const ASSISTANTS: readonly AssistantRecord[] = [
  { tenant: 't', active: true, allowedDomains: [], widgetVersion: 0, inbox: false },
  {
    tenant: 't',
    active: false,
    allowedDomains: ['example.com', 'xn--mnchen-3ya.example', 'bücher.example'],
    widgetVersion: 7,
    inbox: true,
    limits: { messages: 5, connections_per_dialog: 0 },
  },
];

const DIALOGS: readonly DialogRecord[] = [
  { tenant: 't', closed: false },
  { tenant: 't', assistantId: 'bot', closed: true },
  { tenant: 't', assistantId: 'bot', visitorId: 'Zoë 😀:{x}', closed: false },
];

export const describeDirectoryContract = (name: string, makeWorld: MakeWorld): void => {
  describe(`${name}: directory`, () => {
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

    test('knows neither assistants nor dialogs that were not put', async () => {
      expect(await a.directory.assistant('none')).toBeUndefined();
      expect(await a.directory.dialog(dialogId)).toBeUndefined();
      expect(await a.directory.deleteAssistant('none')).toBe(false);
      expect(await a.directory.deleteDialog(dialogId)).toBe(false);
    });

    test.each(ASSISTANTS)('gives back assistant %#, replaces it, deletes it', async (record) => {
      const id = freshId('assistant');
      await a.directory.putAssistant(id, { ...record, active: !record.active, inbox: true });
      await a.directory.putAssistant(id, record);
      expect(await b.directory.assistant(id)).toEqual(record);
      expect(await b.directory.deleteAssistant(id)).toBe(true);
      expect(await a.directory.assistant(id)).toBeUndefined();
    });

    test.each(DIALOGS)('gives back dialog %# and replaces it whole', async (record) => {
      const full = { tenant: 't', assistantId: 'old', visitorId: 'old', closed: !record.closed };
      expect(await a.directory.putDialog(dialogId, full)).toBe('stored');
      expect(await a.directory.putDialog(dialogId, record)).toBe('stored');
      expect(await b.directory.dialog(dialogId)).toEqual(record);
    });

    test('leaves a dialog with the tenant that has it', async () => {
      await a.directory.putDialog(dialogId, { tenant: 't', closed: false });
      expect(await b.directory.putDialog(dialogId, { tenant: 'other', closed: true })).toBe('conflict');
      expect(await b.directory.dialog(dialogId)).toEqual({ tenant: 't', closed: false });
    });

    const OWNER = { tenant: 't', assistantId: 'bot', visitorId: 'Zoë 😀:{x}' };

    test('makes a dialog for its visitor once, and opens it again', async () => {
      expect(await a.directory.openDialog(dialogId, OWNER, 'keep')).toBe('unknown');
      expect(await a.directory.dialog(dialogId)).toBeUndefined();
      const opened = await Promise.all([a, b, a].map((node) => node.directory.openDialog(dialogId, OWNER, 'make')));
      expect(opened.sort()).toEqual(['created', 'resumed', 'resumed']);
      expect(await b.directory.openDialog(dialogId, OWNER, 'keep')).toBe('resumed');
      expect(await b.directory.dialog(dialogId)).toEqual({ ...OWNER, closed: false });
    });

    test.each(['make', 'keep'] as const)(
      'opens a dialog for nobody else (%s), and changes nothing of it',
      async (mode) => {
        const record = { ...OWNER, closed: true };
        await a.directory.putDialog(dialogId, record);
        for (const other of [{ tenant: 'u' }, { assistantId: 'u' }, { visitorId: 'u' }]) {
          expect(await b.directory.openDialog(dialogId, { ...OWNER, ...other }, mode)).toBe('conflict');
        }
        expect(await b.directory.openDialog(dialogId, OWNER, mode)).toBe('resumed');
        expect(await b.directory.dialog(dialogId)).toEqual(record);
      },
    );

    test('fixes what a record leaves open: the visitor always, the assistant where it may make dialogs', async () => {
      const free = freshId();
      await a.directory.putDialog(dialogId, { tenant: 't', assistantId: 'bot', closed: false });
      await a.directory.putDialog(free, { tenant: 't', closed: false });
      expect(await b.directory.openDialog(dialogId, OWNER, 'keep')).toBe('resumed');
      expect(await b.directory.openDialog(dialogId, { ...OWNER, visitorId: 'late' }, 'keep')).toBe('conflict');
      expect(await b.directory.openDialog(free, OWNER, 'keep')).toBe('conflict');
      expect(await b.directory.openDialog(free, OWNER, 'make')).toBe('resumed');
      expect(await a.directory.dialog(free)).toEqual({ ...OWNER, closed: false });
    });

    test('opens a dialog that has a history and no record, and keeps the history', async () => {
      const { epoch } = appended(await a.log.publish(publication(dialogId)));
      expect(await b.directory.openDialog(dialogId, OWNER, 'make')).toBe('created');
      expect(await a.log.read({ dialogId, track: 'main', limit: 1 })).toMatchObject({ epoch, offset: 1 });
    });

    test('opens a dialog to which its visitor alone may connect', async () => {
      await a.directory.openDialog(dialogId, OWNER, 'make');
      const member = { role: 'user', id: OWNER.visitorId, publicId: OWNER.visitorId } as const;
      const claim = { ...OWNER, directory: 'strict' } as const;
      const joining = { dialogId, connectionId: 'c', member, claim };
      expect(await b.roster.register(joining)).toMatchObject({ status: 'registered', dialog: OWNER });
      const other = { ...joining, connectionId: 'd', claim: { ...claim, visitorId: 'other' } };
      expect(await b.roster.register(other)).toEqual({ status: 'not_found' });
    });

    test('does not know a dialog by its history alone', async () => {
      await a.log.publish(publication(dialogId));
      expect(await b.directory.dialog(dialogId)).toBeUndefined();
    });

    test('keeps the history when a record is put, and the record when a history is made', async () => {
      const first = appended(await a.log.publish(publication(dialogId)));
      await a.directory.putDialog(dialogId, { tenant: 't', closed: false });
      expect(appended(await b.log.publish(publication(dialogId)))).toEqual({ epoch: first.epoch, offset: 2 });
      expect(await b.directory.dialog(dialogId)).toEqual({ tenant: 't', closed: false });
    });

    test('deletes a dialog with everything of it, tells its nodes, and repeats no epoch', async () => {
      const recorder = new Recorder(b);
      await b.fanout.subscribe([{ dialogId, track: 'main' }]);
      await a.directory.putDialog(dialogId, { tenant: 't', closed: false });
      const request = publication(dialogId);
      const before = appended(await a.log.publish(request));
      expect(await a.directory.deleteDialog(dialogId)).toBe(true);
      expect(await recorder.atLeast('erased', 1)).toEqual([{ kind: 'erased', dialogId }]);
      expect(await b.directory.dialog(dialogId)).toBeUndefined();
      expect(await b.log.publish({ ...request, mustExist: true })).toEqual({ status: 'not_found' });
      const after = appended(await b.log.publish(request));
      expect(after.offset).toBe(1);
      expect(after.epoch).not.toBe(before.epoch);
      expect(await a.directory.putDialog(dialogId, { tenant: 'another', closed: false })).toBe('stored');
    });
  });
};
