/** A clock that only moves when told; it has the shape of core's `Clock`. */
export interface FakeClock {
  /** Wall time, milliseconds since 1970. */
  nowMs(): number;
  /** Milliseconds since the clock was made; never jumps. */
  monotonicMs(): number;
  /** Runs `task` once when the monotonic time has advanced by `delayMs`; returns its cancellation. */
  schedule(delayMs: number, task: () => void): () => void;
  /** Moves time and runs what falls due, in order of due time, then of scheduling; tasks see their own due time. */
  advance(ms: number): void;
  /** As `advance`, and lets promises settle before, between and after the tasks. */
  advanceAsync(ms: number): Promise<void>;
  /** Moves wall time alone, forwards or backwards, as an adjusted system clock does. */
  jumpWall(ms: number): void;
  /** Tasks that are scheduled and neither ran nor were cancelled. */
  pending(): number;
}

interface Timer {
  readonly dueMs: number;
  readonly serial: number;
  readonly task: () => void;
}

/** Default start: 2026-01-01T00:00:00Z. */
export function fakeClock(startMs = 1_767_225_600_000): FakeClock {
  let wallMs = startMs;
  let monotonic = 0;
  let serial = 0;
  const timers = new Set<Timer>();

  const moveTo = (targetMs: number): void => {
    wallMs += targetMs - monotonic;
    monotonic = targetMs;
  };
  const takeDue = (limitMs: number): Timer | undefined => {
    let first: Timer | undefined;
    for (const timer of timers) {
      if (timer.dueMs > limitMs) continue;
      if (first === undefined || timer.dueMs < first.dueMs) first = timer;
      else if (timer.dueMs === first.dueMs && timer.serial < first.serial) first = timer;
    }
    if (first !== undefined) timers.delete(first);
    return first;
  };
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const runOne = (limitMs: number): boolean => {
    const timer = takeDue(limitMs);
    if (timer === undefined) return false;
    moveTo(Math.max(monotonic, timer.dueMs));
    timer.task();
    return true;
  };

  return {
    nowMs: () => wallMs,
    monotonicMs: () => monotonic,
    schedule(delayMs, task) {
      const timer: Timer = { dueMs: monotonic + Math.max(0, delayMs), serial: serial++, task };
      timers.add(timer);
      return () => {
        timers.delete(timer);
      };
    },
    advance(ms) {
      const limitMs = monotonic + ms;
      while (runOne(limitMs));
      moveTo(Math.max(monotonic, limitMs));
    },
    async advanceAsync(ms) {
      const limitMs = monotonic + ms;
      await settle();
      while (runOne(limitMs)) await settle();
      moveTo(Math.max(monotonic, limitMs));
      await settle();
    },
    jumpWall(ms) {
      wallMs += ms;
    },
    pending: () => timers.size,
  };
}
