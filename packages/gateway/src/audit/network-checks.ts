import { addressKind } from './address-kind.js';
import { type Check, troubleIf } from './check.js';
import { isEverybody, isWide } from './network-width.js';

/** Listeners and the proxies in front of them. */
export const NETWORK_CHECKS: readonly Check[] = [
  {
    id: 'RX401',
    severity: 'high',
    title: 'Everybody is a trusted proxy',
    why: 'Any client then names its own address: limits, quotas and bans by address are void.',
    remedy: 'Name only the addresses of your own proxies in `WS_TRUSTED_PROXIES`.',
    find: ({ config }) =>
      config.trustedProxies
        .filter(isEverybody)
        .map((network) => ({ subject: 'WS_TRUSTED_PROXIES', detail: `names ${network}` })),
  },
  {
    id: 'RX402',
    severity: 'medium',
    title: 'A trusted proxy is a wide public network',
    why: 'Whoever has an address in it names their own: limits and bans by address are void for them.',
    remedy: 'Name the addresses that your proxies really have.',
    find: ({ config }) =>
      config.trustedProxies
        .filter(isWide)
        .map((network) => ({ subject: 'WS_TRUSTED_PROXIES', detail: `names ${network}` })),
  },
  {
    id: 'RX403',
    severity: 'high',
    title: 'The internal listener is on a public address',
    why: 'It publishes into every dialog and mints every token; only a key stands before it, and nothing before its metrics.',
    remedy: 'Bind `INTERNAL_HOST` to a loopback or private address.',
    find: ({ config }) => {
      const { host } = config.listen.internal;
      return troubleIf(addressKind(host) === 'public', 'INTERNAL_HOST', `is ${host}`);
    },
  },
  {
    id: 'RX404',
    severity: 'medium',
    title: 'The internal listener is on every address',
    why: 'On a machine or container with a public address it is open to the world.',
    remedy:
      'Bind `INTERNAL_HOST` to one private address, or make sure that a firewall or network policy covers the port.',
    find: ({ config }) => {
      const { host } = config.listen.internal;
      return troubleIf(addressKind(host) === 'wildcard', 'INTERNAL_HOST', `is ${host}`);
    },
  },
  {
    id: 'RX405',
    severity: 'medium',
    title: 'The public listener is on a public address',
    why: 'The node speaks no TLS: whoever reaches it past the edge sends tokens in the clear.',
    remedy: 'Bind `HOST` to an address that only the edge reaches.',
    find: ({ config }) => {
      const { host } = config.listen.public;
      return troubleIf(addressKind(host) === 'public', 'HOST', `is ${host}`);
    },
  },
  {
    id: 'RX406',
    severity: 'low',
    title: 'A port is picked at random',
    why: 'Balancers, probes and firewalls need to know it.',
    remedy: 'Give fixed ports.',
    find: ({ config }) => [
      ...troubleIf(config.listen.public.port === 0, 'PORT', 'is 0'),
      ...troubleIf(config.listen.internal.port === 0, 'INTERNAL_PORT', 'is 0'),
    ],
  },
];
