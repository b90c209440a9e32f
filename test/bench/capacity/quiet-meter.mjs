import { redisCalls, startMeter } from '../meter.mjs';

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** CPU of all nodes and of Redis, and Redis commands, while `work` runs. `seconds` is how long that took. */
export const metered = async (world, work) => {
  const calls = await redisCalls(world.redis);
  const used = startMeter(world);
  const startedMs = performance.now();
  const result = await work();
  const seconds = (performance.now() - startedMs) / 1000;
  return { result, seconds, ...used(), calls: (await redisCalls(world.redis)) - calls };
};

/** What is used a second while nobody does anything. */
export const standing = async (world, ms) => {
  const { seconds, serverMicros, redisMicros, calls } = await metered(world, () => wait(ms));
  return { server: serverMicros / seconds, redis: redisMicros / seconds, calls: calls / seconds };
};

/** What `count` things cost each beyond what stands anyway. */
export const each = ({ seconds, serverMicros, redisMicros, calls }, still, count) => ({
  server: (serverMicros - still.server * seconds) / count,
  redis: (redisMicros - still.redis * seconds) / count,
  calls: (calls - still.calls * seconds) / count,
});
