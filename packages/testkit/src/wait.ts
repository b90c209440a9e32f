export interface UntilOptions {
  /** What is waited for, as the failure shall say it. */
  readonly what: string;
  /** Only a guard against hanging for ever, never a duration that a test relies on. Default 30000. */
  readonly hangGuardMs?: number;
  /** Pause between two looks. Default 15. */
  readonly everyMs?: number;
}

/**
 * Waits for a condition, never for time: looks again and again until `condition` gives something truthy, and returns
 * it. A throw counts as "not yet" and is named in the failure. Rejects when the guard runs out.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  options: UntilOptions,
): Promise<Exclude<T, false | null | undefined | 0 | ''>> {
  const { what, hangGuardMs = 30_000, everyMs = 15 } = options;
  const started = performance.now();
  let last: unknown;
  let thrown: unknown;
  for (;;) {
    try {
      last = await condition();
      thrown = undefined;
      if (last) return last as Exclude<T, false | null | undefined | 0 | ''>;
    } catch (error) {
      thrown = error;
    }
    if (performance.now() - started > hangGuardMs) {
      const seen = thrown === undefined ? `last value ${JSON.stringify(last)}` : `last error: ${String(thrown)}`;
      throw new Error(`waited ${hangGuardMs} ms for ${what}; ${seen}`, { cause: thrown });
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/** Rejects with `failure()` when `promise` has not settled within the guard; leaves no timer behind. */
export async function within<T>(promise: Promise<T>, hangGuardMs: number, failure: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const guard = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(failure())), hangGuardMs);
  });
  try {
    return await Promise.race([promise, guard]);
  } finally {
    clearTimeout(timer);
  }
}
