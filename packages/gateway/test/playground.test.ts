import { CLOSE_CODES, type ReconnectMode } from '@replyx/protocol';
import { describe, expect, it } from 'vitest';

interface Client {
  readonly MODE_OF_CODE: Readonly<Record<number, ReconnectMode>>;
  reconnectDelay(mode: ReconnectMode, attempt: number, delayMs?: number): number | undefined;
}

const { MODE_OF_CODE, reconnectDelay } = (await import(
  new URL('../playground/client.js', import.meta.url).href
)) as Client;

describe("the page's client", () => {
  it('does after each close code what the protocol says', () => {
    const table = Object.values(CLOSE_CODES).map(({ code, reconnect }) => [String(code), reconnect]);
    expect(MODE_OF_CODE).toEqual(Object.fromEntries(table));
  });

  it.each<[ReconnectMode, number, number, number]>([
    ['now', 0, 0, 0],
    ['refresh', 0, 0, 0],
    ['delay', 0, 700, 700],
    ['jitter', 0, 0, 3_000],
    ['backoff', 0, 0, 1_000],
    ['backoff', 20, 0, 30_000],
    ['now', 2, 0, 4_000],
    ['long_backoff', 0, 30_000, 60_000],
    ['long_backoff', 20, 30_000, 300_000],
  ])('%s, attempt %i: waits %i to %i ms', (mode, attempt, leastMs, mostMs) => {
    for (let i = 0; i < 100; i += 1) {
      const delayMs = reconnectDelay(mode, attempt, 700);
      expect(delayMs).toBeGreaterThanOrEqual(leastMs);
      expect(delayMs).toBeLessThanOrEqual(mostMs);
    }
  });

  it('never comes back where it is told to stay away', () => {
    expect(reconnectDelay('never', 0, 0)).toBeUndefined();
  });
});
