import { createHash } from 'node:crypto';
import {
  type Lease,
  type LeaseRequest,
  type LeaseResult,
  type LeaseScope,
  type Leases,
  placeLifetimeMs,
} from '@replyx/core';
import type { Keys, ScopeKeys } from './keys.js';
import type { Settings } from './options.js';
import { SCRIPTS, type Script } from './scripts.js';
import { liveNames, type NodeState } from './state.js';
import type { Topology } from './topology.js';

/** Places that one script restores, and how many of these run at a time. */
const RESTORED_A_CALL = 100;
const AT_A_TIME = 32;

type Answer = { readonly status: 'leased'; readonly replaced: string | undefined } | { readonly status: 'full' };

interface ScopePlaces {
  readonly scope: LeaseScope;
  readonly members: string[];
}

const taken = (scopes: readonly LeaseScope[]): readonly LeaseScope[] => scopes.filter(({ limit }) => limit > 0);

/** An address's members carry whose they are, so that its users can be counted; a digest, for its length. */
const memberOf = (scope: LeaseScope, { connectionId, user }: Omit<Lease, 'scopes'>): string =>
  scope.kind === 'address'
    ? `${connectionId}:${createHash('sha256').update(user).digest('base64url').slice(0, 16)}`
    : connectionId;

export class RedisLeases implements Leases {
  readonly #settings: Settings;
  readonly #keys: Keys;
  readonly #topology: Topology;
  readonly #state: NodeState;
  readonly #lifetimeMs: number;

  constructor(settings: Settings, keys: Keys, topology: Topology, state: NodeState) {
    this.#settings = settings;
    this.#keys = keys;
    this.#topology = topology;
    this.#state = state;
    this.#lifetimeMs = placeLifetimeMs(settings.leaseTtlMs);
  }

  /** Each scope is a script of its own slot, all at once; whatever was taken is given back where one refuses. */
  async acquire(request: LeaseRequest): Promise<LeaseResult> {
    const scopes = taken(request.scopes);
    const outcomes = await Promise.allSettled(scopes.map((scope) => this.#take(scope, request, 'refuse')));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) {
      // Not awaited: the answer must not take a second deadline. Also where the answer was lost a place may be held.
      this.release(request).catch(() => {});
      throw failed.reason;
    }
    const full = scopes.filter((_, i) => {
      const outcome = outcomes[i];
      return outcome?.status === 'fulfilled' && outcome.value.status === 'full';
    });
    const [first] = full;
    if (first === undefined) return { status: 'leased' };
    // Nobody gives way to a newcomer whom another scope refuses: so the user's own places come last where they are full.
    if (request.atLimit === 'replace' && full.length === 1 && first.kind === 'user') {
      const answer = await this.#replace(first, request);
      if (answer.status === 'leased') {
        return { status: 'leased', ...(answer.replaced === undefined ? {} : { replaced: answer.replaced }) };
      }
    }
    const held = scopes.filter((scope) => !full.includes(scope));
    await this.release({ ...request, scopes: held });
    return { status: 'full', kind: first.kind };
  }

  async release(lease: Lease): Promise<void> {
    const { incarnation } = this.#settings;
    await Promise.all(
      taken(lease.scopes).map((scope) => {
        const args = [memberOf(scope, lease), incarnation, this.#lifetimeMs];
        return this.#run(SCRIPTS.release, this.#keys.scope(scope), [], args);
      }),
    );
  }

  async restore(leases: readonly Lease[]): Promise<void> {
    const byScope = new Map<string, ScopePlaces>();
    for (const lease of leases) {
      for (const scope of taken(lease.scopes)) {
        const key = `${scope.kind}\n${scope.key}`;
        const known = byScope.get(key) ?? { scope, members: [] };
        byScope.set(key, known);
        known.members.push(memberOf(scope, lease));
      }
    }
    const calls: ScopePlaces[] = [];
    for (const { scope, members } of byScope.values()) {
      for (let start = 0; start < members.length; start += RESTORED_A_CALL) {
        calls.push({ scope, members: members.slice(start, start + RESTORED_A_CALL) });
      }
    }
    for (let start = 0; start < calls.length; start += AT_A_TIME) {
      await Promise.all(calls.slice(start, start + AT_A_TIME).map((call) => this.#restoreSome(call)));
    }
  }

  async #replace(scope: LeaseScope, request: LeaseRequest): Promise<Answer> {
    try {
      return await this.#take(scope, request, 'replace');
    } catch (error) {
      this.release(request).catch(() => {});
      throw error;
    }
  }

  async #take(scope: LeaseScope, request: LeaseRequest, atLimit: LeaseRequest['atLimit']): Promise<Answer> {
    const { incarnation } = this.#settings;
    const keys = this.#keys.scope(scope);
    const others = liveNames(this.#state.live).filter((name) => name !== incarnation);
    const [status, replaced] = (await this.#run(
      SCRIPTS.lease,
      keys,
      atLimit === 'replace' ? others.map(keys.places) : [],
      [memberOf(scope, request), incarnation, scope.limit, this.#lifetimeMs, atLimit, ...others],
    )) as Buffer[];
    return String(status) === 'leased'
      ? { status: 'leased', replaced: replaced === undefined ? undefined : String(replaced) }
      : { status: 'full' };
  }

  async #restoreSome({ scope, members }: ScopePlaces): Promise<void> {
    const args = [this.#settings.incarnation, this.#lifetimeMs, ...members];
    await this.#run(SCRIPTS.restore, this.#keys.scope(scope), [], args);
  }

  /** Runs a script on a scope's counts and this node's places, with `more` behind them. */
  async #run(
    script: Script,
    keys: ScopeKeys,
    more: readonly string[],
    args: readonly (string | number)[],
  ): Promise<unknown> {
    const { incarnation } = this.#settings;
    const own = [keys.counts, keys.places(incarnation), keys.users(incarnation)];
    return this.#topology.link(keys.slot).run(script, [...own, ...more], args);
  }
}
