import type { LoadPlan } from '../load-plan.js';
import { rateSchedule } from '../rate-schedule.js';
import type { RunClock } from '../run-clock.js';
import type { Client, LoadDialog } from './client.js';
import type { Crowd } from './crowd.js';
import type { MessageLoad } from './message-load.js';
import { pace, until } from './pacing.js';

/** For the ends of so many connections, so that they are not what the messages wait for. */
const CUT_MS = 200;
const ACKS_DEADLINE_MS = 20_000;
const RECOVERY_DEADLINE_MS = 60_000;
/** What a wave may wait beside its messages and its spread. */
export const STORM_WAITS_MS = CUT_MS + ACKS_DEADLINE_MS + RECOVERY_DEADLINE_MS;

const isWhole = (client: Client): boolean =>
  client.state === 'joined' && client.recoverTo === 0 && client.track.last >= client.dialog.check.head;

/** Cuts all readers at once, lets them miss something, and brings them back. */
export const storm = async (
  plan: LoadPlan,
  dialogs: readonly LoadDialog[],
  parts: {
    readonly crowd: Crowd;
    readonly load: MessageLoad;
    readonly clock: RunClock;
    readonly isStopped: () => boolean;
  },
): Promise<void> => {
  const { crowd, load, clock, isStopped } = parts;
  const readers = dialogs.flatMap((dialog) => dialog.clients.filter((client) => !dialog.writers.includes(client)));
  for (let wave = 0; wave < plan.waves && !isStopped(); wave += 1) {
    for (const reader of readers) crowd.cut(reader);
    await until(() => false, CUT_MS, isStopped);
    const messages = dialogs.length * plan.missed;
    const perSecond = plan.rate / plan.drivers;
    const missed = rateSchedule({ perSecond, rampMs: 0, holdMs: (messages * 1000) / perSecond });
    await load.run(missed, clock.nowUs(), dialogs);
    const isAcked = ({ check, writers }: LoadDialog): boolean => writers.every((writer) => !check.isAwaitedBy(writer));
    await until(() => dialogs.every(isAcked), ACKS_DEADLINE_MS, isStopped);
    // All of them at once, or evenly over the spread; each is due when it is due, however long the queue before it.
    const back = {
      total: readers.length,
      dueMs: (n: number) => (plan.spreadMs * n) / Math.max(1, readers.length),
    };
    await pace({
      clock,
      schedule: back,
      startUs: clock.nowUs(),
      isStopped,
      onDue: (n, dueUs) => {
        const reader = readers[n];
        if (reader === undefined) return true;
        reader.recoverFromUs = dueUs;
        crowd.open(reader, dueUs);
        return true;
      },
    });
    await until(() => readers.every(isWhole), RECOVERY_DEADLINE_MS, isStopped);
  }
};
