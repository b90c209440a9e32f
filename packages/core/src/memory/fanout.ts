import type { Audience, Fanout, FanoutListener, TrackRef } from '../ports.js';
import type { MemoryCluster } from './cluster.js';
import type { MemoryNode } from './node.js';

export class MemoryFanout implements Fanout {
  readonly #cluster: MemoryCluster;
  readonly #node: MemoryNode;

  constructor(cluster: MemoryCluster, node: MemoryNode) {
    this.#cluster = cluster;
    this.#node = node;
  }

  listen(listener: FanoutListener): void {
    this.#node.listener = listener;
  }

  async subscribe(refs: readonly TrackRef[]): Promise<void> {
    this.#cluster.enter(this.#node);
    for (const ref of refs) this.#cluster.attach(this.#node, ref);
  }

  unsubscribe(refs: readonly TrackRef[]): void {
    for (const ref of refs) this.#cluster.detach(this.#node, ref);
  }

  async emit(ref: TrackRef, audience: Audience, frame: Uint8Array | string): Promise<void> {
    this.#cluster.enter(this.#node);
    const bytes = typeof frame === 'string' ? new TextEncoder().encode(frame) : frame;
    this.#cluster.send(ref, { kind: 'ephemeral', ref, audience, frame: bytes });
  }
}
