import { rssBytesOf } from '@replyx/testkit';
import { replyx } from '../contenders/replyx.mjs';
import { startDriver } from '../drivers.mjs';
import { whenStill } from '../meter.mjs';
import { dialogsOn } from '../targets.mjs';
import { inWorld } from '../world.mjs';
import { lineThrough } from './line.mjs';
import { standing } from './quiet-meter.mjs';

const SIZES = [2_000, 6_000, 10_000];
/** Two rounds of pings. */
const WATCH_MS = 50_000;
const SECONDS_AN_HOUR = 3_600;

/** Connections that say nothing, each in its own dialog: what they keep and what they use, as they grow. */
export const idleCosts = () =>
  inWorld(replyx, { count: 1 }, async (world) => {
    const [node] = world.nodes;
    const driver = startDriver(replyx.dialect);
    const idle = [];
    try {
      for (const connections of SIZES) {
        const open = idle.at(-1)?.connections ?? 0;
        const targets = dialogsOn(world, node, connections - open, `i${connections}-`, open);
        await driver.ask('connect', { targets });
        await whenStill(world);
        const { server, redis, calls } = await standing(world, WATCH_MS);
        idle.push({ connections, server, redis, commands: calls, memory: rssBytesOf(node.pid) });
      }
      // The first ones fill heaps and compile code; what one more takes is what counts.
      const line = (field) => lineThrough(idle.map((row) => ({ x: row.connections, y: row[field] })));
      const [server, redis, memory] = [line('server'), line('redis'), line('memory')];
      return {
        costs: {
          node_itself: server.start,
          redis_node: redis.start,
          node_idle_hour: server.slope * SECONDS_AN_HOUR,
          redis_idle_hour: redis.slope * SECONDS_AN_HOUR,
          node_connection: memory.slope,
          node_base: memory.start,
        },
        idle,
      };
    } finally {
      driver.stop();
    }
  });
