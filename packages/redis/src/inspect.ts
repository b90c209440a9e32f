import { BackplaneUnavailable, type Clock } from '@replyx/core';
import type { Redis } from 'ioredis';
import { parseSlots } from './cluster.js';
import { Backoff, type HostPort, makeClient } from './connection.js';
import { withDeadline } from './deadline.js';
import { isAnswer, isDeadline } from './errors.js';
import { infoFields, persistenceSettings, versionProblem } from './identity.js';
import { systemClock, systemRandom } from './system.js';
import { describeAddress, InvalidRedisUrl, parseRedisUrl, type RedisAddress } from './url.js';

/** What one Redis process says of itself. A thing that it refuses to tell is undefined. */
export interface RedisServerFacts {
  /** `Redis 7.2.4`, `Valkey 8.0.1`. */
  readonly version: string;
  /** Why it is too old for the gateway; undefined where it is not. */
  readonly tooOld: string | undefined;
  readonly role: 'master' | 'replica';
  /** Replicas that are connected to it. */
  readonly replicas: number;
  readonly evictionPolicy: string | undefined;
  readonly usedBytes: number;
  /** 0: no bound. */
  readonly maxBytes: number;
  readonly appendOnly: boolean;
  /** `always`, `everysec` or `no`. */
  readonly appendFsync: string | undefined;
  /** Whether the append-only file goes unsynced while it is rewritten or a snapshot is saved. */
  readonly unsyncedOnRewrite: boolean | undefined;
  /** The last write of the append-only file or the last snapshot failed. */
  readonly persistenceFails: boolean;
  /** Its clock less this one, and how much that may be off, half the round trip. */
  readonly clockOffsetMs: number;
  readonly clockErrorMs: number;
  /** Whether somebody without a login may read. */
  readonly openToAll: boolean | undefined;
}

/** One server, or what stands at its address: `why` is a few words without a value of the URL. */
export type RedisInspection =
  | { readonly status: 'inspected'; readonly server: string; readonly facts: RedisServerFacts }
  | { readonly status: 'failed'; readonly server: string; readonly why: string };

export interface InspectOptions {
  /** Deadline of connecting and of each command in milliseconds; default 3000. */
  readonly commandDeadlineMs?: number | undefined;
  /** How long a server may take as a whole in milliseconds; default 10000. */
  readonly serverDeadlineMs?: number | undefined;
  readonly clock?: Clock | undefined;
}

const CLOCK_SAMPLES = 3;
/** Masters of a cluster that are looked at. */
const MOST_SERVERS = 64;

const NETWORK_WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name did not resolve',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ETIMEDOUT: 'no answer in time',
};

const REPLY_WORDS: Readonly<Record<string, string>> = {
  WRONGPASS: 'it refuses the login',
  NOAUTH: 'it wants a login and the URL has none',
  NOPERM: 'this user may not run INFO',
  DENIED: 'its protected mode refuses other machines',
  LOADING: 'it is loading its data',
};

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';

/** In words of our own: a reply such as `unknown command AUTH, with args beginning with` repeats the password. */
const wordsOf = (error: unknown): string => {
  if (error instanceof BackplaneUnavailable || isDeadline(error)) return 'no answer in time';
  const message = error instanceof Error ? error.message : '';
  if (isAnswer(error)) {
    const reply = /^-?([A-Z]{2,20})\b/.exec(message)?.[1] ?? 'ERR';
    return REPLY_WORDS[reply] ?? `it answers ${reply}`;
  }
  const code = codeOf(error);
  if (/^All sentinels are unreachable/.test(message)) return 'no sentinel names the master';
  if (/ETIMEDOUT/.test(message)) return NETWORK_WORDS['ETIMEDOUT'] as string;
  return NETWORK_WORDS[code] ?? (/^[A-Z_]{3,60}$/.test(code) ? code : 'the connection failed');
};

interface Probe {
  readonly address: RedisAddress;
  readonly server?: HostPort | undefined;
  readonly commandDeadlineMs: number;
  readonly serverDeadlineMs: number;
  readonly clock: Clock;
}

/** Runs `use` on a connection of its own that is never made a second time, and ends it. */
const withClient = async <T>(probe: Probe, use: (client: Redis) => Promise<T>): Promise<T> => {
  const settings = { commandDeadlineMs: probe.commandDeadlineMs, nodeId: 'audit' };
  const client = makeClient(probe.address, settings, new Backoff(systemRandom.float), 'inspect', probe.server);
  client.options.retryStrategy = null;
  client.options.sentinelRetryStrategy = () => null;
  let failure: Error | undefined;
  client.on('error', (error: Error) => {
    failure ??= error;
  });
  const work = async (): Promise<T> => {
    await client.connect();
    return use(client);
  };
  try {
    return await withDeadline(work(), probe.serverDeadlineMs, 'an inspection', probe.clock);
  } catch (error) {
    throw failure ?? error;
  } finally {
    client.disconnect();
  }
};

/** The sample with the shortest round trip bounds the offset best. */
const clockOf = async (client: Redis, clock: Clock): Promise<{ offsetMs: number; errorMs: number }> => {
  let best = { offsetMs: 0, errorMs: Number.POSITIVE_INFINITY };
  for (let sample = 0; sample < CLOCK_SAMPLES; sample++) {
    const before = clock.nowMs();
    const [seconds, micros] = (await client.call('TIME')) as [string, string];
    const after = clock.nowMs();
    const errorMs = Math.max(0, after - before) / 2;
    const offsetMs = Number(seconds) * 1_000 + Number(micros) / 1_000 - (before + after) / 2;
    if (errorMs < best.errorMs) best = { offsetMs, errorMs };
  }
  return best;
};

const isOpenToAll = async (probe: Probe): Promise<boolean | undefined> => {
  const { username: _username, password: _password, ...anybody } = probe.address;
  try {
    return await withClient({ ...probe, address: { ...anybody, db: 0 } }, async (client) => {
      await client.call('DBSIZE');
      return true;
    });
  } catch (error) {
    return isAnswer(error) && /^-?(NOAUTH|DENIED|NOPERM|WRONGPASS)\b/.test((error as Error).message)
      ? false
      : undefined;
  }
};

const factsOf = async (client: Redis, clock: Clock): Promise<Omit<RedisServerFacts, 'openToAll'>> => {
  const info = infoFields(String(await client.call('INFO')));
  const settings = await persistenceSettings(client);
  const { offsetMs, errorMs } = await clockOf(client, clock);
  const number = (name: string): number => Number(info.get(name) ?? 0);
  const valkey = info.get('valkey_version');
  const onRewrite = settings?.get('no-appendfsync-on-rewrite');
  return {
    version: valkey === undefined ? `Redis ${info.get('redis_version') ?? 'of unknown version'}` : `Valkey ${valkey}`,
    tooOld: versionProblem(info),
    role: info.get('role') === 'master' ? 'master' : 'replica',
    replicas: number('connected_slaves'),
    evictionPolicy: info.get('maxmemory_policy'),
    usedBytes: number('used_memory'),
    maxBytes: number('maxmemory'),
    appendOnly: info.get('aof_enabled') === '1',
    appendFsync: settings?.get('appendfsync'),
    unsyncedOnRewrite: onRewrite === undefined ? undefined : onRewrite === 'yes',
    persistenceFails: info.get('aof_last_write_status') === 'err' || info.get('rdb_last_bgsave_status') === 'err',
    clockOffsetMs: offsetMs,
    clockErrorMs: errorMs,
  };
};

const inspectServer = async (server: string, probe: Probe): Promise<RedisInspection> => {
  try {
    const facts = await withClient(probe, (client) => factsOf(client, probe.clock));
    return { status: 'inspected', server, facts: { ...facts, openToAll: await isOpenToAll(probe) } };
  } catch (error) {
    return { status: 'failed', server, why: wordsOf(error) };
  }
};

/** The masters of a cluster, as the first seed that answers knows them. */
const mastersOf = async (probe: Probe): Promise<readonly HostPort[]> => {
  let failure: unknown;
  for (const seed of probe.address.hosts) {
    try {
      const ranges = await withClient({ ...probe, server: seed }, async (client) =>
        parseSlots(await client.callBuffer('CLUSTER', 'SLOTS'), seed),
      );
      const masters = new Map(ranges.map(({ server }) => [`${server.host}:${server.port}`, server]));
      return [...masters.values()].slice(0, MOST_SERVERS);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
};

/**
 * Asks the Redis of a URL (see `parseRedisUrl`) what it is and how it is set, changing nothing in it: one entry for a standalone
 * server or the master that sentinels name, one for each master of a cluster. Never rejects, and never tells a credential.
 */
export const inspectRedis = async (url: string, options: InspectOptions = {}): Promise<readonly RedisInspection[]> => {
  const { commandDeadlineMs = 3_000, serverDeadlineMs = 10_000, clock = systemClock } = options;
  let address: RedisAddress;
  try {
    address = parseRedisUrl(url);
  } catch (error) {
    const why = error instanceof InvalidRedisUrl ? error.message : 'the Redis URL is none';
    return [{ status: 'failed', server: 'unknown', why }];
  }
  const label = describeAddress(address);
  const probe: Probe = { address, commandDeadlineMs, serverDeadlineMs, clock };
  if (address.mode !== 'cluster') return [await inspectServer(label, probe)];
  try {
    const masters = await mastersOf(probe);
    if (masters.length === 0) return [{ status: 'failed', server: label, why: 'no hash slot is served' }];
    return await Promise.all(
      masters.map((server) => inspectServer(`${server.host}:${server.port}`, { ...probe, server })),
    );
  } catch (error) {
    return [{ status: 'failed', server: label, why: wordsOf(error) }];
  }
};
