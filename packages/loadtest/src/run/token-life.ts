import { STORM_WAITS_MS } from '../driver/storm.js';
import type { LoadPlan } from '../load-plan.js';
import { COMMAND_DEADLINE_MS } from './rolling-steps.js';

/** For what no plan says: the start of the drivers, a server that takes its time, clocks that differ. */
const SLACK_SECONDS = 600;

export type PlannedSpans = Pick<
  LoadPlan,
  | 'scenario'
  | 'dialogs'
  | 'connectRate'
  | 'rate'
  | 'rampMs'
  | 'durationMs'
  | 'settleMs'
  | 'quietMs'
  | 'waves'
  | 'spreadMs'
  | 'missed'
>;

/**
 * Life of a token, in seconds: as long as the load may take from the first connection to the last delivery, so that no connection meets
 * its end by the clock. All of them would meet it together.
 */
export const tokenLifeSeconds = (
  plan: PlannedSpans,
  { sockets, steps, everyMs }: { readonly sockets: number; readonly steps: number; readonly everyMs: number },
): number => {
  const openingMs = (sockets * 1000) / plan.connectRate;
  const waveMs = STORM_WAITS_MS + plan.spreadMs + (plan.dialogs * plan.missed * 1000) / Math.max(plan.rate, 0.01);
  const stepsMs = steps * (everyMs + COMMAND_DEADLINE_MS) + everyMs;
  const loadMs =
    plan.scenario === 'storm'
      ? plan.waves * waveMs
      : plan.scenario === 'rolling'
        ? Math.max(plan.durationMs, stepsMs)
        : plan.quietMs + plan.durationMs;
  return Math.ceil((openingMs + plan.rampMs + loadMs + plan.settleMs) / 1000) + SLACK_SECONDS;
};
