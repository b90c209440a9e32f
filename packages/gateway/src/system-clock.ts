import { randomBytes } from 'node:crypto';
import type { Clock, Random } from '@replyx/core';

/** The clock of the machine. A pending task keeps the process alive until it runs or is cancelled. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  schedule: (delayMs, task) => {
    const timer = setTimeout(task, delayMs);
    return () => clearTimeout(timer);
  },
};

export const systemRandom: Random = {
  bytes: (length) => randomBytes(length),
  float: () => Math.random(),
};
