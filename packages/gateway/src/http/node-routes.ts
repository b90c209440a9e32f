import type { Heartbeat } from '@replyx/core';
import type { Registry } from 'prom-client';
import type { Readiness } from '../lifecycle/readiness.js';
import { type HttpRoute, json } from './http.js';

export interface NodeRoutesParts {
  readonly heartbeat: Pick<Heartbeat, 'nodes'>;
  readonly readiness: Readiness;
  readonly registry: Registry;
}

/** The node's own state, and its view of the cluster. */
export const nodeRoutes = ({ heartbeat, readiness, registry }: NodeRoutesParts): HttpRoute[] => [
  {
    method: 'get',
    path: '/v1/cluster',
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
        })),
      }),
  },
  { method: 'get', path: '/livez', open: true, handle: () => json(200, { status: 'alive' }) },
  {
    method: 'get',
    path: '/readyz',
    open: true,
    handle: () => {
      const reasons = readiness.reasons();
      return json(reasons.length === 0 ? 200 : 503, { status: reasons.length === 0 ? 'ready' : 'not_ready', reasons });
    },
  },
  {
    method: 'get',
    path: '/metrics',
    open: true,
    handle: async () => ({ status: 200, type: registry.contentType, body: await registry.metrics() }),
  },
];
