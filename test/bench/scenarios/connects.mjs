import { startDriver } from '../drivers.mjs';
import { startMeter, whenStill } from '../meter.mjs';
import { dialogsOn } from '../targets.mjs';
import { inWorld } from '../world.mjs';

const CONCURRENCY = 50;

/** Connections that come in: ours authenticated, limited, registered and subscribed; the others as they do it. */
export const connects = {
  name: 'connects',
  contenders: ['bare', 'replyx', 'control', 'socket.io', 'soketi'],
  steady: ['serverMicros'],
  round: (contender, { connections }) =>
    inWorld(contender, {}, async (world) => {
      const [node] = world.nodes;
      const one = { nodes: [node], redis: world.redis };
      const driver = startDriver(contender.dialect);
      const connect = (prefix, count, from) =>
        driver.ask('connect', { targets: dialogsOn(world, node, count, prefix, from), concurrency: CONCURRENCY });
      try {
        await connect('w', connections, 0);
        await whenStill(one);
        const used = startMeter(one);
        const { p50, p99, driverCpu } = await connect('c', connections, connections);
        await whenStill(one);
        const { serverMicros, redisMicros } = used();
        return {
          serverMicros: serverMicros / connections,
          redisMicros: redisMicros / connections,
          p50,
          p99,
          driverCpu,
        };
      } finally {
        driver.stop();
      }
    }),
  rows: ({ connections }) => [
    {
      work: `connects (${connections}, ${CONCURRENCY} at a time; ours authenticated, limited, registered): server CPU each`,
      field: 'serverMicros',
      unit: 'µs',
      aims: [
        { text: 'at most 2.5 × bare', met: (of) => of.replyx <= 2.5 * of.bare },
        { text: 'below Socket.IO', met: (of) => of.replyx < of['socket.io'], needs: 'socket.io' },
      ],
    },
    { work: 'the same: Redis CPU each', field: 'redisMicros', unit: 'µs', aims: [] },
  ],
};
