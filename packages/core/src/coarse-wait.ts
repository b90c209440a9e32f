import type { Random } from './clock.js';

const COARSE_MS = 250;

/** A wait that tells no limit's exact numbers: rounded up, and jittered so that refused clients do not come back together. */
export const coarseWait = (ms: number, random: Pick<Random, 'float'>): number =>
  Math.ceil((Math.max(ms, 1) / COARSE_MS) * (1 + random.float() / 4)) * COARSE_MS;
