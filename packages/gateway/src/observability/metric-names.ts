/** Every metric of a node besides the process's own, with what its movement means. */
export const METRICS = {
  replyx_connections: { kind: 'gauge', labels: 'kind', help: 'Open sockets by how they came in.' },
  replyx_dialogs: { kind: 'gauge', labels: '', help: 'Dialogs that have a socket here, or had one a moment ago.' },
  replyx_subscriptions: { kind: 'gauge', labels: '', help: 'Tracks that this node follows.' },
  replyx_ready: { kind: 'gauge', labels: '', help: '1 while /readyz answers 200.' },
  replyx_backplane_up: { kind: 'gauge', labels: '', help: '1 while Redis answers and the subscriptions are alive.' },
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
  replyx_errors_sent_total: { kind: 'counter', labels: 'code', help: 'Error frames by code.' },
  replyx_admissions_total: { kind: 'counter', labels: 'kind, result, reason', help: 'Upgrades by verdict.' },
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
    labels: '',
    help: 'How long ago the control stream was read; over 10 newcomers are refused.',
  },
  replyx_bans: { kind: 'gauge', labels: '', help: 'Bans that this node holds; those over go within a minute.' },
  replyx_http_requests_total: { kind: 'counter', labels: 'route, status', help: 'Requests of the internal listener.' },
  websocket_close_codes_total: {
    kind: 'counter',
    labels: 'code',
    help: 'Closed sockets by code; 1006 is a link that was cut.',
  },
  websocket_connection_duration_seconds: { kind: 'histogram', labels: 'kind', help: 'How long sockets lived.' },
} as const satisfies Record<string, { kind: 'gauge' | 'counter' | 'histogram'; labels: string; help: string }>;

export type MetricName = keyof typeof METRICS;
