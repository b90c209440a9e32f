import { CommandFailure } from '../command.js';
import { heldSockets, type LoadPlan } from '../load-plan.js';
import { assembleResult } from './assemble-result.js';
import { DriverProcess } from './driver-process.js';
import { type RollingStep, runSteps } from './rolling-steps.js';
import { type LiveView, RunMeter } from './run-meter.js';
import type { RunResult, Step } from './run-result.js';
import { type ServerSample, type ServerSource, ServerWatch } from './server-watch.js';
import { addCounts } from './timeline.js';

export interface LoadRun {
  readonly plan: LoadPlan;
  readonly title: string;
  readonly settings: RunResult['settings'];
  readonly servers: readonly ServerSource[];
  readonly steps: readonly RollingStep[];
  readonly stepEveryMs: number;
}

export interface LoadHooks {
  readonly onPhase: (what: string) => void;
  readonly onStep: (view: LiveView) => void;
  readonly onRolling: (step: Step) => void;
  /** Called with what ends the run early. */
  readonly onStoppable: (stop: () => void) => void;
}

/** The load begins a little after the drivers are told, so that all of them begin with it. */
const START_DELAY_MS = 300;
const LEAVE_MS = 4_000;

const commonest = (record: Readonly<Record<string, number>>): string => {
  const [first] = Object.entries(record).sort(([, a], [, b]) => b - a);
  return first === undefined ? 'no answer' : `${first[0]} (${first[1]} times)`;
};

const nobodyAdmitted = (turnedAway: Readonly<Record<string, number>>): CommandFailure =>
  new CommandFailure(`no connection was admitted: ${commonest(turnedAway)}`);

/** Runs a load from the first process to the verdict. Rejects with `CommandFailure` when it can't be run. */
export const runLoad = async (run: LoadRun, hooks: LoadHooks): Promise<RunResult> => {
  const { plan, steps, stepEveryMs } = run;
  const baseNs = process.hrtime.bigint();
  const startedAt = new Date();
  const watch = new ServerWatch(run.servers);
  const state = { stopped: false, ended: false };
  const done: Step[] = [];
  const drivers: DriverProcess[] = [];
  const meter = new RunMeter(drivers, watch, hooks.onStep);
  for (let i = 0; i < plan.drivers; i += 1) drivers.push(new DriverProcess(i, (tick) => meter.tick(tick)));
  const all = <T>(work: (driver: DriverProcess) => Promise<T>): Promise<T[]> => Promise.all(drivers.map(work));
  hooks.onStoppable(() => {
    state.stopped = true;
    for (const driver of drivers) driver.send({ type: 'stop' });
  });

  try {
    for (const driver of drivers) driver.send({ type: 'plan', plan, driver: driver.index, baseNs: String(baseNs) });
    await all((driver) => driver.next('ready'));
    const before = await watch.sample(true);
    meter.start();
    const held = heldSockets(plan);
    if (held > 0) hooks.onPhase(`opening ${held} connections`);
    for (const driver of drivers) driver.send({ type: 'connect' });
    await all((driver) => driver.next('connected'));
    const connected = await watch.sample(true);
    const atStart = addCounts(drivers.flatMap(({ lastTick }) => lastTick?.counts ?? []));
    const connectionsAtStart = drivers.reduce((sum, { lastTick }) => sum + (lastTick?.connections ?? 0), 0);
    if (held > 0 && connectionsAtStart === 0 && !state.stopped) {
      throw nobodyAdmitted(atStart.turnedAway);
    }

    hooks.onPhase('load');
    const loadStart = await watch.sample(true);
    const startUs = Math.round(Number(process.hrtime.bigint() - baseNs) / 1000 + START_DELAY_MS * 1000);
    const sinceMs = performance.now() + START_DELAY_MS;
    meter.startLoad();
    for (const driver of drivers) driver.send({ type: 'go', startUs });
    const measureAfterMs = START_DELAY_MS + plan.rampMs + (plan.scenario === 'flood' ? plan.quietMs : 0);
    let measureStart: ServerSample | undefined;
    const atMeasureStart = setTimeout(() => {
      void watch.sample(true).then((sample) => {
        if (!state.ended) measureStart = sample;
      });
    }, measureAfterMs);
    const rolling = runSteps(steps, {
      everyMs: stepEveryMs,
      sinceMs,
      isStopped: () => state.stopped || state.ended,
      onStep: (step) => {
        done.push(step);
        hooks.onRolling(step);
      },
    }).then((endedMs) => {
      if (steps.length === 0) return;
      // A step may take its time: what it does to the load must be seen, and what it leaves behind.
      const holdMs = Math.max(plan.durationMs, endedMs + stepEveryMs - plan.rampMs);
      for (const driver of drivers) driver.send({ type: 'hold', holdMs });
    });
    const drained = await all((driver) => driver.next('drained'));
    const atEnd = addCounts(drivers.flatMap(({ lastTick }) => lastTick?.counts ?? []));
    if (plan.scenario === 'connects' && atEnd.joined === 0 && !state.stopped) throw nobodyAdmitted(atEnd.turnedAway);
    const loadEnd = await watch.sample(true);
    state.ended = true;
    clearTimeout(atMeasureStart);
    await rolling;

    hooks.onPhase('waiting for the last deliveries');
    const heads: Record<string, number> = {};
    for (const { heads: known } of drained) {
      for (const [dialog, head] of Object.entries(known)) heads[dialog] = Math.max(heads[dialog] ?? 0, head);
    }
    for (const driver of drivers) driver.send({ type: 'verify', heads });
    const results = await all((driver) => driver.next('result'));
    meter.stop();

    return assembleResult({
      run,
      startedAt,
      interrupted: state.stopped,
      results,
      turns: { before, connected, loadStart, measureStart, loadEnd },
      connectionsAtStart,
      joinedAtStart: atStart.joined,
      steps: done,
      timeline: meter.timeline.points(),
      growthPerHour: meter.growth.perHour(),
    });
  } finally {
    meter.stop();
    // Those that have told their result close their sockets and leave; after a failure nobody is waited for.
    if (!state.ended) for (const driver of drivers) driver.kill();
    state.ended = true;
    const late = setTimeout(() => {
      for (const driver of drivers) driver.kill();
    }, LEAVE_MS);
    await all((driver) => driver.gone);
    clearTimeout(late);
  }
};
