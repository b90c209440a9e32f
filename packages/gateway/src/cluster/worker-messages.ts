import type { MetricObject } from 'prom-client';

/** What a worker is asked for, to answer for all of them. */
export interface WorkerReports {
  /** Why it is not ready; empty where it is. */
  readonly readiness: readonly string[];
  readonly metrics: readonly MetricObject[];
}

export type ReportKind = keyof WorkerReports;

/**
 * Between `replyx serve --workers` and its workers, over IPC. `ask` and `answer` carry the asking worker's number, `report` its own.
 * `leave` and `hurry` stand for the first and the second signal: a service manager that signals every process of a service must not
 * hurry the workers by that.
 */
export type WorkerMessage =
  | { readonly kind: 'leave' }
  | { readonly kind: 'hurry' }
  | { readonly kind: 'up' }
  | { readonly kind: 'ask'; readonly number: number; readonly what: ReportKind }
  | { readonly kind: 'report'; readonly number: number; readonly what: ReportKind }
  | { readonly kind: 'reported'; readonly number: number; readonly body: unknown }
  | { readonly kind: 'answer'; readonly number: number; readonly bodies: readonly unknown[] };

/** How long all workers together may take to report. */
export const REPORT_DEADLINE_MS = 1_000;
