import { rssBytesOf } from '@replyx/testkit';
import { startDriver } from '../drivers.mjs';
import { whenStill } from '../meter.mjs';
import { dialogsOn } from '../targets.mjs';
import { inWorld } from '../world.mjs';

/** Many connections that say nothing: what each keeps resident. */
export const idle = {
  name: 'idle',
  contenders: ['bare', 'replyx', 'control', 'socket.io', 'soketi'],
  steady: ['bytes'],
  round: (contender, { idleConnections }) =>
    inWorld(contender, {}, async (world) => {
      const [node] = world.nodes;
      const driver = startDriver(contender.dialect);
      try {
        // The first ones fill heaps and compile code, and the collector's young generation has grown with them; what one more costs counts.
        const first = Math.ceil(idleConnections / 2);
        await driver.ask('connect', { targets: dialogsOn(world, node, first, 'w') });
        await whenStill(world);
        const before = rssBytesOf(node.pid);
        await driver.ask('connect', { targets: dialogsOn(world, node, idleConnections, 'i', first) });
        await whenStill(world);
        return { bytes: (rssBytesOf(node.pid) - before) / idleConnections };
      } finally {
        driver.stop();
      }
    }),
  rows: ({ idleConnections }) => [
    {
      work: `memory of an idle connection in its own dialog (${idleConnections} more of them on one node)`,
      field: 'bytes',
      unit: 'B',
      aims: [
        { text: 'at most 5 KiB', met: (of) => of.replyx <= 5_120 },
        { text: 'below a third of Socket.IO', met: (of) => of.replyx < of['socket.io'] / 3, needs: 'socket.io' },
      ],
    },
  ],
};
