import {
  BanList,
  type Clock,
  type ControlEntry,
  type Disconnect,
  type Identity,
  type Revocation,
  type Session,
  subjectOfIdentity,
  type TokenSubject,
} from '@replyx/core';
import { CLOSE_CODES, type CloseName } from '@replyx/protocol';

export interface SessionCloserParts {
  /** All, or those of one dialog, or of one connection. */
  readonly sessions: (of?: Disconnect['target']) => Iterable<Session>;
  readonly isRevoked: (subject: TokenSubject) => boolean;
  readonly isBanned: (addressKey: string) => boolean;
  readonly nodeId: string;
  readonly clock: Pick<Clock, 'schedule'>;
  /** Milliseconds to tell a client that is to wait, in [0, spread). */
  readonly delayMs: () => number;
  readonly onClosed: (why: 'revoked' | 'banned' | 'disconnected', count: number) => void;
}

type Why = Parameters<SessionCloserParts['onClosed']>[0];

/** Closes within one turn of the event loop: a close costs some tens of microseconds, and those who stay are to be served too. */
const BATCH = 500;

const isTarget = ({ target }: Disconnect, identity: Identity, nodeId: string): boolean =>
  (target.sub === undefined || target.sub === identity.member.id) &&
  (target.tenant === undefined || target.tenant === identity.tenant) &&
  (target.dialogId === undefined || target.dialogId === identity.dialogId) &&
  (target.connectionId === undefined || target.connectionId === identity.connectionId) &&
  (target.nodeId === undefined || target.nodeId === nodeId) &&
  Object.values(target).some((value) => value !== undefined);

/**
 * Ends the connections that the control plane names. However many revocations come at once, every session is judged once, by a few
 * look-ups: about a millisecond for 1,000 sessions; by bans of addresses 0.1 ms, by one of a wider network one to two.
 */
export const createSessionCloser = (parts: SessionCloserParts) => {
  const close = (sessions: readonly Session[], code: CloseName): void => {
    const waits = CLOSE_CODES[code].reconnect === 'delay';
    for (const session of sessions.slice(0, BATCH)) session.close(code, waits ? parts.delayMs() : 0);
    if (sessions.length > BATCH) parts.clock.schedule(0, () => close(sessions.slice(BATCH), code));
  };
  const open = (matches: (identity: Identity) => boolean, of?: Disconnect['target']): Session[] =>
    [...parts.sessions(of)].filter((session) => !session.isClosed && matches(session.identity));
  const end = (why: Why, sessions: readonly Session[], code: CloseName): void => {
    if (sessions.length === 0) return;
    parts.onClosed(why, sessions.length);
    close(sessions, code);
  };
  return (entries: readonly ControlEntry[], sinceMs: number): void => {
    if (entries.some((entry): entry is Revocation => entry.kind === 'revocation')) {
      end(
        'revoked',
        open((identity) => parts.isRevoked(subjectOfIdentity(identity))),
        'REVOKED',
      );
    }
    const bans = entries.filter((entry) => entry.kind === 'ban');
    if (bans.length > 0) {
      const fresh = new BanList(bans.length);
      for (const ban of bans) fresh.add(ban);
      const isHit = (key: string) => fresh.matchKey(key, Number.NEGATIVE_INFINITY) !== undefined && parts.isBanned(key);
      // Not for good: a client of ours is to come again when the ban may be over.
      end(
        'banned',
        open(({ addressKey }) => addressKey !== undefined && isHit(addressKey)),
        'RATE_LIMITED',
      );
    }
    for (const entry of entries) {
      if (entry.kind !== 'disconnect') continue;
      const targets = open((identity) => isTarget(entry, identity, parts.nodeId), entry.target);
      end(
        'disconnected',
        entry.earlierOnly === true ? targets.filter(({ openedAtMs }) => openedAtMs < sinceMs) : targets,
        entry.code,
      );
    }
  };
};
