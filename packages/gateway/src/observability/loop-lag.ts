import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Between two samples: each wakes the process, which an idle node pays for most of all that it does. */
const LAG_SAMPLE_MS = 100;

/** How late the event loop runs, p99 since the last call, in milliseconds. */
export const watchLoopLag = (): { p99Ms(): number; stop(): void } => {
  const histogram = monitorEventLoopDelay({ resolution: LAG_SAMPLE_MS });
  histogram.enable();
  return {
    p99Ms: () => {
      // What the monitor itself waits for between two samples is not lag.
      const lag = Math.max(0, histogram.percentile(99) / 1e6 - LAG_SAMPLE_MS);
      histogram.reset();
      return Number.isFinite(lag) ? Math.round(lag * 10) / 10 : 0;
    },
    stop: () => {
      histogram.disable();
    },
  };
};
