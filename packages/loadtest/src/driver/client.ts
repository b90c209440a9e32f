import { type DeliveryFaults, DialogCheck } from '../dialog-check.js';
import type { PlannedClient, PlannedDialog } from '../load-plan.js';
import { OffsetTrack } from '../offset-track.js';
import type { Link } from './link.js';

/** `idle`: not wanted; `waiting`: for its time to reconnect; `gone`: will not come back. */
export type ClientState = 'idle' | 'connecting' | 'joined' | 'waiting' | 'gone';

/** A reader and writer of one dialog, over all its connections. There are tens of thousands: fields only. */
export class Client {
  readonly dialog: LoadDialog;
  readonly planned: PlannedClient;
  readonly track = new OffsetTrack();
  state: ClientState = 'idle';
  link: Link | undefined;
  /** Empty before the first join. */
  epoch = '';
  /** Which of the addresses is next; grows with each loss, so that the next node is tried. */
  urlTurn = 0;
  /** Failures in a row. */
  failures = 0;
  /** When the connection was due. */
  dueUs = 0;
  /** While it catches up: the offset at which it is whole, and since when it should be. */
  recoverTo = 0;
  recoverFromUs = 0;
  /** It was cut by us: what it missed meanwhile was not late by the server's doing. */
  excused = false;
  /** Not to be reconnected. */
  once = false;
  /** What the server asked for in its last words, in milliseconds; -1 where it did not. */
  askedDelayMs = -1;

  constructor(dialog: LoadDialog, planned: PlannedClient) {
    this.dialog = dialog;
    this.planned = planned;
  }
}

export class LoadDialog {
  readonly index: number;
  readonly id: string;
  readonly check: DialogCheck<Client>;
  readonly clients: readonly Client[];
  /** Those of the clients that send. */
  readonly writers: readonly Client[];
  #turn = 0;

  constructor(planned: PlannedDialog, faults: DeliveryFaults, writers = planned.clients.length) {
    this.index = planned.index;
    this.id = planned.id;
    this.check = new DialogCheck(faults);
    this.clients = planned.clients.map((client) => new Client(this, client));
    this.writers = this.clients.slice(0, writers);
  }

  /** They write in turn. Whoever was cut by us is passed over; whoever lost its connection keeps its turn, and its message waits. */
  nextWriter(): Client | undefined {
    for (let tried = 0; tried < this.writers.length; tried += 1) {
      const writer = this.writers[this.#turn % this.writers.length];
      this.#turn += 1;
      if (writer !== undefined && !(writer.excused && writer.state !== 'joined')) return writer;
    }
    return this.writers[0];
  }
}
