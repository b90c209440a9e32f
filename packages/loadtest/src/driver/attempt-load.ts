import { attemptName, attemptResult } from '../attempt-result.js';
import type { AttemptKind, LoadPlan } from '../load-plan.js';
import type { RateSchedule } from '../rate-schedule.js';
import type { RunClock } from '../run-clock.js';
import { mintToken, type SigningKey } from '../token-mint.js';
import { type AttemptTarget, attempt, garbage, upgradeRequest } from './attempt.js';
import type { LoadDialog } from './client.js';
import { countIn, type DriverStats } from './driver-stats.js';
import { pace, until } from './pacing.js';

const MAX_IN_FLIGHT = 2_000;
const HOUR_MS = 3_600_000;
const DRAIN_MS = 11_000;
const FOREIGN_ORIGIN = 'https://foreign.invalid';
/** Signs as nobody does. */
const WRONG_KEY: SigningKey = { secret: 'replyx-load-signs-with-a-key-that-nobody-has' };

/** Attempts of a flood, each of which must be refused. */
export class AttemptLoad {
  readonly #plan: LoadPlan;
  readonly #clock: RunClock;
  readonly #stats: DriverStats;
  readonly #targets: readonly { readonly target: AttemptTarget; readonly host: string; readonly path: string }[];
  #inFlight = 0;
  #stopped = false;

  constructor(plan: LoadPlan, clock: RunClock, stats: DriverStats) {
    this.#plan = plan;
    this.#clock = clock;
    this.#stats = stats;
    this.#targets = plan.urls.map((text) => {
      const url = new URL(text);
      const secure = url.protocol === 'wss:';
      return {
        target: {
          host: url.hostname.replace(/^\[|\]$/g, ''),
          port: Number(url.port || (secure ? 443 : 80)),
          secure,
          insecure: plan.insecure,
          localAddress: undefined,
        },
        host: url.host,
        path: url.pathname.replace(/\/$/, ''),
      };
    });
  }

  async run(schedule: RateSchedule, startUs: number, dialogs: readonly LoadDialog[]): Promise<void> {
    const { attempts } = this.#plan;
    await pace({
      clock: this.#clock,
      schedule,
      startUs,
      isStopped: () => this.#stopped,
      onDue: (n, dueUs) => {
        if (this.#inFlight >= MAX_IN_FLIGHT) return false;
        const kind = attempts[n % attempts.length];
        const dialog = dialogs[n % dialogs.length];
        if (kind !== undefined && dialog !== undefined) this.#attempt(kind, n, dialog, dueUs);
        return true;
      },
    });
    await until(() => this.#inFlight === 0, DRAIN_MS);
  }

  stop(): void {
    this.#stopped = true;
  }

  #attempt(kind: AttemptKind, n: number, dialog: LoadDialog, dueUs: number): void {
    const { sourceAddresses, deniedAddresses } = this.#plan;
    // Not by `n`: as many kinds as addresses would send each kind to one of them.
    const round = Math.floor(n / this.#plan.attempts.length);
    const place = this.#targets[round % this.#targets.length];
    if (place === undefined) return;
    const from = kind === 'denied' ? deniedAddresses : sourceAddresses;
    const localAddress = from[round % Math.max(1, from.length)];
    this.#inFlight += 1;
    attempt({ ...place.target, localAddress }, this.#bytes(kind, dialog, place), (outcome) => {
      this.#inFlight -= 1;
      countIn(this.#stats.counts.attempts, attemptName(kind, outcome));
      if (attemptResult(kind, outcome) === 'refused') this.#stats.took('refusal', dueUs, this.#clock.nowUs());
    });
  }

  #bytes(kind: AttemptKind, dialog: LoadDialog, { host, path }: { host: string; path: string }): string | Buffer {
    if (kind === 'garbage') return garbage();
    const { key, origin, tenant, assistantId } = this.#plan;
    const token = mintToken(
      {
        role: 'visitor',
        sub: `visitor-${dialog.id}`,
        tenant,
        assistantId,
        dialogId: kind === 'unknown' ? `${dialog.id}-other` : dialog.id,
        domains: [new URL(origin).hostname],
        lifeSeconds: 3_600,
      },
      kind === 'bad-token' || key === undefined ? WRONG_KEY : key,
      kind === 'expired' ? Date.now() - 2 * HOUR_MS : Date.now(),
    );
    return upgradeRequest({
      host,
      path: `${path}/ws/site/dialogs/${dialog.id}`,
      origin: kind === 'origin' ? FOREIGN_ORIGIN : origin,
      token,
    });
  }
}
