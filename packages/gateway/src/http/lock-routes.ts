import { type Backplane, type Clock, dialogLockName, isLockId, type LockRef, type Locks } from '@replyx/core';
import { API_BODIES, type ApiAnswer } from '@replyx/protocol/schemas';
import { readBody } from './body.js';
import { type HttpCall, type HttpRoute, json, NO_CONTENT } from './http.js';
import { knownDialogs } from './known-dialog.js';
import { pathId } from './path-id.js';
import { Problem } from './problem.js';
import { ROUTES } from './route-table.js';

export interface LockRoutesParts {
  readonly backplane: Pick<Backplane, 'directory'>;
  readonly locks: Locks;
  readonly directory: 'strict' | 'open';
  readonly clock: Clock;
}

const LOST = 'The lock is lost.';

/** The lock that a path names. A malformed id is of nothing that exists. Throws `Problem`. */
const lockOf = (call: HttpCall): LockRef => {
  const dialogId = pathId(call);
  const id = call.parameters[1];
  if (!isLockId(id)) throw new Problem('not_found');
  return { name: dialogLockName(dialogId), id };
};

/** One worker a dialog, in any language. The id of a lock is all that it takes to renew and release it, at any node. */
export const lockRoutes = ({ backplane, locks, directory, clock }: LockRoutesParts): HttpRoute[] => {
  const mustBeKnown = knownDialogs({ backplane, directory });
  const expiresInMs = (validUntilMs: number): number => Math.max(0, Math.floor(validUntilMs - clock.monotonicMs()));

  const acquire: HttpRoute = {
    ...ROUTES.acquireLock,
    handle: async (call) => {
      const dialogId = pathId(call);
      const { owner, ttl_ms: ttlMs, wait_ms: waitMs } = readBody(call.body, API_BODIES.lock);
      await mustBeKnown(dialogId);
      const result = await locks.acquire(dialogLockName(dialogId), { ttlMs, waitMs, owner, signal: call.gone });
      if (result.status === 'held') throw new Problem('conflict', `The dialog is locked by ${result.owner}.`);
      if (result.status !== 'acquired') throw new Problem('unavailable');
      const { id, fence, validUntilMs } = result.lock;
      return json(201, { lock_id: id, fence, expires_in_ms: expiresInMs(validUntilMs) } satisfies ApiAnswer<'lock'>);
    },
  };

  const renew: HttpRoute = {
    ...ROUTES.renewLock,
    handle: async (call) => {
      const lock = lockOf(call);
      const { ttl_ms: ttlMs } = readBody(call.body, API_BODIES.renewLock);
      const result = await locks.extend(lock, ttlMs);
      if (result.status === 'lost') throw new Problem('conflict', LOST);
      if (result.status === 'unavailable') throw new Problem('unavailable');
      return json(200, {
        lock_id: lock.id,
        expires_in_ms: expiresInMs(result.validUntilMs),
      } satisfies ApiAnswer<'renewedLock'>);
    },
  };

  const release: HttpRoute = {
    ...ROUTES.releaseLock,
    handle: async (call) => {
      const { status } = await locks.release(lockOf(call));
      if (status === 'lost') throw new Problem('conflict', LOST);
      if (status === 'unavailable') throw new Problem('unavailable');
      return NO_CONTENT;
    },
  };

  return [acquire, renew, release];
};
