import { type Clock, Overload, type OverloadBounds, type OverloadReason } from '@replyx/core';
import { watchLoopLag } from '../observability/loop-lag.js';

export interface OverloadWatch {
  readonly reasons: ReadonlySet<OverloadReason>;
  stop(): void;
}

const LOOK_MS = 1_000;

/** Looks at this process once a second; `onChange` is told when shedding begins, ends, or has another reason. */
export const watchOverload = (
  bounds: OverloadBounds,
  clock: Clock,
  onChange: (reasons: readonly OverloadReason[]) => void,
  readMemory: () => number = process.memoryUsage.rss,
): OverloadWatch => {
  const overload = new Overload(bounds);
  if (bounds.loopLagMs === 0 && bounds.memoryBytes === 0) return { reasons: overload.reasons, stop: () => {} };
  const lag = watchLoopLag();
  let before = '';
  let memoryBytes = 0;
  let cancel = (): void => {};
  const look = (): void => {
    try {
      memoryBytes = readMemory();
    } catch {
      // Where strangers hold every descriptor this file can't be opened either: what was seen last stands.
    }
    overload.look({ loopLagMs: lag.p99Ms(), memoryBytes });
    const reasons = [...overload.reasons];
    if (reasons.join() !== before) onChange(reasons);
    before = reasons.join();
    cancel = clock.schedule(LOOK_MS, look);
  };
  cancel = clock.schedule(LOOK_MS, look);
  return {
    reasons: overload.reasons,
    stop: () => {
      cancel();
      lag.stop();
    },
  };
};
