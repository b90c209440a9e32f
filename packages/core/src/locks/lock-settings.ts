import type { Clock, Random } from '../clock.js';
import type { LockMaster } from './lock-master.js';

export interface LockOptions {
  /** How long one master may take to answer, in milliseconds; default 300, and never longer than the lock's TTL. */
  readonly masterDeadlineMs?: number | undefined;
  /** Bounds of the random pause before another attempt, in milliseconds; default 20 and 120. */
  readonly retryMinMs?: number | undefined;
  readonly retryMaxMs?: number | undefined;
  /** How much faster a master's clock may run than ours, as a part of the TTL; default 0.01. */
  readonly drift?: number | undefined;
  /** Callers that may wait for a lock at once; default 1000. */
  readonly maxWaiting?: number | undefined;
  /** Releases that may be outstanding at unreachable masters; default 1000. */
  readonly maxReclaims?: number | undefined;
}

export interface LocksParts {
  /** Independent of each other; at least one, best an odd number. */
  readonly masters: readonly LockMaster[];
  readonly clock: Clock;
  readonly random: Random;
  readonly onBug: (error: unknown) => void;
  readonly options?: LockOptions | undefined;
}

export interface LockSettings extends Omit<LocksParts, 'options'> {
  readonly masterDeadlineMs: number;
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
  readonly drift: number;
  readonly maxWaiting: number;
  readonly maxReclaims: number;
}

export const lockSettings = ({ options = {}, ...parts }: LocksParts): LockSettings => ({
  ...parts,
  masterDeadlineMs: options.masterDeadlineMs ?? 300,
  retryMinMs: options.retryMinMs ?? 20,
  retryMaxMs: options.retryMaxMs ?? 120,
  drift: options.drift ?? 0.01,
  maxWaiting: options.maxWaiting ?? 1_000,
  maxReclaims: options.maxReclaims ?? 1_000,
});

/** Rounding of a master's clock, and of ours. */
const ROUNDING_MS = 2;

/** Until when a lock is surely held that was asked for at `askedMs`, on our monotonic clock. */
export const validUntil = ({ drift }: LockSettings, askedMs: number, ttlMs: number): number =>
  askedMs + ttlMs - ttlMs * drift - ROUNDING_MS;

/** No lock is worth a longer wait than its life. */
export const deadlineFor = ({ masterDeadlineMs }: LockSettings, ttlMs: number): number =>
  Math.min(masterDeadlineMs, ttlMs);

export const retryDelay = ({ retryMinMs, retryMaxMs, random }: LockSettings): number =>
  retryMinMs + random.float() * (retryMaxMs - retryMinMs);
