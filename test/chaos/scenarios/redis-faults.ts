import type { FaultKind } from '../plan.js';
import { play, type ScenarioOptions, type ScenarioOutcome } from './scenario.js';

const TIMES = 4;

const again =
  (kind: FaultKind) =>
  (options: ScenarioOptions): Promise<ScenarioOutcome> =>
    play(options, { perSecond: 100 }, async (stage, { measure }) => {
      for (let turn = 0; turn < TIMES; turn += 1) {
        await stage.flowed(100);
        await stage.strike({ kind, node: turn, direction: 'up', holdMs: 200 * turn, share: 1 });
        measure(`well again after ${Math.round(await stage.well())} ms`);
      }
      await stage.flowed(100);
    });

/** Redis is killed and comes back with what it had (appendfsync always): nothing that was acknowledged is lost. */
export const redisKill = again('redis-kill');

/** Redis is emptied: no offset is used again within an epoch, and everybody is told. */
export const redisFlush = again('redis-flush');
