import type { BackplaneOptions, Clock, Latencies, Random } from '@replyx/core';

/** What the backplane tells its owner, for logs and metrics; names are stable, details are small and hold no secrets. */
export type NoticeEvent =
  | 'redis_ready'
  | 'redis_lost'
  | 'redis_error'
  | 'redis_refused'
  /** It drops keys by `policy` when its memory is full: what was promised is then lost in silence. */
  | 'redis_may_evict'
  /** It has dropped `keys` keys since the last look. */
  | 'redis_evicted'
  | 'lineage'
  | 'subscriber_ready'
  | 'subscriber_lost'
  | 'subscriber_silent'
  | 'subscriptions_restored'
  | 'cluster_changed'
  | 'bad_payload'
  | 'lock_master_ready'
  | 'lock_master_lost';

export type NoticeDetails = Readonly<Record<string, string | number | boolean>>;

export interface RedisBackplaneOptions extends BackplaneOptions {
  /** See `parseRedisUrl`. */
  readonly url: string;
  /** Start of every key; default `rx`. */
  readonly keyPrefix?: string | undefined;
  /** Shards of dialogs, fixed for a deployment's life; default 128. */
  readonly partitions?: number | undefined;
  /** Deadline of one command in milliseconds; default 2000. */
  readonly commandDeadlineMs?: number | undefined;
  /** How long opening may take in milliseconds; default 10000. */
  readonly openDeadlineMs?: number | undefined;
  /** Pause between two probes of every connection in milliseconds; default 5000. */
  readonly probeIntervalMs?: number | undefined;
  /** A subscriber that has not received a probe for so long is dead; default 15000. */
  readonly subscriberSilenceMs?: number | undefined;
  /**
   * How long connections stay registered without `Roster.renew`, in milliseconds; default 3600000. A node renews well within
   * it. It is also the lifetime of a dialog that has no publication yet.
   */
  readonly presenceTtlMs?: number | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
  readonly onNotice?: ((event: NoticeEvent, details: NoticeDetails) => void) | undefined;
}

export interface Settings {
  readonly incarnation: string;
  readonly nodeId: string;
  readonly historySize: number;
  readonly historyTtlMs: number;
  readonly idempotencyTtlMs: number;
  readonly nodeTtlMs: number;
  readonly keyPrefix: string;
  readonly partitions: number;
  readonly commandDeadlineMs: number;
  readonly openDeadlineMs: number;
  readonly probeIntervalMs: number;
  readonly subscriberSilenceMs: number;
  readonly presenceTtlMs: number;
  readonly leaseTtlMs: number;
  readonly streamIdleMs: number;
  readonly inboxMax: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly latencies: Latencies;
  notice(event: NoticeEvent, details: NoticeDetails): void;
}

const DAY_MS = 86_400_000;

export const LIFETIMES = {
  /** Held sets outlive every connection: they are how a sweeper finds what a dead incarnation left. */
  heldMs: 2 * DAY_MS,
  /** Heartbeats that nobody swept. */
  beatsMs: 7 * DAY_MS,
  runsMs: 30 * DAY_MS,
  /** Counters of fences outlive every lock. One that is lost begins again at the time, above where it was. */
  fencesMs: 30 * DAY_MS,
  /** Marks of released values: longer than a command can be on its way. */
  releasedMs: 30_000,
} as const;

/** The log is renewed seldom, so its lifetime is set a sixteenth longer than asked for. */
export const logLifetimeMs = (settings: Settings): number => Math.ceil((settings.historyTtlMs * 17) / 16);

/** Meta outlives log and idempotency keys, else their epoch and life would be minted anew beneath them. */
export const metaLifetimeMs = (settings: Settings): number =>
  Math.ceil((Math.max(settings.historyTtlMs, settings.idempotencyTtlMs) * 17) / 16) + DAY_MS;
