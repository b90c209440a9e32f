import type { Running } from './supervised.js';

/** One node of a cluster on this machine, whether it has a process of its own or not. */
export interface LocalNode extends Running {
  readonly id: string;
  readonly port: number;
  readonly internalPort: number;
}

/** What all nodes of a local cluster share, by the names of the configuration. */
export type LocalEnvironment = Readonly<Record<string, string>>;

export interface NodePlan {
  readonly id: string;
  readonly port: number;
  readonly internalPort: number;
}

/** The environment of one node. */
export const nodeEnvironment = (shared: LocalEnvironment, plan: NodePlan): Record<string, string> => ({
  ...shared,
  NODE_ID: plan.id,
  HOST: '127.0.0.1',
  INTERNAL_HOST: '127.0.0.1',
  PORT: String(plan.port),
  INTERNAL_PORT: String(plan.internalPort),
});
