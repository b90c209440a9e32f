import type { BeatResult, Membership, NodeInfo } from '@replyx/core';
import type { Keys } from './keys.js';
import { LIFETIMES, type Settings } from './options.js';
import { SCRIPTS } from './scripts.js';
import { liveLines, type NodeState } from './state.js';
import type { Topology } from './topology.js';

export class RedisMembership implements Membership {
  readonly #settings: Settings;
  readonly #keys: Keys;
  readonly #topology: Topology;
  readonly #state: NodeState;

  constructor(settings: Settings, keys: Keys, topology: Topology, state: NodeState) {
    this.#settings = settings;
    this.#keys = keys;
    this.#topology = topology;
    this.#state = state;
  }

  async beat(info: NodeInfo): Promise<BeatResult> {
    const { nodeTtlMs, incarnation } = this.#settings;
    const reply = (await this.#topology
      .link(this.#keys.nodesSlot)
      .run(
        SCRIPTS.beat,
        [this.#keys.beats, this.#keys.infos, this.#keys.runs],
        [
          info.incarnation,
          JSON.stringify(info),
          nodeTtlMs,
          this.#state.lastBeatMs ?? '',
          LIFETIMES.beatsMs,
          LIFETIMES.runsMs,
        ],
      )) as (Buffer | number)[];
    const [now, lapsed, liveCount, ...rest] = reply;
    const live = rest
      .slice(0, Number(liveCount))
      .filter((json) => String(json) !== '')
      .map((json) => JSON.parse(String(json)) as NodeInfo);
    this.#state.lastBeatMs = Number(now);
    this.#state.live = liveLines([...new Set([incarnation, ...live.map((node) => node.incarnation)])]);
    return { live, dead: rest.slice(Number(liveCount)).map(String), lapsed: String(lapsed) === '1' };
  }

  async forget(incarnation: string): Promise<void> {
    const link = this.#topology.link(this.#keys.nodesSlot);
    await link.run(SCRIPTS.forget, [this.#keys.beats, this.#keys.infos], [incarnation]);
    // Its next heartbeat, if there is one, is a first one.
    if (incarnation === this.#settings.incarnation) this.#state.lastBeatMs = undefined;
  }
}
