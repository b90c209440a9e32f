import { measureMessages } from './messages.mjs';

const LOADS = [
  { nodes: 2, perNode: 1, dialogs: 500, rate: 750 },
  { nodes: 3, perNode: 2, dialogs: 1_000, rate: 1_500 },
];

/** Loads that no cost was taken from, as measured; the page puts what the calculator says of them beside it. */
export const measureLoads = async () => {
  const loads = [];
  for (const load of LOADS) {
    const { nodes, sockets, dialogs, rate, server, redis, standing } = await measureMessages(load);
    loads.push({
      ...{ nodes, sockets, dialogs, rate },
      nodeCores: (server * rate + standing.server) / 1e6,
      redisCores: (redis * rate + standing.redis) / 1e6,
    });
  }
  return loads;
};
