/** What can be measured, by the name that assertions use; `unit` is that of a number without one. */
export const MEASURES = {
  sent: { unit: '', says: 'messages sent' },
  acked: { unit: '', says: 'messages acknowledged' },
  delivered: { unit: '', says: 'deliveries to readers' },
  resent: { unit: '', says: 'messages sent again after a reconnect or a temporary error' },
  unsent: { unit: '', says: 'messages that were due while too many were on their way' },
  refused: { unit: '', says: 'messages that the server refused for good' },
  rate: { unit: '', says: 'acknowledged messages a second under full load' },
  lost: { unit: '', says: 'publications that a connected reader never received' },
  repeated: { unit: '', says: 'publications received or published twice' },
  reordered: { unit: '', says: 'publications received after a later one' },
  foreign: { unit: '', says: 'publications received in another dialog than theirs' },
  undelivered: { unit: '', says: 'messages acknowledged and never delivered' },
  mismatched: { unit: '', says: 'messages delivered with another offset than acknowledged' },
  unacked: { unit: '', says: 'messages neither acknowledged nor refused by the end' },
  faults: { unit: '', says: 'sum of lost, repeated, reordered, foreign, undelivered, mismatched and unacked' },
  joined: { unit: '', says: 'connections admitted' },
  connections: { unit: '', says: 'connections held when the load began' },
  recovered: { unit: '', says: 'reconnects that continued from a position' },
  discontinued: { unit: '', says: 'times a reader was told that its copy is not continuous' },
  away: { unit: '', says: 'clients without a connection at the end' },
  closes: { unit: '', says: 'connections closed by the server or the network; closes.1006 and so on by code' },
  turned_away: { unit: '', says: 'upgrades refused; turned_away.close_4008, turned_away.http_503 and so on by reason' },
  errors: { unit: '', says: 'error frames and network errors; errors.rate_limited and so on by name' },
  attempts: { unit: '', says: 'attempts of a flood' },
  attempts_refused: { unit: '', says: 'attempts of a flood that were refused: by an HTTP status or a close code' },
  attempts_failed: { unit: '', says: 'attempts of a flood that reached nobody or were cut without a word' },
  attempt_rate: { unit: '', says: 'attempts a second' },
  admitted: { unit: '', says: 'attempts of a flood that were admitted' },
  unanswered: { unit: '', says: 'attempts of a flood that got no answer in 10 s' },
  connect_rate: { unit: '', says: 'connections admitted a second while they were opened' },
  quiet_ratio: { unit: '', says: "flood: admitted clients' p99 under it by their p99 before it" },
  server_cpu: { unit: '', says: 'mean share of a core of all servers together' },
  cpu_us_per_message: { unit: '', says: 'server CPU per acknowledged message, microseconds' },
  cpu_us_per_connect: { unit: '', says: 'server CPU per admitted connection, microseconds' },
  cpu_us_per_attempt: {
    unit: '',
    says: 'server CPU per refused attempt, beyond that of the admitted clients, microseconds',
  },
  cpu_us_per_recovery: { unit: '', says: 'server CPU of a storm per recovered client, microseconds' },
  rss_per_connection: { unit: 'B', says: 'server memory per connection, bytes; with 1,000 connections or more' },
  rss_growth_per_hour: { unit: 'B', says: 'growth of server memory over the second half of the load, bytes an hour' },
  failed_steps: { unit: '', says: 'rolling: steps that failed' },
  driver_cpu: { unit: '', says: 'share of a core of the busiest driver, in the worst seconds of the load' },
  driver_lag_p99: { unit: 'ms', says: 'event loop lag of the drivers' },
  driver_late_p99: { unit: 'ms', says: 'how late the drivers sent' },
  driver_limited: { unit: '', says: '1 when the driver itself may be what was measured' },
} as const satisfies Record<string, { unit: '' | 'ms' | 'B'; says: string }>;

export const LATENCY_PREFIXES = {
  '': 'from when a message was due to its delivery',
  ack_: 'from when a message was due to its acknowledgement',
  connect_: 'from when a connection was due to its admission',
  recovery_: 'from when a client should be back to having all that it missed',
  refusal_: 'from when an attempt was due to its refusal',
  quiet_: 'as delivery, before a flood',
} as const;

export const LATENCY_POINTS = ['p50', 'p90', 'p95', 'p99', 'p999', 'mean', 'max'] as const;

/** Measures by code, status or name; those that did not occur are 0. */
export const BY_NAME_PREFIXES = ['closes.', 'turned_away.', 'errors.'] as const;

const latencyNames = new Set(
  Object.keys(LATENCY_PREFIXES).flatMap((prefix) => LATENCY_POINTS.map((point) => `${prefix}${point}`)),
);

/** The unit of a measure; undefined for a name that there is not. */
export const unitOf = (name: string): '' | 'ms' | 'B' | undefined => {
  if (latencyNames.has(name)) return 'ms';
  if (BY_NAME_PREFIXES.some((prefix) => name.startsWith(prefix) && name.length > prefix.length)) return '';
  return Object.hasOwn(MEASURES, name) ? MEASURES[name as keyof typeof MEASURES].unit : undefined;
};

/** The measure's value: 0 for a code or name that did not occur, undefined for what was not measured. */
export const measureOf = (measures: Readonly<Record<string, number>>, name: string): number | undefined =>
  measures[name] ?? (BY_NAME_PREFIXES.some((prefix) => name.startsWith(prefix)) ? 0 : undefined);
