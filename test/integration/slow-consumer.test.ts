import { until } from '@replyx/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { at, inParallel, joinOperator, joinVisitor, makeDialog, startWorld, type World } from './world.js';

const OUTBOX_BYTES = 1_048_576;

let world: World;
beforeAll(async () => {
  world = await startWorld({ nodes: 2, env: { WS_OUTBOX_MAX_BYTES: OUTBOX_BYTES } });
});
afterAll(async () => {
  await world?.close();
});

describe('a socket that stops reading', () => {
  it('is closed with 4010 within its bound, gets everything when it comes back, and delays nobody', async () => {
    await makeDialog(world, 'd');
    const sender = await joinVisitor(at(world.nodes, 0), 'd', { clientId: 's' });
    const reader = await joinOperator(at(world.nodes, 1), 'd');
    const slow = await joinVisitor(at(world.nodes, 1), 'd', { clientId: 'slow' });
    slow.pauseReading();
    const before = at(world.processes, 1).rssBytes();
    const text = 'y'.repeat(9_900);
    const COUNT = 1_000;
    const delays: number[] = [];
    await inParallel(
      Array.from({ length: COUNT }, (_, n) => n),
      20,
      async (n) => {
        const started = performance.now();
        const arrived = reader.waitFor((frame) => frame.type === 'message' && frame.id === `y${n}`);
        expect((await sender.publish(text, { id: `y${n}` })).type).toBe('ack');
        await arrived;
        delays.push(performance.now() - started);
      },
    );
    const grown = at(world.processes, 1).rssBytes() - before;
    delays.sort((a, b) => a - b);
    console.log(
      `slow consumer: 10 MB published, the node grew by ${Math.round(grown / 1024)} KiB; the other reader's median delay ${delays[COUNT / 2]?.toFixed(1)} ms, p99 ${delays[Math.floor(COUNT * 0.99)]?.toFixed(1)} ms`,
    );
    const closes = async () => String((await at(world.nodes, 1).api.get('/metrics')).body);
    await until(async () => /websocket_close_codes_total\{code="4010"\} 1/.test(await closes()), {
      what: 'the node to close it',
    });
    slow.resumeReading();
    const closed = await slow.closed;
    expect(closed.code).toBe(4010);
    expect(closed.disconnectFrame).toMatchObject({ code: 4010, reconnect: { mode: 'jitter' } });
    const had = slow.messages().length;
    // The kernel's buffers hold some megabytes beside the node's own bound; the rest was never sent.
    expect(had).toBeLessThan(COUNT);
    const back = await joinVisitor(at(world.nodes, 0), 'd', {
      clientId: 'slow',
      ...(slow.position === undefined ? {} : { position: slow.position }),
    });
    expect((await back.waitFor('connected'))['recovered']).toBe(true);
    await until(() => had + back.messages().length === COUNT, { what: 'everything' });
    const offsets = [...slow.messages(), ...back.messages()].map((frame) => frame.offset);
    expect(offsets).toEqual(Array.from({ length: COUNT }, (_, i) => i + 1));
    expect(reader.messages()).toHaveLength(COUNT);
  });
});
