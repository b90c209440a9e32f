import type { Clock } from '../clock.js';
import { BackplaneUnavailable } from '../ports.js';
import type { LockMaster } from './lock-master.js';

export interface BallotParts {
  readonly clock: Clock;
  readonly onBug: (error: unknown) => void;
}

/** By the order of the masters; `undefined`: none, or none yet. */
export type Answers<T> = readonly (T | undefined)[];

export interface Ballot<T> {
  /** What had come when the ballot was closed. */
  readonly answers: Answers<T>;
  /** How many said what was hoped for. */
  readonly yes: number;
  /** Masters that failed, or were too slow. */
  readonly failed: number;
  /** What has come when all have answered or the deadline is over, also where the ballot was closed before. Never rejects. */
  readonly final: Promise<Answers<T>>;
  /** One answer each, however late; never rejects. `undefined`: it failed. */
  readonly settled: readonly Promise<T | undefined>[];
}

/**
 * Asks all masters at once. Closed when `needed` have said yes, when so many no longer can, or after `deadlineMs`: one that hangs
 * delays nobody who has a majority without it.
 */
export const askAll = <T>(
  masters: readonly LockMaster[],
  ask: (master: LockMaster) => Promise<T>,
  isYes: (answer: T) => boolean,
  needed: number,
  deadlineMs: number,
  { clock, onBug }: BallotParts,
): Promise<Ballot<T>> => {
  const answers: (T | undefined)[] = masters.map(() => undefined);
  let open = masters.length;
  let yes = 0;
  let failed = 0;
  let close: (tooSlow: number) => void = () => {};
  let end: (answers: Answers<T>) => void = () => {};
  const final = new Promise<Answers<T>>((resolve) => {
    end = resolve;
  });
  const cancel = clock.schedule(deadlineMs, () => {
    close(open);
    end([...answers]);
  });
  const counted = (): void => {
    open -= 1;
    if (yes >= needed || yes + open < needed) close(0);
    if (open > 0) return;
    cancel();
    end([...answers]);
  };
  const settled = masters.map(async (master, index) => {
    try {
      const answer = await ask(master);
      answers[index] = answer;
      if (isYes(answer)) yes += 1;
      counted();
      return answer;
    } catch (error) {
      if (!(error instanceof BackplaneUnavailable)) onBug(error);
      failed += 1;
      counted();
      return undefined;
    }
  });
  return new Promise((resolve) => {
    close = (tooSlow) => resolve({ answers: [...answers], yes, failed: failed + tooSlow, final, settled });
    // A call that throws at once is counted before anybody can be told.
    if (yes + open < needed) close(0);
  });
};

/** A majority of `masters`: any two have one in common. */
export const quorumOf = (masters: readonly LockMaster[]): number => Math.floor(masters.length / 2) + 1;
