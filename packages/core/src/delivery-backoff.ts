import type { Random } from './clock.js';

/** Attempts of one entry before it is given up: over at most 55 minutes, and 27 on average. */
export const DELIVERY_ATTEMPTS = 12;
const FIRST_MS = 2_000;
const MAX_MS = 1_200_000;

/** How long the next attempt waits after so many that failed: full jitter, so that what failed together does not come back together. */
export const deliveryBackoffMs = (failures: number, random: Pick<Random, 'float'>): number =>
  Math.round(random.float() * Math.min(MAX_MS, FIRST_MS * 2 ** (failures - 1)));
