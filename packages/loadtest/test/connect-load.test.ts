import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { noFaults } from '../src/dialog-check.js';
import { type Client, LoadDialog } from '../src/driver/client.js';
import { openAll } from '../src/driver/connect-load.js';
import type { Crowd } from '../src/driver/crowd.js';

describe('openAll', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout', 'setImmediate'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const SOCKETS = 2_000;
  const planned = Array.from({ length: SOCKETS }, (_, slot) => ({ slot, role: 'visitor' as const }));
  /** Opens them at 500 a second; `open` says what becomes of each. Tells how long it took. */
  const opening = (open: (client: Client, crowd: { size: number }) => void) => {
    const { clients } = new LoadDialog({ index: 0, id: 'd', clients: planned }, noFaults());
    const crowd = { size: 0, open: (client: Client) => open(client, crowd) };
    const since = performance.now();
    const took = { ms: undefined as number | undefined };
    void openAll(crowd as unknown as Crowd, clients, {
      clock: { nowUs: () => performance.now() * 1000 },
      schedule: { total: SOCKETS, dueMs: (n) => n * 2 },
      isStopped: () => false,
      deadlineMs: SOCKETS * 2 + 60_000,
    }).then(() => {
      took.ms = performance.now() - since;
    });
    return { took, clients };
  };

  it('gives up on a server that is away as early with many clients as with few', async () => {
    const { took } = opening((client) => {
      client.state = 'waiting';
    });
    await vi.advanceTimersByTimeAsync(11_000);
    expect(took.ms).toBeLessThan(11_000);
  });

  it('waits for the others where some get in', async () => {
    let places = 1_000;
    const { took, clients } = opening((client, crowd) => {
      client.state = crowd.size < places ? 'joined' : 'waiting';
      crowd.size = Math.min(places, crowd.size + 1);
    });
    await vi.advanceTimersByTimeAsync(30_000);
    expect(took.ms).toBeUndefined();
    places = SOCKETS;
    for (const client of clients) if (client.state === 'waiting') client.state = 'joined';
    await vi.advanceTimersByTimeAsync(3_000);
    expect(took.ms).toBeLessThanOrEqual(33_000);
  });

  it('gives up where all that were in have left, and nobody gets in for a while', async () => {
    const { took } = opening((client, crowd) => {
      client.state = crowd.size < 100 && performance.now() < 1_000 ? 'joined' : 'waiting';
      crowd.size = performance.now() < 1_000 ? crowd.size + 1 : 0;
    });
    await vi.advanceTimersByTimeAsync(13_000);
    expect(took.ms).toBeGreaterThan(10_000);
  });
});
