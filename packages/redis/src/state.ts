/** What the ports of one node share about the cluster. */
export interface NodeState {
  /** Live incarnations by the last heartbeat, as scripts take them: a line each, with a line end before the first. */
  live: string;
  /** Redis time of the newest heartbeat that was acknowledged. */
  lastBeatMs: number | undefined;
  /** The latest `seen` of any lineage that this node knows. */
  maxSeenMs: number;
}

export const liveLines = (incarnations: readonly string[]): string => `\n${incarnations.join('\n')}\n`;

/** The live incarnations that `live` names. */
export const liveNames = (live: string): string[] => live.split('\n').filter((name) => name !== '');
