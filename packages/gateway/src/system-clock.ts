import { randomFillSync } from 'node:crypto';
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

/** Random bytes are drawn many at a time: a call of the system's generator costs far more than the bytes. */
const DRAWN_BYTES = 4_096;
const drawn = new Uint8Array(DRAWN_BYTES);
let used = DRAWN_BYTES;

const randomBytes = (length: number): Uint8Array => {
  if (length > DRAWN_BYTES) return randomFillSync(new Uint8Array(length));
  if (used + length > DRAWN_BYTES) {
    randomFillSync(drawn);
    used = 0;
  }
  const bytes = drawn.slice(used, used + length);
  // Nothing that was handed out stays here.
  drawn.fill(0, used, used + length);
  used += length;
  return bytes;
};

export const systemRandom: Random = {
  bytes: randomBytes,
  float: () => Math.random(),
};
