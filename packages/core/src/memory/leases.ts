import {
  COUNTED_USERS,
  type Lease,
  type LeaseRequest,
  type LeaseResult,
  type LeaseScope,
  type Leases,
  placeLifetimeMs,
} from '../guard-ports.js';
import type { MemoryCluster } from './cluster.js';
import type { MemoryNode } from './node.js';
import type { Data } from './store.js';

export interface Place {
  readonly user: string;
  readonly untilMs: number;
}

/** Places of one scope by incarnation and connection, each in the order in which they were taken. */
export type Scope = Map<string, Map<string, Place>>;

const keyOf = ({ kind, key }: Pick<LeaseScope, 'kind' | 'key'>): string => `${kind}\n${key}`;
const takenScopes = (scopes: readonly LeaseScope[]): readonly LeaseScope[] => scopes.filter(({ limit }) => limit > 0);

/** Users with a live connection from an address. */
export const countUsers = (data: Data, addressKey: string, live: ReadonlySet<string>, nowMs: number): number => {
  const users = new Set<string>();
  for (const [incarnation, places] of data.places.get(keyOf({ kind: 'address', key: addressKey })) ?? []) {
    if (!live.has(incarnation)) continue;
    for (const { user, untilMs } of places.values()) {
      if (untilMs > nowMs) users.add(user);
      if (users.size >= COUNTED_USERS) return COUNTED_USERS;
    }
  }
  return users.size;
};

export class MemoryLeases implements Leases {
  readonly #cluster: MemoryCluster;
  readonly #node: MemoryNode;

  constructor(cluster: MemoryCluster, node: MemoryNode) {
    this.#cluster = cluster;
    this.#node = node;
  }

  async acquire(request: LeaseRequest): Promise<LeaseResult> {
    this.#cluster.enter(this.#node);
    const { connectionId, atLimit } = request;
    let replaced:
      | { readonly scope: LeaseScope; readonly incarnation: string; readonly connectionId: string }
      | undefined;
    for (const scope of takenScopes(request.scopes)) {
      const places = this.#live(scope);
      if (places.some(([incarnation, id]) => incarnation === this.#node.incarnation && id === connectionId)) continue;
      if (places.length < scope.limit) continue;
      const [oldest] = places.sort(([, , a], [, , b]) => a.untilMs - b.untilMs);
      if (atLimit === 'refuse' || scope.kind !== 'user' || oldest === undefined)
        return { status: 'full', kind: scope.kind };
      replaced = { scope, incarnation: oldest[0], connectionId: oldest[1] };
    }
    if (replaced !== undefined) this.#remove(replaced.scope, replaced.incarnation, replaced.connectionId);
    this.#take(request);
    return { status: 'leased', ...(replaced === undefined ? {} : { replaced: replaced.connectionId }) };
  }

  async release({ connectionId, scopes }: Lease): Promise<void> {
    this.#cluster.enter(this.#node);
    for (const scope of takenScopes(scopes)) this.#remove(scope, this.#node.incarnation, connectionId);
  }

  async restore(leases: readonly Lease[]): Promise<void> {
    this.#cluster.enter(this.#node);
    for (const lease of leases) this.#take(lease);
  }

  /** Incarnation, connection and place of everything that counts. */
  #live(scope: LeaseScope): (readonly [string, string, Place])[] {
    const { data, nowMs } = this.#cluster;
    const found: (readonly [string, string, Place])[] = [];
    for (const [incarnation, places] of data.places.get(keyOf(scope)) ?? []) {
      if (!this.#node.live.has(incarnation)) continue;
      for (const [id, place] of places) if (place.untilMs > nowMs) found.push([incarnation, id, place]);
    }
    return found;
  }

  #take({ connectionId, user, scopes }: Lease): void {
    const { data, nowMs } = this.#cluster;
    const { incarnation, leaseTtlMs } = this.#node.options;
    for (const scope of takenScopes(scopes)) {
      const key = keyOf(scope);
      const all: Scope = data.places.get(key) ?? new Map();
      data.places.set(key, all);
      const places = all.get(incarnation) ?? new Map<string, Place>();
      all.set(incarnation, places);
      const known = places.get(connectionId);
      if (known === undefined || known.untilMs <= nowMs) {
        places.set(connectionId, { user, untilMs: nowMs + placeLifetimeMs(leaseTtlMs) });
      }
    }
  }

  #remove(scope: LeaseScope, incarnation: string, connectionId: string): void {
    const { data } = this.#cluster;
    const key = keyOf(scope);
    const all = data.places.get(key);
    const places = all?.get(incarnation);
    if (all === undefined || places === undefined) return;
    places.delete(connectionId);
    if (places.size === 0) all.delete(incarnation);
    if (all.size === 0) data.places.delete(key);
  }
}
