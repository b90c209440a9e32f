import { replyx } from '../contenders/replyx.mjs';
import { startCrew } from '../drivers.mjs';
import { whenStill } from '../meter.mjs';
import { TEXT } from '../scenarios/dialogs.mjs';
import { targetOn } from '../targets.mjs';
import { inWorld } from '../world.mjs';
import { lineThrough } from './line.mjs';
import { each, metered, standing } from './quiet-meter.mjs';

const WARM_SECONDS = 4;
const SECONDS = 8;
const QUIET_MS = 4_000;

/** Messages at a fixed rate in `dialogs` dialogs with `perNode` sockets on each of `nodes` nodes: what one costs. */
export const measureMessages = ({ nodes, perNode, dialogs = 200, rate = 1_500 }) =>
  inWorld(replyx, { count: nodes }, async (world) => {
    const targets = Array.from({ length: dialogs }, (_, index) =>
      world.nodes.flatMap((node) => Array.from({ length: perNode }, () => targetOn(world, node, `m${index}`, index))),
    );
    const crew = await startCrew(replyx.dialect, targets);
    try {
      const plan = { rate, text: TEXT, deliveries: nodes * perNode };
      // The first messages pay for compiling.
      await crew.chat({ ...plan, total: rate * WARM_SECONDS });
      await whenStill(world);
      const still = await standing(world, QUIET_MS);
      const measured = await metered(world, () => crew.chat({ ...plan, total: rate * SECONDS }));
      const { server, redis, calls } = each(measured, still, rate * SECONDS);
      return { nodes, sockets: nodes * perNode, dialogs, rate, server, redis, commands: calls, standing: still };
    } finally {
      crew.stop();
    }
  });

/** A message at one, two and three nodes that hold its dialog, and with more sockets on one: the parts of its cost. */
export const messageCosts = async () => {
  const spread = [];
  for (const nodes of [1, 2, 3]) spread.push(await measureMessages({ nodes, perNode: 1 }));
  const crowded = await measureMessages({ nodes: 1, perNode: 5 });
  const [alone] = spread;
  const node = lineThrough(spread.map(({ nodes, server }) => ({ x: nodes, y: server })));
  const redis = lineThrough(spread.map(({ nodes, redis: micros }) => ({ x: nodes, y: micros })));
  const delivery = (crowded.server - alone.server) / (crowded.sockets - alone.sockets);
  return {
    costs: {
      node_publish: node.start,
      node_receive: node.slope - delivery,
      node_delivery: delivery,
      redis_publish: redis.start,
      redis_fanout: redis.slope,
    },
    messages: [...spread, crowded].map(({ nodes, sockets, server, redis: micros, commands }) => ({
      nodes,
      sockets,
      server,
      redis: micros,
      commands,
    })),
  };
};
