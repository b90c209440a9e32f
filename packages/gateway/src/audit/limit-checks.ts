import type { GatewayConfig } from '../config/gateway-config.js';
import { type NameOf, SETTINGS } from '../config/schema.js';
import { type Check, type Trouble, troubleIf } from './check.js';
import { isEverybody } from './network-width.js';

type LimitName = NameOf<'integer'>;

const LIMITS: readonly (readonly [LimitName, 'essential' | 'usual' | 'optional', (config: GatewayConfig) => number])[] =
  [
    ['WS_RATE_LIMIT_PER_IP', 'essential', ({ rateLimits }) => rateLimits.connects.limit],
    ['WS_RATE_LIMIT_AUTH_FAILURES', 'essential', ({ rateLimits }) => rateLimits.authFailures.limit],
    ['WS_RATE_LIMIT_FRAMES', 'essential', ({ rateLimits }) => rateLimits.frames.limit],
    ['WS_MAX_TOTAL_CONNECTIONS', 'essential', ({ connections }) => connections.perNode],
    ['WS_RATE_LIMIT_MESSAGES', 'usual', ({ rateLimits }) => rateLimits.messages.limit],
    ['WS_RATE_LIMIT_SESSIONS', 'usual', ({ rateLimits }) => rateLimits.sessions.limit],
    ['WS_RATE_LIMIT_ASSISTANT_SESSIONS', 'usual', ({ rateLimits }) => rateLimits.assistantSessions.limit],
    ['WS_RATE_LIMIT_HTTP', 'usual', ({ rateLimits }) => rateLimits.http.limit],
    ['WS_MAX_CONNECTIONS_PER_DIALOG', 'usual', ({ connections }) => connections.perDialog],
    ['WS_MAX_CONNECTIONS_PER_USER', 'usual', ({ connections }) => connections.perUser],
    ['WS_MAX_CONNECTIONS_PER_IP', 'usual', ({ connections }) => connections.perAddress],
    ['WS_RATE_LIMIT_API', 'optional', ({ rateLimits }) => rateLimits.api.limit],
    ['WS_MAX_CONNECTIONS_PER_ASSISTANT', 'optional', ({ connections }) => connections.perAssistant],
    ['WS_MAX_CLUSTER_CONNECTIONS', 'optional', ({ connections }) => connections.perCluster],
  ];

const MOST_TIMES_DEFAULT = 100;

const off = (config: GatewayConfig, rank: 'essential' | 'usual' | 'optional'): readonly Trouble[] =>
  LIMITS.filter(([, ranked, read]) => ranked === rank && read(config) === 0).map(([name]) => ({
    subject: name,
    detail: 'is 0, off',
  }));

/** What one client, address or tenant may take. */
export const LIMIT_CHECKS: readonly Check[] = [
  {
    id: 'RX301',
    severity: 'high',
    title: 'The limits only count',
    why: 'In a dry run everything that a window would refuse is admitted.',
    remedy: 'Set `WS_RATE_LIMIT_DRY_RUN=false` when the numbers are settled.',
    find: ({ config }) => troubleIf(config.rateLimits.dryRun, 'WS_RATE_LIMIT_DRY_RUN', 'is true'),
  },
  {
    id: 'RX302',
    severity: 'high',
    title: 'An essential limit is off',
    why: 'One address can exhaust a node, or try credentials without end.',
    remedy: 'Give it a number; the default is a good one.',
    find: ({ config }) => off(config, 'essential'),
  },
  {
    id: 'RX303',
    severity: 'medium',
    title: 'A limit is off',
    why: 'One visitor, dialog or site can take what is meant for all.',
    remedy: 'Give it a number; the default is a good one.',
    find: ({ config }) => off(config, 'usual'),
  },
  {
    id: 'RX304',
    severity: 'medium',
    title: 'Nobody is banned',
    why: 'An address that attacks is only limited, and goes on at the limit.',
    remedy: 'Give `WS_BAN_SCORE` a number; `WS_BAN_ALLOW` names networks that are never banned.',
    find: ({ config }) => troubleIf(config.bans.score === 0, 'WS_BAN_SCORE', 'is 0, off'),
  },
  {
    id: 'RX305',
    severity: 'medium',
    title: 'Everybody is exempt from bans',
    why: 'With every address in the list no ban ever holds.',
    remedy: 'Name only your own networks in `WS_BAN_ALLOW`.',
    find: ({ config }) =>
      config.bans.allow
        .filter((network) => isEverybody(network))
        .map((network) => ({ subject: 'WS_BAN_ALLOW', detail: `names ${network}` })),
  },
  {
    id: 'RX306',
    severity: 'low',
    title: 'A limit is so high that it limits nothing',
    why: `More than ${MOST_TIMES_DEFAULT} times the default is as good as off.`,
    remedy: 'Take a number from what the busiest legitimate client does.',
    find: ({ config }) =>
      LIMITS.flatMap(([name, rank, read]) => {
        const most = SETTINGS[name].default * MOST_TIMES_DEFAULT;
        return troubleIf(rank !== 'optional' && read(config) > most, name, `is ${read(config)}, more than ${most}`);
      }),
  },
  {
    id: 'RX307',
    severity: 'info',
    title: 'An optional limit is off',
    why: 'It is off by default: what it should be depends on the deployment.',
    remedy: 'Give it a number where one tenant or backend must not crowd out another.',
    find: ({ config }) => off(config, 'optional'),
  },
];
