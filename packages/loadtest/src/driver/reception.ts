import { FrameScanner } from '../frame-scan.js';
import { MessageIdReader } from '../message-id.js';
import type { RunClock } from '../run-clock.js';
import type { Client } from './client.js';
import { noteAskedDelay, parsed } from './crowd.js';
import { countIn, type DriverStats } from './driver-stats.js';

export interface ReceptionHooks {
  /** A message was refused for now; it is to be sent again after the wait. */
  retry(client: Client, seq: number, afterMs: number): void;
  /** The client has received all up to the offset at which it is whole. */
  whole(client: Client, nowUs: number): void;
}

const MIN_RETRY_MS = 200;
const MAX_RETRY_MS = 10_000;

/** First letters of types that are no business of a load test: presence, pong, typing, handoff, history, note. */
const SKIPPED = new Set([...'pthn'].map((letter) => letter.charCodeAt(0)));

/** Reads the frames of joined clients: times them, checks them. */
export class Reception {
  readonly #driver: number;
  readonly #ownDialogs: boolean;
  readonly #clock: RunClock;
  readonly #stats: DriverStats;
  readonly #hooks: ReceptionHooks;
  readonly #scanner = new FrameScanner();
  readonly #id: MessageIdReader;

  constructor(
    { run, driver, ownDialogs }: { run: string; driver: number; ownDialogs: boolean },
    { clock, stats, hooks }: { clock: RunClock; stats: DriverStats; hooks: ReceptionHooks },
  ) {
    this.#driver = driver;
    this.#ownDialogs = ownDialogs;
    this.#clock = clock;
    this.#stats = stats;
    this.#hooks = hooks;
    this.#id = new MessageIdReader(run);
  }

  frame(client: Client, bytes: Buffer): void {
    const scanner = this.#scanner;
    const kind = scanner.scan(bytes);
    if (kind === 'message') this.#message(client, scanner.offset, bytes, scanner.idStart, scanner.idEnd);
    else if (kind === 'ack') this.#ack(client, scanner.offset, bytes, scanner.idStart, scanner.idEnd);
    else if (!SKIPPED.has(bytes[9] ?? 0)) this.#other(client, bytes);
  }

  #message(client: Client, offset: number, bytes: Uint8Array, idStart: number, idEnd: number): void {
    const { check, index } = client.dialog;
    const id = this.#id;
    const nowUs = this.#clock.nowUs();
    if (!id.read(bytes, idStart, idEnd)) {
      check.received(client.track, offset, undefined);
      if (this.#ownDialogs) check.foreign();
      else this.#stats.counts.others += 1;
    } else if (id.dialog !== index) {
      check.received(client.track, offset, undefined);
      check.foreign();
    } else {
      const seen = check.received(client.track, offset, id.driver === this.#driver ? id.seq : undefined);
      const isRecovered = client.excused && client.recoverTo !== 0;
      if (seen !== 'repeated' && !isRecovered) this.#stats.delivered(id.dueUs, nowUs);
      // It was due while we kept the client away: the recovery is timed, not the message.
      else if (seen !== 'repeated') this.#stats.counts.delivered += 1;
    }
    if (client.recoverTo !== 0 && client.track.last >= client.recoverTo) this.#hooks.whole(client, nowUs);
  }

  #ack(client: Client, offset: number, bytes: Uint8Array, idStart: number, idEnd: number): void {
    if (!this.#id.read(bytes, idStart, idEnd)) return;
    const entry = client.dialog.check.acked(this.#id.seq, offset);
    if (entry !== undefined) this.#stats.acked(entry.dueUs, this.#clock.nowUs());
  }

  #other(client: Client, bytes: Buffer): void {
    const frame = parsed(bytes);
    switch (frame?.['type']) {
      case 'message':
        this.#parsedMessage(client, frame);
        break;
      case 'ack': {
        const id = Buffer.from(String(frame['id']));
        this.#ack(client, Number(frame['offset']), id, 0, id.length);
        break;
      }
      case 'error':
        this.#error(client, frame);
        break;
      case 'reset':
        if (frame['track'] === 'main') this.#reset(client, String(frame['epoch']), Number(frame['offset']));
        break;
      case 'disconnect':
        noteAskedDelay(client, frame);
        break;
      case undefined:
        countIn(this.#stats.counts.errors, 'bad_server_frame');
        break;
      default:
    }
  }

  #reset(client: Client, epoch: string, offset: number): void {
    this.#stats.counts.discontinued += 1;
    client.epoch = epoch;
    client.track.restart(offset);
    client.dialog.check.startEpoch(epoch, offset);
  }

  #parsedMessage(client: Client, frame: Readonly<Record<string, unknown>>): void {
    const id = Buffer.from(String(frame['id']));
    this.#message(client, Number(frame['offset']), id, 0, id.length);
  }

  #error(client: Client, frame: Readonly<Record<string, unknown>>): void {
    const { counts } = this.#stats;
    countIn(counts.errors, String(frame['code']));
    const id = Buffer.from(String(frame['id'] ?? ''));
    if (!this.#id.read(id, 0, id.length)) return;
    const { seq } = this.#id;
    if (frame['temporary'] === true) {
      const asked = Number(frame['retry_after_ms'] ?? 0);
      this.#hooks.retry(client, seq, Math.min(MAX_RETRY_MS, Math.max(MIN_RETRY_MS, asked)));
      return;
    }
    counts.refused += 1;
    client.dialog.check.refused(seq, false);
  }
}
