import {
  COUNTED_BANS,
  COUNTED_USERS,
  type Limiter,
  type RaisedScore,
  type Subject,
  type TakeResult,
  type WindowSpec,
} from '@replyx/core';
import type { Keys } from './keys.js';
import { SCRIPTS } from './scripts.js';
import { liveNames, type NodeState } from './state.js';
import type { Topology } from './topology.js';

/** Up to this limit a window is an exact list of times; beyond, buckets, whose cost does not grow with the limit. */
const EXACT_LIMIT = 128;

export class RedisLimiter implements Limiter {
  readonly #keys: Keys;
  readonly #topology: Topology;
  readonly #state: NodeState;

  constructor(keys: Keys, topology: Topology, state: NodeState) {
    this.#keys = keys;
    this.#topology = topology;
    this.#state = state;
  }

  async take(subject: Subject, windows: readonly WindowSpec[]): Promise<TakeResult> {
    const counted = windows.filter(({ limit }) => limit > 0);
    if (counted.length === 0) return { status: 'taken' };
    const keys = this.#keys.subject(subject);
    const reply = (await this.#topology.link(keys.slot).run(
      SCRIPTS.take,
      counted.map(({ name, limit }) => keys.window(name, limit <= EXACT_LIMIT ? 'list' : 'buckets')),
      counted.flatMap(({ limit, windowMs, cost }) => [limit <= EXACT_LIMIT ? 'l' : 'b', limit, windowMs, cost]),
    )) as number[];
    const [refused, retryAfterMs] = reply;
    if (refused === undefined) return { status: 'taken' };
    return { status: 'refused', window: counted[refused - 1]?.name ?? '', retryAfterMs: Number(retryAfterMs) };
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
