import { type Check, troubleIf } from './check.js';
import type { AuditFacts } from './facts.js';

/** Kubernetes' `terminationGracePeriodSeconds` where nobody sets it. */
const KUBERNETES_GRACE_MS = 30_000;
/** Listeners, Redis connections, files and what a flood has open for a moment. */
const OTHER_DESCRIPTORS = 256;
const MOST_NODE_TTL_MS = 60_000;

/** What each process that was seen may open; the nodes' own word counts before that of this machine. */
const descriptorLimits = ({ nodes, descriptors }: AuditFacts): readonly (readonly [string, number])[] => {
  const told = nodes.flatMap((node) =>
    node.reached && node.descriptors !== undefined ? [[node.url, node.descriptors] as const] : [],
  );
  if (told.length > 0 || descriptors === undefined) return told;
  return [['open files of this shell', descriptors]];
};

/** How the process runs and stops. */
export const PROCESS_CHECKS: readonly Check[] = [
  {
    id: 'RX501',
    severity: 'low',
    title: 'Everything is logged',
    why: 'Debug lines cost time and space for every connection.',
    remedy: 'Set `LOG_LEVEL=info`.',
    find: ({ config }) => troubleIf(['trace', 'debug'].includes(config.logLevel), 'LOG_LEVEL', `is ${config.logLevel}`),
  },
  {
    id: 'RX502',
    severity: 'medium',
    title: 'Warnings are not logged',
    why: 'A lost Redis, a lapsed node or an attack leaves no trace.',
    remedy: 'Set `LOG_LEVEL=info`.',
    find: ({ config }) =>
      troubleIf(['error', 'fatal', 'silent'].includes(config.logLevel), 'LOG_LEVEL', `is ${config.logLevel}`),
  },
  {
    id: 'RX503',
    severity: 'low',
    title: 'A drain takes longer than Kubernetes waits by default',
    why: 'The process is killed in the middle: clients see a broken connection instead of a delay of their own, and return all at once.',
    remedy: 'Set `terminationGracePeriodSeconds` above it, or keep `WS_DRAIN_GRACE_SECONDS` under 30.',
    find: ({ config }) =>
      troubleIf(
        config.drain.graceMs >= KUBERNETES_GRACE_MS,
        'WS_DRAIN_GRACE_SECONDS',
        `is ${config.drain.graceMs / 1000}, not under ${KUBERNETES_GRACE_MS / 1000}`,
      ),
  },
  {
    id: 'RX504',
    severity: 'low',
    title: 'A leaving node stops accepting at once',
    why: 'Balancers that have not seen it leave send it connections that fail.',
    remedy: "Set `WS_DRAIN_WAIT_SECONDS` above the interval of the balancer's checks.",
    find: ({ config }) => troubleIf(config.drain.waitMs === 0, 'WS_DRAIN_WAIT_SECONDS', 'is 0'),
  },
  {
    id: 'RX505',
    severity: 'medium',
    title: 'The process may not open as many sockets as it would admit',
    why: 'At the limit of the system it accepts nobody, and may not reach Redis again.',
    remedy: 'Raise the limit of open files (`ulimit -n`, `LimitNOFILE`), or lower `WS_MAX_TOTAL_CONNECTIONS`.',
    find: (facts) => {
      const { perNode } = facts.config.connections;
      return descriptorLimits(facts).flatMap(([subject, limit]) =>
        troubleIf(
          perNode > 0 && limit < perNode + OTHER_DESCRIPTORS,
          subject,
          `allows ${limit}, and WS_MAX_TOTAL_CONNECTIONS (${perNode}) needs ${perNode + OTHER_DESCRIPTORS}`,
        ),
      );
    },
  },
  {
    id: 'RX506',
    severity: 'low',
    title: 'A dead node is noticed late',
    why: 'Its presence and places are held for so long.',
    remedy: 'Leave `WS_NODE_TTL_SECONDS` at 15.',
    find: ({ config }) =>
      troubleIf(
        config.node.ttlMs > MOST_NODE_TTL_MS,
        'WS_NODE_TTL_SECONDS',
        `is ${config.node.ttlMs / 1000}, more than ${MOST_NODE_TTL_MS / 1000}`,
      ),
  },
];
