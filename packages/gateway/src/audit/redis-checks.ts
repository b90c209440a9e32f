import type { RedisServerFacts } from '@replyx/redis';
import type { Check, Trouble } from './check.js';
import type { AuditFacts, RedisTarget } from './facts.js';

/** Small differences are the measurement's own, whatever the configuration tolerates. */
const LEAST_TOLERANCE_MS = 1_000;
const MOST_USED = 0.8;

type Judge = (server: RedisServerFacts, target: RedisTarget, facts: AuditFacts) => string | undefined;

/** Every server that told, once, where `judge` has something to say. */
const perServer =
  (judge: Judge): Check['find'] =>
  (facts) => {
    const found = new Map<string, Trouble>();
    for (const target of facts.redis) {
      for (const one of target.inspections) {
        const detail = one.status === 'inspected' ? judge(one.facts, target, facts) : undefined;
        if (detail !== undefined) found.set(one.server, { subject: `Redis ${one.server}`, detail });
      }
    }
    return [...found.values()];
  };

const PROMISES: Readonly<Record<string, string>> = {
  always: 'syncs always: what is acknowledged survives a crash of Redis',
  everysec: 'syncs every second: a crash of Redis loses up to two seconds of what is acknowledged',
};

/** What the servers behind the URLs say of themselves. */
export const REDIS_CHECKS: readonly Check[] = [
  {
    id: 'RX701',
    severity: 'high',
    title: 'Redis does not tell what it is',
    why: 'Nothing of it could be checked, and from here no node could work with it.',
    remedy: 'Start it, correct the URL or the login, or run the audit where the nodes run (`--offline` asks nobody).',
    find: ({ redis }) => {
      const failed = redis.flatMap(({ inspections }) => inspections.filter(({ status }) => status === 'failed'));
      const why = new Map(failed.map((one) => [one.server, one.status === 'failed' ? one.why : '']));
      return [...why].map(([server, detail]) => ({ subject: `Redis ${server}`, detail }));
    },
  },
  {
    id: 'RX702',
    severity: 'high',
    title: 'Redis is too old',
    why: 'Scripts and sharded channels that the gateway uses are missing.',
    remedy: 'Use Redis 7.0 or Valkey 7.2, or newer.',
    find: perServer(({ tooOld }) => tooOld),
  },
  {
    id: 'RX703',
    severity: 'high',
    title: 'Redis evicts keys',
    why: 'When memory is full it drops history, places, bans and revocations in silence.',
    remedy: 'Set `maxmemory-policy noeviction`: a full Redis then refuses writes, and clients are told.',
    find: perServer(({ evictionPolicy }) =>
      evictionPolicy === undefined || evictionPolicy === 'noeviction' ? undefined : `has ${evictionPolicy}`,
    ),
  },
  {
    id: 'RX704',
    severity: 'high',
    title: 'Redis writes no append-only file',
    why: 'A crash loses everything since the last snapshot: messages that were acknowledged, revocations, bans.',
    remedy: 'Set `appendonly yes`.',
    find: perServer(({ appendOnly }) => (appendOnly ? undefined : 'has appendonly no')),
  },
  {
    id: 'RX705',
    severity: 'high',
    title: 'Redis on the network answers without a login',
    why: 'Whoever reaches it reads and writes every dialog.',
    remedy: 'Set `requirepass`, or switch the default user off (`ACL SETUSER default off`).',
    find: perServer(({ openToAll }, { loopback }) => (openToAll === true && !loopback ? 'asks for none' : undefined)),
  },
  {
    id: 'RX706',
    severity: 'low',
    title: 'Redis on this machine answers without a login',
    why: 'Every process of the machine reads and writes every dialog.',
    remedy: 'Set `requirepass`, or switch the default user off (`ACL SETUSER default off`).',
    find: perServer(({ openToAll }, { loopback }) => (openToAll === true && loopback ? 'asks for none' : undefined)),
  },
  {
    id: 'RX707',
    severity: 'info',
    title: 'What an acknowledgement promises',
    why: 'It is as durable as Redis writes its append-only file; a failover loses what was not replicated, whatever is set here.',
    remedy: 'Set `appendfsync always` where no acknowledged message may be lost; it costs latency.',
    find: perServer(({ appendOnly, appendFsync }) => (appendOnly ? PROMISES[appendFsync ?? ''] : undefined)),
  },
  {
    id: 'RX708',
    severity: 'medium',
    title: 'Redis leaves it to the system when to write',
    why: 'A crash of the machine loses what was acknowledged for half a minute or more.',
    remedy: 'Set `appendfsync everysec` (up to two seconds are lost) or `always` (nothing is).',
    find: perServer(({ appendOnly, appendFsync }) =>
      appendOnly && appendFsync === 'no' ? 'has appendfsync no' : undefined,
    ),
  },
  {
    id: 'RX709',
    severity: 'info',
    title: 'Redis does not tell how it syncs',
    why: 'Managed services and ACLs refuse `CONFIG GET`: what an acknowledgement promises is not known, and every restart of Redis resets dialogs.',
    remedy: "Allow `CONFIG GET` to the gateway's user, or look it up with the provider.",
    find: perServer(({ appendOnly, appendFsync }) =>
      appendOnly && appendFsync === undefined ? 'refuses CONFIG GET' : undefined,
    ),
  },
  {
    id: 'RX710',
    severity: 'low',
    title: 'Redis does not sync while it rewrites its file',
    why: 'The promise of `appendfsync` does not hold for that time.',
    remedy: 'Set `no-appendfsync-on-rewrite no`.',
    find: perServer(({ appendOnly, unsyncedOnRewrite }) =>
      appendOnly && unsyncedOnRewrite === true ? 'has no-appendfsync-on-rewrite yes' : undefined,
    ),
  },
  {
    id: 'RX711',
    severity: 'high',
    title: 'The clock of Redis and the one here differ',
    why: "Redis' clock times messages, windows and revocations, the node's the tokens: tokens expire early or late, and a revocation by time misses some.",
    remedy: 'Synchronize the clocks of all machines (NTP).',
    find: perServer(({ clockOffsetMs, clockErrorMs }, _target, { config }) => {
      const most = Math.max(config.auth.clockToleranceMs, LEAST_TOLERANCE_MS);
      const surely = Math.abs(clockOffsetMs) - clockErrorMs;
      return surely > most
        ? `is ${(Math.abs(clockOffsetMs) / 1000).toFixed(1)} s ${clockOffsetMs > 0 ? 'ahead' : 'behind'}`
        : undefined;
    }),
  },
  {
    id: 'RX712',
    severity: 'info',
    title: 'How many replicas Redis has',
    why: 'Without one, the gateway stands still for as long as this Redis is away; with one, a failover loses what was not replicated.',
    remedy: 'Run replicas with Sentinel or Cluster where that is too long.',
    find: perServer(({ role, replicas }) => (role === 'master' ? `has ${replicas}` : undefined)),
  },
  {
    id: 'RX713',
    severity: 'high',
    title: 'Redis cannot write to its disk',
    why: 'It refuses writes, or what it acknowledges is gone at the next restart.',
    remedy: 'Look at its log and at the free space.',
    find: perServer(({ persistenceFails }) => (persistenceFails ? 'failed to write its file' : undefined)),
  },
  {
    id: 'RX714',
    severity: 'medium',
    title: 'The memory of Redis is nearly full',
    why: 'When it is full it refuses writes, and nobody can send.',
    remedy:
      'Raise `maxmemory`, or shorten `WS_HISTORY_TTL_SECONDS`, `WS_HISTORY_SIZE` or `WS_IDEMPOTENCY_TTL_SECONDS`.',
    find: perServer(({ usedBytes, maxBytes }) =>
      maxBytes > 0 && usedBytes > maxBytes * MOST_USED
        ? `uses ${Math.round((100 * usedBytes) / maxBytes)} %`
        : undefined,
    ),
  },
  {
    id: 'RX715',
    severity: 'high',
    title: 'The URL names a replica',
    why: 'It takes no writes: no node can start on it.',
    remedy: 'Name the master, or the sentinels (`redis+sentinel://`), which know it.',
    find: perServer(({ role }) => (role === 'replica' ? 'is a replica' : undefined)),
  },
];
