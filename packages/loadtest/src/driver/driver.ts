import { noFaults } from '../dialog-check.js';
import { hasMessages, type LoadPlan, partOf } from '../load-plan.js';
import { HeldSchedule, rateSchedule, shareOf } from '../rate-schedule.js';
import type { RunClock } from '../run-clock.js';
import { AttemptLoad } from './attempt-load.js';
import { churn } from './churn.js';
import { type Client, LoadDialog } from './client.js';
import { ConnectLoad, openAll } from './connect-load.js';
import { Crowd } from './crowd.js';
import { DriverHealth } from './driver-health.js';
import type { DriverResult, DriverTick, FromDriver } from './driver-messages.js';
import { DriverStats } from './driver-stats.js';
import { MessageLoad } from './message-load.js';
import { until } from './pacing.js';
import { Reception } from './reception.js';
import { storm } from './storm.js';

const TICK_MS = 1_000;
const OPEN_GRACE_MS = 60_000;
const CLOSE_MS = 2_000;

/** One process of the load: its clients, what they send, and what it finds. */
export class Driver {
  readonly #plan: LoadPlan;
  readonly #driver: number;
  readonly #clock: RunClock;
  readonly #say: (message: FromDriver) => void;
  readonly #stats = new DriverStats();
  readonly #faults = noFaults();
  readonly #dialogs: LoadDialog[];
  readonly #clients: Client[];
  readonly #crowd: Crowd;
  readonly #messages: MessageLoad;
  readonly #connects: ConnectLoad;
  readonly #attempts: AttemptLoad;
  readonly #health: DriverHealth;
  #held: HeldSchedule | undefined;
  #holdMs = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(plan: LoadPlan, driver: number, clock: RunClock, say: (message: FromDriver) => void) {
    this.#plan = plan;
    this.#driver = driver;
    this.#clock = clock;
    this.#say = say;
    const writers = plan.scenario === 'storm' ? 1 : undefined;
    this.#dialogs = partOf(plan, driver).map((planned) => new LoadDialog(planned, this.#faults, writers));
    this.#clients = plan.scenario === 'connects' ? [] : this.#dialogs.flatMap(({ clients }) => clients);
    const stats = this.#stats;
    const reception = new Reception(
      { run: plan.run, driver, ownDialogs: plan.tokens === undefined },
      {
        clock,
        stats,
        hooks: {
          retry: (client, seq, afterMs) => this.#messages.retry(client, seq, afterMs),
          whole: (client, nowUs) => this.#crowd.whole(client, nowUs),
        },
      },
    );
    this.#crowd = new Crowd(plan, driver, {
      clock,
      stats,
      hooks: {
        frame: (client, bytes) => reception.frame(client, bytes),
        joined: (client) => {
          if (client.once) this.#connects.ended(client);
          else this.#messages.resendAll(client);
        },
        gone: (client) => {
          if (client.once) this.#connects.ended(client);
        },
      },
      onResend: (client, seq) => this.#messages.resend(client, seq),
    });
    this.#messages = new MessageLoad({
      run: plan.run,
      driver,
      textBytes: plan.textBytes,
      crowd: this.#crowd,
      clock,
      stats,
    });
    this.#connects = new ConnectLoad(this.#crowd, clock, plan.role);
    this.#attempts = new AttemptLoad(plan, clock, stats);
    this.#health = new DriverHealth((us) => stats.lag(us));
    setInterval(() => this.#say(this.#tick()), TICK_MS);
  }

  async connect(): Promise<void> {
    const { connectRate, drivers } = this.#plan;
    const perSecond = connectRate / drivers;
    const total = this.#clients.length;
    const takesMs = (total * 1000) / perSecond;
    await openAll(this.#crowd, this.#clients, {
      clock: this.#clock,
      schedule: { total, dueMs: (n) => (n * 1000) / perSecond },
      isStopped: () => this.#stopped,
      deadlineMs: takesMs + OPEN_GRACE_MS,
    });
    this.#say(this.#tick());
    this.#say({ type: 'connected' });
  }

  async go(startUs: number): Promise<void> {
    const { rampMs, quietMs, scenario } = this.#plan;
    const flood = scenario === 'flood';
    this.#stats.startLoad({
      rampFromUs: startUs,
      quietFromUs: startUs + rampMs * 1000,
      measureFromUs: startUs + (rampMs + (flood ? quietMs : 0)) * 1000,
    });
    this.#health.startMeasuring();
    await this.#load(startUs);
    this.#health.stopMeasuring();
    this.#say(this.#tick());
    this.#say({ type: 'drained', heads: scenario === 'hot' ? this.#heads() : {} });
  }

  /** How long the full rate of a rolling load is held, told when its steps are done. */
  holdFor(holdMs: number): void {
    this.#holdMs = holdMs;
    this.#held?.holdFor(holdMs);
  }

  stop(): void {
    this.#stopped = true;
    this.#messages.stop();
    this.#connects.stop();
    this.#attempts.stop();
  }

  /** Waits for what is still on its way, gives the verdict, and leaves. */
  async verify(heads: Readonly<Record<string, number>>): Promise<void> {
    for (const dialog of this.#dialogs) dialog.check.head = Math.max(dialog.check.head, heads[dialog.index] ?? 0);
    await until(() => this.#isSettled(), this.#plan.settleMs);
    for (const { check, clients } of this.#dialogs) {
      check.finish(clients.filter(({ state }) => state === 'joined').map(({ track }) => track));
    }
    this.#health.stop();
    this.#say(this.#tick());
    this.#say(this.#result());
    this.#crowd.closing = true;
    for (const client of this.#clients) this.#crowd.close(client);
    await until(() => this.#clients.every(({ link }) => link === undefined), CLOSE_MS);
  }

  async #load(startUs: number): Promise<void> {
    const { scenario, rate, rampMs, quietMs, durationMs, drivers, attemptRate } = this.#plan;
    const startsInMs = (startUs - this.#clock.nowUs()) / 1000;
    const flood = scenario === 'flood';
    const share = (perSecond: number, ramp: number, hold: number) =>
      shareOf(rateSchedule({ perSecond, rampMs: ramp, holdMs: hold }), this.#driver, drivers);
    const isStopped = () => this.#stopped;
    if (scenario === 'connects') {
      return this.#connects.run(share(rate, rampMs, durationMs), startUs, this.#dialogs);
    }
    if (scenario === 'storm') {
      await until(() => false, startsInMs, isStopped);
      return storm(this.#plan, this.#dialogs, {
        crowd: this.#crowd,
        load: this.#messages,
        clock: this.#clock,
        isStopped,
      });
    }
    // By slots: never the clients of one dialog one after the other, so that somebody stays to write.
    const bySlot = [...this.#clients].sort((a, b) => a.planned.slot - b.planned.slot);
    const endChurn = churn(this.#crowd, bySlot, scenario === 'soak' ? this.#plan.churn / drivers : 0);
    this.#held = new HeldSchedule((hold) => share(rate, rampMs, hold));
    if (scenario !== 'rolling') this.holdFor(durationMs + (flood ? quietMs : 0));
    const isOver = () => this.#clock.nowUs() >= startUs + (rampMs + this.#holdMs) * 1000;
    const loads = [until(isOver, Number.POSITIVE_INFINITY, isStopped) as Promise<unknown>];
    if (hasMessages(this.#plan)) loads.push(this.#messages.run(this.#held, startUs, this.#dialogs));
    if (flood) {
      const floodFromUs = startUs + (rampMs + quietMs) * 1000;
      loads.push(this.#attempts.run(share(attemptRate, 0, durationMs), floodFromUs, this.#dialogs));
    }
    await Promise.all(loads);
    endChurn();
  }

  #isSettled(): boolean {
    for (const { check, clients } of this.#dialogs) {
      if (!check.isSettled) return false;
      for (const { state, track } of clients) {
        if (state === 'connecting' || state === 'waiting') return false;
        if (state === 'joined' && track.missingUpTo(check.head) > 0) return false;
      }
    }
    return true;
  }

  #heads(): Record<string, number> {
    return Object.fromEntries(this.#dialogs.map(({ index, check }) => [index, check.head]));
  }

  #tick(): DriverTick {
    const { counts } = this.#stats;
    return {
      type: 'tick',
      counts,
      connections: this.#crowd.size,
      ...this.#stats.takeInterval(),
      ...this.#health.take(),
    };
  }

  #result(): DriverResult {
    return {
      type: 'result',
      counts: this.#stats.counts,
      faults: this.#faults,
      away: this.#clients.filter(({ state }) => state !== 'joined').length,
      latencies: this.#stats.latencies(),
      cpuShare: this.#health.busiestShare(),
    };
  }
}
