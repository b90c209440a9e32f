import { startCrew } from '../drivers.mjs';
import { whenStill } from '../meter.mjs';
import { dialogsOnBoth } from '../targets.mjs';
import { inWorld } from '../world.mjs';
import { TEXT } from './dialogs.mjs';

const DIALOGS = 200;
const BOUND_MS = 100;
const FIRST_RATE = 3_000;
const GROWTH = 2;
const TOP_RATE = 200_000;
const HALVINGS = 3;
/** What has not come by then fails the rate; what is still under way is waited for before the next. */
const PATIENCE_MS = 1_000;

/** The highest rate that is kept with a p99 below the bound: up by steps until one fails, then between the last two. */
const search = async (holds) => {
  let good = 0;
  let bad = Number.POSITIVE_INFINITY;
  for (let rate = FIRST_RATE; rate <= TOP_RATE && bad === Number.POSITIVE_INFINITY; rate *= GROWTH) {
    if (await holds(Math.round(rate))) good = Math.round(rate);
    else bad = Math.round(rate);
  }
  for (let n = 0; n < HALVINGS && bad !== Number.POSITIVE_INFINITY; n += 1) {
    const rate = Math.round((good + bad) / 2);
    if (await holds(rate)) good = rate;
    else bad = rate;
  }
  return good;
};

/** Many small dialogs, open loop, as fast as it goes on this machine, the driver's share included. */
export const dialogsMax = {
  name: 'dialogs-max',
  contenders: ['bare', 'replyx', 'control', 'socket.io', 'soketi'],
  steady: ['rate'],
  round: (contender, { searchSeconds }) =>
    inWorld(contender, {}, async (world) => {
      const crew = await startCrew(contender.dialect, dialogsOnBoth(world, DIALOGS));
      try {
        const plan = { text: TEXT, deliveries: 2 };
        await crew.chat({ ...plan, rate: FIRST_RATE, total: FIRST_RATE * 2 });
        let best = { driverCpu: 0 };
        const attempt = async (tried) => {
          const result = await crew.chat({
            ...plan,
            rate: tried,
            total: tried * searchSeconds,
            patienceMs: PATIENCE_MS,
            mayLose: true,
          });
          const held = result.received === result.expected && result.p99 < BOUND_MS;
          if (held) best = result;
          else await whenStill(world);
          return held;
        };
        // A stall of the machine is not a bound of the server: what fails once is tried again.
        const rate = await search(async (tried) => (await attempt(tried)) || attempt(tried));
        return { rate, driverCpu: best.driverCpu };
      } finally {
        crew.stop();
      }
    }),
  rows: () => [
    {
      work: `dialogs, highest rate with p99 < ${BOUND_MS} ms (nodes, Redis and driver share this machine)`,
      field: 'rate',
      unit: '/s',
      aims: [
        { text: 'at least 0.75 × bare', met: (of) => of.replyx >= 0.75 * of.bare },
        { text: 'above 1.5 × Socket.IO', met: (of) => of.replyx > 1.5 * of['socket.io'], needs: 'socket.io' },
      ],
    },
  ],
};
