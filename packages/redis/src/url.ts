/** Where Redis is and how to log in, as `REDIS_URL` says it. */
export interface RedisAddress {
  readonly mode: 'standalone' | 'sentinel' | 'cluster';
  readonly tls: boolean;
  /** One address, or the sentinels, or the cluster's seeds. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  /** Sentinel's name of the master. */
  readonly master?: string;
  readonly username?: string;
  readonly password?: string;
  /** The sentinels' own login. */
  readonly sentinelUsername?: string;
  readonly sentinelPassword?: string;
  readonly db: number;
}

/** The URL is none; the message never repeats it, as it may hold a password. */
export class InvalidRedisUrl extends Error {
  override readonly name = 'InvalidRedisUrl';
}

const SHAPE = /^(rediss?)(\+sentinel|\+cluster)?:\/\/(?:(.*)@)?([^@/?#]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/;

const invalid = (why: string): InvalidRedisUrl => new InvalidRedisUrl(`the Redis URL ${why}`);

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('has a broken percent-encoding');
  }
};

const hostPort = (text: string, defaultPort: number): { host: string; port: number } => {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[^:[\]\s]+)(?::(\d{1,5}))?$/.exec(text);
  const port = match?.[2] === undefined ? defaultPort : Number(match[2]);
  const host = match?.[1]?.replace(/^\[|\]$/g, '');
  if (host === undefined || port < 1 || port > 65_535) throw invalid('names a host or port that is none');
  return { host, port };
};

const database = (text: string): number => {
  if (text === '') return 0;
  if (!/^\d{1,5}$/.test(text)) throw invalid('names a database that is no number');
  return Number(text);
};

/**
 * `redis[s]://[user[:password]@]host[:port][/db]`,
 * `redis[s]+sentinel://[user[:password]@]host[:port],host[:port]…/master-name[?db=n&sentinel_username=u&sentinel_password=p]`,
 * `redis[s]+cluster://[user[:password]@]host[:port],host[:port]…`. The login is the data nodes'.
 * Throws `InvalidRedisUrl`.
 */
export const parseRedisUrl = (url: string): RedisAddress => {
  const match = SHAPE.exec(url.trim());
  if (match === null) throw invalid('must start with redis://, rediss://, redis+sentinel:// or redis+cluster://');
  const [, scheme, kind, login, hostList, path = '', query = ''] = match;
  const mode = kind === '+sentinel' ? 'sentinel' : kind === '+cluster' ? 'cluster' : 'standalone';
  const hosts = (hostList ?? '').split(',').map((text) => hostPort(text, mode === 'sentinel' ? 26_379 : 6_379));
  if (mode === 'standalone' && hosts.length !== 1) throw invalid('names several hosts without +sentinel or +cluster');
  if (mode === 'sentinel' && path === '') throw invalid("needs the master's name after the sentinels");
  const parameters = new URLSearchParams(query);
  const named = parameters.get('db') ?? '';
  const sentinelUsername = parameters.get('sentinel_username') ?? '';
  const sentinelPassword = parameters.get('sentinel_password') ?? '';
  const db = database(mode === 'standalone' && path !== '' ? path : named);
  if (mode === 'cluster' && (db !== 0 || path !== '')) throw invalid('names a database, and a cluster has only one');
  const colon = login?.indexOf(':') ?? -1;
  const username = decode((colon === -1 ? login : login?.slice(0, colon)) ?? '');
  const password = colon === -1 ? '' : decode(login?.slice(colon + 1) ?? '');
  return {
    mode,
    tls: scheme === 'rediss',
    hosts,
    db,
    ...(mode === 'sentinel' ? { master: decode(path) } : {}),
    ...(username === '' ? {} : { username }),
    ...(password === '' ? {} : { password }),
    ...(mode !== 'sentinel' || sentinelUsername === '' ? {} : { sentinelUsername }),
    ...(mode !== 'sentinel' || sentinelPassword === '' ? {} : { sentinelPassword }),
  };
};

/** The address without credentials, for logs and errors. */
export const describeAddress = (address: RedisAddress): string => {
  const hosts = address.hosts.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`).join(',');
  return address.master === undefined ? hosts : `${hosts} (master ${address.master})`;
};
