import type { EncodedHistogram } from '../histogram.js';
import { Histogram } from '../histogram.js';
import { type DriverCounts, LATENCIES, type LatencyName } from './driver-messages.js';

const MAX_NAMES = 64;

/** One more of `name`; names beyond a bound are `other`, so that no server can fill the record. */
export const countIn = (record: Record<string, number>, name: string): void => {
  const key = name in record || Object.keys(record).length < MAX_NAMES ? name : 'other';
  record[key] = (record[key] ?? 0) + 1;
};

/** When the parts of a load begin: its ramp, the quiet part of a flood, and what counts for the percentiles. */
export interface LoadTurns {
  readonly rampFromUs: number;
  readonly quietFromUs: number;
  readonly measureFromUs: number;
}

const NOT_YET: LoadTurns = {
  rampFromUs: Number.POSITIVE_INFINITY,
  quietFromUs: Number.POSITIVE_INFINITY,
  measureFromUs: Number.POSITIVE_INFINITY,
};

/** All that a driver counts and times. Times are in microseconds, from the moment at which something was due. */
export class DriverStats {
  readonly counts: DriverCounts = {
    sent: 0,
    resent: 0,
    acked: 0,
    delivered: 0,
    unsent: 0,
    refused: 0,
    opened: 0,
    joined: 0,
    recovered: 0,
    discontinued: 0,
    others: 0,
    closed: {},
    errors: {},
    turnedAway: {},
    attempts: {},
  };
  #turns: LoadTurns = NOT_YET;
  readonly #latencies = Object.fromEntries(LATENCIES.map((name) => [name, new Histogram()])) as Record<
    LatencyName,
    Histogram
  >;
  readonly #interval = new Histogram();
  readonly #otherInterval = new Histogram();

  /** Until it is known when, nothing belongs to the load. */
  startLoad(turns: LoadTurns): void {
    this.#turns = turns;
  }

  delivered(dueUs: number, nowUs: number): void {
    const took = nowUs - dueUs;
    this.counts.delivered += 1;
    this.#interval.record(took);
    if (dueUs >= this.#turns.measureFromUs) this.#latencies.delivery.record(took);
    else if (dueUs >= this.#turns.quietFromUs) this.#latencies.quiet.record(took);
  }

  acked(dueUs: number, nowUs: number): void {
    this.counts.acked += 1;
    if (dueUs >= this.#turns.measureFromUs) this.#latencies.ack.record(nowUs - dueUs);
  }

  /** What is not about a message. */
  took(name: 'connect' | 'recovery' | 'refusal', dueUs: number, nowUs: number): void {
    const { rampFromUs, quietFromUs } = this.#turns;
    // Sockets that are opened before the load count: they have a rate of their own.
    if (dueUs < rampFromUs || dueUs >= quietFromUs) this.#latencies[name].record(nowUs - dueUs);
    this.#otherInterval.record(nowUs - dueUs);
  }

  late(us: number): void {
    this.#latencies.late.record(us);
  }

  lag(us: number): void {
    this.#latencies.lag.record(us);
  }

  /** The latencies since the last call. */
  takeInterval(): { delivery: EncodedHistogram; other: EncodedHistogram } {
    const taken = { delivery: this.#interval.encode(), other: this.#otherInterval.encode() };
    this.#interval.clear();
    this.#otherInterval.clear();
    return taken;
  }

  latencies(): Record<LatencyName, EncodedHistogram> {
    return Object.fromEntries(LATENCIES.map((name) => [name, this.#latencies[name].encode()])) as Record<
      LatencyName,
      EncodedHistogram
    >;
  }
}
