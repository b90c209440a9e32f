import { startRedis } from '@replyx/testkit';

/** Two nodes of a contender with a Redis of their own, for as long as `work` runs. `redisUrlOf`: what the n-th node is given as its Redis. */
export const inWorld = async (contender, { count = 2, options = {}, redisUrlOf = ({ url }) => url }, work) => {
  const redis = await startRedis();
  const nodes = [];
  try {
    const starts = Array.from({ length: count }, async (_, n) =>
      contender.start(await redisUrlOf(redis, n), { folder: contender.folder, ...options }),
    );
    for (const started of await Promise.allSettled(starts)) {
      if (started.status === 'rejected') throw started.reason;
      nodes.push(started.value);
    }
    return await work({ nodes, redis, contender });
  } finally {
    for (const node of nodes) await node.stop();
    await redis.kill();
  }
};
