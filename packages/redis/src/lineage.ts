import type { Keys } from './keys.js';
import type { Lineage, Link, RegisterRun } from './link.js';
import { LIFETIMES, type Settings } from './options.js';
import { SCRIPTS } from './scripts.js';
import type { NodeState } from './state.js';

const MOST_RUNS = 1_024;

/**
 * Registers processes with the cluster's list on the `{nodes}` keys. `home` is the link that serves them, where they may lie on
 * another server (a cluster): continuity of a process can't be proved there, as the witness, this node's own newest heartbeat,
 * lies elsewhere.
 */
export const makeRegistrar = (
  settings: Settings,
  keys: Keys,
  state: NodeState,
  home?: (asking: Link) => Link,
): RegisterRun => {
  return async (link, identity, predecessor): Promise<Lineage> => {
    const via = home?.(link) ?? link;
    const proof = home === undefined && state.lastBeatMs !== undefined ? predecessor : undefined;
    const reply = (await via.runUnidentified(
      SCRIPTS.run,
      [keys.runs, keys.beats],
      [
        identity,
        state.maxSeenMs,
        proof?.identity ?? '',
        settings.incarnation,
        state.lastBeatMs ?? '',
        LIFETIMES.runsMs,
        MOST_RUNS,
      ],
    )) as Buffer[];
    const [name, seen, how] = reply.map(String);
    const lineage = { name: name as string, seenMs: Number(seen) };
    state.maxSeenMs = Math.max(state.maxSeenMs, lineage.seenMs);
    settings.notice('lineage', { server: link.label, lineage: lineage.name, how: how as string });
    return lineage;
  };
};
