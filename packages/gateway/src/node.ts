import { randomUUID } from 'node:crypto';
import { type Backplane, type Clock, Heartbeat, Hub, type Locks, type NodeInfo, type Random } from '@replyx/core';
import { CLOSE_CODES } from '@replyx/protocol';
import { type AdmissionParts, admit, screen } from './admission/admission.js';
import { createRefreshJudge } from './admission/refresh.js';
import { createAuth } from './auth/auth.js';
import type { Fetch } from './auth/jwks.js';
import type { GatewayConfig } from './config/gateway-config.js';
import { assistantRoutes } from './http/assistant-routes.js';
import { dialogRoutes } from './http/dialog-routes.js';
import { documentRoutes } from './http/document-routes.js';
import { lockRoutes } from './http/lock-routes.js';
import { nodeRoutes } from './http/node-routes.js';
import { tokenRoutes } from './http/token-routes.js';
import { createReadiness } from './lifecycle/readiness.js';
import { StopStack } from './lifecycle/stop-stack.js';
import type { Logger } from './observability/logger.js';
import { watchLoopLag } from './observability/loop-lag.js';
import { createMetrics } from './observability/metrics.js';
import { serveHttp } from './uws/http-app.js';
import { listen } from './uws/listen.js';
import { uws } from './uws/module.js';
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
}

export interface GatewayNode {
  readonly id: string;
  readonly port: number;
  readonly internalPort: number;
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
const SETTLE_DEADLINE_MS = 2_000;

/** The composition root: wires one node by hand, starts it, and resolves when it accepts. Rejects with `PortTaken`. */
export const startNode = async (parts: NodeParts): Promise<GatewayNode> => {
  const { config, backplane, locks, incarnation, logger, clock, random } = parts;
  const startedAtMs = clock.nowMs();
  const stops = new StopStack((step, error) => logger.error({ step, error: String(error) }, 'stop_failed'));
  const state = { started: false, draining: false };
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

  const hub = new Hub({
    config: {
      outboxMaxBytes: config.outboxMaxBytes,
      framesPerWindow: config.rateLimits.frames.limit,
      messageLimit: config.rateLimits.messages.limit,
      messageWindowMs: config.rateLimits.messages.windowMs,
      pingIntervalMs: config.heartbeat.pingIntervalMs,
      maxAgeMs: config.connections.maxAgeMs,
      lingerMs: LINGER_MS,
      verifyIntervalMs: VERIFY_INTERVAL_MS,
    },
    backplane,
    incarnation,
    clock,
    random,
    judgeRefresh: createRefreshJudge(auth),
    onBug,
    onLeft: (session) => {
      const { kind } = session.identity;
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
  const info = (): NodeInfo => ({
    incarnation,
    nodeId: config.node.id,
    version: parts.version,
    startedAtMs,
    connections: hub.connectionCount,
    dialogs: hub.dialogCount,
    subscriptions: hub.subscriptionCount,
    loopLagMs: lag.p99Ms(),
    draining: state.draining,
  });
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
  const readiness = createReadiness({
    clock,
    health: () => backplane.health(),
    isStarted: () => state.started,
    isDraining: () => state.draining,
    heartbeatAgeMs: () => heartbeat.ageMs,
    nodeTtlMs: config.node.ttlMs,
  });
  const metrics = createMetrics({
    hub,
    health: () => backplane.health(),
    isReady: () => readiness.reasons().length === 0,
  });

  const internalApp = uws.App();
  const routes = [
    ...dialogRoutes({ backplane, hub, directory: config.directory, newId: randomUUID }),
    ...lockRoutes({ backplane, locks, directory: config.directory, clock }),
    ...assistantRoutes(backplane),
    ...tokenRoutes(auth.minter),
    ...nodeRoutes({ heartbeat, readiness, registry: metrics.registry }),
  ];
  serveHttp(internalApp, {
    routes: [...routes, ...documentRoutes(routes, parts.version)],
    authorized: (authorization) => auth.apiKeys.check(authorization) !== undefined,
    onAnswer: metrics.http,
    onBug,
  });
  const admission: AdmissionParts = {
    auth,
    allowQueryToken: config.auth.allowQueryToken,
    directory: config.directory,
    origins: config.origins,
    isRevoked: () => false,
    maxConnections: config.connections.perNode,
    isDraining: () => state.draining,
    // It was silent for too long: what it holds is registered again before it admits more.
    isLapsed: () => heartbeat.isLapsed,
    connectionCount: () => hub.connectionCount,
    connectionId: () => Buffer.from(random.bytes(12)).toString('base64url'),
  };
  const publicApp = uws.App();
  serveSockets(publicApp, {
    host: hub,
    screen: (request) => screen(request, admission),
    admit: (request, picked) => admit(request, picked, admission),
    join: (session, { claim, resume }) => {
      hub.join(session, claim, resume).catch(onBug);
    },
    onVerdict: (kind, outcome) => {
      if (outcome === 'gone') metrics.admission(kind, 'gone', 'gone');
      else if ('screening' in outcome)
        metrics.admission(kind, 'refused', 'reason' in outcome ? outcome.reason : 'none');
      else if (outcome.verdict === 'admit') metrics.admission(kind, 'admitted', 'none');
      else {
        metrics.admission(kind, 'closed', outcome.reason);
        metrics.closed(CLOSE_CODES[outcome.code].code);
      }
    },
    onBug,
    outboxMaxBytes: config.outboxMaxBytes,
    pongTimeoutMs: config.heartbeat.pongTimeoutMs,
    admitDeadlineMs: ADMIT_DEADLINE_MS,
  });
  serveHttp(publicApp, { routes: [], authorized: () => false, onAnswer: () => {}, onBug });

  try {
    const internal = await listen(internalApp, config.listen.internal.host, config.listen.internal.port);
    stops.add('internal_listener', () => {
      internalApp.close();
    });
    await heartbeat.start();
    stops.add('heartbeat', async () => {
      // What is still being unregistered must be told first: nobody sweeps after a node that has said goodbye. Bounded: while
      // Redis is away it would take as long as the outage.
      await Promise.race([hub.settled(), new Promise<void>((resolve) => clock.schedule(SETTLE_DEADLINE_MS, resolve))]);
      await heartbeat.stop();
    });
    const open = await listen(publicApp, config.listen.public.host, config.listen.public.port);
    stops.add('public_listener', () => {
      publicApp.close();
    });
    state.started = true;
    let hurry: () => void = () => {};
    const drain = async (): Promise<void> => {
      if (state.draining) return stops.stop();
      state.draining = true;
      await heartbeat.renew().catch(() => {});
      await new Promise<void>((resolve) => {
        hurry = resolve;
        clock.schedule(config.drain.waitMs, resolve);
      });
      open.close();
      for (const session of [...hub.sessions()]) {
        session.close('SERVICE_RESTART', Math.round(random.float() * config.drain.spreadMs));
      }
      return stops.stop();
    };
    return {
      id: config.node.id,
      port: open.port,
      internalPort: internal.port,
      drain,
      hurry: () => hurry(),
      kill: () => {
        heartbeat.abandon();
        // First the hub, so that the sockets that end below unregister nothing.
        hub.stop();
        publicApp.close();
        internalApp.close();
        lag.stop();
        void locks.stop();
      },
    };
  } catch (error) {
    await stops.stop();
    throw error;
  }
};
