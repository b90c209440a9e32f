import { type Lease, type LeaseResult, type LeaseScope, leaseKeyOfUser } from './guard-ports.js';
import type { InboxAddress } from './inbox-port.js';
import type { Backplane, RegisterRequest, RegisterResult } from './ports.js';
import type { Retry } from './retry.js';
import type { Identity, Session } from './session.js';

/** What a connection takes of what the cluster limits. */
export interface JoinPlaces {
  /** Live connections that the dialog may have; 0: no limit. */
  readonly dialogLimit: number;
  readonly scopes: readonly LeaseScope[];
  readonly atLimit: 'refuse' | 'replace';
}

/** Places that a session has asked for. */
export interface HeldPlaces {
  readonly lease: Lease;
  /** The answer has come, and it was yes. */
  isHeld: boolean;
}

export interface HoldingsParts {
  readonly backplane: Pick<Backplane, 'roster' | 'leases'>;
  readonly retry: Retry;
  readonly isRunning: () => boolean;
  /** The inbox that is told of who comes and goes; `undefined` where none is. */
  readonly inboxOf: (identity: Identity) => InboxAddress | undefined;
  readonly onBug: (error: unknown) => void;
}

/**
 * What a node's sessions hold in the store: their registrations and their places. Whatever was asked for is taken back when the
 * session ends, also where the answer was lost or is still to come.
 */
export class Holdings {
  private readonly parts: HoldingsParts;
  /** Sessions that left and whose holdings are being taken back; retried for as long as the backplane is away. */
  private readonly leaving = new Set<Promise<unknown>>();

  constructor(parts: HoldingsParts) {
    this.parts = parts;
  }

  async register(
    session: Session,
    request: Omit<RegisterRequest, 'dialogId' | 'connectionId' | 'member' | 'inbox'>,
  ): Promise<RegisterResult> {
    const { dialogId, connectionId, member } = session.identity;
    session.wasRegistered = true;
    try {
      const inbox = this.parts.inboxOf(session.identity);
      const { claim, clientId, limit, atLimit, heads } = request;
      return await this.parts.backplane.roster.register({
        dialogId,
        connectionId,
        member,
        claim,
        clientId,
        limit,
        atLimit,
        inbox,
        heads,
      });
    } finally {
      // The socket may have ended meanwhile, before there was anything to unregister.
      if (session.isClosed) this.unregister(session);
    }
  }

  async takePlaces(session: Session, { scopes, atLimit }: JoinPlaces): Promise<LeaseResult> {
    // Kept for as long as the session: a filtered copy would hold room for more.
    const limited = scopes.every(({ limit }) => limit > 0) ? scopes : scopes.filter(({ limit }) => limit > 0);
    if (limited.length === 0) return { status: 'leased' };
    const { connectionId, tenant, member } = session.identity;
    const own = limited.find(({ kind }) => kind === 'user')?.key;
    const lease = { connectionId, user: own ?? leaseKeyOfUser(tenant, member.role, member.id), scopes: limited };
    const places: HeldPlaces = { lease, isHeld: false };
    session.places = places;
    try {
      const result = await this.parts.backplane.leases.acquire({
        connectionId,
        user: lease.user,
        scopes: limited,
        atLimit,
      });
      if (result.status === 'leased') places.isHeld = true;
      else session.places = undefined;
      return result;
    } finally {
      // As above: what was given back before it was taken is given back again.
      if (session.isClosed) this.release(session);
    }
  }

  /** Ends older connections of the session's client; of no interest any more where the session itself ends first. */
  evict(session: Session, connectionIds: readonly string[]): void {
    const { dialogId } = session.identity;
    this.parts
      .retry(
        () => this.parts.backplane.roster.evict(dialogId, connectionIds),
        () => this.parts.isRunning() && !session.isClosed,
      )
      .catch(this.parts.onBug);
  }

  /** The session has ended. */
  giveUp(session: Session): void {
    if (session.wasRegistered) this.unregister(session);
    this.release(session);
  }

  /** Renews registrations; resolves how many the store had lost. */
  async renew(sessions: readonly Session[]): Promise<number> {
    const joined = sessions.filter((session) => session.isJoined);
    if (joined.length === 0) return 0;
    try {
      return await this.parts.backplane.roster.renew(
        joined.map(({ identity, clientId }) => ({
          dialogId: identity.dialogId,
          connectionId: identity.connectionId,
          member: identity.member,
          clientId,
          inbox: this.parts.inboxOf(identity),
        })),
      );
    } finally {
      // Who left meanwhile may have been registered again after it was taken off.
      for (const session of joined) if (session.isClosed) this.unregister(session);
    }
  }

  /** Takes the places again that the store has lost. */
  async restorePlaces(sessions: readonly Session[]): Promise<void> {
    const holders = sessions.filter((session) => session.places?.isHeld === true && !session.isClosed);
    if (holders.length === 0) return;
    try {
      await this.parts.backplane.leases.restore(holders.flatMap(({ places }) => places?.lease ?? []));
    } finally {
      for (const session of holders) if (session.isClosed) this.release(session);
    }
  }

  /** Resolves when nothing of a session that has left is still being taken back. */
  async settled(): Promise<void> {
    while (this.leaving.size > 0) await Promise.all(this.leaving);
  }

  private unregister(session: Session): void {
    const { dialogId, connectionId } = session.identity;
    this.takeBack(() => this.parts.backplane.roster.unregister(dialogId, connectionId));
  }

  private release({ places }: Session): void {
    if (places !== undefined) this.takeBack(() => this.parts.backplane.leases.release(places.lease));
  }

  private takeBack(attempt: () => Promise<void>): void {
    const leaving = this.parts
      .retry(attempt, this.parts.isRunning)
      .catch(this.parts.onBug)
      .finally(() => this.leaving.delete(leaving));
    this.leaving.add(leaving);
  }
}
