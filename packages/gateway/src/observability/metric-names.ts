interface MetricEntry {
  readonly kind: 'gauge' | 'counter' | 'histogram';
  readonly labels: string;
  readonly help: string;
  /** How workers of one port are told together, where it is not their sum. */
  readonly across?: 'min' | 'max';
}

/** Every metric of a node besides the process's own, with what its movement means. */
export const METRICS = {
  replyx_connections: { kind: 'gauge', labels: 'kind', help: 'Open sockets by how they came in.' },
  replyx_dialogs: { kind: 'gauge', labels: '', help: 'Dialogs that have a socket here, or had one a moment ago.' },
  replyx_subscriptions: { kind: 'gauge', labels: '', help: 'Tracks that this node follows.' },
  replyx_ready: { kind: 'gauge', across: 'min', labels: '', help: '1 while /readyz answers 200.' },
  replyx_backplane_up: {
    kind: 'gauge',
    across: 'min',
    labels: '',
    help: '1 while Redis answers and the subscriptions are alive.',
  },
  replyx_event_loop_lag_seconds: {
    kind: 'gauge',
    across: 'max',
    labels: '',
    help: 'How late the event loop runs, p99 of the last second; a rise is a node without CPU to spare.',
  },
  replyx_frames_received_total: { kind: 'counter', labels: '', help: 'Frames from clients, pings included.' },
  replyx_frames_refused_total: {
    kind: 'counter',
    labels: '',
    help: 'Frames that were not of the contract; a rise is a broken client or an attack.',
  },
  replyx_frames_sent_total: { kind: 'counter', labels: '', help: 'Frames written to sockets.' },
  replyx_received_publications_total: {
    kind: 'counter',
    labels: 'track',
    help: 'Publications that the backplane delivered to this node.',
  },
  replyx_publishes_total: {
    kind: 'counter',
    labels: 'result',
    help: 'Publications attempted by this node; unavailable rises when Redis is away.',
  },
  replyx_acks_by_arrival_total: {
    kind: 'counter',
    labels: '',
    help: 'Acknowledgements sent with the arriving publication, before the reply of the append.',
  },
  replyx_recovered_publications_total: {
    kind: 'counter',
    labels: '',
    help: 'Publications given to clients that resumed.',
  },
  replyx_gaps_total: {
    kind: 'counter',
    labels: 'reason',
    help: 'Times a feed had to read history to be whole; a rise is a lossy subscription.',
  },
  replyx_resets_total: {
    kind: 'counter',
    labels: 'reason',
    help: 'Times clients were told that their copy is not continuous; new_epoch is a Redis that lost data.',
  },
  replyx_joins_total: {
    kind: 'counter',
    labels: 'result',
    help: 'Sockets that joined: fresh, recovered, or resumed in vain.',
  },
  replyx_handoffs_total: {
    kind: 'counter',
    labels: 'action, result',
    help: 'Handoffs asked for at this node; a conflict is a second operator, or one who was late.',
  },
  replyx_handoff_wait_seconds: {
    kind: 'histogram',
    labels: '',
    help: 'How long dialogs that asked for an operator waited until one took them at this node.',
  },
  replyx_stream_steps_total: {
    kind: 'counter',
    labels: 'action, result',
    help: 'Steps of answers that are shown while they are written, by what the backend was told; stale_fence is a taken dialog.',
  },
  replyx_errors_sent_total: { kind: 'counter', labels: 'code', help: 'Error frames by code.' },
  replyx_admissions_total: { kind: 'counter', labels: 'kind, result, reason', help: 'Upgrades by verdict.' },
  replyx_script_seconds: {
    kind: 'histogram',
    labels: 'script',
    help: 'Time from asking Redis for an atomic step to its answer; a rise of all is Redis or the network, of one its keys.',
  },
  websocket_rate_limited_ips: {
    kind: 'gauge',
    labels: '',
    help: 'Addresses that this node refuses at once because they reached a limit.',
  },
  replyx_limited_total: {
    kind: 'counter',
    labels: 'limit, mode',
    help: 'Times a window refused, or in a dry run would have.',
  },
  replyx_limiter_mode: {
    kind: 'gauge',
    labels: 'mode',
    help: '1 for what judges the windows: the shared ones, or the insurance in memory while Redis is away.',
  },
  replyx_bans_total: { kind: 'counter', labels: '', help: 'Addresses that this node banned for their threat score.' },
  replyx_bans_spared_total: {
    kind: 'counter',
    labels: 'why',
    help: 'Addresses over the score that were not banned; shared or not_public is most likely an untrusted proxy.',
  },
  replyx_http_requests_total: { kind: 'counter', labels: 'route, status', help: 'HTTP requests of both listeners.' },
  widget_cors_requests_total: {
    kind: 'counter',
    labels: 'endpoint, origin, status',
    help: 'Requests under /api with an Origin, preflights included; origin is a registered domain, a configured origin, or other.',
  },
  widget_blocked_origins_total: {
    kind: 'counter',
    labels: 'origin, reason',
    help: 'Origins that a token did not allow (no_origin, foreign_origin), or of which no assistant knows (preflight).',
  },
  replyx_revocations_total: {
    kind: 'counter',
    labels: 'by',
    help: 'Revocations that this node learned of, those at its start included.',
  },
  replyx_revoked_connections_total: {
    kind: 'counter',
    labels: '',
    help: 'Connections that were closed since they fell; refused newcomers are admissions with reason revoked.',
  },
  replyx_control_age_seconds: {
    kind: 'gauge',
    across: 'max',
    labels: '',
    help: 'How long ago the control stream was read; over 10 newcomers are refused.',
  },
  replyx_bans: {
    kind: 'gauge',
    across: 'max',
    labels: '',
    help: 'Bans that this node holds; those over go within a minute.',
  },
  replyx_inbox_entries: {
    kind: 'gauge',
    labels: '',
    help: 'Entries that no backend has acknowledged, in the partitions that this node serves; a rise is a backend that is slow or away.',
  },
  replyx_inbox_lag_seconds: {
    kind: 'gauge',
    across: 'max',
    labels: '',
    help: 'Age of the oldest of these entries.',
  },
  replyx_inbox_parked_dialogs: {
    kind: 'gauge',
    labels: '',
    help: 'Dialogs whose entries wait for another attempt, in the partitions that this node serves.',
  },
  replyx_inbox_dead_letters: {
    kind: 'gauge',
    labels: '',
    help: 'Entries that were given up and can be replayed, in the partitions that this node serves.',
  },
  replyx_inbox_full_assistants: {
    kind: 'gauge',
    labels: '',
    help: 'Assistants that have reached WS_INBOX_MAX in a partition that this node serves: their visitors are refused.',
  },
  replyx_inbox_deliveries_total: {
    kind: 'counter',
    labels: 'result',
    help: 'Attempts of webhooks; forbidden is a target that WS_WEBHOOK_ALLOW does not name.',
  },
  replyx_inbox_died_total: {
    kind: 'counter',
    labels: '',
    help: 'Entries that were given up after their last attempt.',
  },
  replyx_inbox_dropped_total: {
    kind: 'counter',
    labels: '',
    help: 'Entries of assistants that have no inbox any more.',
  },
  replyx_inbox_leases_lost_total: {
    kind: 'counter',
    labels: '',
    help: 'Times this node could not renew a partition in time; deliveries of then may be repeated by another node.',
  },
  websocket_close_codes_total: {
    kind: 'counter',
    labels: 'code',
    help: 'Closed sockets by code; 1006 is a link that was cut.',
  },
  websocket_connection_duration_seconds: { kind: 'histogram', labels: 'kind', help: 'How long sockets lived.' },
} as const satisfies Record<string, MetricEntry>;

export type MetricName = keyof typeof METRICS;
