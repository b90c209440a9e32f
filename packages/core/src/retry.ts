import type { Clock, Random } from './clock.js';
import { BackplaneUnavailable } from './ports.js';

/**
 * Runs `attempt` until it succeeds, with full jitter between tries, while `wanted()` holds. `undefined`: no longer wanted.
 * Only an outage is retried; a bug throws.
 */
export type Retry = <T>(attempt: () => Promise<T>, wanted: () => boolean) => Promise<T | undefined>;

const FIRST_MS = 50;
const MAX_MS = 2_000;

export const createRetry = (clock: Clock, random: Random): Retry => {
  const pause = (ms: number) =>
    new Promise<void>((resolve) => {
      clock.schedule(ms, resolve);
    });
  return async (attempt, wanted) => {
    for (let limitMs = FIRST_MS; wanted(); limitMs = Math.min(limitMs * 2, MAX_MS)) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof BackplaneUnavailable)) throw error;
        await pause(limitMs / 2 + (random.float() * limitMs) / 2);
      }
    }
    return undefined;
  };
};
