import type { Client } from './client.js';
import type { Crowd } from './crowd.js';

const AWAY_MS = 1_000;

/** Clients that leave without a word, one after the other, and resume a second later. Returns what ends it. */
export const churn = (crowd: Crowd, clients: readonly Client[], perSecond: number): (() => void) => {
  if (perSecond <= 0 || clients.length === 0) return () => {};
  let next = 0;
  const timer = setInterval(() => {
    const client = clients[next % clients.length];
    next += 1;
    if (client?.state !== 'joined') return;
    crowd.cut(client);
    crowd.reopen(client, AWAY_MS);
  }, 1000 / perSecond);
  return () => clearInterval(timer);
};
