import type { Clock, Random } from './clock.js';
import type { Session } from './session.js';

export interface PacedCloseParts {
  readonly clock: Clock;
  readonly random: Pick<Random, 'float'>;
  /** Time over which the closes are spread. */
  readonly paceMs: number;
  /** Time from the first close over which clients are told to spread their return; at least `paceMs`. */
  readonly spreadMs: number;
}

export interface PacedClose {
  /** Resolves when every session was told. */
  readonly done: Promise<void>;
  /** Closes all that are left at once. */
  hurry(): void;
}

const SLICE_MS = 50;

/**
 * Closes sessions so that they resume elsewhere: evenly over `paceMs`, each told a wait of its own within what is left of `spreadMs`,
 * so that neither this node nor those that take over meet a stampede.
 */
export const closePaced = (sessions: Iterable<Pick<Session, 'close'>>, parts: PacedCloseParts): PacedClose => {
  const { clock, random, paceMs, spreadMs } = parts;
  const left = [...sessions];
  const slices = Math.max(1, Math.ceil(paceMs / SLICE_MS));
  const aSlice = Math.max(1, Math.ceil(left.length / slices));
  const sinceMs = clock.monotonicMs();
  let next = 0;
  let cancel = (): void => {};
  let resolve: () => void = () => {};
  const done = new Promise<void>((settle) => {
    resolve = settle;
  });

  const close = (count: number): void => {
    const roomMs = Math.max(0, spreadMs - (clock.monotonicMs() - sinceMs));
    for (const end = Math.min(left.length, next + count); next < end; next += 1) {
      left[next]?.close('SERVICE_RESTART', Math.round(random.float() * roomMs));
    }
  };
  const turn = (): void => {
    close(aSlice);
    if (next < left.length) cancel = clock.schedule(SLICE_MS, turn);
    else resolve();
  };
  turn();
  return {
    done,
    hurry: () => {
      cancel();
      close(left.length);
      resolve();
    },
  };
};
