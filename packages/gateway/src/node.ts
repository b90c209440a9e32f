import { randomUUID } from 'node:crypto';
import {
  type Backplane,
  BackplaneUnavailable,
  type Clock,
  ControlMirror,
  dialogLockName,
  Heartbeat,
  Hub,
  InboxDispatcher,
  type Locks,
  type NodeInfo,
  type Random,
  Session,
  subjectOfIdentity,
} from '@replyx/core';
import { CLOSE_CODES } from '@replyx/protocol';
import {
  type AdmissionParts,
  type Admitted,
  admit,
  screen,
  type UpgradeRequest,
  type Verdict,
} from './admission/admission.js';
import { type AssistantLimits, limitsFor } from './admission/assistant-limits.js';
import { authorize } from './admission/authorize.js';
import { createForeignOrigin } from './admission/foreign-origin.js';
import { createGatekeeper } from './admission/gatekeeper.js';
import { createRefreshJudge } from './admission/refresh.js';
import { subjectOfClaims } from './admission/token-subject.js';
import { createAuth } from './auth/auth.js';
import type { Fetch } from './auth/jwks.js';
import type { TokenPick } from './auth/token-transport.js';
import { reportAlone, type WorkerLink } from './cluster/worker-link.js';
import type { GatewayConfig } from './config/gateway-config.js';
import { banForScore } from './control/score-ban.js';
import { createSessionCloser } from './control/session-closer.js';
import { assistantRoutes } from './http/assistant-routes.js';
import { controlRoutes } from './http/control-routes.js';
import { deadLetterRoutes } from './http/dead-letter-routes.js';
import { dialogRoutes } from './http/dialog-routes.js';
import { documentRoutes } from './http/document-routes.js';
import { handoffRoutes } from './http/handoff-routes.js';
import { lockRoutes } from './http/lock-routes.js';
import { nodeRoutes } from './http/node-routes.js';
import { streamRoutes } from './http/stream-routes.js';
import { tokenRoutes } from './http/token-routes.js';
import { createInboxDelivery } from './inbox/inbox-delivery.js';
import { createTargetGuard } from './inbox/target-guard.js';
import { createWebhookSender } from './inbox/webhook-sender.js';
import { createDrain } from './lifecycle/drain.js';
import { watchOverload } from './lifecycle/overload-watch.js';
import { createReadiness } from './lifecycle/readiness.js';
import { StopStack } from './lifecycle/stop-stack.js';
import type { Logger } from './observability/logger.js';
import { watchLoopLag } from './observability/loop-lag.js';
import { createMetrics } from './observability/metrics.js';
import { createOriginJudge } from './public/cors.js';
import { publicRoutes } from './public/public-routes.js';
import { serveHttp } from './uws/http-app.js';
import { listen } from './uws/listen.js';
import { uws } from './uws/module.js';
import { servePublic } from './uws/public-app.js';
import { serveSockets } from './uws/socket-app.js';

export interface NodeParts {
  readonly config: GatewayConfig;
  readonly backplane: Backplane;
  /** Closed with the node. */
  readonly locks: Locks;
  readonly incarnation: string;
  readonly version: string;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
  readonly fetch: Fetch;
  /** Where the node is one of several workers that share both ports. */
  readonly workerLink?: WorkerLink | undefined;
}

export interface GatewayNode {
  readonly id: string;
  readonly port: number;
  readonly internalPort: number;
  /** Resolves when the node was asked over the cluster to leave; whoever runs it then drains it. */
  readonly drainAsked: Promise<void>;
  /** Tells balancers and clients to leave, waits as configured unless hurried, and stops. Safe to call twice. */
  drain(): Promise<void>;
  /** Cuts the waits of a drain that is under way. */
  hurry(): void;
  /** As if the process had died: sockets are cut without a close frame, and nothing is told to the cluster. */
  kill(): void;
}

/** How long an idle dialog stays subscribed: a page reload or a change of network finds it warm. */
const LINGER_MS = 5_000;
const VERIFY_INTERVAL_MS = 300_000;
const ADMIT_DEADLINE_MS = 5_000;
/** From the head of a public request to its answer: longer than the module lets a body pause. */
const REQUEST_DEADLINE_MS = 15_000;
const SETTLE_DEADLINE_MS = 2_000;
/** How long a stopping node waits for webhooks under way. */
const INBOX_STOP_MS = 3_000;

/** The composition root: wires one node by hand, starts it, and resolves when it accepts. Rejects with `PortTaken`. */
export const startNode = async (parts: NodeParts): Promise<GatewayNode> => {
  const { config, backplane, locks, incarnation, logger, clock, random } = parts;
  const startedAtMs = clock.nowMs();
  const stops = new StopStack((step, error) => logger.error({ step, error: String(error) }, 'stop_failed'));
  const state = { started: false, draining: false, refusing: false };
  const onBug = (error: unknown): void => {
    logger.error({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }, 'bug');
  };

  const auth = await createAuth(config.auth, {
    clock,
    random,
    fetch: parts.fetch,
    onJwksFetch: (result) => logger.info({ result }, 'jwks_fetched'),
  });
  await auth.jwks?.load();

  const closeSessions = createSessionCloser({
    sessions: (of) => hub.sessions(of),
    isRevoked: (subject) => control.isRevoked(subject),
    isBanned: (addressKey) => control.ban(addressKey) !== undefined,
    nodeId: config.node.id,
    clock,
    delayMs: () => Math.round(random.float() * config.drain.spreadMs),
    onClosed: (why, count) => {
      if (why === 'revoked') metrics.revokedConnections(count);
      logger.info({ why, count }, 'sessions_closed');
    },
  });
  let askToDrain = (): void => {};
  const drainAsked = new Promise<void>((resolve) => {
    askToDrain = resolve;
  });
  const control = new ControlMirror({
    control: backplane.control,
    clock,
    random,
    onEntries: (entries, sinceMs) => {
      for (const entry of entries) if (entry.kind === 'revocation') metrics.revocation(entry.rule.by);
      closeSessions(entries, sinceMs);
      if (entries.some((entry) => entry.kind === 'drain' && entry.nodeId === config.node.id)) askToDrain();
      for (const entry of entries) if (entry.kind === 'assistant') inbox.reconsider(entry.assistantId);
    },
    onNotice: ({ event, ...details }) => logger[event === 'control_loaded' ? 'info' : 'warn'](details, event),
    onBug,
  });
  const hub = new Hub({
    config: {
      outboxMaxBytes: config.outboxMaxBytes,
      framesPerWindow: config.rateLimits.frames.limit,
      messageLimit: config.rateLimits.messages.limit,
      messageWindowMs: config.rateLimits.messages.windowMs,
      pingIntervalMs: config.heartbeat.pingIntervalMs,
      maxAgeMs: config.connections.maxAgeMs,
      idleMs: config.connections.idleMs,
      lingerMs: LINGER_MS,
      verifyIntervalMs: VERIFY_INTERVAL_MS,
      maxConnections: config.connections.perNode,
    },
    backplane,
    incarnation,
    clock,
    random,
    judgeRefresh: createRefreshJudge({
      auth,
      isRevoked: (subject) => control.isRevoked(subject),
      isControlStale: () => control.isStale,
    }),
    isRevoked: (identity) => {
      const isRevoked = control.isRevoked(subjectOfIdentity(identity));
      if (isRevoked) metrics.revokedConnections(1);
      return isRevoked;
    },
    hasInbox: (assistantId) => hasInbox(assistantId),
    onBug,
    raiseFence: async (dialogId, atLeast) => {
      const next = await locks.nextFence(dialogLockName(dialogId), atLeast);
      if (next.status === 'taken') return next.fence;
      throw new BackplaneUnavailable('no majority of the lock masters answers');
    },
    onTaken: (waitedMs) => metrics.taken(waitedMs / 1000),
    onReplaced: (connectionId, code) => {
      backplane.control.write({ kind: 'disconnect', target: { connectionId }, code }).catch((error: unknown) => {
        // It holds no place any more; while the backplane is away its socket stays until it ends by itself.
        if (!(error instanceof BackplaneUnavailable)) onBug(error);
      });
    },
    onMessageLimited: (isDryRun) => metrics.limited('messages', isDryRun),
    onBadFrames: ({ addressKey }) => {
      if (addressKey !== undefined) gatekeeper.threat.note(addressKey, 'bad_frames');
    },
    onLeft: (session) => {
      const { kind, addressKey } = session.identity;
      // A genuine credential for a dialog that is not there, or is somebody else's.
      if (session.closedWith === 'NOT_FOUND' && !session.hasJoined && addressKey !== undefined) {
        gatekeeper.threat.note(addressKey, 'probed_id');
      }
      metrics.closed(session.closedWith === undefined ? 1006 : CLOSE_CODES[session.closedWith].code);
      metrics.duration(kind, (clock.monotonicMs() - session.openedAtMs) / 1000);
    },
  });
  stops.add('backplane', () => backplane.close());
  stops.add('locks', () => locks.stop());
  hub.start();
  stops.add('hub', () => hub.stop());

  const lag = watchLoopLag();
  stops.add('loop_lag', () => lag.stop());
  const overload = watchOverload(config.shedding, clock, (reasons) => {
    logger.warn({ reasons }, reasons.length > 0 ? 'shedding_load' : 'shedding_ended');
  });
  stops.add('overload', () => overload.stop());
  let loopLagMs = 0;
  const info = (): NodeInfo => {
    loopLagMs = lag.p99Ms();
    return {
      incarnation,
      nodeId: config.node.id,
      version: parts.version,
      startedAtMs,
      connections: hub.connectionCount,
      dialogs: hub.dialogCount,
      subscriptions: hub.subscriptionCount,
      loopLagMs,
      draining: state.draining,
      inbox: inbox.standing,
    };
  };
  const heartbeat = new Heartbeat({
    backplane,
    clock,
    nodeTtlMs: config.node.ttlMs,
    info,
    onLapsed: async () => {
      logger.warn('heartbeat_lapsed');
      const restored = await hub.reregister();
      await hub.verifyAll();
      logger.info({ restored }, 'registered_again');
    },
    onBug,
  });
  const webhooks = createWebhookSender({
    guard: createTargetGuard({ isOn: config.production, allow: config.webhookAllow }),
    clock,
    version: parts.version,
  });
  const inbox = new InboxDispatcher({
    ...createInboxDelivery({ control, directory: backplane.directory, sender: webhooks }),
    inbox: backplane.inbox,
    incarnation,
    nodes: () => heartbeat.nodes,
    clock,
    random,
    leaseTtlMs: config.node.ttlMs,
    onNotice: ({ event, ...details }) => {
      logger[event === 'inbox_delivery_failed' ? 'info' : 'warn'](details, event);
    },
    onBug,
  });
  const readiness = createReadiness({
    clock,
    health: () => backplane.health(),
    isStarted: () => state.started,
    isDraining: () => state.draining,
    heartbeatAgeMs: () => heartbeat.ageMs,
    nodeTtlMs: config.node.ttlMs,
    isControlStale: () => control.isStale,
  });
  const metrics = createMetrics({
    hub,
    health: () => backplane.health(),
    loopLagMs: () => loopLagMs,
    isReady: () => readiness.reasons().length === 0,
    latencies: backplane.latencies,
    deniedAddresses: () => gatekeeper.guard.denials.size,
    control,
    inbox,
  });
  const gatekeeper = createGatekeeper({
    config,
    backplane,
    clock,
    random,
    logger,
    metrics: () => metrics,
    isDraining: () => state.refusing,
    sessionLimitOf: (assistantId) => limitsOf(assistantId).sessions,
    isControlStale: () => control.isStale,
    isForeign: createForeignOrigin({ domains: control.domains, origins: config.origins }),
    banOf: ({ key }) => control.ban(key),
    ban: (network, forMs) => banForScore(backplane.control, network, forMs),
    onBug,
  });
  stops.add('gatekeeper', () => gatekeeper.stop());

  const { directory } = backplane;
  const hasInbox = (assistantId: string): boolean => control.assistant(assistantId)?.inbox === true;
  const limitsOf = (assistantId: string | undefined): AssistantLimits =>
    limitsFor(config, assistantId === undefined ? undefined : control.assistant(assistantId)?.limits);
  const sources = { readiness: () => readiness.reasons(), registry: metrics.registry };
  const reporting = parts.workerLink?.reportFor(sources) ?? reportAlone(sources);
  const isShared = parts.workerLink !== undefined;
  const internalApp = uws.App();
  const routes = [
    ...dialogRoutes({
      backplane,
      hub,
      directory: config.directory,
      newId: randomUUID,
      // The mirror may be a moment behind a record that was just put.
      hasInbox: async (assistantId) =>
        hasInbox(assistantId) || (await directory.assistant(assistantId))?.inbox === true,
    }),
    ...lockRoutes({ backplane, locks, directory: config.directory, clock }),
    ...handoffRoutes({
      handoffs: backplane.handoffs,
      hub,
      dialog: (dialogId) => directory.dialog(dialogId),
      directory: config.directory,
    }),
    ...streamRoutes({
      streams: backplane.streams,
      hub,
      directory: config.directory,
      newId: randomUUID,
      onStep: metrics.streamStep,
    }),
    ...assistantRoutes(backplane, config.production),
    ...deadLetterRoutes({
      inbox: backplane.inbox,
      onAction: ({ event, ...details }) => logger.info(details, event),
    }),
    ...tokenRoutes(auth.minter),
    ...controlRoutes({
      control: backplane.control,
      tokenMaxLifeMs: config.auth.tokenMaxLifeMs,
      clockToleranceMs: config.auth.clockToleranceMs,
      onAction: ({ event, ...details }) => logger.info(details, event),
    }),
    ...nodeRoutes({ heartbeat, reporting, clock, control: backplane.control }),
  ];
  serveHttp(internalApp, {
    routes: [...routes, ...documentRoutes(routes, parts.version)],
    authorized: (authorization) => auth.apiKeys.check(authorization) !== undefined,
    limit: gatekeeper.limitApi,
    onAnswer: metrics.http,
    onBug,
  });
  const admission: AdmissionParts = {
    auth,
    allowQueryToken: config.auth.allowQueryToken,
    directory: config.directory,
    config,
    limitsOf,
    origins: config.origins,
    isRevoked: (subject) => control.isRevoked(subject),
    mayServe: (assistantId, tenant) => {
      const record = control.assistant(assistantId);
      return record === undefined || (record.active && record.tenant === tenant);
    },
    isControlStale: () => control.isStale,
    connect: gatekeeper.connect,
    isLeaving: () => state.refusing,
    isOverloaded: () => overload.reasons.size > 0,
    isBanned: ({ key }) => control.ban(key) !== undefined,
    // It was silent for too long: what it holds is registered again before it admits more.
    isLapsed: () => heartbeat.isLapsed,
    isFull: () => hub.isFull,
    connectionId: () => Buffer.from(random.bytes(12)).toString('base64url'),
  };
  const judgeOrigin = createOriginJudge({
    directory: config.directory,
    domains: control.domains,
    origins: config.origins,
  });
  const onForeignOrigin = (request: Pick<UpgradeRequest, 'kind' | 'origin' | 'host'>, reason: string): void => {
    const kind = request.kind === 'operator' ? undefined : request.kind;
    metrics.blockedOrigin(judgeOrigin(request.origin, { kind, host: request.host }).label, reason);
  };
  // The same for sockets and for streams of events.
  const entry = {
    screen: (request: UpgradeRequest) => screen(request, admission),
    admit: async (request: UpgradeRequest, picked: TokenPick): Promise<Verdict> => {
      const verdict = await admit(request, picked, admission);
      if (verdict.verdict === 'close' && verdict.code === 'FORBIDDEN_DOMAIN') onForeignOrigin(request, verdict.reason);
      return verdict;
    },
    join: (session: Session, { join }: Admitted): void => {
      hub.join(session, join).catch(onBug);
    },
    onVerdict: gatekeeper.note,
  };
  const publicApp = uws.App();
  serveSockets(publicApp, {
    ...entry,
    greet: gatekeeper.greet,
    host: hub,
    onBug,
    outboxMaxBytes: config.outboxMaxBytes,
    pongTimeoutMs: config.heartbeat.pongTimeoutMs,
    admitDeadlineMs: ADMIT_DEADLINE_MS,
  });
  servePublic(publicApp, {
    routes: publicRoutes({
      auth,
      allowQueryToken: config.auth.allowQueryToken,
      directory: config.directory,
      origins: config.origins,
      random,
      hub,
      log: backplane.log,
      // The mirror may be a moment behind a record that was just put.
      assistant: (assistantId: string, tenant?: string) => {
        const held = control.assistant(assistantId);
        const isTheirs = held !== undefined && (tenant === undefined || held.tenant === tenant);
        return isTheirs ? held : directory.assistant(assistantId);
      },
      dialog: (dialogId) => directory.dialog(dialogId),
      openDialog: (dialogId, owner, mode) => directory.openDialog(dialogId, owner, mode, hasInbox(owner.assistantId)),
      authorize: (picked, request) => authorize(picked, request, admission),
      isRevoked: (claims) => control.isRevoked(subjectOfClaims(claims)),
      isVisitorRevoked: (visitor) => control.isVisitorRevoked(visitor),
      limits: gatekeeper.sessions,
      windowOf: (assistantId) => limitsOf(assistantId).messages,
      hasInbox,
      onForeignOrigin,
      onRefused: gatekeeper.onHttpRefused,
      events: {
        ...entry,
        join: (admitted, transport) => {
          const session = new Session(admitted.identity, transport, hub);
          entry.join(session, admitted);
          return session;
        },
      },
    }),
    guards: { greet: gatekeeper.greet, limit: gatekeeper.limit },
    judgeOrigin,
    widgetOrigins: config.origins.widget,
    onAnswer: metrics.http,
    onCors: metrics.cors,
    onBlockedPreflight: (label) => metrics.blockedOrigin(label, 'preflight'),
    onBug,
    deadlineMs: REQUEST_DEADLINE_MS,
  });

  try {
    const internal = await listen(internalApp, config.listen.internal.host, config.listen.internal.port, isShared);
    stops.add('internal_listener', () => {
      internalApp.close();
    });
    stops.add('lock_waits', async () => {
      await locks.endWaits();
      // Their answers are written by then: closing the listener cuts what is not.
      await new Promise((resolve) => setImmediate(resolve));
    });
    // Before anybody hears of this node: what has been revoked is known here when the first client comes.
    stops.add('control', () => control.stop());
    await control.start();
    await heartbeat.start();
    stops.add('heartbeat', async () => {
      // What is still being unregistered must be told first: nobody sweeps after a node that has said goodbye. Bounded: while
      // Redis is away it would take as long as the outage.
      let cancel = (): void => {};
      const deadline = new Promise<void>((resolve) => {
        cancel = clock.schedule(SETTLE_DEADLINE_MS, resolve);
      });
      await Promise.race([hub.settled(), deadline]);
      cancel();
      await heartbeat.stop();
    });
    stops.add('webhooks', () => webhooks.close());
    inbox.start();
    stops.add('inbox', () => inbox.stop(INBOX_STOP_MS));
    const open = await listen(publicApp, config.listen.public.host, config.listen.public.port, isShared);
    stops.add('public_listener', () => {
      publicApp.close();
    });
    state.started = true;
    parts.workerLink?.up();
    const leave = createDrain({
      clock,
      random,
      drain: config.drain,
      hub,
      onLeaving: async () => {
        state.draining = true;
        await heartbeat.renew().catch(() => {});
      },
      // It still listens, and says 503: that is plainer to a balancer than a port that is gone.
      onRefusing: () => {
        state.refusing = true;
      },
    });
    const drain = async (): Promise<void> => {
      await leave.run();
      open.close();
      return stops.stop();
    };
    return {
      id: config.node.id,
      port: open.port,
      internalPort: internal.port,
      drainAsked,
      drain,
      hurry: leave.hurry,
      kill: () => {
        heartbeat.abandon();
        inbox.abandon();
        webhooks.close();
        // First the hub, so that the sockets that end below unregister nothing.
        hub.stop();
        control.stop();
        publicApp.close();
        internalApp.close();
        lag.stop();
        overload.stop();
        gatekeeper.stop();
        void locks.stop();
      },
    };
  } catch (error) {
    await stops.stop();
    throw error;
  }
};
