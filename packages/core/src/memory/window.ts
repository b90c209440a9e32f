/** What a window counts: entries by the last millisecond that they may have come in, oldest first. */
export interface StoredWindow {
  entries: { readonly endMs: number; count: number }[];
  expiresMs: number;
}

/** Up to this limit every entry has its own millisecond; beyond, they share buckets of a 64th of the window. */
const EXACT_LIMIT = 128;
const BUCKETS = 64;

export interface Span {
  readonly limit: number;
  readonly windowMs: number;
}

/** Drops what no window that ends now or later holds. Times are whole milliseconds, so an age equal to it may be less. */
const prune = (window: StoredWindow, windowMs: number, nowMs: number): void => {
  // Later than a window from now: the clock was set back, and these times mean nothing any more.
  window.entries = window.entries.filter(({ endMs }) => nowMs - endMs <= windowMs && endMs - nowMs <= 2 * windowMs);
};

export const totalOf = (window: StoredWindow): number => window.entries.reduce((sum, { count }) => sum + count, 0);

/** 0: there is room for `cost` more; else for how long there is not. */
export const waitOf = (
  window: StoredWindow | undefined,
  { limit, windowMs }: Span,
  cost: number,
  nowMs: number,
): number => {
  if (cost > limit) return windowMs;
  if (window === undefined) return 0;
  prune(window, windowMs, nowMs);
  let excess = totalOf(window) + cost - limit;
  if (excess <= 0) return 0;
  for (const { endMs, count } of window.entries) {
    excess -= count;
    if (excess <= 0) return endMs + windowMs + 1 - nowMs;
  }
  return windowMs;
};

export const addTo = (window: StoredWindow, { limit, windowMs }: Span, cost: number, nowMs: number): void => {
  const bucketMs = limit <= EXACT_LIMIT ? 1 : Math.max(1, Math.floor(windowMs / BUCKETS));
  const endMs = nowMs - (nowMs % bucketMs) + bucketMs - 1;
  prune(window, windowMs, nowMs);
  const same = window.entries.find((entry) => entry.endMs === endMs);
  if (same === undefined) window.entries.push({ endMs, count: cost });
  else same.count += cost;
  window.expiresMs = Math.max(window.expiresMs, endMs + windowMs + 1);
};

export const emptyWindow = (): StoredWindow => ({ entries: [], expiresMs: 0 });
