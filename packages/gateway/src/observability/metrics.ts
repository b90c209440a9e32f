import type {
  BackplaneHealth,
  ControlMirror,
  Hub,
  InboxDispatcher,
  Latencies,
  RevocationRule,
  Stats,
} from '@replyx/core';
import { CLOSE_CODES, type ConnectionKind } from '@replyx/protocol';
import { type Aggregator, Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { registerLatencies } from './latency-metric.js';
import { METRICS, type MetricName } from './metric-names.js';

export interface Metrics {
  readonly registry: Registry;
  admission(kind: ConnectionKind, result: string, reason: string): void;
  closed(code: number): void;
  limited(limit: string, dryRun: boolean): void;
  /** `result`: `ok`, or the code of the refusal. */
  streamStep(action: string, result: string): void;
  taken(waitedSeconds: number): void;
  banned(): void;
  spared(why: string): void;
  duration(kind: ConnectionKind, seconds: number): void;
  http(route: string, status: number): void;
  /** `origin`: a label of a bounded set, never an `Origin` as it came. */
  cors(endpoint: string, origin: string, status: number): void;
  blockedOrigin(origin: string, reason: string): void;
  revocation(by: RevocationRule['by']): void;
  revokedConnections(count: number): void;
}

const WAIT_BUCKETS_SECONDS = [1, 5, 15, 30, 60, 120, 300, 900, 3_600];
const DURATION_BUCKETS_SECONDS = [1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400];

const SAMPLED_LAGS = ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'].map(
  (part) => `nodejs_eventloop_lag_${part}_seconds`,
);

export interface MetricSources {
  readonly hub: Hub;
  /** p99 of the last second, in milliseconds. */
  readonly loopLagMs: () => number;
  readonly health: () => BackplaneHealth;
  readonly isReady: () => boolean;
  readonly latencies: Latencies;
  /** Addresses that are denied now. */
  readonly deniedAddresses: () => number;
  readonly control: Pick<ControlMirror, 'ageMs' | 'banCount'>;
  readonly inbox: Pick<InboxDispatcher, 'standing' | 'stats'>;
}

/** The numbers of one node. What the hot path counts stays plain numbers; they are read when somebody asks. */
export const createMetrics = (sources: MetricSources): Metrics => {
  const { hub, loopLagMs, health, isReady, latencies, deniedAddresses, control, inbox } = sources;
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 1_000 });
  // They count the time between two samples as lag; ours is without it.
  for (const name of SAMPLED_LAGS) registry.removeSingleMetric(name);
  const { stats } = hub;
  const of = (name: MetricName) => {
    const entry = METRICS[name];
    const aggregator: Aggregator = 'across' in entry ? entry.across : 'sum';
    return { name, help: entry.help, registers: [registry], aggregator };
  };

  const gauge = (name: MetricName, read: () => number) =>
    new Gauge({
      ...of(name),
      collect() {
        this.set(read());
      },
    });
  const counter = (name: MetricName, read: (stats: Stats) => number) =>
    new Counter({
      ...of(name),
      collect() {
        this.reset();
        this.inc(read(stats));
      },
    });
  const counters = (name: MetricName, label: string, read: (stats: Stats) => Readonly<Record<string, number>>) =>
    new Counter({
      ...of(name),
      labelNames: [label],
      collect() {
        this.reset();
        for (const [key, value] of Object.entries(read(stats))) this.inc({ [label]: key }, value);
      },
    });

  new Gauge({
    ...of('replyx_connections'),
    labelNames: ['kind'],
    collect() {
      const kinds = { operator: 0, site: 0, widget: 0 };
      for (const session of hub.sessions()) kinds[session.identity.kind] += 1;
      for (const [kind, count] of Object.entries(kinds)) this.set({ kind }, count);
    },
  });
  gauge('replyx_event_loop_lag_seconds', () => loopLagMs() / 1000);
  gauge('replyx_dialogs', () => hub.dialogCount);
  gauge('replyx_subscriptions', () => hub.subscriptionCount);
  gauge('replyx_ready', () => (isReady() ? 1 : 0));
  gauge('replyx_backplane_up', () => (health().ok ? 1 : 0));
  registerLatencies({ ...of('replyx_script_seconds'), label: 'script', latencies, registry });
  gauge('websocket_rate_limited_ips', deniedAddresses);
  new Gauge({
    ...of('replyx_limiter_mode'),
    labelNames: ['mode'],
    collect() {
      const away = health().reasons.includes('redis_unreachable');
      this.set({ mode: 'shared' }, away ? 0 : 1);
      this.set({ mode: 'insurance' }, away ? 1 : 0);
    },
  });
  counter('replyx_frames_received_total', (s) => s.framesReceived);
  counter('replyx_frames_refused_total', (s) => s.framesRefused);
  counter('replyx_frames_sent_total', (s) => s.deliveries);
  counter('replyx_acks_by_arrival_total', (s) => s.acksByArrival);
  counter('replyx_recovered_publications_total', (s) => s.recoveredPublications);
  counters('replyx_received_publications_total', 'track', (s) => s.deliveredPublications);
  counters('replyx_publishes_total', 'result', (s) => s.publishes);
  counters('replyx_gaps_total', 'reason', (s) => s.gaps);
  counters('replyx_resets_total', 'reason', (s) => s.resets);
  counters('replyx_joins_total', 'result', (s) => s.joins);
  new Counter({
    ...of('replyx_handoffs_total'),
    labelNames: ['action', 'result'],
    collect() {
      this.reset();
      for (const [action, results] of Object.entries(stats.handoffs)) {
        for (const [result, count] of Object.entries(results)) this.inc({ action, result }, count);
      }
    },
  });
  counters('replyx_errors_sent_total', 'code', (s) => s.errorsSent as Record<string, number>);

  gauge('replyx_control_age_seconds', () => control.ageMs / 1000);
  gauge('replyx_bans', () => control.banCount);

  gauge('replyx_inbox_entries', () => inbox.standing.entries);
  gauge('replyx_inbox_lag_seconds', () => inbox.standing.oldestMs / 1000);
  gauge('replyx_inbox_parked_dialogs', () => inbox.standing.parkedDialogs);
  gauge('replyx_inbox_dead_letters', () => inbox.standing.deadLetters);
  gauge('replyx_inbox_full_assistants', () => inbox.standing.full.length);
  counters('replyx_inbox_deliveries_total', 'result', () => inbox.stats.deliveries);
  counter('replyx_inbox_died_total', () => inbox.stats.died);
  counter('replyx_inbox_dropped_total', () => inbox.stats.dropped);
  counter('replyx_inbox_leases_lost_total', () => inbox.stats.leasesLost);

  const revocations = new Counter({ ...of('replyx_revocations_total'), labelNames: ['by'] });
  const revokedConnections = new Counter(of('replyx_revoked_connections_total'));
  const admissions = new Counter({ ...of('replyx_admissions_total'), labelNames: ['kind', 'result', 'reason'] });
  const closes = new Counter({ ...of('websocket_close_codes_total'), labelNames: ['code'] });
  const durations = new Histogram({
    ...of('websocket_connection_duration_seconds'),
    labelNames: ['kind'],
    buckets: DURATION_BUCKETS_SECONDS,
  });
  const http = new Counter({ ...of('replyx_http_requests_total'), labelNames: ['route', 'status'] });
  const limited = new Counter({ ...of('replyx_limited_total'), labelNames: ['limit', 'mode'] });
  const streamSteps = new Counter({ ...of('replyx_stream_steps_total'), labelNames: ['action', 'result'] });
  const waits = new Histogram({ ...of('replyx_handoff_wait_seconds'), buckets: WAIT_BUCKETS_SECONDS });
  const bans = new Counter(of('replyx_bans_total'));
  const spared = new Counter({ ...of('replyx_bans_spared_total'), labelNames: ['why'] });
  const cors = new Counter({ ...of('widget_cors_requests_total'), labelNames: ['endpoint', 'origin', 'status'] });
  const blocked = new Counter({ ...of('widget_blocked_origins_total'), labelNames: ['origin', 'reason'] });
  const known = new Set<number>([...Object.values(CLOSE_CODES).map((entry) => entry.code), 1005, 1006]);
  return {
    registry,
    admission: (kind, result, reason) => admissions.inc({ kind, result, reason }),
    // A peer may close with any number: only those of the table get a series of their own.
    closed: (code) => closes.inc({ code: known.has(code) ? String(code) : 'other' }),
    limited: (limit, dryRun) => limited.inc({ limit, mode: dryRun ? 'dry_run' : 'enforced' }),
    streamStep: (action, result) => streamSteps.inc({ action, result }),
    taken: (waitedSeconds) => waits.observe(waitedSeconds),
    banned: () => bans.inc(),
    spared: (why) => spared.inc({ why }),
    duration: (kind, seconds) => durations.observe({ kind }, seconds),
    http: (route, status) => http.inc({ route, status: String(status) }),
    cors: (endpoint, origin, status) => cors.inc({ endpoint, origin, status: String(status) }),
    blockedOrigin: (origin, reason) => blocked.inc({ origin, reason }),
    revocation: (by) => revocations.inc({ by }),
    revokedConnections: (count) => revokedConnections.inc(count),
  };
};
