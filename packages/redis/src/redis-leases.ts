import { createHash } from 'node:crypto';
import {
  type Lease,
  type LeaseRequest,
  type LeaseResult,
  type LeaseScope,
  type Leases,
  placeLifetimeMs,
} from '@replyx/core';
import { Gathering } from './gathering.js';
import type { Keys, ScopeKeys } from './keys.js';
import type { Settings } from './options.js';
import { SCRIPTS, type Script } from './scripts.js';
import { liveNames, type NodeState } from './state.js';
import type { Topology } from './topology.js';

/** Places of one scope that one script takes, frees or restores, and how many that restore run at a time. */
const PLACES_A_CALL = 100;
const AT_A_TIME = 32;

type Answer = { readonly status: 'leased'; readonly replaced: string | undefined } | { readonly status: 'full' };

/** A place that is asked for, or given back. */
interface Place {
  readonly scope: LeaseScope;
  readonly member: string;
}

interface ScopePlaces {
  readonly scope: LeaseScope;
  readonly members: string[];
}

const taken = (scopes: readonly LeaseScope[]): readonly LeaseScope[] => scopes.filter(({ limit }) => limit > 0);

const nameOf = ({ kind, key }: Pick<LeaseScope, 'kind' | 'key'>): string => `${kind}\n${key}`;
const isShared = ({ kind }: LeaseScope): boolean => kind === 'assistant' || kind === 'cluster';

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
  #others: { readonly live: string; readonly names: readonly string[] } = { live: '', names: [] };
  /**
   * In scopes that many connections share. Asked for behind every promise that this step of the loop settles, whose callers ask for the
   * same, and in one write with their other places: so nodes that ask for several things at once are served in one order in all of them.
   */
  readonly #takes = new Gathering<Place, Answer>(PLACES_A_CALL, process.nextTick, (places) =>
    this.#take(places, 'refuse'),
  );
  readonly #releases = new Gathering<Place, undefined>(PLACES_A_CALL, setImmediate, (places) => this.#free(places));

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
    const outcomes = await Promise.allSettled(
      scopes.map((scope) => this.#takeOne({ scope, member: memberOf(scope, request) })),
    );
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
    await Promise.all(
      taken(lease.scopes).map((scope) => {
        const place = { scope, member: memberOf(scope, lease) };
        return isShared(scope) ? this.#releases.ask(nameOf(scope), place) : this.#free([place]);
      }),
    );
  }

  async restore(leases: readonly Lease[]): Promise<void> {
    const byScope = new Map<string, ScopePlaces>();
    for (const lease of leases) {
      for (const scope of taken(lease.scopes)) {
        const key = nameOf(scope);
        const known = byScope.get(key) ?? { scope, members: [] };
        byScope.set(key, known);
        known.members.push(memberOf(scope, lease));
      }
    }
    const calls: ScopePlaces[] = [];
    for (const { scope, members } of byScope.values()) {
      for (let start = 0; start < members.length; start += PLACES_A_CALL) {
        calls.push({ scope, members: members.slice(start, start + PLACES_A_CALL) });
      }
    }
    for (let start = 0; start < calls.length; start += AT_A_TIME) {
      await Promise.all(calls.slice(start, start + AT_A_TIME).map((call) => this.#restoreSome(call)));
    }
  }

  async #replace(scope: LeaseScope, request: LeaseRequest): Promise<Answer> {
    try {
      const [answer] = await this.#take([{ scope, member: memberOf(scope, request) }], 'replace');
      return answer as Answer;
    } catch (error) {
      this.release(request).catch(() => {});
      throw error;
    }
  }

  async #takeOne(place: Place): Promise<Answer> {
    const { scope } = place;
    // A limit may change between two of the same scope.
    if (isShared(scope)) return this.#takes.ask(`${scope.limit}\n${nameOf(scope)}`, place);
    const [answer] = await this.#take([place], 'refuse');
    return answer as Answer;
  }

  /** All of one scope. */
  async #take(places: readonly Place[], atLimit: LeaseRequest['atLimit']): Promise<readonly Answer[]> {
    const { scope } = places[0] as Place;
    const { incarnation } = this.#settings;
    const keys = this.#keys.scope(scope);
    const others = this.#otherLive();
    const members = places.map(({ member }) => member);
    const answers = (await this.#run(SCRIPTS.lease, keys, atLimit === 'replace' ? others.map(keys.places) : [], [
      incarnation,
      scope.limit,
      this.#lifetimeMs,
      atLimit,
      members.length,
      ...members,
      ...others,
    ])) as Buffer[];
    return answers.map((answer) => {
      const text = String(answer);
      return text === 'full' ? { status: 'full' } : { status: 'leased', replaced: text === '' ? undefined : text };
    });
  }

  /** All of one scope. */
  async #free(places: readonly Place[]): Promise<undefined[]> {
    const { scope } = places[0] as Place;
    const args = [this.#settings.incarnation, this.#lifetimeMs, ...places.map(({ member }) => member)];
    await this.#run(SCRIPTS.release, this.#keys.scope(scope), [], args);
    return [];
  }

  /** Other live incarnations; they change with a heartbeat at most. */
  #otherLive(): readonly string[] {
    const { live } = this.#state;
    if (this.#others.live !== live) {
      this.#others = { live, names: liveNames(live).filter((name) => name !== this.#settings.incarnation) };
    }
    return this.#others.names;
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
