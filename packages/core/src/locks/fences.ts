import { askAll, quorumOf } from './ballot.js';
import type { RaiseVote } from './lock-master.js';
import type { LockSettings } from './lock-settings.js';

/** Each round lifts the fence over what others have raised meanwhile. */
const MOST_ROUNDS = 5;

/** The fences that masters have counted up to for this taker, by their order; `undefined` where one did not. */
export type CountedFences = readonly (number | undefined)[];

const isRaised = (vote: RaiseVote): boolean => vote.status === 'raised';

/**
 * Chooses a fence and raises the counters of a majority to it. Whoever asks a majority after that meets one of these counters, and
 * gets a greater one; so no two takers ever have the same. `undefined`: no majority could be raised.
 */
export const settleFence = async (
  settings: LockSettings,
  name: string,
  value: string | undefined,
  counted: CountedFences,
  deadlineMs: number,
  atLeast = 0,
): Promise<number | undefined> => {
  const quorum = quorumOf(settings.masters);
  let fence = Math.max(atLeast, ...counted.map((one) => one ?? 0));
  // A counter that stands at the fence by this taker's own step needs no further one.
  let rest = settings.masters.filter((_, index) => counted[index] !== fence);
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const needed = quorum - (settings.masters.length - rest.length);
    if (needed <= 0) return fence;
    const request = { name, value, fence };
    const { yes, answers } = await askAll(
      rest,
      (master) => master.raiseFence(request),
      isRaised,
      needed,
      deadlineMs,
      settings,
    );
    if (yes >= needed) return fence;
    const passed = answers.flatMap((vote) => (vote?.status === 'passed' ? [vote.fence] : []));
    if (passed.length === 0) return undefined;
    fence = Math.max(fence, ...passed) + 1;
    rest = [...settings.masters];
  }
  return undefined;
};

/** A fence greater than every one that was given before, and no less than `atLeast`, without a lock. `undefined`: no majority answers. */
export const takeFence = async (settings: LockSettings, name: string, atLeast: number): Promise<number | undefined> => {
  const { masters, masterDeadlineMs } = settings;
  const quorum = quorumOf(masters);
  const ballot = await askAll(
    masters,
    (master) => master.raiseFence({ name }),
    isRaised,
    quorum,
    masterDeadlineMs,
    settings,
  );
  if (ballot.yes < quorum) return undefined;
  const counted = ballot.answers.map((vote) => (vote?.status === 'raised' ? vote.fence : undefined));
  return settleFence(settings, name, undefined, counted, masterDeadlineMs, atLeast);
};
