import type { DeliveryFaults } from '../dialog-check.js';
import type { EncodedHistogram } from '../histogram.js';
import type { LoadPlan } from '../load-plan.js';

/** Counted since the driver started. The keys of the records are from small sets: codes, statuses, names of errors. */
export interface DriverCounts {
  sent: number;
  resent: number;
  acked: number;
  delivered: number;
  /** Messages that were due while too many were on their way, and so never sent. */
  unsent: number;
  /** Messages that the server refused for good. */
  refused: number;
  opened: number;
  joined: number;
  /** Joins that continued from a position. */
  recovered: number;
  /** Times a reader was told that its copy is not continuous. */
  discontinued: number;
  /** Publications of others in a dialog that was given to us. */
  others: number;
  closed: Record<string, number>;
  /** Error frames by code and network errors by name. */
  errors: Record<string, number>;
  /** Upgrades that were refused, by HTTP status or close code. */
  turnedAway: Record<string, number>;
  /** Flood: outcomes by `kind: outcome`. */
  attempts: Record<string, number>;
}

export const LATENCIES = ['delivery', 'quiet', 'ack', 'connect', 'recovery', 'refusal', 'late', 'lag'] as const;
/** `late`: how long after it was due a message was sent; `lag`: of the driver's event loop. */
export type LatencyName = (typeof LATENCIES)[number];

export interface DriverTick {
  readonly type: 'tick';
  readonly counts: DriverCounts;
  readonly connections: number;
  /** Of this interval alone. */
  readonly delivery: EncodedHistogram;
  readonly other: EncodedHistogram;
  readonly cpuShare: number;
  readonly lagMs: number;
}

export interface DriverResult {
  readonly type: 'result';
  readonly counts: DriverCounts;
  readonly faults: DeliveryFaults;
  /** Clients that should be connected at the end, and are not. */
  readonly away: number;
  readonly latencies: Readonly<Record<LatencyName, EncodedHistogram>>;
  /** Share of a core in the worst seconds of the load. */
  readonly cpuShare: number;
}

export type ToDriver =
  | { readonly type: 'plan'; readonly plan: LoadPlan; readonly driver: number; readonly baseNs: string }
  | { readonly type: 'connect' }
  | { readonly type: 'go'; readonly startUs: number }
  /** Rolling: how long the full rate is held; until it is told, the load goes on. */
  | { readonly type: 'hold'; readonly holdMs: number }
  /** Ends the load before its time. */
  | { readonly type: 'stop' }
  | { readonly type: 'verify'; readonly heads: Readonly<Record<string, number>> };

export type FromDriver =
  | { readonly type: 'ready' }
  | { readonly type: 'connected' }
  | DriverTick
  /** Nothing more is sent. `heads`: what is known to be appended, where a dialog is shared with other drivers. */
  | { readonly type: 'drained'; readonly heads: Readonly<Record<string, number>> }
  | DriverResult;
