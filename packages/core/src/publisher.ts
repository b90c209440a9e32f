import type { Position, Track } from '@replyx/protocol';
import type { Clock, Random } from './clock.js';
import { coarseWait } from './coarse-wait.js';
import type { OwedAck } from './feed.js';
import { ackFrame, bodyDigest, type PublicationContent, publicationParts } from './frame-text.js';
import { BackplaneUnavailable, type Log, type Member, type PublicationSender, type PublishResult } from './ports.js';
import type { MessageWindow, Session } from './session.js';
import type { Stats } from './stats.js';

export interface Publication {
  readonly dialogId: string;
  readonly track: Track;
  /** Scope of the idempotency key and of the sending window. */
  readonly scope: PublicationSender;
  /** What the frame shows. */
  readonly sender: { readonly role: string; readonly id: string; readonly name?: string | undefined };
  readonly content: PublicationContent;
  readonly known?: Position | undefined;
  readonly fence?: number | undefined;
  readonly window: MessageWindow;
  readonly mustExist: boolean;
  /** See `PublishRequest.inbox`. */
  readonly inbox?: string | undefined;
}

interface Pending {
  readonly session: Session;
  readonly id: string;
  readonly track: Track;
}

interface Appended {
  readonly request: number;
  readonly result: PublishResult;
}

/** How long an acknowledgement waits for the publication that it may go out with. */
const ARRIVAL_PATIENCE_MS = 3;

/** An operator's writes show the public id in the main track, where visitors read; notes show the subject. */
export const shownSender = (member: Member, track: Track): Publication['sender'] => ({
  role: member.role,
  id: member.role === 'manager' && track === 'main' ? member.publicId : member.id,
  name: member.name,
});

/**
 * Appends publications, and acknowledges those of this node's sessions: on the script's reply or when the publication itself
 * arrives, whichever comes first. Both prove the append.
 */
export class Publisher {
  private readonly pending = new Map<number, Pending>();
  private readonly originPrefix: string;
  private readonly log: Log;
  private readonly random: Random;
  private readonly stats: Stats;
  private readonly onLimited: (isDryRun: boolean) => void;
  private readonly onBug: (error: unknown) => void;
  private readonly clock: Pick<Clock, 'schedule'>;
  private appended: Appended[] = [];
  private lastRequest = 0;

  constructor(parts: {
    readonly log: Log;
    readonly random: Random;
    readonly stats: Stats;
    readonly incarnation: string;
    /** A sender's window refused, or in a dry run would have. */
    readonly onLimited: (isDryRun: boolean) => void;
    readonly onBug: (error: unknown) => void;
    readonly clock: Pick<Clock, 'schedule'>;
  }) {
    this.log = parts.log;
    this.random = parts.random;
    this.stats = parts.stats;
    this.onLimited = parts.onLimited;
    this.onBug = parts.onBug;
    this.clock = parts.clock;
    this.originPrefix = `${parts.incarnation}:`;
  }

  /** Publishes for a caller that waits for the result. Rejects as the log does. */
  async append(publication: Publication): Promise<PublishResult> {
    this.lastRequest += 1;
    return this.send(publication, this.lastRequest);
  }

  /** Publishes for a session, which gets exactly one answer to the frame's id. */
  appendFor(session: Session, publication: Publication): void {
    this.lastRequest += 1;
    const request = this.lastRequest;
    const { id } = publication.content;
    this.pending.set(request, { session, id, track: publication.track });
    this.send(publication, request).then(
      (result) => {
        if (result.status === 'appended') this.answerSoon(request, result);
        else if (this.pending.delete(request)) this.answer(session, id, publication.track, result);
      },
      (error: unknown) => {
        const unanswered = this.pending.delete(request);
        if (!(error instanceof BackplaneUnavailable)) this.onBug(error);
        if (unanswered) session.error(error instanceof BackplaneUnavailable ? 'unavailable' : 'internal', id);
      },
    );
  }

  /**
   * The publication itself is about to arrive, and its session then gets both in one write; the acknowledgement goes alone
   * where it does not. One timer serves all that wait.
   */
  private answerSoon(request: number, result: PublishResult): void {
    if (!this.pending.has(request)) return;
    if (this.appended.length === 0) this.clock.schedule(ARRIVAL_PATIENCE_MS, () => this.answerAppended());
    this.appended.push({ request, result });
  }

  private answerAppended(): void {
    const due = this.appended;
    this.appended = [];
    for (const { request, result } of due) {
      const pending = this.pending.get(request);
      if (pending === undefined) continue;
      this.pending.delete(request);
      this.answer(pending.session, pending.id, pending.track, result);
    }
  }

  /** The acknowledgement that an arriving publication settles, if it is of this node and still owed. */
  owedTo(origin: string, offset: number): (OwedAck & { readonly session: Session }) | undefined {
    if (!origin.startsWith(this.originPrefix)) return undefined;
    const request = Number(origin.slice(this.originPrefix.length));
    const pending = this.pending.get(request);
    if (pending === undefined) return undefined;
    this.pending.delete(request);
    this.stats.acksByArrival += 1;
    const { session, id, track } = pending;
    this.noteWritten(session, track);
    return {
      session,
      subscriber: track === 'main' ? session.main : session.internal,
      frame: ackFrame(id, offset, track, false),
    };
  }

  private async send(publication: Publication, request: number): Promise<PublishResult> {
    const { dialogId, track, scope, sender, content, known, fence, window, mustExist, inbox } = publication;
    try {
      const result = await this.log.publish({
        dialogId,
        track,
        sender: scope,
        id: content.id,
        bodyDigest: bodyDigest(content),
        ...publicationParts(track, sender, content),
        request,
        known,
        fence,
        windowLimit: window.limit,
        windowMs: window.windowMs,
        windowIsDryRun: window.isDryRun,
        mustExist,
        inbox,
      });
      this.stats.publishes[result.status] += 1;
      if (result.status === 'rate_limited') this.onLimited(false);
      else if (result.status === 'appended' && result.overLimit === true) this.onLimited(true);
      return result;
    } catch (error) {
      this.stats.publishes.unavailable += 1;
      throw error;
    }
  }

  private answer(session: Session, id: string, track: Track, result: PublishResult): void {
    switch (result.status) {
      case 'appended':
      case 'duplicate':
        this.noteWritten(session, track);
        session.write(ackFrame(id, result.offset, track, result.status === 'duplicate'));
        return;
      case 'rate_limited':
        session.error('rate_limited', id, undefined, coarseWait(result.retryAfterMs, this.random));
        return;
      case 'inbox_full':
        session.error('unavailable', id);
        return;
      default:
        session.error(result.status, id);
    }
  }

  private noteWritten(session: Session, track: Track): void {
    if (track === 'main') session.wrote = true;
  }
}
