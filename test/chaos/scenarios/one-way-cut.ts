import { isReady } from '../cluster.js';
import { nodeAt, play, type ScenarioOptions, type ScenarioOutcome, since, sleep, untilNotReady } from './scenario.js';

/** Beyond the node's TTL, so that the others take it for dead. */
const HOLD_MS = 5_000;

/** A node's packets to Redis, then those from it, vanish: it says so, acknowledges nothing falsely, and heals by itself. */
export const oneWayCut = (options: ScenarioOptions): Promise<ScenarioOutcome> =>
  play(options, { dialogs: 4, perSecond: 60 }, async (stage, { measure, demand }) => {
    const { process, proxy } = nodeAt(stage, 2);
    const { pid } = process;
    for (const direction of ['up', 'down'] as const) {
      await stage.flowed(30);
      await stage.during(`one-way-${direction}`, async () => {
        proxy.blackhole(direction);
        const notReadyMs = await untilNotReady(process);
        measure(`${direction}: not ready after ${notReadyMs} ms`);
        await sleep(options.holdMs ?? HOLD_MS);
        demand(
          !(await isReady(process)),
          `the node was ready while it could not ${direction === 'up' ? 'ask' : 'hear'}`,
        );
        proxy.heal();
      });
      const started = performance.now();
      await stage.well();
      measure(`${direction}: well again ${since(started)} ms after the fault`);
    }
    demand(process.running && process.pid === pid, 'the node was started again');
  });
