import type { Check } from './check.js';
import type { AuditFacts, EdgeFacts } from './facts.js';

type Reached = Extract<EdgeFacts, { readonly reached: true }>;

const perEdge =
  (judge: (edge: Reached, facts: AuditFacts) => string | undefined): Check['find'] =>
  (facts) =>
    facts.edges.flatMap((edge) => {
      const detail = edge.reached ? judge(edge, facts) : undefined;
      return detail === undefined ? [] : { subject: edge.url, detail };
    });

/** The public address, as clients reach it. */
export const EDGE_CHECKS: readonly Check[] = [
  {
    id: 'RX901',
    severity: 'high',
    title: 'The public address does not answer',
    why: 'Nothing of it could be checked.',
    remedy: 'Correct `--url`, or see why the edge does not answer.',
    find: ({ edges }) => edges.flatMap((edge) => (edge.reached ? [] : { subject: edge.url, detail: edge.why })),
  },
  {
    id: 'RX902',
    severity: 'high',
    title: 'Metrics are public',
    why: 'They tell an attacker how full the nodes are and how well an attack goes.',
    remedy: 'Let the edge pass on to `PORT` only, never to `INTERNAL_PORT`.',
    find: perEdge(({ metrics }) => (metrics ? 'answers /metrics' : undefined)),
  },
  {
    id: 'RX903',
    severity: 'high',
    title: 'The internal API is public',
    why: 'It publishes into every dialog and mints every token, and only a key stands before it.',
    remedy: 'Let the edge pass on to `PORT` only, never to `INTERNAL_PORT`.',
    find: perEdge(({ internalPaths }) =>
      internalPaths.length === 0 ? undefined : `answers ${internalPaths.join(', ')}`,
    ),
  },
  {
    id: 'RX904',
    severity: 'medium',
    title: 'A public answer lacks `X-Content-Type-Options: nosniff`',
    why: 'Browsers may take it for what it is not. The node sends it: the edge takes it away, or answers itself.',
    remedy: 'Let the edge pass the header on, and send it with answers of its own.',
    find: perEdge(({ nosniff }) => (nosniff ? undefined : 'sends none')),
  },
  {
    id: 'RX905',
    severity: 'low',
    title: 'The public address does not insist on TLS',
    why: 'A first visit by http can be intercepted.',
    remedy: 'Let the edge send `Strict-Transport-Security`.',
    find: perEdge(({ https, hsts }) => (https && !hsts ? 'sends no Strict-Transport-Security' : undefined)),
  },
  {
    id: 'RX906',
    severity: 'high',
    title: 'The public address has no TLS',
    why: 'Tokens and messages pass in the clear, and whoever sits between can act as any client.',
    remedy: 'End TLS at the edge, and give the audit the https address.',
    find: perEdge(({ https, place }) => (https || place === 'loopback' || place === 'private' ? undefined : 'is http')),
  },
  {
    id: 'RX907',
    severity: 'info',
    title: 'TLS at the edge could not be seen',
    why: 'The audit asked this machine itself, past the edge.',
    remedy: 'Give `--url` the address that clients use.',
    find: perEdge(({ https, place }) => (!https && place === 'loopback' ? 'is http on this machine' : undefined)),
  },
  {
    id: 'RX908',
    severity: 'high',
    title: 'A proxy stands before the nodes and none is trusted',
    why: 'Every visitor has the address of the proxy: one limit for all, and a ban of one bans everybody.',
    remedy: "Name the proxy's addresses in `WS_TRUSTED_PROXIES`.",
    find: perEdge(({ proxy }, { config }) =>
      proxy !== undefined && config.trustedProxies.length === 0 ? `shows a proxy: ${proxy}` : undefined,
    ),
  },
  {
    id: 'RX909',
    severity: 'info',
    title: 'No proxy shows, and some are trusted',
    why: 'Whether the trusted addresses are those of your proxies can be seen only through them.',
    remedy: 'Give `--url` the address that clients use.',
    find: perEdge(({ proxy }, { config }) =>
      proxy === undefined && config.trustedProxies.length > 0 ? 'answers like a node itself' : undefined,
    ),
  },
  {
    id: 'RX910',
    severity: 'high',
    title: 'Every origin may read with credentials',
    why: "Any page that a user visits can act in the user's name.",
    remedy: 'Let the edge add no CORS headers: the node answers for the origins that it knows.',
    find: perEdge(({ anyOrigin }) =>
      anyOrigin ? 'answers an unknown origin with Access-Control-Allow-Credentials' : undefined,
    ),
  },
  {
    id: 'RX911',
    severity: 'info',
    title: 'The public address was not looked at',
    why: 'Whether the edge has TLS, passes headers on and hides the internal listener is not known.',
    remedy: 'Give `--url` the address that clients use.',
    find: ({ nodes, edges }) =>
      edges.length > 0 ? [] : nodes.map(({ url }) => ({ subject: url, detail: 'is an internal address' })),
  },
  {
    id: 'RX912',
    severity: 'medium',
    title: 'The public address is private and has no TLS',
    why: 'Where clients use it, tokens and messages pass in the clear.',
    remedy: 'End TLS at the edge; give `--url` the address that clients use.',
    find: perEdge(({ https, place }) => (!https && place === 'private' ? 'is http' : undefined)),
  },
];
