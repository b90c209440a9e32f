import { startDriver } from '../drivers.mjs';
import { startMeter, whenStill } from '../meter.mjs';
import { dialogsOn } from '../targets.mjs';
import { inWorld } from '../world.mjs';
import { TEXT } from './dialogs.mjs';

const MISSED = 10;
const CONCURRENCY = 250;
/** A node keeps a dialog that was left subscribed for five seconds. */
const LINGER_MS = 6_000;

/** A node's clients all come back at once, to the other node, which knows nothing of their dialogs, and recover what they missed. */
export const storm = {
  name: 'storm',
  contenders: ['replyx'],
  steady: [],
  round: (contender, { stormClients }) =>
    inWorld(contender, {}, async (world) => {
      const [first, second] = world.nodes;
      const one = { nodes: [second], redis: world.redis };
      const stormers = startDriver(contender.dialect);
      const newcomers = startDriver(contender.dialect);
      const measured = async (work) => {
        await whenStill(world);
        const used = startMeter(one);
        const result = await work();
        await whenStill(world);
        return { ...result, ...used() };
      };
      try {
        const crowd = dialogsOn(world, first, stormClients, 's');
        const { positions } = await stormers.ask('fill', {
          targets: crowd,
          count: MISSED,
          text: TEXT,
          concurrency: 50,
        });
        await newcomers.ask('connect', { targets: dialogsOn(world, second, Math.ceil(stormClients / 3), 'w', 30_000) });
        const fresh = dialogsOn(world, second, stormClients, 'f', 40_000);
        const connected = await measured(() => newcomers.ask('connect', { targets: fresh, concurrency: CONCURRENCY }));
        // Only who comes back is here then, and what the others have left behind is done.
        await Promise.all([stormers.ask('drop'), newcomers.ask('drop')]);
        await new Promise((resolve) => setTimeout(resolve, LINGER_MS));
        const back = dialogsOn(world, second, stormClients, 's').map((target, i) => ({
          ...target,
          path: `${target.path}?epoch=${positions[i].epoch}&offset=${positions[i].offset}`,
          position: positions[i],
        }));
        const recovered = await measured(() =>
          stormers.ask('recover', { targets: back, count: MISSED, concurrency: CONCURRENCY }),
        );
        if (recovered.whole !== stormClients) console.log(`  ${stormClients - recovered.whole} clients are not whole`);
        const connectMicros = connected.serverMicros / stormClients;
        const recoverMicros = recovered.serverMicros / stormClients;
        return {
          recoverMicros,
          connectMicros,
          overConnect: recoverMicros / connectMicros,
          redisMicros: recovered.redisMicros / stormClients,
          notWhole: stormClients - recovered.whole,
          p50: recovered.p50,
          p99: recovered.p99,
          driverCpu: Math.max(connected.driverCpu, recovered.driverCpu),
        };
      } finally {
        stormers.stop();
        newcomers.stop();
      }
    }),
  rows: ({ stormClients }) => [
    {
      work: `storm (${stormClients} clients come to the other node, ${CONCURRENCY} at a time, and recover ${MISSED} messages each): not whole`,
      field: 'notWhole',
      unit: '',
      aims: [{ text: 'none', met: (of) => of.replyx === 0 }],
    },
    { work: 'the same: server CPU a recovery', field: 'recoverMicros', unit: 'µs', aims: [] },
    {
      work: 'the same: server CPU of a recovery over that of a connect in the same run',
      field: 'overConnect',
      unit: '×',
      digits: 2,
      aims: [{ text: 'at most 2', met: (of) => of.replyx <= 2 }],
    },
  ],
};
