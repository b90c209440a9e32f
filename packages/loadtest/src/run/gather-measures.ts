import { attemptResults } from '../attempt-result.js';
import type { DeliveryFaults } from '../dialog-check.js';
import type { DriverCounts, LatencyName } from '../driver/driver-messages.js';
import type { LoadPlan } from '../load-plan.js';
import type { DriverLoad } from './driver-limits.js';
import { LATENCY_POINTS } from './measures.js';
import type { LatencySummary } from './run-result.js';
import { cpuBetween, rssBetween, type ServerSample } from './server-watch.js';
import { sumOf } from './timeline.js';

/** The servers at the turns of a run. */
export interface Turns {
  readonly before: ServerSample;
  readonly connected: ServerSample;
  readonly loadStart: ServerSample;
  /** Where the ramp, or the quiet part of a flood, is over; undefined where the load ended before. */
  readonly measureStart: ServerSample | undefined;
  readonly loadEnd: ServerSample;
}

export interface Gathered {
  readonly plan: LoadPlan;
  readonly turns: Turns;
  readonly hasServers: boolean;
  readonly counts: DriverCounts;
  readonly faults: DeliveryFaults;
  readonly away: number;
  readonly connectionsAtStart: number;
  readonly joinedAtStart: number;
  readonly latencies: Readonly<Partial<Record<LatencyName, LatencySummary>>>;
  readonly drivers: DriverLoad & { readonly limited: boolean };
  readonly growthPerHour: number | undefined;
  readonly failedSteps: number;
}

const MICROS = 1e6;
/** Below it, memory that has nothing to do with connections would be what is divided. */
const MIN_CONNECTIONS = 1_000;

const PREFIX_OF = {
  delivery: '',
  ack: 'ack_',
  connect: 'connect_',
  recovery: 'recovery_',
  refusal: 'refusal_',
  quiet: 'quiet_',
} as const;

const latencyMeasures = (latencies: Gathered['latencies']): Record<string, number> =>
  Object.fromEntries(
    Object.entries(PREFIX_OF).flatMap(([name, prefix]) => {
      const summary = latencies[name as LatencyName];
      return summary === undefined ? [] : LATENCY_POINTS.map((point) => [`${prefix}${point}`, summary[point]] as const);
    }),
  );

const byName = (prefix: string, record: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(record).map(([name, count]) => [`${prefix}${name.replace(/\W+/g, '_')}`, count] as const),
  );

const countMeasures = ({ counts, faults, away }: Gathered): Record<string, number> => ({
  sent: counts.sent,
  acked: counts.acked,
  delivered: counts.delivered,
  resent: counts.resent,
  unsent: counts.unsent,
  refused: counts.refused,
  joined: counts.joined,
  recovered: counts.recovered,
  discontinued: counts.discontinued,
  away,
  ...faults,
  faults: Object.values(faults).reduce((sum, count) => sum + count, 0),
  closes: sumOf(counts.closed),
  turned_away: sumOf(counts.turnedAway),
  errors: sumOf(counts.errors),
  ...byName('closes.', counts.closed),
  ...byName('turned_away.', counts.turnedAway),
  ...byName('errors.', counts.errors),
});

const floodMeasures = ({ plan, counts, latencies }: Gathered): Record<string, number> => {
  if (plan.scenario !== 'flood') return {};
  const { refused, admitted, unanswered, failed } = attemptResults(counts.attempts);
  const { quiet, delivery } = latencies;
  return {
    attempts: sumOf(counts.attempts),
    attempts_refused: refused,
    attempts_failed: failed,
    admitted,
    unanswered,
    ...(quiet === undefined || delivery === undefined || quiet.p99 === 0
      ? {}
      : { quiet_ratio: delivery.p99 / quiet.p99 }),
  };
};

const seconds = (from: ServerSample, to: ServerSample): number => Math.max(0.001, (to.atMs - from.atMs) / 1000);

/** A cost only where there is something to divide by, and something that was used. */
const cost = (name: string, cpuSeconds: number, events: number): Record<string, number> =>
  events > 0 && cpuSeconds > 0 ? { [name]: (cpuSeconds * MICROS) / events } : {};

const costMeasures = (gathered: Gathered): Record<string, number> => {
  const { plan, turns, counts, latencies, connectionsAtStart, joinedAtStart, hasServers } = gathered;
  const { before, connected, loadStart, loadEnd } = turns;
  const measureStart = turns.measureStart ?? loadStart;
  const isKnown = [before, connected, loadStart, measureStart, loadEnd].every(
    ({ usages }) => !usages.includes(undefined),
  );
  // Of servers that have ended, or gave no answer, nobody can tell what they used, and the others' use alone would be too little.
  if (!hasServers || !isKnown) return {};
  const under = cpuBetween(measureStart, loadEnd);
  const shared: Record<string, number> = { server_cpu: under / seconds(measureStart, loadEnd) };
  if (connectionsAtStart >= MIN_CONNECTIONS)
    shared['rss_per_connection'] = rssBetween(before, connected) / connectionsAtStart;
  if (gathered.growthPerHour !== undefined) shared['rss_growth_per_hour'] = gathered.growthPerHour;
  switch (plan.scenario) {
    case 'connects':
      return { ...shared, ...cost('cpu_us_per_connect', cpuBetween(loadStart, loadEnd), counts.joined) };
    case 'flood': {
      const quietShare =
        plan.quietMs === 0 ? 0 : cpuBetween(loadStart, measureStart) / seconds(loadStart, measureStart);
      const beyond = under - quietShare * seconds(measureStart, loadEnd);
      return { ...shared, ...cost('cpu_us_per_attempt', beyond, attemptResults(counts.attempts).refused) };
    }
    case 'storm':
      return {
        ...shared,
        ...cost('cpu_us_per_connect', cpuBetween(before, connected), joinedAtStart),
        ...cost('cpu_us_per_recovery', cpuBetween(loadStart, loadEnd), counts.recovered),
      };
    default:
      return {
        ...shared,
        ...cost('cpu_us_per_connect', cpuBetween(before, connected), joinedAtStart),
        ...cost('cpu_us_per_message', under, latencies.ack?.count ?? 0),
      };
  }
};

/** Every number of a run by its name. A name is absent where its scenario does not measure it. */
export const gatherMeasures = (gathered: Gathered): Record<string, number> => {
  const { plan, turns, latencies, drivers, connectionsAtStart, joinedAtStart, counts } = gathered;
  const measureStart = turns.measureStart ?? turns.loadStart;
  const measuredSeconds = seconds(measureStart, turns.loadEnd);
  return {
    ...countMeasures(gathered),
    ...latencyMeasures(latencies),
    ...floodMeasures(gathered),
    ...costMeasures(gathered),
    connections: connectionsAtStart,
    connect_rate:
      plan.scenario === 'connects'
        ? counts.joined / seconds(turns.loadStart, turns.loadEnd)
        : joinedAtStart / seconds(turns.before, turns.connected),
    ...(latencies.ack === undefined ? {} : { rate: latencies.ack.count / measuredSeconds }),
    ...(plan.scenario === 'flood' ? { attempt_rate: sumOf(counts.attempts) / measuredSeconds } : {}),
    failed_steps: gathered.failedSteps,
    driver_cpu: drivers.cpuShare,
    driver_lag_p99: drivers.lagP99Ms,
    driver_late_p99: drivers.lateP99Ms,
    driver_limited: drivers.limited ? 1 : 0,
  };
};
