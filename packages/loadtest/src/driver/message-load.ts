import { writeMessageId } from '../message-id.js';
import type { RateSchedule } from '../rate-schedule.js';
import type { RunClock } from '../run-clock.js';
import type { Client, LoadDialog } from './client.js';
import type { Crowd } from './crowd.js';
import type { DriverStats } from './driver-stats.js';
import { pace } from './pacing.js';

/** Messages of a driver that are on their way at once; past it the server is not keeping up, and more would only measure memory. */
const MAX_IN_FLIGHT = 100_000;
const MAX_TRIES = 6;

export interface MessageLoadParts {
  readonly run: string;
  readonly driver: number;
  readonly textBytes: number;
  readonly crowd: Crowd;
  readonly clock: RunClock;
  readonly stats: DriverStats;
}

/** Sends messages when they are due, whatever has become of the earlier ones, and again where a client would. */
export class MessageLoad {
  readonly #parts: MessageLoadParts;
  readonly #tail: string;
  #stopped = false;

  constructor(parts: MessageLoadParts) {
    this.#parts = parts;
    this.#tail = `","text":"${'x'.repeat(parts.textBytes)}"}`;
  }

  /** Resolves when all of the schedule has been sent, or when the load is stopped. `startUs`: time 0 of the schedule. */
  run(schedule: RateSchedule, startUs: number, dialogs: readonly LoadDialog[]): Promise<void> {
    const { clock, stats } = this.#parts;
    const { counts } = stats;
    return pace({
      clock,
      schedule,
      startUs,
      isStopped: () => this.#stopped,
      onDue: (n, dueUs) => {
        if (counts.sent - counts.acked - counts.refused >= MAX_IN_FLIGHT) {
          counts.unsent += 1;
          return true;
        }
        const dialog = dialogs[n % dialogs.length];
        const client = dialog?.nextWriter();
        if (client === undefined) return true;
        this.send(client, dueUs);
        stats.late(clock.nowUs() - dueUs);
        return true;
      },
    });
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Without a connection it waits for the next one: a user who types while the network is away waits too. */
  send(client: Client, dueUs: number): void {
    const { run, driver, stats } = this.#parts;
    const { dialog } = client;
    const { seq } = dialog.check.sent(dueUs, client);
    stats.counts.sent += 1;
    if (client.state === 'joined') this.#write(client, writeMessageId(run, driver, dialog.index, seq, dueUs));
  }

  /** After a join: what was not acknowledged is sent again with its id. */
  resendAll(client: Client): void {
    for (const entry of client.dialog.check.pending.values()) {
      if (entry.sender === client && entry.ackedOffset === 0 && !entry.refused) this.resend(client, entry.seq);
    }
  }

  resend(client: Client, seq: number): void {
    const { run, driver, stats } = this.#parts;
    const entry = client.dialog.check.pending.get(seq);
    if (entry === undefined || entry.ackedOffset !== 0 || entry.refused || client.state !== 'joined') return;
    stats.counts.resent += 1;
    this.#write(client, writeMessageId(run, driver, client.dialog.index, seq, entry.dueUs));
  }

  /** The server refused it for now. */
  retry(client: Client, seq: number, afterMs: number): void {
    const { crowd, stats } = this.#parts;
    const entry = client.dialog.check.pending.get(seq);
    if (entry === undefined) return;
    entry.tries += 1;
    if (entry.tries < MAX_TRIES) {
      crowd.wheel.schedule(afterMs * (1 + Math.random()), { what: 'resend', client, seq });
      return;
    }
    stats.counts.refused += 1;
    client.dialog.check.refused(seq, true);
  }

  #write(client: Client, id: string): void {
    client.link?.send(`{"type":"message","id":"${id}${this.#tail}`);
  }
}
