import { randomBytes } from 'node:crypto';
import type { Backplane, BackplaneOptions, Clock, Random } from '@replyx/core';
import { type NoticeDetails, type NoticeEvent, openRedisBackplane } from '@replyx/redis';
import type { GatewayConfig } from './config/gateway-config.js';
import type { Logger } from './observability/logger.js';

/** One life of a node: unique among all nodes and restarts, also of nodes that share a `NODE_ID` by mistake. */
export const newIncarnation = (nodeId: string): string => `${nodeId}.${randomBytes(8).toString('base64url')}`;

export const backplaneOptions = (config: GatewayConfig, incarnation: string): BackplaneOptions => ({
  incarnation,
  nodeId: config.node.id,
  historySize: config.history.size,
  historyTtlMs: config.history.ttlMs,
  idempotencyTtlMs: config.idempotencyTtlMs,
  nodeTtlMs: config.node.ttlMs,
  leaseTtlMs: config.connections.maxAgeMs,
  inboxMax: config.inboxMax,
});

/** What happens at every start and after every trouble that is over. */
const QUIET_NOTICES: ReadonlySet<NoticeEvent> = new Set([
  'redis_ready',
  'lineage',
  'subscriber_ready',
  'subscriptions_restored',
  'cluster_changed',
  'lock_master_ready',
]);

/** Logs what a Redis client tells: the expected quietly. */
export const logNotice =
  (logger: Logger) =>
  (event: NoticeEvent, details: NoticeDetails): void =>
    logger[QUIET_NOTICES.has(event) ? 'info' : 'warn'](details, event);

/** Opens the Redis backplane of a configuration. Rejects with one line that says what is wrong. */
export const openRedis = (
  redis: NonNullable<GatewayConfig['redis']>,
  options: BackplaneOptions,
  parts: { readonly clock: Clock; readonly random: Random; readonly logger: Logger },
): Promise<Backplane> =>
  openRedisBackplane({
    ...options,
    url: redis.url.reveal(),
    keyPrefix: redis.prefix,
    clock: parts.clock,
    random: parts.random,
    onNotice: logNotice(parts.logger),
  });
