import type { ConnectedFrame } from '@replyx/protocol';
import type { Clock } from './clock.js';
import type { Feed } from './feed.js';
import { encodeFrame } from './frame-text.js';
import type { Holdings, JoinPlaces } from './holdings.js';
import { BackplaneUnavailable, type DialogClaim, type Log, type RegisterResult } from './ports.js';
import { renderSnapshot } from './presence.js';
import { abandonPlan, catchUp, planRecovery, type RecoveryPlan, type ResumePoint, STARTS_HERE } from './recovery.js';
import type { Retry } from './retry.js';
import { renderHandoff, renderMarks } from './sender-view.js';
import type { MessageWindow, Session } from './session.js';
import type { Stats } from './stats.js';

export interface ResumePoints {
  readonly main: ResumePoint;
  readonly internal: ResumePoint;
}

export interface JoinRequest {
  readonly claim: DialogClaim;
  readonly resume: ResumePoints;
  /** One per tab: an older connection of the same member with it is closed with CONFLICT_CONNECTION. */
  readonly clientId?: string | undefined;
  /** Absent: nothing is limited. */
  readonly places?: JoinPlaces | undefined;
  /** The sender's window in the dialog; default the node's. */
  readonly messageLimit?: MessageWindow | undefined;
}

export interface JoiningParts {
  readonly log: Log;
  readonly holdings: Holdings;
  readonly clock: Clock;
  readonly retry: Retry;
  readonly stats: Stats;
  readonly pingIntervalMs: number;
  /** `connected` is written. */
  readonly onJoined: (session: Session) => void;
  /** A connection has given way to one that joins; it may be held by any node. */
  readonly onReplaced: (connectionId: string) => void;
  readonly onBug: (error: unknown) => void;
}

type Registered = Extract<RegisterResult, { status: 'registered' }>;

/** How an admitted connection comes into its dialog: its places, its registration, what it missed, then live. */
export class Joining {
  private readonly parts: JoiningParts;

  constructor(parts: JoiningParts) {
    this.parts = parts;
  }

  /** Brings the session in, or closes it with the code that says why not. Never rejects. */
  async bring(session: Session, feeds: readonly Feed[], request: JoinRequest): Promise<void> {
    const { claim, clientId, places, resume } = request;
    // What was told while nobody followed is not known here.
    if (feeds.some((feed) => !feed.isOpen)) session.dialog?.drafts.doubt();
    try {
      // Follow first, then register: the roster's answer holds everybody whose coming was told before we listened.
      await Promise.all([this.takePlaces(session, places), ...feeds.map((feed) => feed.follow())]);
      if (session.isClosed) return;
      // Feeds that have yet to learn where they stand are told by the roster's answer.
      const awaited = feeds.flatMap((feed) => feed.awaitHead() ?? []);
      const registered = await this.parts.holdings.register(session, {
        claim,
        clientId,
        limit: places?.dialogLimit,
        atLimit: places?.atLimit,
        heads: awaited.map(({ track }) => track),
      });
      if (session.isClosed) return;
      if (registered.status === 'registered' && registered.superseded.length > 0) {
        this.parts.holdings.evict(session, registered.superseded);
      }
      if (registered.status === 'not_found') session.close('NOT_FOUND');
      else if (registered.status === 'full') session.close('CONNECTION_LIMIT');
      else {
        registered.heads.forEach((head, i) => void awaited[i]?.put(head));
        await this.enter(session, feeds, registered, resume);
      }
    } catch (error) {
      if (!(error instanceof BackplaneUnavailable)) this.parts.onBug(error);
      session.close(error instanceof BackplaneUnavailable ? 'TRY_AGAIN_LATER' : 'INTERNAL_ERROR');
    }
  }

  /** Closes the session where there is none. */
  private async takePlaces(session: Session, places: JoinPlaces | undefined): Promise<void> {
    if (places === undefined) return;
    const result = await this.parts.holdings.takePlaces(session, places);
    // A full cluster is no fault of the client's, and another attempt may find it less full.
    if (result.status === 'full') session.close(result.kind === 'cluster' ? 'TRY_AGAIN_LATER' : 'CONNECTION_LIMIT');
    else if (result.replaced !== undefined) this.parts.onReplaced(result.replaced);
  }

  private async enter(
    session: Session,
    feeds: readonly Feed[],
    registered: Registered,
    resume: ResumePoints,
  ): Promise<void> {
    session.wrote ||= registered.wrote;
    session.dialogAssistantId = registered.dialog.assistantId;
    const { dialog } = session;
    if (dialog !== undefined) dialog.handoffVersion = Math.max(dialog.handoffVersion, registered.handoff.version);
    // The channel was followed before: what is not open by the roster's answer, and not here either, has not begun.
    if (registered.openStreams === 0) dialog?.drafts.foundNothing();
    await Promise.all([...feeds.map((feed) => feed.open()), dialog?.drafts.complete(() => dialog.sessions)]);
    const plans = await this.planAll(feeds, resume);
    // No await from here to the attachment: the positions that `connected` names are those at which the feeds go on.
    if (session.isClosed || feeds.some((feed) => !feed.isOpen)) {
      plans.forEach((plan, i) => {
        abandonPlan(feeds[i] as Feed, plan);
      });
      session.close('TRY_AGAIN_LATER');
      return;
    }
    const catchingUp: Promise<void>[] = [];
    session.joined(
      this.connectedFrame(session, feeds, plans, registered),
      registered.handoff.version,
      () => {
        feeds.forEach((feed, i) => {
          const plan = plans[i];
          if (plan !== undefined) catchingUp.push(this.attach(session, feed, plan, resume));
        });
        dialog?.drafts.greet(session);
      },
      encodeFrame(renderSnapshot(registered.members, registered.count, session.viewer)),
    );
    if (!session.isClosed) this.parts.onJoined(session);
    await Promise.all(catchingUp);
  }

  /** All plans or none: where one fails, what the others hold is let go. */
  private async planAll(feeds: readonly Feed[], resume: ResumePoints): Promise<RecoveryPlan[]> {
    if (resume.main === undefined && resume.internal === undefined) return feeds.map(() => STARTS_HERE);
    const { log } = this.parts;
    const outcomes = await Promise.allSettled(
      feeds.map((feed) => planRecovery(feed, feed.track === 'main' ? resume.main : resume.internal, log)),
    );
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    outcomes.forEach((outcome, i) => {
      if (failed !== undefined && outcome.status === 'fulfilled') abandonPlan(feeds[i] as Feed, outcome.value);
    });
    if (failed !== undefined) throw failed.reason;
    return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  }

  private async attach(session: Session, feed: Feed, plan: RecoveryPlan, resume: ResumePoints): Promise<void> {
    const subscription = feed.track === 'main' ? session.main : session.internal;
    if (subscription === undefined) return;
    const asked = feed.track === 'main' ? resume.main : resume.internal;
    if (plan.firstPage === undefined || plan.from === undefined) {
      this.parts.stats.joins[asked === undefined ? 'fresh' : 'not_recovered'] += 1;
      subscription.cursor = feed.position.offset;
      // What was written just before may have been too much for it; an attachment would outlive it.
      if (!session.isClosed) feed.attach(subscription);
      return;
    }
    this.parts.stats.joins.recovered += 1;
    subscription.cursor = plan.from;
    await catchUp(feed, subscription, plan.firstPage, { log: this.parts.log, retry: this.parts.retry });
    this.parts.stats.recoveredPublications += Math.max(0, subscription.cursor - plan.from);
  }

  private connectedFrame(
    session: Session,
    feeds: readonly Feed[],
    plans: readonly RecoveryPlan[],
    registered: Registered,
  ): ConnectedFrame {
    const { connectionId, dialogId, member, expiresAtMs } = session.identity;
    const { marks } = registered;
    const positions = feeds.map((feed, i) => {
      const { epoch, offset: head } = feed.position;
      const { from, firstPage, recovered } = plans[i] as RecoveryPlan;
      if (from === undefined || firstPage === undefined) return { epoch, offset: head, head, recovered };
      // The feed may have gone on to another epoch since: the client learns that by a `reset`, once it has this one's page.
      return {
        epoch: firstPage.epoch,
        offset: from,
        head: epoch === firstPage.epoch ? Math.max(head, firstPage.offset) : firstPage.offset,
        recovered,
      };
    });
    const [main, internal] = positions;
    const nowMs = this.parts.clock.nowMs();
    return {
      type: 'connected',
      connection_id: connectionId,
      dialog_id: dialogId,
      role: member.role,
      ...(main ?? { epoch: '', offset: 0, head: 0, recovered: false }),
      ping_interval_ms: this.parts.pingIntervalMs,
      expires_in_ms: Math.max(0, expiresAtMs - nowMs),
      server_time: nowMs,
      handoff: renderHandoff(registered.handoff, session.viewer),
      read: renderMarks(marks, 'main', session.viewer),
      ...(internal === undefined
        ? {}
        : { internal: { ...internal, read: renderMarks(marks, 'internal', session.viewer) } }),
    };
  }
}
