import { type Check, troubleIf } from './check.js';
import type { AuditFacts, RedisTarget } from './facts.js';

/** What a URL says of the login counts only where no server told the truth of it. */
const untold = ({ inspections }: RedisTarget): boolean =>
  inspections.every((one) => one.status === 'failed' || one.facts.openToAll === undefined);

const perTarget = ({ redis }: AuditFacts, detail: string, wrong: (target: RedisTarget) => boolean) =>
  redis.filter(wrong).map(({ setting, server }) => ({ subject: setting, detail: `${detail} (${server})` }));

const repeated = (servers: readonly string[]): readonly string[] => [
  ...new Set(servers.filter((server, index) => servers.indexOf(server) !== index)),
];

/** How Redis is configured to be reached. */
export const REDIS_URL_CHECKS: readonly Check[] = [
  {
    id: 'RX601',
    severity: 'high',
    title: 'There is no Redis',
    why: 'The node stands alone: other nodes see nothing of its dialogs, and it forgets every message when it stops.',
    remedy: 'Give `REDIS_URL_FILE`.',
    find: ({ config, problems }) =>
      troubleIf(
        config.redis === undefined && !problems.some(({ name }) => /^REDIS_URL(_FILE)?$/.test(name)),
        'REDIS_URL',
        'is not set',
      ),
  },
  {
    id: 'RX602',
    severity: 'high',
    title: 'Redis is used without a password over a network',
    why: 'Whoever reaches it reads and writes every dialog.',
    remedy: 'Set `requirepass` or an ACL user, and name the login in the URL.',
    find: (facts) =>
      perTarget(facts, 'has no password', (target) => target.password === 'none' && !target.loopback && untold(target)),
  },
  {
    id: 'RX603',
    severity: 'low',
    title: 'Redis is used without a password on this machine',
    why: 'Every process of the machine reads and writes every dialog.',
    remedy: 'Set `requirepass` or an ACL user, and name the login in the URL.',
    find: (facts) =>
      perTarget(facts, 'has no password', (target) => target.password === 'none' && target.loopback && untold(target)),
  },
  {
    id: 'RX604',
    severity: 'medium',
    title: 'Redis is used without TLS over a network',
    why: 'Whoever sits between reads every message and the password.',
    remedy: 'Use `rediss://`, or make sure that the network is encrypted.',
    find: (facts) => perTarget(facts, 'is not by TLS', ({ tls, loopback }) => !tls && !loopback),
  },
  {
    id: 'RX605',
    severity: 'medium',
    title: 'The password of Redis is weak',
    why: 'Redis checks passwords fast: short or made-up ones are tried out.',
    remedy: 'Use 16 random characters or more.',
    find: (facts) => perTarget(facts, 'has a weak password', ({ password }) => password === 'weak'),
  },
  {
    id: 'RX606',
    severity: 'info',
    title: 'The key prefix is the default',
    why: 'Two deployments that share a Redis and a prefix take each other for one.',
    remedy: 'Give `WS_REDIS_PREFIX` where others use this Redis.',
    find: ({ config }) => troubleIf(config.redis?.prefix === 'rx', 'WS_REDIS_PREFIX', 'is rx'),
  },
  {
    id: 'RX607',
    severity: 'high',
    title: 'The number of lock masters is even',
    why: 'A network cut in halves leaves no majority, and one more master than half tolerates no more failures.',
    remedy: 'Name an odd number in `WS_LOCK_REDIS_URLS`.',
    find: ({ redis }) => {
      const masters = redis.filter(({ setting }) => setting === 'WS_LOCK_REDIS_URLS').length;
      return troubleIf(masters > 0 && masters % 2 === 0, 'WS_LOCK_REDIS_URLS', `names ${masters}`);
    },
  },
  {
    id: 'RX608',
    severity: 'high',
    title: 'Lock masters are not independent',
    why: 'One process that counts twice makes a majority of itself: two holders of one lock.',
    remedy: 'Name masters on different machines, that do not replicate each other.',
    find: ({ redis }) =>
      repeated(redis.flatMap(({ setting, server }) => (setting === 'WS_LOCK_REDIS_URLS' ? server : []))).map(
        (server) => ({ subject: 'WS_LOCK_REDIS_URLS', detail: `names ${server} twice` }),
      ),
  },
];
