import { afterEach, describe, expect, it, vi } from 'vitest';
import { noFaults } from '../src/dialog-check.js';
import { LoadDialog } from '../src/driver/client.js';
import { Crowd } from '../src/driver/crowd.js';
import { DriverStats } from '../src/driver/driver-stats.js';
import type { Link } from '../src/driver/link.js';
import type { LoadPlan } from '../src/load-plan.js';

vi.mock('../src/driver/link.js', () => ({
  Link: class {
    static readonly CLOSED = 3;
    readonly readyState = 1;
    joined = false;
    leaving = false;
    readonly client: unknown;
    readonly token: string;
    constructor(_owner: unknown, client: unknown, _url: string, token: string) {
      this.client = client;
      this.token = token;
    }
    terminate(): void {}
  },
}));

const PLAN = {
  urls: ['ws://127.0.0.1:1'],
  sourceAddresses: [],
  drivers: 1,
  origin: 'https://load.example',
  key: { secret: 'k' },
  tenant: 't',
  assistantId: 'a',
  tokenLifeSeconds: 40_000,
} as unknown as LoadPlan;

describe('Crowd', () => {
  const stops: (() => void)[] = [];
  afterEach(() => {
    for (const stop of stops.splice(0)) stop();
  });

  const crowdOf = () => {
    const stats = new DriverStats();
    const crowd = new Crowd(PLAN, 0, {
      clock: { nowUs: () => 0 },
      stats,
      hooks: { frame: () => {}, joined: () => {}, gone: () => {} },
      onResend: () => {},
    });
    stops.push(() => crowd.wheel.stop());
    const { clients } = new LoadDialog({ index: 0, id: 'd', clients: [{ slot: 0, role: 'visitor' }] }, noFaults());
    const [client] = clients;
    if (client === undefined) throw new Error('no client');
    /** Opens it, and has the server admit it. */
    const join = (frame: Record<string, unknown>): void => {
      crowd.open(client, 0);
      crowd.received(client.link as Link, Buffer.from(JSON.stringify({ type: 'connected', ...frame })));
    };
    return { crowd, client, stats, join };
  };

  it('signs tokens that live as long as the plan says', () => {
    const { crowd, client } = crowdOf();
    crowd.open(client, 0);
    const { token } = client.link as unknown as { token: string };
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    expect(claims.exp - claims.iat).toBe(40_000);
  });

  it('takes a client for whole where the server resumes its position', () => {
    const { crowd, client, stats, join } = crowdOf();
    join({ epoch: 'e', offset: 5, recovered: false });
    crowd.cut(client);
    join({ epoch: 'e', offset: 5, head: 5, recovered: true });
    expect(stats.counts).toMatchObject({ recovered: 1, discontinued: 0, errors: {} });
    expect(stats.latencies().recovery.count).toBe(1);
  });

  it('does not where that is said of another epoch, whose offsets mean something else', () => {
    const { crowd, client, stats, join } = crowdOf();
    join({ epoch: 'e', offset: 5, recovered: false });
    crowd.cut(client);
    join({ epoch: 'other', offset: 2, head: 2, recovered: true });
    expect(stats.counts).toMatchObject({ recovered: 0, discontinued: 1, errors: { recovered_elsewhere: 1 } });
    expect(stats.latencies().recovery.count).toBe(0);
    expect(client.track.last).toBe(2);
  });
});
