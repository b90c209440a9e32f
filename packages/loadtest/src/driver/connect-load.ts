import type { RateSchedule } from '../rate-schedule.js';
import type { RunClock } from '../run-clock.js';
import { Client, type LoadDialog } from './client.js';
import type { Crowd } from './crowd.js';
import { pace, until } from './pacing.js';

/** Handshakes of a driver at once. What has to wait for a place stays due when it was, and its latency says so. */
const MAX_IN_FLIGHT = 500;
const DRAIN_MS = 20_000;
const HOPELESS_MS = 10_000;

/** Opens connections at a rate; each leaves when it has joined. */
export class ConnectLoad {
  readonly #crowd: Crowd;
  readonly #clock: RunClock;
  readonly #role: 'visitor' | 'operator';
  #inFlight = 0;
  #stopped = false;

  constructor(crowd: Crowd, clock: RunClock, role: 'visitor' | 'operator') {
    this.#crowd = crowd;
    this.#clock = clock;
    this.#role = role;
  }

  async run(schedule: RateSchedule, startUs: number, dialogs: readonly LoadDialog[]): Promise<void> {
    await pace({
      clock: this.#clock,
      schedule,
      startUs,
      isStopped: () => this.#stopped,
      onDue: (n, dueUs) => {
        if (this.#inFlight >= MAX_IN_FLIGHT) return false;
        const dialog = dialogs[n % dialogs.length];
        if (dialog === undefined) return true;
        this.#inFlight += 1;
        // Each is a tab of its own: the same one twice would put out the other.
        const client = new Client(dialog, { slot: Math.floor(n / dialogs.length), role: this.#role });
        client.once = true;
        this.#crowd.open(client, dueUs);
        return true;
      },
    });
    await until(() => this.#inFlight <= 0, DRAIN_MS);
  }

  stop(): void {
    this.#stopped = true;
  }

  /** A client of this load has joined or was turned away. */
  ended(client: Client): void {
    this.#inFlight -= 1;
    if (client.state === 'joined') this.#crowd.close(client);
  }
}

/** Opens the clients that a driver holds, at a rate, and waits until each has joined or will not. */
export const openAll = async (
  crowd: Crowd,
  clients: readonly Client[],
  {
    clock,
    schedule,
    isStopped,
    deadlineMs,
  }: { clock: RunClock; schedule: RateSchedule; isStopped: () => boolean; deadlineMs: number },
): Promise<void> => {
  const end = performance.now() + deadlineMs;
  let someInMs = performance.now();
  // Where nobody was in for a while, nobody will be: an address that does not answer should not take a minute to say so.
  const isHopeless = (): boolean => {
    if (crowd.size > 0) someInMs = performance.now();
    return performance.now() - someInMs > HOPELESS_MS;
  };
  let opened = 0;
  let unsettled = 0;
  const settled = (): number => {
    let count = 0;
    for (let i = 0; i < opened; i += 1) {
      const state = clients[i]?.state;
      if (state === 'joined' || state === 'gone') count += 1;
    }
    return count;
  };
  await pace({
    clock,
    schedule,
    startUs: clock.nowUs(),
    isStopped: () => isStopped() || performance.now() > end || isHopeless(),
    onDue: (n, dueUs) => {
      if (unsettled >= MAX_IN_FLIGHT) {
        unsettled = opened - settled();
        if (unsettled >= MAX_IN_FLIGHT) return false;
      }
      const client = clients[n];
      if (client !== undefined) crowd.open(client, dueUs);
      opened += 1;
      unsettled += 1;
      return true;
    },
  });
  await until(() => settled() >= clients.length || isHopeless(), end - performance.now(), isStopped);
};
