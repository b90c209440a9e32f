import type { Clock } from '@replyx/core';
import type { LocalNode, NodePlan } from './local-node.js';
import { Supervised, type SupervisedState } from './supervised.js';

export interface LocalClusterParts {
  readonly plans: readonly NodePlan[];
  readonly launch: (plan: NodePlan) => Promise<LocalNode>;
  readonly clock: Clock;
  readonly onLog: (line: string) => void;
}

/** A node that keeps its ports over all of its lives. */
export interface Member {
  readonly id: string;
  readonly port: number;
  readonly internalPort: number;
  readonly state: SupervisedState;
  start(): Promise<unknown>;
  /** False where it is not up. */
  kill(): Promise<boolean>;
}

/** The nodes of one machine, each kept running under its id and on its ports. */
export class LocalCluster {
  readonly #nodes: readonly Supervised<LocalNode>[];
  readonly #plans: NodePlan[];

  constructor({ plans, launch, clock, onLog }: LocalClusterParts) {
    this.#plans = [...plans];
    this.#nodes = plans.map(
      (first, index) =>
        new Supervised<LocalNode>({
          name: first.id,
          clock,
          onLog,
          launch: async () => {
            const node = await launch(this.#plans[index] ?? first);
            // A port that the system picked is asked for by number from now on.
            this.#plans[index] = { id: node.id, port: node.port, internalPort: node.internalPort };
            return node;
          },
        }),
    );
  }

  get members(): readonly Member[] {
    return this.#nodes.map((node, index) => ({
      ...(this.#plans[index] as NodePlan),
      state: node.state,
      start: () => node.start(),
      kill: () => node.kill(),
    }));
  }

  /** Starts every node. Rejects with the first failure, when all others are through: `stop` ends those. */
  async start(): Promise<void> {
    const starting = await Promise.allSettled(this.#nodes.map((node) => node.start()));
    for (const one of starting) if (one.status === 'rejected') throw one.reason;
  }

  /** Drains and stops all nodes. Safe to call twice. */
  async stop(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.stop()));
  }
}
