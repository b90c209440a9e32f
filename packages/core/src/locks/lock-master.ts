/**
 * The lock port: one of the N independent stores that vote on a lock. It knows a lock by the random value of the attempt that took
 * it, and keeps a counter of fences beside it that outlives every lock.
 *
 * Every promise settles within a bound of the implementation, which may be later than anybody waits for it. An outage rejects with
 * `BackplaneUnavailable`; whether the step was taken is unknown then.
 */
export interface LockMaster {
  /** Where it is, without credentials; for logs. */
  readonly label: string;
  /** Takes the lock where nobody holds it. Never carried out later than `deadlineMs` after the call. */
  acquire(request: LockRequest): Promise<LockVote>;
  /** Lets the lock live for `ttlMs` from now. False: this value does not hold it. */
  extend(name: string, value: string, ttlMs: number): Promise<boolean>;
  /** Gives the lock up. False: this value did not hold it. Idempotent. An acquire of this value that arrives later is refused. */
  release(name: string, value: string): Promise<boolean>;
  raiseFence(request: RaiseRequest): Promise<RaiseVote>;
  /** Safe to call twice. */
  close(): Promise<void>;
}

export interface LockRequest {
  readonly name: string;
  /** Unique for the attempt. */
  readonly value: string;
  /** Who asks, for those who are refused; excludes nobody. */
  readonly owner: string;
  readonly ttlMs: number;
  readonly deadlineMs: number;
}

export type LockVote =
  /** `fence`: the counter, raised by this step to more than it ever was, and to no less than the store's time in milliseconds. */
  | { readonly status: 'granted'; readonly fence: number }
  | { readonly status: 'held'; readonly owner: string }
  /** It came too late, or after its release. */
  | { readonly status: 'refused' };

export interface RaiseRequest {
  readonly name: string;
  /** Absent: the next fence of the counter, as `acquire` takes it. */
  readonly fence?: number | undefined;
  /** Where given, only while this value holds the lock. */
  readonly value?: string | undefined;
}

export type RaiseVote =
  | { readonly status: 'raised'; readonly fence: number }
  /** The counter was at or above `fence` already; it is at `fence` of the answer. */
  | { readonly status: 'passed'; readonly fence: number }
  | { readonly status: 'lost' };
