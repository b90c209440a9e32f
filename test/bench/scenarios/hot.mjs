import { startCrew } from '../drivers.mjs';
import { startMeter } from '../meter.mjs';
import { targetOn } from '../targets.mjs';
import { inWorld } from '../world.mjs';
import { TEXT } from './dialogs.mjs';

const SOCKETS = 1_000;
const CALM = { rate: 50 };
/** Ten at once, fifty times a second, for a tenth of a second; then the servers catch up. */
const BURSTS = { rate: 500, burst: 10, spell: 50, pauseMs: 900 };

const oneDialog = (world) => {
  const { nodes, contender } = world;
  const targets = Array.from({ length: SOCKETS }, (_, index) =>
    targetOn(world, nodes[index % 2], 'hot', 0, contender.echoes),
  );
  if (!contender.echoes) targets.push(targetOn(world, nodes[0], 'hot', 0));
  return [targets];
};

/** One large dialog over two nodes: what a delivery costs, at a calm rate and in bursts. */
export const hot = {
  name: 'hot',
  contenders: ['bare', 'replyx', 'control', 'socket.io', 'soketi'],
  steady: ['calmMicros', 'burstMicros'],
  round: (contender, { seconds }) =>
    inWorld(contender, { options: { env: { WS_RATE_LIMIT_MESSAGES: 20_000 } } }, async (world) => {
      const crew = await startCrew(contender.dialect, oneDialog(world));
      const perDelivery = async (plan, total) => {
        const used = startMeter(world);
        const result = await crew.chat({ ...plan, total, text: TEXT, deliveries: SOCKETS });
        return { ...result, micros: used().serverMicros / result.received };
      };
      try {
        const [calmTotal, burstTotal] = [CALM.rate * seconds, BURSTS.spell * seconds];
        await perDelivery(CALM, calmTotal);
        await perDelivery(BURSTS, burstTotal);
        const calm = await perDelivery(CALM, calmTotal);
        const burst = await perDelivery(BURSTS, burstTotal);
        return {
          calmMicros: calm.micros,
          burstMicros: burst.micros,
          calmP99: calm.p99,
          burstP99: burst.p99,
          driverCpu: Math.max(calm.driverCpu, burst.driverCpu),
        };
      } finally {
        crew.stop();
      }
    }),
  rows: () => [
    {
      work: `hot dialog (${SOCKETS} sockets over two nodes, 50/s): server CPU a delivery`,
      field: 'calmMicros',
      unit: 'µs',
      digits: 2,
      aims: [{ text: 'at most 1.1 × bare', met: (of) => of.replyx <= 1.1 * of.bare }],
    },
    {
      work: 'the same in bursts (500/s for 0.1 s in each second, ten at once): server CPU a delivery',
      field: 'burstMicros',
      unit: 'µs',
      digits: 2,
      aims: [{ text: 'below 0.5 × bare', met: (of) => of.replyx < 0.5 * of.bare }],
    },
  ],
};
