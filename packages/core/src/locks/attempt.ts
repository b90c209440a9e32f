import { askAll, type Ballot, quorumOf } from './ballot.js';
import { settleFence } from './fences.js';
import { type Lock, newLockId } from './lock.js';
import type { LockMaster, LockVote } from './lock-master.js';
import { deadlineFor, type LockSettings, validUntil } from './lock-settings.js';
import type { Reclaimer } from './reclaimer.js';

export interface Wanted {
  readonly name: string;
  readonly owner: string;
  readonly ttlMs: number;
}

export type AttemptResult =
  | { readonly status: 'acquired'; readonly lock: Lock }
  /** Another holds it; `owner` as it named itself, where a master knew. */
  | { readonly status: 'held'; readonly owner: string }
  /** No majority answered in time. */
  | { readonly status: 'unavailable' };

const isGranted = (vote: LockVote): boolean => vote.status === 'granted';

/** How long after its last step a master may still keep what was left, whatever its clock does within reason. */
const AFTERLIFE_MS = 5_000;

/**
 * One attempt, under a value of its own: what an earlier one has left somewhere, or leaves later, is another's. It ends with a
 * majority, a settled fence and time left, or with nothing.
 */
export const attempt = async (settings: LockSettings, reclaimer: Reclaimer, wanted: Wanted): Promise<AttemptResult> => {
  const { masters, clock, random } = settings;
  const { name, owner, ttlMs } = wanted;
  const value = newLockId((length) => random.bytes(length));
  const deadlineMs = deadlineFor(settings, ttlMs);
  const quorum = quorumOf(masters);
  const askedMs = clock.monotonicMs();
  const ballot = await askAll(
    masters,
    (master) => master.acquire({ name, value, owner, ttlMs, deadlineMs }),
    isGranted,
    quorum,
    deadlineMs,
    settings,
  );
  if (ballot.yes >= quorum) {
    const counted = ballot.answers.map((vote) => (vote?.status === 'granted' ? vote.fence : undefined));
    const fence = await settleFence(settings, name, value, counted, deadlineMs);
    const validUntilMs = validUntil(settings, askedMs, ttlMs);
    if (fence !== undefined && clock.monotonicMs() < validUntilMs) {
      return { status: 'acquired', lock: { name, id: value, fence, validUntilMs } };
    }
  }
  giveBack(settings, reclaimer, wanted, value, ballot);
  return judge(ballot, quorum);
};

/**
 * Releases wherever the value is or may be: at once where it is known to be, at the deadline where nothing is known, and again where a
 * late answer says that it came to be there after all.
 */
const giveBack = (
  { masters, clock }: LockSettings,
  reclaimer: Reclaimer,
  { name, ttlMs }: Wanted,
  value: string,
  { answers, final, settled }: Ballot<LockVote>,
): void => {
  const goneAtMs = clock.monotonicMs() + ttlMs + AFTERLIFE_MS;
  const release = (master: LockMaster): void => reclaimer.reclaim(master, { name, value, goneAtMs });
  const isHere = (vote: LockVote | undefined): boolean => vote !== undefined && isGranted(vote);
  for (const [index, master] of masters.entries()) if (isHere(answers[index])) release(master);
  void final.then((votes) => {
    for (const [index, master] of masters.entries()) {
      const vote = votes[index];
      if (answers[index] !== undefined || (vote !== undefined && !isGranted(vote))) continue;
      release(master);
      if (vote === undefined) void settled[index]?.then((late) => isHere(late) && release(master));
    }
  });
};

const judge = ({ answers, yes, failed }: Ballot<LockVote>, quorum: number): AttemptResult => {
  const late = answers.filter((vote) => vote?.status === 'refused').length;
  if (yes >= quorum || failed + late > answers.length - quorum) return { status: 'unavailable' };
  const owners = answers.flatMap((vote) => (vote?.status === 'held' ? [vote.owner] : []));
  return { status: 'held', owner: owners[0] ?? '' };
};
