import { readFileSync } from 'node:fs';
import { startCrew } from '../drivers.mjs';
import { redisCalls, startMeter, whenStill } from '../meter.mjs';
import { dialogsOnPairs } from '../targets.mjs';
import { inWorld } from '../world.mjs';
import { TEXT } from './dialogs.mjs';

const RATE = 2_000;
const SPARE_FILES = 500;
const QUIET_MS = 5_000;
const OPENING_AT_ONCE = 100;
/** They pay for compiling; each dialog has one of them at least. */
const WARM_MESSAGES = 20_000;

const openFiles = () => Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 0);

/** As many pairs of nodes as the largest size needs by the limit of open files, for every size: then they differ by nothing else. */
const nodesFor = (sizes) => 2 * Math.max(1, Math.ceil(Math.max(...sizes) / (openFiles() - SPARE_FILES)));

/** The same rate over more and more open dialogs: what a message costs must not grow with them. */
export const growth = {
  name: 'growth',
  contenders: ['bare', 'replyx'],
  steady: [],
  round: async (contender, { sizes, seconds }) => {
    const result = {};
    const count = nodesFor(sizes);
    for (const size of sizes) {
      await inWorld(contender, { count }, async (world) => {
        const crew = await startCrew(contender.dialect, dialogsOnPairs(world, size), OPENING_AT_ONCE);
        try {
          await whenStill(world);
          const plan = { rate: RATE, text: TEXT, deliveries: 2 };
          await crew.chat({ ...plan, total: Math.max(WARM_MESSAGES, size) });
          // What the nodes do for open dialogs however little is said in them.
          const quietCalls = await redisCalls(world.redis);
          const usedQuietly = startMeter(world);
          await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
          const quiet = usedQuietly();
          const before = await redisCalls(world.redis);
          const used = startMeter(world);
          const { sent, seconds: took, p99, driverCpu } = await crew.chat({ ...plan, total: RATE * seconds });
          const { serverMicros, redisMicros } = used();
          const calls = (await redisCalls(world.redis)) - before;
          const standing = (before - quietCalls) / (QUIET_MS / 1000);
          const share = (took * 1000) / QUIET_MS;
          result[`commands${size}`] = (calls - standing * took) / sent;
          result[`standing${size}`] = standing;
          result[`server${size}`] = (serverMicros - share * quiet.serverMicros) / sent;
          result[`redis${size}`] = (redisMicros - share * quiet.redisMicros) / sent;
          result[`p99${size}`] = p99;
          result.driverCpu = Math.max(result.driverCpu ?? 0, driverCpu);
        } finally {
          crew.stop();
        }
      });
    }
    return result;
  },
  rows: ({ sizes }) =>
    sizes.flatMap((size, at) => [
      {
        work: `${size} open dialogs, ${RATE}/s: server CPU a message`,
        field: `server${size}`,
        unit: 'µs',
        aims:
          at === 0
            ? []
            : [
                {
                  text: `within a tenth of that at ${sizes[0]}`,
                  met: (_of, median) =>
                    median('replyx', `server${size}`) <= 1.1 * median('replyx', `server${sizes[0]}`),
                },
              ],
      },
      {
        work: 'the same: Redis commands a message, those of scripts counted one by one',
        field: `commands${size}`,
        unit: '',
        digits: 2,
        aims:
          at === 0
            ? []
            : [
                {
                  text: `as at ${sizes[0]}`,
                  met: (_of, median) =>
                    Math.abs(median('replyx', `commands${size}`) - median('replyx', `commands${sizes[0]}`)) < 0.25,
                },
              ],
      },
    ]),
};
