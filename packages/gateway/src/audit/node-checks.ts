import { addressKind } from './address-kind.js';
import type { Check, Trouble } from './check.js';
import type { AuditFacts, ClusterNode, NodeFacts } from './facts.js';

const LEAST_TOLERANCE_MS = 1_000;
const MOST_LAG_MS = 1_000;

type Reached = Extract<NodeFacts, { readonly reached: true }>;

const perNode =
  (judge: (node: Reached, facts: AuditFacts) => string | undefined): Check['find'] =>
  (facts) =>
    facts.nodes.flatMap((node) => {
      const detail = node.reached ? judge(node, facts) : undefined;
      return detail === undefined ? [] : { subject: node.url, detail };
    });

/** The cluster as the first node that shows it sees it. */
const clusterOf = ({ nodes }: AuditFacts): readonly ClusterNode[] =>
  nodes.flatMap((node) => (node.reached && node.cluster.length > 0 ? [node.cluster] : []))[0] ?? [];

const unique = (values: readonly string[]): readonly string[] => [...new Set(values)].sort();

/** A running node at its internal address. */
export const NODE_CHECKS: readonly Check[] = [
  {
    id: 'RX801',
    severity: 'high',
    title: 'A node does not answer',
    why: 'Nothing of it could be checked.',
    remedy: 'Start it, or correct `--internal-url`; the internal listener answers where `INTERNAL_HOST` binds it only.',
    find: ({ nodes }) => nodes.flatMap((node) => (node.reached ? [] : { subject: node.url, detail: node.why })),
  },
  {
    id: 'RX802',
    severity: 'high',
    title: 'A node is not ready',
    why: 'Balancers send it nobody.',
    remedy: 'See what the reason says; `redis_unreachable` and `heartbeat_lost` are of Redis.',
    find: perNode(({ unready }) => (unready.length === 0 ? undefined : `says ${unready.join(', ')}`)),
  },
  {
    id: 'RX803',
    severity: 'medium',
    title: 'A node shows no metrics',
    why: 'Floods, lost publications and refused clients go unseen.',
    remedy: 'Let `/metrics` of the internal listener through to Prometheus.',
    find: perNode(({ metrics }) => (metrics ? undefined : 'has no /metrics of the gateway')),
  },
  {
    id: 'RX804',
    severity: 'high',
    title: 'The internal API takes any key',
    why: 'Whoever reaches it publishes into every dialog and mints every token.',
    remedy: 'Find what stands between that adds a key, and take it away.',
    find: perNode(({ openToAll }) => (openToAll ? 'answers without a key or with a made-up one' : undefined)),
  },
  {
    id: 'RX805',
    severity: 'medium',
    title: 'A node does not take the API key',
    why: 'It runs with another configuration than the one that is checked, or the key of the audit is an old one.',
    remedy: 'Give the key in `REPLYX_API_KEY_FILE`, and check the configuration that the node runs with.',
    find: perNode(({ acceptsKey }) => (acceptsKey === false ? 'answers 401' : undefined)),
  },
  {
    id: 'RX806',
    severity: 'low',
    title: 'Nodes run different versions',
    why: 'It is meant for the minutes of a deploy only.',
    remedy: 'Finish the deploy.',
    find: (facts) => {
      const versions = unique(clusterOf(facts).map(({ version }) => version));
      return versions.length < 2 ? [] : [{ subject: 'cluster', detail: `has versions ${versions.join(', ')}` }];
    },
  },
  {
    id: 'RX807',
    severity: 'medium',
    title: 'A node is overloaded',
    why: 'Its event loop runs late: its heartbeats, pings and messages are late too.',
    remedy: 'Run more nodes: a node uses one core.',
    find: (facts) =>
      clusterOf(facts).flatMap(({ id, lagMs }): Trouble[] =>
        lagMs > MOST_LAG_MS ? [{ subject: `node ${id}`, detail: `runs ${Math.round(lagMs)} ms late` }] : [],
      ),
  },
  {
    id: 'RX808',
    severity: 'medium',
    title: 'Two nodes have one name',
    why: 'Logs and metrics mix them up. A node that was killed and started again is seen twice until the old one has expired.',
    remedy: 'Give each node a `NODE_ID` of its own, or none.',
    find: (facts) => {
      const ids = clusterOf(facts).map(({ id }) => id);
      const twice = unique(ids.filter((id, index) => ids.indexOf(id) !== index));
      return twice.map((id) => ({ subject: `node ${id}`, detail: 'is in the cluster more than once' }));
    },
  },
  {
    id: 'RX809',
    severity: 'high',
    title: 'The clock of a node and the one here differ',
    why: "The node's clock judges tokens: they expire early or late, or are of the future.",
    remedy: 'Synchronize the clocks of all machines (NTP).',
    find: perNode(({ clock }, { config }) => {
      if (clock === undefined) return undefined;
      const most = Math.max(config.auth.clockToleranceMs, LEAST_TOLERANCE_MS);
      const { offsetMs, errorMs } = clock;
      if (Math.abs(offsetMs) - errorMs <= most) return undefined;
      return `is ${Math.round(Math.abs(offsetMs) / 1000)} s ${offsetMs > 0 ? 'ahead' : 'behind'}`;
    }),
  },
  {
    id: 'RX810',
    severity: 'high',
    title: 'The internal listener answers at a public address',
    why: 'It publishes into every dialog and mints every token; only a key stands before it, and nothing before its metrics.',
    remedy: 'Bind `INTERNAL_HOST` to a loopback or private address, and close the port at the firewall.',
    find: perNode(({ url, place }) =>
      place === 'public' ? `is at ${new URL(url).hostname}, which is public` : undefined,
    ),
  },
  {
    id: 'RX811',
    severity: 'medium',
    title: 'The internal API is used without TLS by a name that may be public',
    why: 'API keys and messages pass in the clear.',
    remedy: 'Use a private name or address, or put TLS before the internal listener.',
    find: perNode(({ url }) => {
      const { protocol, hostname } = new URL(url);
      return protocol === 'http:' && addressKind(hostname) === 'name' ? 'is http' : undefined;
    }),
  },
  {
    id: 'RX812',
    severity: 'info',
    title: 'The internal listener was not looked at',
    why: 'Readiness, metrics, keys, versions and clocks of the nodes are not known.',
    remedy: 'Give `--internal-url`, where it can be reached.',
    find: ({ nodes, edges }) =>
      nodes.length > 0 ? [] : edges.map(({ url }) => ({ subject: url, detail: 'is the only address that was asked' })),
  },
];
