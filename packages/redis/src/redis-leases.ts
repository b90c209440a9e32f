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

/** Connections whose places one script takes or frees; places that one restores, and how many scripts that restore run at a time. */
const CONNECTIONS_A_CALL = 50;
const PLACES_A_CALL = 100;
const AT_A_TIME = 32;

type Answer = 'leased' | 'full' | { readonly replaced: string };

/** A place that is asked for, or given back. */
interface Place {
  readonly keys: ScopeKeys;
  readonly limit: number;
  readonly member: string;
}

/** Places of one scope. */
interface ScopePlaces {
  readonly keys: ScopeKeys;
  readonly limit: number;
  readonly members: string[];
  /** Which of all places each is. */
  readonly indexes: number[];
}

const taken = (scopes: readonly LeaseScope[]): readonly LeaseScope[] =>
  scopes.every(({ limit }) => limit > 0) ? scopes : scopes.filter(({ limit }) => limit > 0);

/** One scope after the other, in the order in which each came first. */
const byScope = (places: readonly Place[]): ScopePlaces[] => {
  const groups: ScopePlaces[] = [];
  const last = new Map<string, ScopePlaces>();
  places.forEach(({ keys, limit, member }, index) => {
    let group = last.get(keys.counts);
    // A limit may change between two of the same scope.
    if (group?.limit !== limit) {
      group = { keys, limit, members: [], indexes: [] };
      groups.push(group);
      last.set(keys.counts, group);
    }
    group.members.push(member);
    group.indexes.push(index);
  });
  return groups;
};

/** Of any of them: one script may touch all. */
const slotOf = (places: readonly { readonly keys: ScopeKeys }[]): number => places[0]?.keys.slot ?? 0;

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
   * What is asked for until the next write is one script for each part of the store that one script may touch: so nodes that ask for
   * several things at once are served in one order in all of them.
   */
  readonly #takes: Gathering<readonly Place[], readonly Answer[]>;
  readonly #releases: Gathering<readonly Place[], undefined>;

  constructor(settings: Settings, keys: Keys, topology: Topology, state: NodeState) {
    this.#settings = settings;
    this.#keys = keys;
    this.#topology = topology;
    this.#state = state;
    this.#lifetimeMs = placeLifetimeMs(settings.leaseTtlMs);
    this.#takes = new Gathering(topology, CONNECTIONS_A_CALL, (asked) => this.#takeAll(asked));
    this.#releases = new Gathering(topology, CONNECTIONS_A_CALL, (given) => this.#free(given.flat()), 'first');
  }

  /** In all scopes at once; whatever was taken is given back where one refuses. */
  async acquire(request: LeaseRequest): Promise<LeaseResult> {
    const scopes = taken(request.scopes);
    const full: LeaseScope[] = [];
    const parts = await Promise.allSettled(
      this.#parts(scopes, request).map(async ({ its, places }) => {
        const answers = await this.#takes.ask(slotOf(places), places);
        answers.forEach((answer, i) => {
          if (answer === 'full') full.push(its[i] as LeaseScope);
        });
      }),
    );
    const failed = parts.find((part) => part.status === 'rejected');
    if (failed !== undefined) {
      // Not awaited: the answer must not take a second deadline. Also where the answer was lost a place may be held.
      this.release(request).catch(() => {});
      throw failed.reason;
    }
    const first = scopes.find((scope) => full.includes(scope));
    if (first === undefined) return { status: 'leased' };
    // Nobody gives way to a newcomer whom another scope refuses: so the user's own places come last where they are full.
    if (request.atLimit === 'replace' && full.length === 1 && first.kind === 'user') {
      const answer = await this.#replace(first, request);
      if (answer !== 'full') return { status: 'leased', ...(answer === 'leased' ? {} : answer) };
    }
    const held = scopes.filter((scope) => !full.includes(scope));
    await this.release({ ...request, scopes: held });
    return { status: 'full', kind: first.kind };
  }

  async release(lease: Lease): Promise<void> {
    await Promise.all(
      this.#parts(taken(lease.scopes), lease).map(({ places }) => this.#releases.ask(slotOf(places), places)),
    );
  }

  async restore(leases: readonly Lease[]): Promise<void> {
    const places = leases.flatMap((lease) => taken(lease.scopes).map((scope) => this.#place(scope, lease)));
    const calls: ScopePlaces[] = [];
    for (const group of byScope(places)) {
      for (let start = 0; start < group.members.length; start += PLACES_A_CALL) {
        calls.push({ ...group, members: group.members.slice(start, start + PLACES_A_CALL) });
      }
    }
    for (let start = 0; start < calls.length; start += AT_A_TIME) {
      await Promise.all(calls.slice(start, start + AT_A_TIME).map((call) => this.#restoreSome(call)));
    }
  }

  #place(scope: LeaseScope, lease: Omit<Lease, 'scopes'>): Place {
    return { keys: this.#keys.scope(scope), limit: scope.limit, member: memberOf(scope, lease) };
  }

  /** A lease's places by what one script may touch. */
  #parts(
    scopes: readonly LeaseScope[],
    lease: Omit<Lease, 'scopes'>,
  ): readonly { readonly its: readonly LeaseScope[]; readonly places: readonly Place[] }[] {
    const parts: { unit: number; its: LeaseScope[]; places: Place[] }[] = [];
    for (const scope of scopes) {
      const place = this.#place(scope, lease);
      const unit = this.#topology.unit(place.keys.slot);
      const part = parts.find((other) => other.unit === unit);
      if (part === undefined) parts.push({ unit, its: [scope], places: [place] });
      else {
        part.its.push(scope);
        part.places.push(place);
      }
    }
    return parts;
  }

  async #takeAll(asked: readonly (readonly Place[])[]): Promise<(readonly Answer[])[]> {
    const answers = await this.#take(asked.flat(), 'refuse');
    let start = 0;
    return asked.map(({ length }) => {
      start += length;
      return answers.slice(start - length, start);
    });
  }

  async #replace(scope: LeaseScope, request: LeaseRequest): Promise<Answer> {
    try {
      const [answer] = await this.#take([this.#place(scope, request)], 'replace');
      return answer as Answer;
    } catch (error) {
      this.release(request).catch(() => {});
      throw error;
    }
  }

  /** In the order of the places. */
  async #take(places: readonly Place[], atLimit: LeaseRequest['atLimit']): Promise<readonly Answer[]> {
    const others = this.#otherLive();
    const groups = byScope(places);
    const args: (string | number)[] = [this.#settings.incarnation, this.#lifetimeMs, atLimit, others.length, ...others];
    for (const { limit, members } of groups) args.push(limit, members.length, ...members);
    const more = atLimit === 'replace' ? groups.flatMap(({ keys }) => others.map(keys.places)) : [];
    const reply = (await this.#run(SCRIPTS.lease, groups, more, args)) as (number | Buffer)[];
    const answers = places.map((): Answer => 'leased');
    if (reply.length > 0) {
      const order = groups.flatMap(({ indexes }) => indexes);
      for (let i = 0; i < reply.length; i += 2) {
        const text = String(reply[i + 1]);
        answers[order[Number(reply[i]) - 1] as number] = text === 'full' ? text : { replaced: text };
      }
    }
    return answers;
  }

  async #free(places: readonly Place[]): Promise<undefined[]> {
    const groups = byScope(places);
    const args: (string | number)[] = [this.#settings.incarnation, this.#lifetimeMs];
    for (const { members } of groups) args.push(members.length, ...members);
    await this.#run(SCRIPTS.release, groups, [], args);
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

  async #restoreSome(group: ScopePlaces): Promise<void> {
    const args = [this.#settings.incarnation, this.#lifetimeMs, ...group.members];
    await this.#run(SCRIPTS.restore, [group], [], args);
  }

  /** Runs a script on the scopes' counts and this node's places, with `more` behind them. */
  #run(
    script: Script,
    groups: readonly ScopePlaces[],
    more: readonly string[],
    args: readonly (string | number)[],
  ): Promise<unknown> {
    const { incarnation } = this.#settings;
    const keys: string[] = [];
    for (const { keys: its } of groups) keys.push(its.counts, its.places(incarnation), its.users(incarnation));
    return this.#topology.link(slotOf(groups)).run(script, [...keys, ...more], args);
  }
}
