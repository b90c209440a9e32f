import { isInNetworks, isPublicAddress, type Network } from './client-address.js';
import type { Clock } from './clock.js';
import type { Limiter } from './guard-ports.js';
import { BackplaneUnavailable } from './ports.js';

/** What raises an address's score, and by how much. */
export const OFFENCE_POINTS = {
  /** A credential that is not genuine, or not of this place. */
  failed_token: 5,
  /** An id that does not exist or is not the caller's, with a genuine credential; or a malformed one. */
  probed_id: 4,
  /** A page of a domain that nobody registered. */
  foreign_origin: 1,
  bad_frames: 5,
  /** A limit that was reached, or ten attempts while it lasts. */
  limit_hit: 5,
} as const satisfies Record<string, number>;

export type Offence = keyof typeof OFFENCE_POINTS;

/** Why an address over the score was not banned. */
export type Spared =
  /** Of a private, loopback or link-local network: most likely a proxy that is not named in `WS_TRUSTED_PROXIES`. */
  | 'not_public'
  /** Of a network that is never banned. */
  | 'allowed'
  /** More than three users are connected from it. */
  | 'shared';

export interface ThreatScoreParts {
  readonly limiter: Pick<Limiter, 'take' | 'raise' | 'countBan'>;
  readonly clock: Clock;
  /** Score at which an address is banned; 0 is off. */
  readonly banScore: number;
  readonly allow: readonly Network[];
  /** Addresses that are remembered at most. */
  readonly maxAddresses: number;
  /** Bans on all nodes. */
  readonly ban: (addressKey: string, forMs: number) => Promise<void>;
  readonly onBanned: (addressKey: string, details: { readonly score: number; readonly forMs: number }) => void;
  readonly onSpared: (addressKey: string, why: Spared) => void;
  readonly onBug: (error: unknown) => void;
}

export const SCORE_WINDOW_MS = 300_000;
const FOREIGN_INTERVAL_MS = 60_000;
/** Every node may see an address offend from a foreign page: the cluster counts it once. */
const FOREIGN_WINDOW = { name: 'foreign', limit: 1, windowMs: FOREIGN_INTERVAL_MS, cost: 1 } as const;
const FLUSH_MS = 500;
const FLUSH_WIDTH = 64;
const SHARED_USERS = 3;
const FIRST_BAN_MS = 60_000;
const BAN_GROWTH = 4;
const LONGEST_BAN_MS = 86_400_000;
/** How long earlier bans of an address are remembered. */
const BAN_MEMORY_MS = 7 * 86_400_000;

/** A first ban lasts a minute, each further one four times as long as the one before, up to a day. */
export const banLengthMs = (count: number): number =>
  Math.min(FIRST_BAN_MS * BAN_GROWTH ** Math.max(0, count - 1), LONGEST_BAN_MS);

interface Offences {
  /** Those of foreign pages left out. */
  points: number;
  isForeign: boolean;
}

/**
 * Collects what addresses do wrong and tells the cluster in batches: under a flood an address costs two commands a second, however
 * often it fails.
 */
export class ThreatScore {
  private readonly parts: ThreatScoreParts;
  private readonly pending = new Map<string, Offences>();
  /** When an address last scored with a foreign Origin. */
  private readonly foreign = new Map<string, number>();
  private cancel: (() => void) | undefined;
  private stopped = false;

  constructor(parts: ThreatScoreParts) {
    this.parts = parts;
  }

  /**
   * Notes an offence. `foreignOrigin`: the attempt came from a page of an unknown domain: whatever is wrong with it, such attempts
   * count one point a minute on all nodes together, since a page can make its visitors send them.
   */
  note(addressKey: string, offence: Offence, foreignOrigin = false): void {
    if (this.parts.banScore === 0 || this.stopped) return;
    if (foreignOrigin || offence === 'foreign_origin') {
      const nowMs = this.parts.clock.monotonicMs();
      const last = this.foreign.get(addressKey);
      if (last !== undefined && nowMs - last < FOREIGN_INTERVAL_MS) return;
      this.foreign.delete(addressKey);
      this.foreign.set(addressKey, nowMs);
      this.bound(this.foreign);
      this.add(addressKey, { points: 0, isForeign: true });
    } else this.add(addressKey, { points: OFFENCE_POINTS[offence], isForeign: false });
  }

  /** Safe to call twice. */
  stop(): void {
    this.stopped = true;
    this.cancel?.();
    this.pending.clear();
  }

  private add(addressKey: string, { points, isForeign }: Offences): void {
    const present = this.pending.get(addressKey);
    if (present !== undefined) {
      present.points += points;
      present.isForeign ||= isForeign;
    } else if (this.pending.size < this.parts.maxAddresses) this.pending.set(addressKey, { points, isForeign });
    // Else a full batch: more addresses than the node remembers offend at once. Their windows still hold.
    this.schedule();
  }

  private schedule(): void {
    this.cancel ??= this.parts.clock.schedule(FLUSH_MS, () => {
      this.flush()
        .catch(this.parts.onBug)
        .finally(() => {
          this.cancel = undefined;
          if (this.pending.size > 0) this.schedule();
        });
    });
  }

  private bound(map: Map<string, number>): void {
    if (map.size <= this.parts.maxAddresses) return;
    const [oldest] = map.keys();
    if (oldest !== undefined) map.delete(oldest);
  }

  private async flush(): Promise<void> {
    const batch = [...this.pending];
    this.pending.clear();
    for (let start = 0; start < batch.length && !this.stopped; start += FLUSH_WIDTH) {
      const width = batch.slice(start, start + FLUSH_WIDTH);
      await Promise.all(width.map(([addressKey, offences]) => this.raise(addressKey, offences)));
    }
  }

  private async raise(addressKey: string, { points: own, isForeign }: Offences): Promise<void> {
    const { limiter, banScore } = this.parts;
    try {
      const counts =
        isForeign && (await limiter.take({ kind: 'ip', key: addressKey }, [FOREIGN_WINDOW])).status === 'taken';
      const points = own + (counts ? OFFENCE_POINTS.foreign_origin : 0);
      if (points === 0) return;
      const { score, users } = await limiter.raise(addressKey, points, SCORE_WINDOW_MS);
      if (score >= banScore) await this.punish(addressKey, score, users);
    } catch (error) {
      // While the backplane is away nothing is admitted, and so nothing needs a ban.
      if (!(error instanceof BackplaneUnavailable)) throw error;
    }
  }

  private async punish(addressKey: string, score: number, users: number): Promise<void> {
    const { limiter, allow, ban, onBanned, onSpared } = this.parts;
    if (!isPublicAddress(addressKey)) onSpared(addressKey, 'not_public');
    else if (isInNetworks(addressKey, allow)) onSpared(addressKey, 'allowed');
    else if (users > SHARED_USERS) onSpared(addressKey, 'shared');
    else {
      const count = await limiter.countBan(addressKey, BAN_MEMORY_MS);
      // Another node saw it pass the score at the same moment, and bans it.
      if (count === 0) return;
      const forMs = banLengthMs(count);
      await ban(addressKey, forMs);
      onBanned(addressKey, { score, forMs });
    }
  }
}
