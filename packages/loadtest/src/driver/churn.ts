import type { Client } from './client.js';
import type { Crowd } from './crowd.js';

const AWAY_MS = 1_000;
const MAX_TRIED = 50;

/** Clients that leave without a word, one after the other, and resume a second later. Returns what ends it. */
export const churn = (crowd: Crowd, clients: readonly Client[], perSecond: number): (() => void) => {
  if (perSecond <= 0 || clients.length === 0) return () => {};
  let next = 0;
  /** One that waits for no acknowledgement: its message would be late by our doing. */
  const nextIdle = (): Client | undefined => {
    for (let tried = 0; tried < Math.min(clients.length, MAX_TRIED); tried += 1) {
      const client = clients[next % clients.length];
      next += 1;
      if (client?.state === 'joined' && !client.dialog.check.isAwaitedBy(client)) return client;
    }
    return undefined;
  };
  const timer = setInterval(() => {
    const client = nextIdle();
    if (client === undefined) return;
    crowd.cut(client);
    crowd.reopen(client, AWAY_MS);
  }, 1000 / perSecond);
  return () => clearInterval(timer);
};
