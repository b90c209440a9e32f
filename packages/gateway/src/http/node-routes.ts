import type { Clock, Control, Heartbeat } from '@replyx/core';
import { API_BODIES, type ApiAnswer } from '@replyx/protocol/schemas';
import { Registry } from 'prom-client';
import type { Reporting } from '../cluster/worker-link.js';
import { readBody } from './body.js';
import { type HttpRoute, json } from './http.js';
import { Problem } from './problem.js';
import { ROUTES } from './route-table.js';

export interface NodeRoutesParts {
  readonly heartbeat: Pick<Heartbeat, 'nodes'>;
  readonly reporting: Reporting;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly control: Pick<Control, 'write'>;
}

/** The node's own state, and its view of the cluster. */
export const nodeRoutes = ({ heartbeat, reporting, clock, control }: NodeRoutesParts): HttpRoute[] => [
  {
    ...ROUTES.drain,
    handle: async (call) => {
      const { node_id: nodeId } = readBody(call.body, API_BODIES.drain);
      if (!heartbeat.nodes.some((node) => node.nodeId === nodeId)) {
        throw new Problem('not_found', 'No live node has this id.');
      }
      await control.write({ kind: 'drain', nodeId });
      return json(202, {} satisfies ApiAnswer<'accepted'>);
    },
  },
  {
    ...ROUTES.cluster,
    handle: () =>
      json(200, {
        nodes: heartbeat.nodes.map((node) => ({
          id: node.nodeId,
          incarnation: node.incarnation,
          version: node.version,
          started_at: node.startedAtMs,
          connections: node.connections,
          dialogs: node.dialogs,
          subscriptions: node.subscriptions,
          lag_ms: node.loopLagMs,
          draining: node.draining,
          ...(node.inbox === undefined
            ? {}
            : {
                inbox: {
                  entries: node.inbox.entries,
                  oldest_ms: node.inbox.oldestMs,
                  parked_dialogs: node.inbox.parkedDialogs,
                  dead_letters: node.inbox.deadLetters,
                  full: [...node.inbox.full],
                },
              }),
        })),
      } satisfies ApiAnswer<'cluster'>),
  },
  {
    ...ROUTES.live,
    // The date tells whoever asks how far the clock by which tokens are judged is off.
    handle: () => json(200, { status: 'alive' }, { Date: new Date(clock.nowMs()).toUTCString() }),
  },
  {
    ...ROUTES.ready,
    handle: async () => {
      const reasons = [...(await reporting.readiness())];
      return json(reasons.length === 0 ? 200 : 503, { status: reasons.length === 0 ? 'ready' : 'not_ready', reasons });
    },
  },
  {
    ...ROUTES.metrics,
    handle: async () => ({
      status: 200,
      type: Registry.PROMETHEUS_CONTENT_TYPE,
      body: await reporting.metrics(),
    }),
  },
];
