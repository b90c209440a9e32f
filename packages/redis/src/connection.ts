import { Redis, type RedisOptions } from 'ioredis';
import type { Settings } from './options.js';
import type { RedisAddress } from './url.js';

const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 2_000;

/** Waits of a client that reconnects for ever; counts on until told that a connection proved good. */
export class Backoff {
  #attempts = 0;
  readonly #float: () => number;

  constructor(float: () => number) {
    this.#float = float;
  }

  next(): number {
    const ceilingMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.#attempts++, 10));
    return Math.ceil(ceilingMs / 2 + (this.#float() * ceilingMs) / 2);
  }

  reset(): void {
    this.#attempts = 0;
  }
}

/** A server of a cluster, where `RedisAddress` names only the seeds. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** The constructor takes no `undefined` for `replyMapping`, unlike `RedisOptions`. */
type ClientOptions = Omit<RedisOptions, 'replyMapping'>;

/** An unconnected client that never queues, never repeats a command by itself, and reconnects for ever. */
export const makeClient = (
  address: RedisAddress,
  settings: Pick<Settings, 'commandDeadlineMs' | 'nodeId'>,
  backoff: Backoff,
  purpose: string,
  server?: HostPort,
): Redis => {
  const tls: Pick<ClientOptions, 'tls'> = address.tls ? { tls: {} } : {};
  const common: ClientOptions = {
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    enableReadyCheck: true,
    maxLoadingRetryTime: 1_000,
    commandTimeout: settings.commandDeadlineMs,
    connectTimeout: settings.commandDeadlineMs,
    disconnectTimeout: 500,
    keepAlive: 10_000,
    noDelay: true,
    connectionName: `replyx:${purpose}:${settings.nodeId}`.replace(/[^\x21-\x7e]/g, '_'),
    disableClientInfo: true,
    retryStrategy: () => backoff.next(),
    db: address.db,
    ...(address.username === undefined ? {} : { username: address.username }),
    ...(address.password === undefined ? {} : { password: address.password }),
  };
  if (address.mode === 'sentinel') {
    const sentinel: ClientOptions = {
      ...common,
      ...tls,
      enableTLSForSentinelMode: address.tls,
      sentinels: address.hosts.map(({ host, port }) => ({ host, port })),
      name: address.master as string,
      role: 'master',
      sentinelRetryStrategy: () => backoff.next(),
      sentinelCommandTimeout: settings.commandDeadlineMs,
      ...(address.sentinelUsername === undefined ? {} : { sentinelUsername: address.sentinelUsername }),
      ...(address.sentinelPassword === undefined ? {} : { sentinelPassword: address.sentinelPassword }),
      ...(address.tls ? { sentinelTLS: {} } : {}),
    };
    return new Redis(sentinel);
  }
  const { host, port } = server ?? (address.hosts[0] as HostPort);
  const single: ClientOptions = { ...common, ...tls, host, port };
  return new Redis(single);
};

/** Ends the connection at once, as a black-holed one never ends by asking; the client reconnects. */
export const cut = (client: Redis): void => {
  client.stream?.destroy();
};
