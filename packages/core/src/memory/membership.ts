import type { BeatResult, Membership, NodeInfo } from '../ports.js';
import type { MemoryCluster } from './cluster.js';
import type { MemoryNode } from './node.js';

export class MemoryMembership implements Membership {
  readonly #cluster: MemoryCluster;
  readonly #node: MemoryNode;
  /** Time of the newest heartbeat; undefined before the first. */
  #lastMs: number | undefined;

  constructor(cluster: MemoryCluster, node: MemoryNode) {
    this.#cluster = cluster;
    this.#node = node;
  }

  async beat(info: NodeInfo): Promise<BeatResult> {
    this.#cluster.enter(this.#node);
    const { beats } = this.#cluster.data;
    const nowMs = this.#cluster.nowMs;
    const { nodeTtlMs } = this.#node.options;
    const last = beats.get(info.incarnation);
    const before = this.#lastMs;
    const broken = last === undefined || nowMs - last.atMs >= nodeTtlMs;
    const lapsed = before !== undefined && (broken || last.atMs < before);
    beats.set(info.incarnation, { info, atMs: nowMs });
    this.#lastMs = nowMs;
    const live: NodeInfo[] = [];
    const dead: string[] = [];
    for (const [incarnation, beat] of beats) {
      if (nowMs - beat.atMs < nodeTtlMs) live.push(beat.info);
      else dead.push(incarnation);
    }
    this.#node.live = new Set([this.#node.incarnation, ...live.map(({ incarnation }) => incarnation)]);
    return { live, dead, lapsed };
  }

  async forget(incarnation: string): Promise<void> {
    this.#cluster.enter(this.#node);
    this.#cluster.data.beats.delete(incarnation);
    if (incarnation === this.#node.incarnation) this.#lastMs = undefined;
  }
}
