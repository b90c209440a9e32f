import type { RateSchedule } from '../rate-schedule.js';
import type { RunClock } from '../run-clock.js';

/** Time that one turn of the event loop may go on with events that are due; longer would keep the answers waiting. */
const TURN_US = 4_000;

export interface Pacing {
  readonly clock: RunClock;
  readonly schedule: RateSchedule;
  readonly startUs: number;
  readonly isStopped: () => boolean;
  /** The n-th event is due, or overdue. False: there is no room for it now; it is offered again, and stays due when it was. */
  readonly onDue: (n: number, dueUs: number) => boolean;
}

/** Hands out the events of a schedule when they are due. Resolves after the last, or when it is stopped. */
export const pace = ({ clock, schedule, startUs, isStopped, onDue }: Pacing): Promise<void> => {
  let next = 0;
  return new Promise((resolve) => {
    const turn = (): void => {
      const nowUs = clock.nowUs();
      while (next < schedule.total && !isStopped()) {
        const dueUs = Math.round(startUs + schedule.dueMs(next) * 1000);
        if (dueUs > nowUs || !onDue(next, dueUs)) break;
        next += 1;
        if (clock.nowUs() - nowUs < TURN_US) continue;
        setImmediate(turn);
        return;
      }
      if (next < schedule.total && !isStopped()) setTimeout(turn, 1);
      else resolve();
    };
    turn();
  });
};

const POLL_MS = 10;

/** Resolves true when the condition holds, false when the time is over or it is stopped. */
export const until = async (
  condition: () => boolean,
  deadlineMs: number,
  isStopped: () => boolean = () => false,
): Promise<boolean> => {
  const end = performance.now() + deadlineMs;
  while (!condition()) {
    if (performance.now() >= end || isStopped()) return false;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return true;
};
