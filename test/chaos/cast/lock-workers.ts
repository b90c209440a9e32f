import type { Backend } from '../backend.js';
import type { PartOptions } from './part.js';
import { askOnce, askPatiently } from './patient-api.js';
import { sleep, Turns } from './turns.js';

const WORKERS = 3;
const STALLED_IN = 4;
const RENEWED_IN = 3;
const FORMER_IN = 4;

interface Granted {
  readonly lock_id: string;
  readonly fence: number;
  readonly expires_in_ms: number;
}

/**
 * Workers that contend for the locks of dialogs and write with their fences: some renew, some stand still past the end of their lock
 * and go on to write, some are long out of their turn.
 */
export const lockWorkers = ({
  journal,
  random,
  nodes,
  dialogs,
  backend,
}: PartOptions & { readonly backend: Backend }): Turns => {
  const former = new Map<string, number>();
  let serial = 0;

  const write = async (dialog: string, fence: number): Promise<void> => {
    await backend.publish(dialog, `under ${fence}: ${random.below(1_000_000)}`, 'main', fence);
  };

  const acquire = async (who: string, dialog: string, ttl_ms: number) => {
    const since = journal.now;
    const answer = await askOnce({ nodes, random }, (api) =>
      api.post(`/v1/dialogs/${dialog}/lock`, { owner: who, ttl_ms, wait_ms: random.below(600) }),
    );
    if (answer?.status !== 201) return undefined;
    const { lock_id: lock, fence, expires_in_ms: forMs } = answer.body as Granted;
    journal.write({ kind: 'locked', who, dialog, lock, fence, since, forMs });
    return { lock, fence };
  };

  const turn = async (): Promise<void> => {
    const dialog = random.pick(dialogs);
    serial += 1;
    const who = `worker-${serial}`;
    const ttlMs = 300 + random.below(1_200);
    const past = former.get(dialog);
    if (past !== undefined && random.below(FORMER_IN) === 0) await write(dialog, past);
    const held = await acquire(who, dialog, ttlMs);
    if (held === undefined) return;
    const { lock, fence } = held;
    for (let left = random.below(3); left > 0; left -= 1) await write(dialog, fence);
    if (random.below(RENEWED_IN) === 0) {
      const since = journal.now;
      const renewed = await askOnce({ nodes, random }, (api) =>
        api.put(`/v1/dialogs/${dialog}/lock/${lock}`, { ttl_ms: ttlMs }),
      );
      if (renewed?.status === 200)
        journal.write({ kind: 'locked', who, dialog, lock, fence, since, forMs: renewed.body.expires_in_ms });
    }
    if (random.below(STALLED_IN) === 0) {
      await sleep(ttlMs + random.below(500));
      await write(dialog, fence);
      former.set(dialog, fence);
      return;
    }
    await write(dialog, fence);
    journal.write({ kind: 'unlocking', who, dialog, lock });
    await askPatiently({ nodes, random, isRunning: () => turns.running }, (api) =>
      api.delete(`/v1/dialogs/${dialog}/lock/${lock}`),
    );
    former.set(dialog, fence);
  };

  const turns = new Turns({ random, width: WORKERS, pauseMs: [50, 500], turn });
  return turns;
};
