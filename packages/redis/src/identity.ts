import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';
import { BackplaneUnsupported } from './errors.js';

/** What a connection says of the process behind it. */
export interface ServerIdentity {
  /** Names one process in one stretch of being a master: a restart, and a promotion, give another. */
  readonly identity: string;
  readonly master: boolean;
  /** Every acknowledged write is on disk (`appendfsync always`). False where Redis does not say. */
  readonly durable: boolean;
  /** It was a replica before it was a master, so its data may lack the tail of its former master's. */
  readonly promoted: boolean;
  /** It refuses a script with keys of several slots. */
  readonly clustered: boolean;
  /** By what rule it drops keys when its memory is full; undefined where it refuses writes instead, or has no bound. */
  readonly evictsBy: string | undefined;
  /** Keys that it has dropped so. */
  readonly evictedKeys: number;
}

/** The fields of a reply of INFO. */
export const infoFields = (text: string): ReadonlyMap<string, string> => {
  const fields = new Map<string, string>();
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return fields;
};

const atLeast = (version: string, major: number, minor: number): boolean => {
  const [first = 0, second = 0] = version.split('.').map(Number);
  return first > major || (first === major && second >= minor);
};

/** Why a server is too old, by its INFO; undefined where it is not. */
export const versionProblem = (server: ReadonlyMap<string, string>): string | undefined => {
  const valkey = server.get('valkey_version');
  if (valkey !== undefined) {
    return atLeast(valkey, 7, 2) ? undefined : `Valkey ${valkey} is too old: 7.2 or newer is needed`;
  }
  const redis = server.get('redis_version') ?? 'of unknown version';
  return atLeast(redis, 7, 0) ? undefined : `Redis ${redis} is too old: 7.0 or newer is needed`;
};

/** What CONFIG GET tells of how writes reach the disk; undefined where it is refused, as managed services and ACLs do. */
export const persistenceSettings = async (client: Redis): Promise<ReadonlyMap<string, string> | undefined> => {
  try {
    const names = ['appendonly', 'appendfsync', 'no-appendfsync-on-rewrite'];
    const reply = (await client.call('CONFIG', 'GET', ...names)) as string[];
    const values = new Map<string, string>();
    for (let index = 0; index + 1 < reply.length; index += 2) values.set(reply[index] ?? '', reply[index + 1] ?? '');
    return values;
  } catch {
    return undefined;
  }
};

/** Refused is not proved. */
const isDurable = async (client: Redis): Promise<boolean> => {
  const values = await persistenceSettings(client);
  return (
    values?.get('appendonly') === 'yes' &&
    values.get('appendfsync') === 'always' &&
    values.get('no-appendfsync-on-rewrite') === 'no'
  );
};

/** Throws `BackplaneUnsupported` for a server that is too old. */
export const identify = async (client: Redis): Promise<ServerIdentity> => {
  // Those of an old server do not take several sections, and it is to be told that it is old.
  const server = infoFields(String(await client.call('INFO', 'server')));
  const tooOld = versionProblem(server);
  if (tooOld !== undefined) throw new BackplaneUnsupported(tooOld);
  const state = infoFields(String(await client.call('INFO', 'replication', 'memory', 'stats', 'cluster')));
  const policy = state.get('maxmemory_policy') ?? 'noeviction';
  const isBounded = Number(state.get('maxmemory') ?? 0) > 0;
  const second = state.get('master_replid2') ?? '';
  return {
    // The replication id is part of it: a master that was demoted and promoted again keeps its run id.
    identity: createHash('sha1')
      .update(`${server.get('run_id')} ${state.get('master_replid')}`)
      .digest('base64url')
      .slice(0, 16),
    master: state.get('role') === 'master',
    durable: await isDurable(client),
    promoted: /[1-9a-f]/.test(second),
    clustered: state.get('cluster_enabled') === '1',
    evictsBy: isBounded && policy !== 'noeviction' ? policy : undefined,
    evictedKeys: Number(state.get('evicted_keys') ?? 0),
  };
};
