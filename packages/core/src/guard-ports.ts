/**
 * The ports that keep a cluster from being overrun: sliding windows, places that connections take, the threat score. Like every
 * port they have an in-memory implementation and one on Redis, and both pass the test kit's contract suites.
 */

// ── Limiter: sliding windows and the threat score ───────────────────────────────────────────────────────────────────

/** What is counted; windows of one subject are judged in one atomic step. */
export interface Subject {
  /** `ip`: the key of a `ClientAddress`; `a`: an assistant id; `k`: a digest of an API key. */
  readonly kind: 'ip' | 'a' | 'k';
  readonly key: string;
}

export interface WindowSpec {
  /** One of a small fixed set, such as `connects`; the same name and subject is the same window. */
  readonly name: string;
  /** 0 is off: admitted, nothing counted. */
  readonly limit: number;
  readonly windowMs: number;
  /** What the attempt counts; 0 only asks whether there is room for one. */
  readonly cost: number;
}

export type TakeResult =
  | { readonly status: 'taken' }
  /**
   * Nothing was counted in any window. `window`: the one that refused, and of several the one that takes longest to have room
   * again, which is in `retryAfterMs`.
   */
  | { readonly status: 'refused'; readonly window: string; readonly retryAfterMs: number };

export interface RaisedScore {
  /** Points within the window, those just added included. */
  readonly score: number;
  /** Users with a live connection from the address, counted up to `COUNTED_USERS`. */
  readonly users: number;
  /** Bans of the address that were counted before and are not forgotten. */
  readonly bans: number;
}

export interface Limiter {
  /**
   * Takes from all windows or from none. No span of a window's length, wherever it is laid and from however many nodes, ever
   * admits more than the limit; a refusal comes at most 2 % of the window too early. Time is the store's.
   */
  take(subject: Subject, windows: readonly WindowSpec[]): Promise<TakeResult>;
  /** Raises the threat score of an address, within a sliding window of the same exactness. */
  raise(addressKey: string, points: number, windowMs: number): Promise<RaisedScore>;
  /**
   * Counts a ban of the address and clears its score. Resolves how many were counted in `memoryMs`, this one included, up to
   * `COUNTED_BANS`; 0, and nothing is counted, where there is no score: the ban for it has been counted already.
   */
  countBan(addressKey: string, memoryMs: number): Promise<number>;
}

// ── Leases: places of connections in what the cluster limits ────────────────────────────────────────────────────────

export type LeaseKind = 'user' | 'address' | 'assistant' | 'cluster';

export interface LeaseScope {
  readonly kind: LeaseKind;
  /** `user`: tenant and subject as `leaseKeyOfUser` writes them; `address`: an address key; `assistant`: its id; `cluster`: ''. */
  readonly key: string;
  /** 0: no limit, and no place is taken. */
  readonly limit: number;
}

export interface LeaseRequest {
  readonly connectionId: string;
  /** Whose connection it is, as the `user` scope's key; kept with the address's places. */
  readonly user: string;
  readonly scopes: readonly LeaseScope[];
  /** `replace`: where its own user's places are full, the user's oldest connection gives way. Other scopes always refuse. */
  readonly atLimit: 'refuse' | 'replace';
}

export type LeaseResult =
  /** `replaced`: a connection of the same user that gives way; its place is free already, its socket is not closed yet. */
  | { readonly status: 'leased'; readonly replaced?: string | undefined }
  /** Nothing is held in any scope. */
  | { readonly status: 'full'; readonly kind: LeaseKind };

/** A place that a connection holds. */
export type Lease = Omit<LeaseRequest, 'atLimit'>;

/**
 * Places are owned by the incarnation: those of a dead one do not count, and no traffic keeps a place alive. A place lasts a little
 * longer than the longest life of a connection (`placeLifetimeMs`), so that one whose release was lost goes too.
 */
export interface Leases {
  /**
   * Takes a place in every scope or in none. No limit is ever passed, and one scope is filled exactly under a simultaneous rush
   * from any number of nodes; a rush for two full scopes at once may leave a place free. Idempotent. When it rejects, places may
   * be held: the caller releases them.
   */
  acquire(request: LeaseRequest): Promise<LeaseResult>;
  /** Gives the places back. Idempotent. */
  release(lease: Lease): Promise<void>;
  /** Takes places again that an emptied or expired store has lost, whatever the limits say. */
  restore(leases: readonly Lease[]): Promise<void>;
}

/** The `user` scope's key: the same subject in two tenants is two users. */
export const leaseKeyOfUser = (tenant: string, role: string, subject: string): string => `${tenant}:${role}:${subject}`;

/** To how many users of an address, and bans of it, a `Limiter` counts. */
export const COUNTED_USERS = 4;
export const COUNTED_BANS = 100;

/** How long a place lasts whose release was lost, by `BackplaneOptions.leaseTtlMs`: past the end of any connection. */
export const placeLifetimeMs = (leaseTtlMs: number): number => leaseTtlMs + Math.ceil(leaseTtlMs / 16) + 2_000;
