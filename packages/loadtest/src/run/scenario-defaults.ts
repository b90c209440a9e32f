import type { Scenario } from '../load-plan.js';

export interface ScenarioDefaults {
  readonly connections?: number;
  readonly dialogs?: number;
  readonly perDialog: number;
  readonly rate: number;
  readonly durationMs: number;
}

/** What a scenario does when nothing else is asked for. `connections` decides the number of dialogs, unless that is given. */
export const DEFAULTS: Readonly<Record<Scenario, ScenarioDefaults>> = {
  idle: { connections: 1_000, perDialog: 1, rate: 0, durationMs: 30_000 },
  dialogs: { dialogs: 200, perDialog: 2, rate: 500, durationMs: 30_000 },
  hot: { connections: 1_000, dialogs: 1, perDialog: 1_000, rate: 50, durationMs: 30_000 },
  storm: { connections: 1_000, perDialog: 5, rate: 1_000, durationMs: 0 },
  connects: { dialogs: 200, perDialog: 1, rate: 100, durationMs: 30_000 },
  flood: { dialogs: 20, perDialog: 2, rate: 100, durationMs: 30_000 },
  soak: { dialogs: 200, perDialog: 2, rate: 200, durationMs: 3_600_000 },
  rolling: { dialogs: 100, perDialog: 2, rate: 200, durationMs: 60_000 },
};

export interface Sizes {
  readonly dialogs: number;
  readonly perDialog: number;
}

/** How many dialogs of how many sockets. In a storm one socket of each dialog is the writer, on top of those that are cut. */
export const sizesOf = (
  scenario: Scenario,
  asked: {
    readonly connections: number | undefined;
    readonly dialogs: number | undefined;
    readonly perDialog: number | undefined;
  },
): Sizes => {
  const defaults = DEFAULTS[scenario];
  if (scenario === 'hot') return { dialogs: 1, perDialog: asked.connections ?? asked.perDialog ?? defaults.perDialog };
  const perDialog = asked.perDialog ?? defaults.perDialog;
  const readers = scenario === 'storm' ? Math.max(1, perDialog - 1) : perDialog;
  const fromConnections = (connections: number): number => Math.max(1, Math.ceil(connections / readers));
  if (asked.dialogs !== undefined) return { dialogs: asked.dialogs, perDialog };
  if (asked.connections !== undefined) return { dialogs: fromConnections(asked.connections), perDialog };
  return { dialogs: defaults.dialogs ?? fromConnections(defaults.connections ?? 1), perDialog };
};

const SOCKETS_PER_DRIVER = 10_000;
const MESSAGES_PER_DRIVER = 3_000;
const CONNECTS_PER_DRIVER = 700;

/** As many drivers as the load needs, at most one per CPU. */
export const driversFor = (
  scenario: Scenario,
  { sockets, rate, deliveries, cpus }: { sockets: number; rate: number; deliveries: number; cpus: number },
): number => {
  const perSecond = scenario === 'connects' ? CONNECTS_PER_DRIVER : MESSAGES_PER_DRIVER;
  const needed = Math.max(sockets / SOCKETS_PER_DRIVER, rate / perSecond, deliveries / (MESSAGES_PER_DRIVER * 8));
  return Math.min(Math.max(1, cpus), Math.max(1, Math.ceil(needed)));
};
