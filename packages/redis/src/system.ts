import { randomBytes } from 'node:crypto';
import type { Clock, Random } from '@replyx/core';

/** What the process has; tests and the node may pass their own. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  schedule(delayMs, task) {
    const timer = setTimeout(task, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

export const systemRandom: Random = {
  bytes: (length) => randomBytes(length),
  float: () => Math.random(),
};
