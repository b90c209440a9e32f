import { type TestClient, until } from '@replyx/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { at, joinOperator, joinVisitor, makeDialog, startMemoryWorld, startWorld, type World } from './world.js';

const worlds: readonly [string, () => Promise<World>][] = [
  ['Redis', () => startWorld()],
  ['memory', () => startMemoryWorld()],
];

describe.each(worlds)('notes between operators, on %s', (_name, start) => {
  let world: World;
  let visitor: TestClient;
  let anna: TestClient;
  let boris: TestClient;

  beforeAll(async () => {
    world = await start();
    await makeDialog(world, 'd');
    visitor = await joinVisitor(at(world.nodes, 0), 'd');
    anna = await joinOperator(at(world.nodes, 1), 'd', { claims: { sub: 'anna', name: 'Anna' } });
    boris = await joinOperator(at(world.nodes, 2), 'd', { claims: { sub: 'boris', name: 'Boris' } });
  });
  afterAll(async () => {
    await world?.close();
  });

  /** Everything the visitor has been sent, as text: nothing of an operator who has not written may be in it. */
  const visitorSaw = () => JSON.stringify(visitor.frames);

  it('reach operators on all nodes, in their own offsets', async () => {
    expect(await anna.publish('the visitor is rude', { type: 'note', id: 'n1' })).toMatchObject({
      type: 'ack',
      offset: 1,
      track: 'internal',
    });
    expect(await boris.publish('agreed', { type: 'note', id: 'n2' })).toMatchObject({ offset: 2, track: 'internal' });
    for (const operator of [anna, boris]) {
      await until(() => operator.notes().length === 2, { what: 'both notes' });
      expect(operator.notes().map((frame) => [frame.offset, frame.text])).toEqual([
        [1, 'the visitor is rude'],
        [2, 'agreed'],
      ]);
    }
  });

  it('do not move the offsets that a visitor sees', async () => {
    const ack = await visitor.publish('hello?', { id: 'v1' });
    expect(ack.offset).toBe(1);
    await until(() => visitor.messages().length === 1, { what: 'its own message' });
    expect(visitor.messages()[0]?.offset).toBe(1);
  });

  it('are not in the history that a visitor may read, nor in its count', async () => {
    expect(await visitor.request({ type: 'history' })).toMatchObject({
      type: 'history',
      track: 'main',
      offset: 1,
      more: false,
    });
    expect(await visitor.request({ type: 'history', track: 'internal' })).toMatchObject({
      type: 'error',
      code: 'not_allowed',
    });
    expect(await visitor.publish('a note?', { type: 'note' })).toMatchObject({ type: 'error', code: 'not_allowed' });
    const page = await anna.request({ type: 'history', track: 'internal' });
    expect(page).toMatchObject({ type: 'history', track: 'internal', offset: 2 });
    expect((page['messages'] as unknown[]).length).toBe(2);
  });

  it('show no typing and no read mark of the internal track to a visitor', async () => {
    anna.send({ type: 'typing', state: 'start', track: 'internal' });
    expect(await boris.waitFor('typing')).toMatchObject({ state: 'start', track: 'internal', sender: { id: 'anna' } });
    anna.send({ type: 'read', offset: 2, track: 'internal' });
    expect(await boris.waitFor('read')).toMatchObject({ offset: 2, track: 'internal', sender: { id: 'anna' } });
    visitor.send({ type: 'typing', state: 'start', track: 'internal' });
    expect(
      await visitor.waitFor(
        (frame) => frame.type === 'error' && frame.code === 'not_allowed' && frame.id === undefined,
      ),
    ).toBeTruthy();
  });

  it('leave an operator who has not written in main unseen: presence, marks, names', async () => {
    boris.send({ type: 'read', offset: 1 });
    await anna.waitFor((frame) => frame.type === 'read' && frame.track === undefined);
    // A later frame that the visitor does get proves that the earlier ones were not on their way.
    visitor.send({ type: 'typing', state: 'start' });
    await visitor.waitFor('typing');
    expect(visitorSaw()).not.toMatch(/anna|boris|internal|rude|agreed/i);
    const late = await joinVisitor(at(world.nodes, 2), 'd', { clientId: 'late' });
    const snapshot = await late.waitFor('presence');
    expect(snapshot).toMatchObject({ state: 'snapshot', users: [{ role: 'user' }], count: 1 });
    expect(JSON.stringify(late.frames)).not.toMatch(/anna|boris|internal/i);
    await late.close();
  });

  it('and an operator who writes is known by role, public id and name from then on', async () => {
    await anna.publish('How can I help?', { id: 'a1' });
    const message = await visitor.waitFor((frame) => frame.type === 'message' && frame.id === 'a1');
    const sender = message['sender'] as { role: string; id: string; name: string };
    expect(sender).toMatchObject({ role: 'manager', name: 'Anna' });
    expect(sender.id).not.toBe('anna');
    const join = await visitor.waitFor((frame) => frame.type === 'presence' && frame['state'] === 'join');
    expect(join['users']).toEqual([{ role: 'manager', name: 'Anna' }]);
    anna.send({ type: 'read', offset: 2 });
    expect(await visitor.waitFor('read')).toMatchObject({ sender: { role: 'manager', id: sender.id }, offset: 2 });
    expect(visitorSaw()).not.toMatch(/"anna"|[Bb]oris/);
    const again = await joinVisitor(at(world.nodes, 1), 'd', { clientId: 'again' });
    const connected = await again.waitFor('connected');
    expect(connected['read']).toEqual([{ role: 'manager', id: sender.id, name: 'Anna', offset: 2 }]);
    await again.close();
  });
});
