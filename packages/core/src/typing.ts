import type { Track } from '@replyx/protocol';

/** A start that is not renewed ends by itself after this long. */
export const TYPING_LIFE_MS = 8_000;
/** A renewal within it is not sent on. */
const TYPING_QUIET_MS = 3_000;

interface Typing<S> {
  readonly session: S;
  readonly track: Track;
  announcedMs: number;
  expiresMs: number;
}

/** Who types now, of this node's sessions. Verdicts only: the caller emits. */
export class TypingTracker<S extends object> {
  private readonly active = new Map<S, Typing<S>[]>();

  /** Whether the start has to be told. */
  start(session: S, track: Track, nowMs: number): boolean {
    const list = this.active.get(session) ?? [];
    const typing = list.find((entry) => entry.track === track);
    if (typing === undefined) {
      this.active.set(session, [...list, { session, track, announcedMs: nowMs, expiresMs: nowMs + TYPING_LIFE_MS }]);
      return true;
    }
    typing.expiresMs = nowMs + TYPING_LIFE_MS;
    if (nowMs - typing.announcedMs < TYPING_QUIET_MS) return false;
    typing.announcedMs = nowMs;
    return true;
  }

  /** Whether a stop has to be told: only to those who were told of a start. */
  stop(session: S, track: Track): boolean {
    const list = this.active.get(session);
    if (list === undefined) return false;
    const rest = list.filter((entry) => entry.track !== track);
    if (rest.length === 0) this.active.delete(session);
    else this.active.set(session, rest);
    return rest.length < list.length;
  }

  /** Tracks in which a session that leaves was typing. */
  leave(session: S): Track[] {
    const tracks = (this.active.get(session) ?? []).map((entry) => entry.track);
    this.active.delete(session);
    return tracks;
  }

  /** Sessions whose typing has expired, taken off. */
  expired(nowMs: number): { session: S; track: Track }[] {
    const over = [...this.active.values()].flat().filter((entry) => entry.expiresMs <= nowMs);
    for (const { session, track } of over) this.stop(session, track);
    return over;
  }
}
