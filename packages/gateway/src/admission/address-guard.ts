import { createHash } from 'node:crypto';
import {
  type Backplane,
  BackplaneUnavailable,
  type ClientAddress,
  type Clock,
  coarseWait,
  LocalDenials,
  type Offence,
  type Random,
  type Subject,
  type ThreatScore,
  type WindowSpec,
} from '@replyx/core';
import type { CloseName } from '@replyx/protocol';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import type { GatewayConfig, RateLimit } from '../config/gateway-config.js';
import type { PageRequest } from './foreign-origin.js';

/** The windows that are judged by address, assistant or API key; their names are stable, in metrics as in keys. */
export type LimitName = 'connects' | 'auth_failures' | 'http' | 'sessions' | 'assistant_sessions' | 'api';

/** What an address is told before anything is done for it. */
export type AddressRefusal =
  | { readonly status: 403; readonly reason: 'banned' }
  | { readonly status: 429; readonly reason: 'limited'; readonly retryAfterMs: number };

export type Taken =
  | { readonly status: 'taken' }
  /** `retryAfterMs`: what may be told, coarse and jittered. */
  | { readonly status: 'limited'; readonly retryAfterMs: number }
  /** The backplane is away. */
  | { readonly status: 'unavailable' };

/** The same, with the exact wait: of this node alone. */
type Asked = Exclude<Taken, { readonly status: 'limited' }> | { readonly status: 'limited'; readonly waitMs: number };

/** What is held against the address of a refused credential, by the code of the refusal. */
export type OnRefused = (code: CloseName, from: PageRequest & { readonly address: ClientAddress }) => void;

/** An expired or revoked credential was a good one once. */
export const OFFENCES: Partial<Record<CloseName, Offence>> = {
  AUTH_FAILED: 'failed_token',
  FORBIDDEN_DOMAIN: 'foreign_origin',
  NOT_FOUND: 'probed_id',
};

export interface AddressGuardParts {
  readonly limiter: Backplane['limiter'];
  readonly rateLimits: GatewayConfig['rateLimits'];
  readonly threat: Pick<ThreatScore, 'note'>;
  /** Whether the address is banned now, by this node's own list. */
  readonly isBanned: (address: ClientAddress) => boolean;
  readonly isAway: () => boolean;
  readonly clock: Clock;
  readonly random: Random;
  /** A window refused, or in a dry run would have. */
  readonly onLimited: (limit: LimitName, subject: Subject, dryRun: boolean) => void;
}

/** A denied address offends again with every so many attempts. */
const HITS_AN_OFFENCE = 10;
const TAKEN = { status: 'taken' } as const;
const UNAVAILABLE = { status: 'unavailable' } as const;
/** How long an address that asked too often while the backplane was away is kept out before it may ask again. */
const AWAY_DENIAL_MS = 5_000;
/** Of what only a page can do that is allowed to. */
const NOT_FOREIGN = (): boolean => false;

/**
 * What stands between an address and the dear parts of a node: the bans, the node's own denials, then the cluster's windows. While the
 * backplane is away a limiter in memory bounds how many attempts of an address get as far as being told so. `isForeign`: whether an
 * attempt comes from a page of an unknown domain, which can make its visitors send as many as it likes; asked where it is an offence.
 */
export class AddressGuard {
  readonly denials: LocalDenials;
  private readonly parts: AddressGuardParts;
  private readonly insurance: RateLimiterMemory | undefined;
  private readonly slotSalt: Uint8Array;

  constructor(parts: AddressGuardParts) {
    const { clock, rateLimits } = parts;
    this.parts = parts;
    this.slotSalt = parts.random.bytes(16);
    this.denials = new LocalDenials(clock, rateLimits.maxAddresses);
    const { limit, windowMs } = rateLimits.connects;
    this.insurance =
      limit === 0 ? undefined : new RateLimiterMemory({ points: limit, duration: Math.ceil(windowMs / 1000) });
  }

  /** At once, without a wait; for every attempt before anything else is looked at. */
  screen(address: ClientAddress, isForeign: () => boolean): AddressRefusal | undefined {
    if (this.parts.isBanned(address)) return { status: 403, reason: 'banned' };
    const leftMs = this.denials.check(address.key);
    if (leftMs === undefined) return undefined;
    if (this.denials.hits(address.key) % HITS_AN_OFFENCE === 0) {
      this.parts.threat.note(address.key, 'limit_hit', isForeign());
    }
    return { status: 429, reason: 'limited', retryAfterMs: coarseWait(leftMs, this.parts.random) };
  }

  /**
   * One connect of an address: a socket, an event stream, a session that is resumed or refreshed. `offence`: its credential was
   * refused, which is counted with it and not a second time.
   */
  async connect(address: ClientAddress, isForeign = NOT_FOREIGN, offence?: Offence): Promise<Taken> {
    const failures = this.spec('auth_failures', offence === undefined ? 0 : 1);
    const taken = await this.takeByAddress(address, [this.spec('connects', 1), failures], isForeign);
    if (offence !== undefined && taken.status === 'taken') this.parts.threat.note(address.key, offence, isForeign());
    return taken;
  }

  /** One request of the public HTTP routes. */
  request(address: ClientAddress, isForeign: () => boolean): Promise<Taken> {
    return this.takeByAddress(address, [this.spec('http', 1), this.spec('auth_failures', 0)], isForeign);
  }

  /** One new dialog, of an address and of an assistant; `limit` is the assistant's own, where it has one. */
  async newDialog(address: ClientAddress, assistantId: string, limit?: number): Promise<Taken> {
    const byAddress = await this.takeByAddress(address, [this.spec('sessions', 1)], NOT_FOREIGN, false);
    if (byAddress.status !== 'taken') return byAddress;
    const spec = this.spec('assistant_sessions', 1);
    return this.told(
      await this.take({ kind: 'a', key: assistantId }, [limit === undefined ? spec : { ...spec, limit }]),
    );
  }

  /** One request with an API key; the key itself is not told to the store. */
  async apiRequest(key: string): Promise<Taken> {
    const digest = createHash('sha256').update(key).digest('base64url').slice(0, 22);
    return this.told(await this.take({ kind: 'k', key: digest }, [this.spec('api', 1)]));
  }

  /** A credential of the address was refused. */
  async failed(address: ClientAddress, offence: Offence, foreignOrigin: boolean): Promise<void> {
    this.parts.threat.note(address.key, offence, foreignOrigin);
    await this.takeByAddress(address, [this.spec('auth_failures', 1)], () => foreignOrigin);
  }

  private spec(name: LimitName, cost: 0 | 1): WindowSpec {
    const { limit, windowMs } = this.rateOf(name);
    return { name, limit, windowMs, cost };
  }

  private rateOf(name: LimitName): RateLimit {
    const { rateLimits } = this.parts;
    switch (name) {
      case 'connects':
        return rateLimits.connects;
      case 'auth_failures':
        return rateLimits.authFailures;
      case 'http':
        return rateLimits.http;
      case 'sessions':
        return rateLimits.sessions;
      case 'assistant_sessions':
        return rateLimits.assistantSessions;
      case 'api':
        return rateLimits.api;
    }
  }

  /** `denies`: a refusal keeps the address out before the next upgrade. */
  private async takeByAddress(
    address: ClientAddress,
    specs: readonly WindowSpec[],
    isForeign: () => boolean,
    denies = true,
  ): Promise<Taken> {
    const asked = await this.take({ kind: 'ip', key: address.key }, specs);
    if (asked.status === 'taken') return asked;
    if (asked.status === 'limited') this.parts.threat.note(address.key, 'limit_hit', isForeign());
    else if (await this.mayBeToldAway(address)) return asked;
    // Exactly as long as the window has no room: a denial that outlived it would refuse what the limit admits.
    const waitMs = asked.status === 'limited' ? asked.waitMs : AWAY_DENIAL_MS;
    if (denies) this.denials.deny(address.key, waitMs);
    return this.told({ status: 'limited', waitMs });
  }

  /** What may be said of it: waits are coarse. */
  private told(asked: Asked): Taken {
    if (asked.status !== 'limited') return asked;
    return { status: 'limited', retryAfterMs: coarseWait(asked.waitMs, this.parts.random) };
  }

  private async take(subject: Subject, specs: readonly WindowSpec[]): Promise<Asked> {
    const { limiter, rateLimits, isAway, onLimited } = this.parts;
    const active = specs.filter(({ limit }) => limit > 0);
    if (active.length === 0) return isAway() ? UNAVAILABLE : TAKEN;
    try {
      const result = await limiter.take(subject, active);
      if (result.status === 'taken') return TAKEN;
      onLimited(result.window as LimitName, subject, rateLimits.dryRun);
      return rateLimits.dryRun ? TAKEN : { status: 'limited', waitMs: result.retryAfterMs };
    } catch (error) {
      if (error instanceof BackplaneUnavailable) return UNAVAILABLE;
      throw error;
    }
  }

  /**
   * Addresses share the slots of a table of fixed size: the library keeps an entry and a timer for each key. Which share one is this
   * process' own secret, so that nobody can choose an address that fills another's.
   */
  private async mayBeToldAway(address: ClientAddress): Promise<boolean> {
    if (this.insurance === undefined || this.parts.rateLimits.dryRun) return true;
    const digest = createHash('sha256').update(this.slotSalt).update(address.key).digest();
    const slot = digest.readUInt32BE() % this.parts.rateLimits.maxAddresses;
    try {
      await this.insurance.consume(String(slot));
      return true;
    } catch {
      return false;
    }
  }
}
