import {
  COUNTED_BANS,
  type Limiter,
  type RaisedScore,
  type Subject,
  type TakeResult,
  type WindowSpec,
} from '../guard-ports.js';
import type { MemoryCluster } from './cluster.js';
import { countUsers } from './leases.js';
import type { MemoryNode } from './node.js';
import { addTo, emptyWindow, type StoredWindow, totalOf, waitOf } from './window.js';

export class MemoryLimiter implements Limiter {
  readonly #cluster: MemoryCluster;
  readonly #node: MemoryNode;

  constructor(cluster: MemoryCluster, node: MemoryNode) {
    this.#cluster = cluster;
    this.#node = node;
  }

  async take(subject: Subject, windows: readonly WindowSpec[]): Promise<TakeResult> {
    this.#cluster.enter(this.#node);
    const { data, nowMs } = this.#cluster;
    const counted = windows.filter(({ limit }) => limit > 0);
    const keyOf = ({ name }: WindowSpec): string => `${subject.kind}\n${subject.key}\nw\n${name}`;
    let refusal: Extract<TakeResult, { status: 'refused' }> | undefined;
    for (const spec of counted) {
      const retryAfterMs = waitOf(data.windows.get(keyOf(spec)), spec, Math.max(1, spec.cost), nowMs);
      if (retryAfterMs > (refusal?.retryAfterMs ?? 0)) refusal = { status: 'refused', window: spec.name, retryAfterMs };
    }
    if (refusal !== undefined) return refusal;
    for (const spec of counted) if (spec.cost > 0) addTo(this.#window(keyOf(spec)), spec, spec.cost, nowMs);
    return { status: 'taken' };
  }

  async raise(addressKey: string, points: number, windowMs: number): Promise<RaisedScore> {
    this.#cluster.enter(this.#node);
    const { data, nowMs } = this.#cluster;
    const score = this.#window(scoreKey(addressKey));
    addTo(score, { limit: Number.POSITIVE_INFINITY, windowMs }, points, nowMs);
    return {
      score: totalOf(score),
      users: countUsers(data, addressKey, this.#node.live, nowMs),
      bans: (data.bans.get(addressKey) ?? []).filter((untilMs) => untilMs > nowMs).length,
    };
  }

  async countBan(addressKey: string, memoryMs: number): Promise<number> {
    this.#cluster.enter(this.#node);
    const { data, nowMs } = this.#cluster;
    if (!data.windows.delete(scoreKey(addressKey))) return 0;
    const kept = (data.bans.get(addressKey) ?? []).filter((untilMs) => untilMs > nowMs);
    const bans = [...kept, nowMs + memoryMs].slice(-COUNTED_BANS);
    data.bans.set(addressKey, bans);
    return bans.length;
  }

  #window(key: string): StoredWindow {
    const { windows } = this.#cluster.data;
    const known = windows.get(key);
    if (known !== undefined) return known;
    const made = emptyWindow();
    windows.set(key, made);
    return made;
  }
}

const scoreKey = (addressKey: string): string => `ip\n${addressKey}\ns`;
