// A load driver in a process of its own: does what its parent asks, one step at a time, and keeps its connections between the steps.
import { bare } from '../dialects/bare.mjs';
import { pusher } from '../dialects/pusher.mjs';
import { replyx } from '../dialects/replyx.mjs';
import { socketIo } from '../dialects/socket-io.mjs';
import { chat } from './chat.mjs';
import { connectAll } from './connect.mjs';
import { flood } from './flood.mjs';
import { percentiles } from './percentiles.mjs';
import { fill, recover } from './recover.mjs';

const dialect = { bare, pusher, replyx, 'socket.io': socketIo }[process.argv[2]];
let wires = [];
let nextId = 1;

const steps = {
  connect: async ({ targets, concurrency = 50 }) => {
    const opened = await connectAll(targets, dialect, concurrency);
    wires.push(...opened.wires);
    return percentiles(opened.tookMs);
  },
  chat: (plan) => {
    const firstId = nextId;
    nextId += plan.total;
    return chat(wires, dialect, plan, firstId);
  },
  fill: async ({ targets, ...plan }) => {
    const filled = await fill(targets, dialect, plan);
    wires.push(...filled);
    return { positions: filled.map(({ connected: { epoch, offset } }) => ({ epoch, offset })) };
  },
  recover: async ({ targets, ...plan }) => {
    const { wires: recovered, ...result } = await recover(targets, dialect, plan);
    wires.push(...recovered);
    return result;
  },
  drop: async () => {
    for (const wire of wires) wire.drop();
    wires = [];
    return {};
  },
  flood,
};

process.on('message', ({ step, plan }) => {
  steps[step](plan).then(
    (result) => process.send({ result }),
    (error) => process.send({ error: error.stack ?? String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
