import {
  COUNTED_BANS,
  COUNTED_USERS,
  type Limiter,
  type RaisedScore,
  type Subject,
  type TakeResult,
  type WindowSpec,
} from '@replyx/core';
import { Gathering } from './gathering.js';
import type { Keys } from './keys.js';
import { SCRIPTS } from './scripts.js';
import { liveNames, type NodeState } from './state.js';
import type { Topology } from './topology.js';

/** Up to this limit a window is an exact list of times; beyond, buckets, whose cost does not grow with the limit. */
const EXACT_LIMIT = 128;
/** Subjects of which one script takes. */
const SUBJECTS_A_CALL = 100;

const TAKEN: TakeResult = { status: 'taken' };

/** What is taken from one subject's windows. */
interface Taking {
  readonly slot: number;
  readonly windows: readonly WindowSpec[];
  readonly keys: readonly string[];
}

const formOf = ({ limit }: WindowSpec): 'list' | 'buckets' => (limit <= EXACT_LIMIT ? 'list' : 'buckets');

export class RedisLimiter implements Limiter {
  readonly #keys: Keys;
  readonly #topology: Topology;
  readonly #state: NodeState;
  /** Newcomers come together. */
  readonly #takes: Gathering<Taking, TakeResult>;

  constructor(keys: Keys, topology: Topology, state: NodeState) {
    this.#keys = keys;
    this.#topology = topology;
    this.#takes = new Gathering(topology, SUBJECTS_A_CALL, (takings) => this.#takeAll(takings));
    this.#state = state;
  }

  async take(subject: Subject, windows: readonly WindowSpec[]): Promise<TakeResult> {
    const counted = windows.filter(({ limit }) => limit > 0);
    if (counted.length === 0) return TAKEN;
    const { slot, window } = this.#keys.subject(subject);
    const keys = counted.map((spec) => window(spec.name, formOf(spec)));
    return this.#takes.ask(slot, { slot, windows: counted, keys });
  }

  async #takeAll(takings: readonly Taking[]): Promise<TakeResult[]> {
    const keys: string[] = [];
    const args: (string | number)[] = [];
    for (const taking of takings) {
      keys.push(...taking.keys);
      args.push(taking.windows.length);
      for (const spec of taking.windows)
        args.push(formOf(spec) === 'list' ? 'l' : 'b', spec.limit, spec.windowMs, spec.cost);
    }
    const { slot } = takings[0] as Taking;
    const reply = (await this.#topology.link(slot).run(SCRIPTS.take, keys, args)) as number[];
    const results = takings.map((): TakeResult => TAKEN);
    for (let i = 0; i < reply.length; i += 3) {
      const [subject = 0, window = 0, retryAfterMs = 0] = reply.slice(i, i + 3);
      const name = takings[subject - 1]?.windows[window - 1]?.name ?? '';
      results[subject - 1] = { status: 'refused', window: name, retryAfterMs };
    }
    return results;
  }

  async raise(addressKey: string, points: number, windowMs: number): Promise<RaisedScore> {
    const keys = this.#keys.address(addressKey);
    const reply = (await this.#topology
      .link(keys.slot)
      .run(
        SCRIPTS.raise,
        [keys.score, keys.bans, ...liveNames(this.#state.live).map(keys.users)],
        [points, windowMs, COUNTED_USERS],
      )) as number[];
    const [score = 0, users = 0, bans = 0] = reply;
    return { score, users, bans };
  }

  async countBan(addressKey: string, memoryMs: number): Promise<number> {
    const keys = this.#keys.address(addressKey);
    return Number(
      await this.#topology.link(keys.slot).run(SCRIPTS.countBan, [keys.score, keys.bans], [memoryMs, COUNTED_BANS]),
    );
  }
}
