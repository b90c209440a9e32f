import type { BackplaneHealth, Clock } from '@replyx/core';

export interface Readiness {
  /** Why the node should get no new connections; empty when it should. Stable words. */
  reasons(): string[];
}

/** A backplane that is away for less than this is not worth a balancer's attention: sockets stay and sends are retried. */
const GRACE_MS = 3_000;

export const createReadiness = (parts: {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly health: () => BackplaneHealth;
  readonly isStarted: () => boolean;
  readonly isDraining: () => boolean;
  /** Milliseconds since the last heartbeat that succeeded, and after how many the others take this node for dead. */
  readonly heartbeatAgeMs: () => number | undefined;
  readonly nodeTtlMs: number;
  /** What has been revoked of late is not known here, so newcomers are refused. */
  readonly isControlStale: () => boolean;
}): Readiness & { observe(): void } => {
  let unhealthySinceMs: number | undefined;
  const observe = () => {
    if (parts.health().ok) unhealthySinceMs = undefined;
    else unhealthySinceMs ??= parts.clock.monotonicMs();
  };
  return {
    observe,
    reasons: () => {
      observe();
      const away = unhealthySinceMs !== undefined && parts.clock.monotonicMs() - unhealthySinceMs >= GRACE_MS;
      return [
        ...(parts.isStarted() ? [] : ['starting']),
        ...(parts.isDraining() ? ['draining'] : []),
        ...(away ? parts.health().reasons : []),
        ...((parts.heartbeatAgeMs() ?? 0) > parts.nodeTtlMs ? ['heartbeat_lost'] : []),
        ...(parts.isStarted() && parts.isControlStale() ? ['control_stale'] : []),
      ];
    },
  };
};
