import { BackplaneUnavailable, type Clock } from '@replyx/core';

/** Rejects with `BackplaneUnavailable` when `promise` takes longer; leaves no timer behind. */
export const withDeadline = async <T>(
  promise: Promise<T>,
  deadlineMs: number,
  what: string,
  clock: Clock,
): Promise<T> => {
  let cancel = (): void => {};
  const guard = new Promise<never>((_, reject) => {
    cancel = clock.schedule(deadlineMs, () => reject(new BackplaneUnavailable(`Redis: ${what} took too long`)));
  });
  try {
    return await Promise.race([promise, guard]);
  } finally {
    cancel();
  }
};
