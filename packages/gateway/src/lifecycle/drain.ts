import { type Clock, closePaced, type Hub, type PacedClose, type Random } from '@replyx/core';
import type { GatewayConfig } from '../config/gateway-config.js';

export interface DrainParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly drain: GatewayConfig['drain'];
  readonly hub: Pick<Hub, 'sessions' | 'connectionCount'>;
  /** The node reports not ready from now on, and still accepts. */
  readonly onLeaving: () => Promise<void>;
  /** The node refuses upgrades from now on. */
  readonly onRefusing: () => void;
}

export interface Drain {
  /** Resolves when every client was told and the last frames are written, or time is up. Safe to call twice. */
  run(): Promise<void>;
  /** Skips the wait, and closes at once what is left. */
  hurry(): void;
}

/** What is kept of the grace for the rest of the stop. */
const RESERVE_MS = 3_000;
const FLUSH_MS = 1_000;
const LOOK_MS = 20;

/** Leaving without loss: not ready, a wait for the balancer to see it, no more upgrades, closes at a pace, the last frames written. */
export const createDrain = (parts: DrainParts): Drain => {
  const { clock, random, hub } = parts;
  const { waitMs, spreadMs, graceMs } = parts.drain;
  let hurried = false;
  let wake: () => void = () => {};
  let closing: PacedClose | undefined;
  let running: Promise<void> | undefined;

  const sleep = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
      clock.schedule(ms, resolve);
    });

  const leave = async (): Promise<void> => {
    await parts.onLeaving();
    if (!hurried) await sleep(waitMs);
    parts.onRefusing();
    const paceMs = Math.max(0, Math.min(spreadMs, graceMs - waitMs - RESERVE_MS));
    closing = closePaced(hub.sessions(), { clock, random, paceMs, spreadMs });
    if (hurried) closing.hurry();
    await closing.done;
    const untilMs = clock.monotonicMs() + FLUSH_MS;
    while (hub.connectionCount > 0 && clock.monotonicMs() < untilMs) await sleep(LOOK_MS);
  };

  return {
    run: () => {
      running ??= leave();
      return running;
    },
    hurry: () => {
      hurried = true;
      wake();
      closing?.hurry();
    },
  };
};
