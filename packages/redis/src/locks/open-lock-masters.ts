import { BackplaneUnavailable, type Clock, type LockMaster, type Random } from '@replyx/core';
import { withDeadline } from '../deadline.js';
import { Keys } from '../keys.js';
import type { NoticeDetails, NoticeEvent } from '../options.js';
import { systemClock, systemRandom } from '../system.js';
import { parseRedisUrl } from '../url.js';
import { ClusterLockClient } from './cluster-lock-client.js';
import { LockClient } from './lock-client.js';
import { RedisLockMaster } from './redis-lock-master.js';

export interface LockMasterOptions {
  /** For the connections' names. */
  readonly nodeId: string;
  /** Start of every key; default `rx`. */
  readonly keyPrefix?: string | undefined;
  /** Deadline of one command in milliseconds; default 2000. */
  readonly commandDeadlineMs?: number | undefined;
  /** How long opening waits for masters that don't answer, in milliseconds; default 2000. */
  readonly openDeadlineMs?: number | undefined;
  /** Pause between two probes of a connection in milliseconds; default 5000. */
  readonly probeIntervalMs?: number | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
  readonly onNotice?: ((event: NoticeEvent, details: NoticeDetails) => void) | undefined;
}

/**
 * One lock master for each URL, in their order, each with a connection of its own. Resolves when all are reachable, or
 * `openDeadlineMs` is over: a master that is away stops nothing, and is taken in when it comes. Rejects with `InvalidRedisUrl`.
 */
export const openLockMasters = async (urls: readonly string[], options: LockMasterOptions): Promise<LockMaster[]> => {
  const addresses = urls.map(parseRedisUrl);
  const keys = new Keys(options.keyPrefix ?? 'rx', 1);
  const clock = options.clock ?? systemClock;
  const settings = {
    nodeId: options.nodeId,
    commandDeadlineMs: options.commandDeadlineMs ?? 2_000,
    probeIntervalMs: options.probeIntervalMs ?? 5_000,
    clock,
    random: options.random ?? systemRandom,
    notice: options.onNotice ?? (() => {}),
  };
  const clients = addresses.map((address) =>
    address.mode === 'cluster' ? new ClusterLockClient(address, settings) : new LockClient(address, settings),
  );
  const allReady = Promise.all(clients.map((client) => client.whenReady()));
  try {
    await withDeadline(allReady, options.openDeadlineMs ?? 2_000, 'opening', clock);
  } catch (error) {
    if (!(error instanceof BackplaneUnavailable)) throw error;
    for (const client of clients.filter(({ ready }) => !ready)) {
      settings.notice('lock_master_lost', { server: client.label, reason: client.lastError ?? 'no answer' });
    }
  }
  return clients.map((client) => new RedisLockMaster(client, keys, clock));
};
