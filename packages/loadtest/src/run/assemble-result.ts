import { cpus } from 'node:os';
import { noFaults } from '../dialog-check.js';
import { type DriverResult, LATENCIES, type LatencyName } from '../driver/driver-messages.js';
import { Histogram } from '../histogram.js';
import { packageVersion } from '../version.js';
import { driverLimits } from './driver-limits.js';
import { gatherMeasures, type Turns } from './gather-measures.js';
import type { LoadRun } from './run-load.js';
import {
  type LatencySummary,
  RESULT_FORMAT,
  type RunResult,
  type ServerSummary,
  type Step,
  summarize,
} from './run-result.js';
import { cpuBetween, type ServerSample, type ServerSource } from './server-watch.js';
import { addCounts, type TimePoint } from './timeline.js';

/** What is known when a run is over. */
export interface RunRecord {
  readonly run: LoadRun;
  readonly startedAt: Date;
  readonly interrupted: boolean;
  readonly results: readonly DriverResult[];
  readonly turns: Turns;
  readonly connectionsAtStart: number;
  readonly joinedAtStart: number;
  readonly steps: readonly Step[];
  readonly timeline: readonly TimePoint[];
  readonly growthPerHour: number | undefined;
}

const mergeLatencies = (
  results: readonly DriverResult[],
): { merged: Record<LatencyName, Histogram>; summaries: Partial<Record<LatencyName, LatencySummary>> } => {
  const merged = Object.fromEntries(LATENCIES.map((name) => [name, new Histogram()])) as Record<LatencyName, Histogram>;
  const summaries: Partial<Record<LatencyName, LatencySummary>> = {};
  for (const name of LATENCIES) {
    for (const { latencies } of results) merged[name].add(latencies[name]);
    const summary = summarize(merged[name]);
    if (summary !== undefined) summaries[name] = summary;
  }
  return { merged, summaries };
};

const addFaults = (results: readonly DriverResult[]): RunResult['faults'] => {
  const sum = noFaults();
  for (const { faults } of results) {
    for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += faults[name];
  }
  return sum;
};

const serverSummary = ({ name }: ServerSource, i: number, turns: Turns): ServerSummary => {
  const { before, loadEnd } = turns;
  const from = turns.measureStart ?? turns.loadStart;
  const only = (sample: ServerSample): ServerSample => ({ ...sample, usages: [sample.usages[i]] });
  const isKnown = from.usages[i] !== undefined && loadEnd.usages[i] !== undefined;
  return {
    name,
    cpuShare: isKnown ? (cpuBetween(only(from), only(loadEnd)) * 1000) / Math.max(1, loadEnd.atMs - from.atMs) : null,
    rssBeforeBytes: before.usages[i]?.rssBytes ?? null,
    rssBytes: loadEnd.usages[i]?.rssBytes ?? null,
  };
};

/** The result of a run, without the assertions' outcome. */
export const assembleResult = (record: RunRecord): RunResult => {
  const { run, results, turns, connectionsAtStart, joinedAtStart, steps } = record;
  const { merged, summaries } = mergeLatencies(results);
  const counts = addCounts(results.map((result) => result.counts));
  const faults = addFaults(results);
  const drivers = {
    cpuShare: Math.max(...results.map((result) => result.cpuShare)),
    lagP99Ms: merged.lag.percentile(99) / 1000,
    lateP99Ms: merged.late.percentile(99) / 1000,
  };
  const limits = driverLimits(drivers);
  return {
    format: RESULT_FORMAT,
    tool: packageVersion(),
    run: run.plan.run,
    scenario: run.plan.scenario,
    title: run.title,
    startedAt: record.startedAt.toISOString(),
    interrupted: record.interrupted,
    settings: run.settings,
    environment: { node: process.versions.node, system: `${process.platform} ${process.arch}`, cpus: cpus().length },
    measures: gatherMeasures({
      plan: run.plan,
      turns,
      hasServers: run.servers.length > 0,
      counts,
      faults,
      away: results.reduce((sum, { away }) => sum + away, 0),
      connectionsAtStart,
      joinedAtStart,
      latencies: summaries,
      drivers: { ...drivers, limited: limits.length > 0 },
      growthPerHour: record.growthPerHour,
      failedSteps: steps.filter(({ result }) => result !== 'ok').length,
    }),
    latencies: summaries,
    counts,
    faults,
    driverLimits: limits,
    servers: run.servers.map((source, i) => serverSummary(source, i, turns)),
    steps,
    timeline: record.timeline,
    assertions: [],
  };
};
