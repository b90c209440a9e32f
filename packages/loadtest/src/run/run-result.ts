import type { DeliveryFaults } from '../dialog-check.js';
import type { DriverCounts, LatencyName } from '../driver/driver-messages.js';
import type { Histogram } from '../histogram.js';
import type { LoadPlan } from '../load-plan.js';
import type { TimePoint } from './timeline.js';

export const RESULT_FORMAT = 'replyx-load-1';

/** Times in milliseconds. */
export interface LatencySummary {
  readonly count: number;
  readonly min: number;
  readonly mean: number;
  readonly max: number;
  readonly p50: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
  readonly p999: number;
  /** Points of the whole distribution: percent, time. */
  readonly curve: readonly (readonly [number, number])[];
}

export interface ServerSummary {
  readonly name: string;
  /** Mean share of a core under the load; null where it did not tell. */
  readonly cpuShare: number | null;
  readonly rssBeforeBytes: number | null;
  readonly rssBytes: number | null;
}

export interface Step {
  /** From the start of the load, in milliseconds. */
  readonly atMs: number;
  readonly what: string;
  readonly result: string;
}

export interface AssertionOutcome {
  readonly text: string;
  readonly value: number | null;
  readonly ok: boolean;
}

/** A run as `--json` writes it. It holds no secret. */
export interface RunResult {
  readonly format: typeof RESULT_FORMAT;
  readonly tool: string;
  /** Its random name; its dialogs were `load-<run>-<n>`. */
  readonly run: string;
  readonly scenario: LoadPlan['scenario'];
  readonly title: string;
  readonly startedAt: string;
  readonly interrupted: boolean;
  /** What was asked for, as far as it decides what two runs have in common. */
  readonly settings: Readonly<Record<string, string | number | readonly string[]>>;
  readonly environment: { readonly node: string; readonly system: string; readonly cpus: number };
  /** Every number that an assertion may name. */
  readonly measures: Readonly<Record<string, number>>;
  readonly latencies: Readonly<Partial<Record<LatencyName, LatencySummary>>>;
  readonly counts: DriverCounts;
  readonly faults: DeliveryFaults;
  /** Why the driver itself may be what was measured; empty where it is not. */
  readonly driverLimits: readonly string[];
  readonly servers: readonly ServerSummary[];
  readonly steps: readonly Step[];
  readonly timeline: readonly TimePoint[];
  readonly assertions: readonly AssertionOutcome[];
}

const CURVE = [0, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.995, 99.999, 100];

/** Of a histogram of microseconds; undefined where nothing was recorded. */
export const summarize = (histogram: Histogram): LatencySummary | undefined => {
  if (histogram.count === 0) return undefined;
  const ms = (percent: number): number => histogram.percentile(percent) / 1000;
  return {
    count: histogram.count,
    min: histogram.min / 1000,
    mean: histogram.mean / 1000,
    max: histogram.max / 1000,
    p50: ms(50),
    p90: ms(90),
    p95: ms(95),
    p99: ms(99),
    p999: ms(99.9),
    curve: CURVE.map((percent) => [percent, ms(percent)] as const),
  };
};
