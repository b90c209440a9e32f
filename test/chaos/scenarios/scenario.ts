import type { GatewayProcess, RedisServer } from '@replyx/testkit';
import { until } from '@replyx/testkit';
import { isReady } from '../cluster.js';
import { type Outcome, Stage, type StageOptions } from '../stage.js';

export interface ScenarioOptions {
  readonly seed: number;
  readonly journalPath?: string;
  /** How many clients, where the scenario lets that be chosen. */
  readonly clients?: number;
  /** How long what is broken stays so at least, where the scenario lets that be chosen. */
  readonly holdMs?: number;
}

export interface ScenarioOutcome extends Outcome {
  /** What was timed and counted, a line each. */
  readonly measures: readonly string[];
}

export interface Notes {
  measure(line: string): void;
  /** A breach beside those that the checker finds. */
  demand(holds: boolean, what: string): void;
}

/** Opens a stage, lets `act` break it, and judges: by the journal, and by what `act` and `review` demand. */
export const play = async (
  options: ScenarioOptions,
  shape: Omit<StageOptions, 'seed' | 'journalPath'>,
  act: (stage: Stage, notes: Notes) => Promise<void>,
  review: (outcome: Outcome, notes: Notes) => void | Promise<void> = () => {},
): Promise<ScenarioOutcome> => {
  const { seed, journalPath } = options;
  const stage = await Stage.open({ seed, ...(journalPath === undefined ? {} : { journalPath }), ...shape });
  const measures: string[] = [];
  const failures: string[] = [];
  const notes: Notes = {
    measure: (line) => measures.push(line),
    demand: (holds, what) => {
      if (!holds) failures.push(what);
    },
  };
  try {
    await act(stage, notes);
    const outcome = await stage.finish();
    await review(outcome, notes);
    const broken = failures.map((what) => ({ rule: 'demand', what, line: 0, about: [] }));
    return { ...outcome, breaches: [...broken, ...outcome.breaches], measures };
  } finally {
    await stage.close();
  }
};

/** No proxy, for crowds: proxies live in this process, and what holds it up would hold up Redis for every node. */
export const directly = async (redis: RedisServer): Promise<string> => redis.url;

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Milliseconds until the node says that it is not ready, or nothing. Guard: 60 s. */
export const untilNotReady = async (process: GatewayProcess): Promise<number> => {
  const started = performance.now();
  await until(async () => !(await isReady(process).catch(() => false)), {
    what: 'the node to be not ready',
    hangGuardMs: 60_000,
    everyMs: 50,
  });
  return Math.round(performance.now() - started);
};

export const since = (startedMs: number): number => Math.round(performance.now() - startedMs);

export const nodeAt = (stage: Stage, index: number) => {
  const process = stage.cluster.processes[index];
  const proxy = stage.cluster.proxies[index];
  if (process === undefined || proxy === undefined) throw new Error(`there is no node ${index + 1}`);
  return { process, proxy };
};
