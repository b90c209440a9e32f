import { cpuSecondsOf } from '@replyx/testkit';

const MICROS = 1e6;

/** CPU of some server processes and of Redis from now on; call the result for what was used, in microseconds. */
export const startMeter = ({ nodes, redis }) => {
  const read = () => ({
    server: nodes.reduce((sum, { pid }) => sum + cpuSecondsOf(pid), 0),
    redis: redis.cpuSeconds(),
  });
  const before = read();
  return () => {
    const now = read();
    return { serverMicros: (now.server - before.server) * MICROS, redisMicros: (now.redis - before.redis) * MICROS };
  };
};

/** What the bench itself asks. */
const OWN = new Set(['info', 'ping']);

/** Calls of Redis commands since it began, those inside of scripts too. */
export const redisCalls = async (redis) => {
  const info = String(await redis.cli('INFO', 'commandstats'));
  let total = 0;
  for (const [, name, calls] of info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm))
    if (!OWN.has(name)) total += Number(calls);
  return total;
};

const STILL_SECONDS = 0.02;
const LOOK_MS = 200;
const PATIENCE_MS = 20_000;

/** Until the servers have nothing more to do than what they always do. */
export const whenStill = async ({ nodes }) => {
  const total = () => nodes.reduce((sum, { pid }) => sum + cpuSecondsOf(pid), 0);
  const endMs = performance.now() + PATIENCE_MS;
  let last = total();
  while (performance.now() < endMs) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    const now = total();
    if (now - last <= STILL_SECONDS) return;
    last = now;
  }
};
