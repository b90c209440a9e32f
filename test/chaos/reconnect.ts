import { closeCodeOf } from '@replyx/protocol';
import type { Closed, SeededRandom } from '@replyx/testkit';

/** As the contract names them. */
const BACKOFF_MS = { first: 1_000, most: 30_000 };
const LONG_BACKOFF_MS = { first: 30_000, most: 300_000 };
const JITTER_MS = 200;
/** A page that was told of no such dialog is loaded again by the person before it. */
const RELOAD_MS = 500;

export type NextConnection =
  | { readonly again: false }
  /** `fresh`: as a page that was loaded again, which has no position. */
  | { readonly again: true; readonly delayMs: number; readonly fresh: boolean };

/**
 * What a client does after a connection has ended, by the table of the contract. `failures`: endings in a row before `connected`;
 * `haste`: by what its times are divided, so that a run of seconds holds many attempts.
 */
export const afterClose = (closed: Closed, failures: number, random: SeededRandom, haste: number): NextConnection => {
  const jitter = ({ first, most }: typeof BACKOFF_MS): number =>
    (random.float() * Math.min(most, first * 2 ** Math.min(failures, 10))) / haste;
  const after = (delayMs: number): NextConnection => ({ again: true, delayMs, fresh: false });
  const told = closed.disconnectFrame?.['reconnect'] as { mode?: string; delay_ms?: number } | undefined;
  const mode = told?.mode ?? closeCodeOf(closed.code)?.reconnect ?? 'backoff';
  switch (mode) {
    case 'never':
      if (closed.code === 4004) return { again: true, delayMs: RELOAD_MS, fresh: true };
      return { again: false };
    case 'delay':
      return after(told?.delay_ms ?? jitter(BACKOFF_MS));
    case 'long_backoff':
      return after(jitter(LONG_BACKOFF_MS));
    case 'now':
      return after(failures > 1 ? jitter(BACKOFF_MS) : 0);
    case 'jitter':
      return after(failures > 1 ? jitter(BACKOFF_MS) : random.float() * JITTER_MS);
    default:
      return after(jitter(BACKOFF_MS));
  }
};
