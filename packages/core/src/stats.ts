import type { CloseName, ErrorName, Track } from '@replyx/protocol';

const zeroes = <K extends string>(keys: readonly K[]): Record<K, number> =>
  Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>;

export const GAP_REASONS = ['gap', 'epoch', 'conflict', 'behind'] as const;
export const RESET_REASONS = ['new_epoch', 'history_lost'] as const;
export const PUBLISH_RESULTS = [
  'appended',
  'duplicate',
  'rate_limited',
  'conflict',
  'stale_fence',
  'closed',
  'not_found',
  'inbox_full',
  'unavailable',
] as const;

export const HANDOFF_ACTIONS = ['request', 'cancel', 'take', 'release'] as const;
export const HANDOFF_RESULTS = ['done', 'duplicate', 'conflict', 'closed', 'not_found', 'unavailable'] as const;

/**
 * What happened on this node, as plain numbers that the hot path raises; metrics read them when asked. Every set of keys is
 * fixed, so that no peer can make a new series.
 */
export const createStats = () => ({
  framesReceived: 0,
  framesRefused: 0,
  deliveries: 0,
  deliveredPublications: zeroes<Track>(['main', 'internal']),
  publishes: zeroes(PUBLISH_RESULTS),
  acksByArrival: 0,
  gaps: zeroes(GAP_REASONS),
  resets: zeroes(RESET_REASONS),
  handoffs: Object.fromEntries(HANDOFF_ACTIONS.map((action) => [action, zeroes(HANDOFF_RESULTS)])) as Record<
    (typeof HANDOFF_ACTIONS)[number],
    Record<(typeof HANDOFF_RESULTS)[number], number>
  >,
  joins: { fresh: 0, recovered: 0, not_recovered: 0 },
  recoveredPublications: 0,
  errorsSent: {} as Partial<Record<ErrorName, number>>,
  closes: {} as Partial<Record<CloseName, number>>,
});

export type Stats = ReturnType<typeof createStats>;
