import { startCrew } from '../drivers.mjs';
import { startMeter } from '../meter.mjs';
import { dialogsOnBoth } from '../targets.mjs';
import { inWorld } from '../world.mjs';

const DIALOGS = 200;
export const TEXT = 'x'.repeat(200);

/** Many small dialogs at a fixed rate: what a message costs. */
export const dialogs = {
  name: 'dialogs',
  contenders: ['bare', 'replyx', 'control', 'socket.io', 'soketi'],
  steady: ['serverMicros'],
  round: (contender, { rate, seconds }) =>
    inWorld(contender, {}, async (world) => {
      const crew = await startCrew(contender.dialect, dialogsOnBoth(world, DIALOGS));
      try {
        const plan = { rate, text: TEXT, deliveries: 2 };
        // The first messages pay for compiling; they are nobody's.
        await crew.chat({ ...plan, total: rate * 2 });
        const used = startMeter(world);
        const { sent, p50, p99, driverCpu, behindMs } = await crew.chat({ ...plan, total: rate * seconds });
        const { serverMicros, redisMicros } = used();
        return { serverMicros: serverMicros / sent, redisMicros: redisMicros / sent, p50, p99, driverCpu, behindMs };
      } finally {
        crew.stop();
      }
    }),
  rows: ({ rate }) => [
    {
      work: `dialogs at ${rate}/s (two nodes, one socket of each of ${DIALOGS} dialogs on each, 200-byte text): server CPU a message`,
      field: 'serverMicros',
      unit: 'µs',
      aims: [
        { text: 'at most 1.3 × bare', met: (of) => of.replyx <= 1.3 * of.bare },
        { text: 'below 0.8 × Socket.IO', met: (of) => of.replyx < 0.8 * of['socket.io'], needs: 'socket.io' },
      ],
    },
    {
      work: 'the same: Redis CPU a message',
      field: 'redisMicros',
      unit: 'µs',
      aims: [{ text: 'at most 3 × bare', met: (of) => of.replyx <= 3 * of.bare }],
    },
    {
      work: 'the same: latency, p99',
      field: 'p99',
      unit: 'ms',
      digits: 1,
      aims: [{ text: 'at most 1.5 × bare', met: (of) => of.replyx <= 1.5 * of.bare }],
    },
  ],
};
