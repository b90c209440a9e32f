import { describeFault, type FaultKind, planOf } from './plan.js';
import { type Outcome, Stage, type StageOptions } from './stage.js';

export interface RunOptions extends StageOptions {
  /** Ends after so many rounds, or after so many milliseconds, whichever comes first. */
  readonly rounds?: number;
  readonly forMs?: number;
  readonly kinds?: readonly FaultKind[];
  /** Told what happens, a line at a time. */
  readonly log?: (line: string) => void;
}

export interface RunOutcome extends Outcome {
  readonly rounds: number;
  /** Milliseconds from the end of a fault until every node was ready and every client connected, worst first. */
  readonly recoveries: readonly { readonly ms: number; readonly faults: string }[];
}

/** One run by a plan: strikes round by round under load, heals all, and has the journal judged. */
export const runChaos = async (options: RunOptions): Promise<RunOutcome> => {
  const { seed, rounds = Number.POSITIVE_INFINITY, forMs = Number.POSITIVE_INFINITY, kinds, log = () => {} } = options;
  if (!Number.isFinite(rounds) && !Number.isFinite(forMs)) throw new Error('a run needs an end');
  const stage = await Stage.open({ cast: true, ...options });
  const recoveries: { ms: number; faults: string }[] = [];
  let done = 0;
  let broken: string | undefined;
  try {
    const started = performance.now();
    for (const round of planOf(seed, kinds)) {
      if (done >= rounds || performance.now() - started >= forMs) break;
      done += 1;
      const faults = round.faults.map((fault) => describeFault(fault, stage.cluster.processes.length)).join(' + ');
      log(`${String(done).padStart(4)}  ${faults}`);
      await Promise.all(round.faults.map((fault) => stage.strike(fault)));
      if (round.settles) recoveries.push({ ms: Math.round(await stage.well()), faults });
      await new Promise((resolve) => setTimeout(resolve, round.pauseMs));
    }
  } catch (error) {
    broken = `round ${done}: ${(error as Error).message}`;
  }
  try {
    const outcome = await stage.finish();
    recoveries.sort((a, b) => b.ms - a.ms);
    return { ...outcome, rounds: done, recoveries, unsettled: broken ?? outcome.unsettled };
  } finally {
    await stage.close();
  }
};
