import { type Clock, createLocks, type LockMaster, type Locks, type Random } from '@replyx/core';
import { openLockMasters } from '@replyx/redis';
import { logNotice } from './backplane.js';
import type { GatewayConfig } from './config/gateway-config.js';
import type { Logger } from './observability/logger.js';

export interface LockParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Locks on these masters; a bug in one of them is logged. */
export const locksOn = (masters: readonly LockMaster[], { clock, random, logger }: LockParts): Locks =>
  createLocks({
    masters,
    clock,
    random,
    onBug: (error) =>
      logger.error({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }, 'bug'),
  });

/** Locks on the configured masters. One that is away stops nothing. */
export const openLocks = async (
  redis: NonNullable<GatewayConfig['redis']>,
  nodeId: string,
  parts: LockParts,
): Promise<Locks> => {
  const masters = await openLockMasters(
    redis.lockUrls.map((url) => url.reveal()),
    { nodeId, keyPrefix: redis.prefix, clock: parts.clock, random: parts.random, onNotice: logNotice(parts.logger) },
  );
  return locksOn(masters, parts);
};
