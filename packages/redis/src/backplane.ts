import { type Backplane, type BackplaneHealth, BackplaneUnavailable, DEFAULT_INBOX_MAX, Latencies } from '@replyx/core';
import { BOUNDS } from '@replyx/protocol';
import { ClusterTopology } from './cluster.js';
import { withDeadline } from './deadline.js';
import { Keys } from './keys.js';
import type { RedisBackplaneOptions, Settings } from './options.js';
import { RedisControl } from './redis-control.js';
import { RedisDirectory } from './redis-directory.js';
import { RedisFanout } from './redis-fanout.js';
import { RedisHandoffs } from './redis-handoffs.js';
import { RedisInbox } from './redis-inbox.js';
import { RedisLeases } from './redis-leases.js';
import { RedisLimiter } from './redis-limiter.js';
import { RedisLog } from './redis-log.js';
import { RedisMembership } from './redis-membership.js';
import { RedisRoster } from './redis-roster.js';
import { RedisStreams } from './redis-streams.js';
import { Settling } from './settling.js';
import { standaloneTopology } from './standalone.js';
import { liveLines, type NodeState } from './state.js';
import { systemClock, systemRandom } from './system.js';
import type { Topology, TopologyEvents } from './topology.js';
import { describeAddress, parseRedisUrl } from './url.js';

export interface RedisBackplane extends Backplane {
  /** Where it is, without credentials. */
  readonly address: string;
}

const settle = (options: RedisBackplaneOptions): Settings => {
  if (!/^[^\s:]{1,200}$/.test(options.incarnation)) throw new TypeError('an incarnation has no colon or white space');
  const keyPrefix = options.keyPrefix ?? 'rx';
  if (!/^[A-Za-z0-9_.:-]{1,64}$/.test(keyPrefix))
    throw new TypeError('the key prefix has letters, digits and _.:- only');
  const partitions = options.partitions ?? 128;
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > 1_000) {
    throw new TypeError('partitions are 1 to 1000');
  }
  if (options.historySize < 1) throw new TypeError('historySize is at least 1');
  return {
    incarnation: options.incarnation,
    nodeId: options.nodeId,
    historySize: options.historySize,
    historyTtlMs: options.historyTtlMs,
    idempotencyTtlMs: options.idempotencyTtlMs,
    nodeTtlMs: options.nodeTtlMs,
    keyPrefix,
    partitions,
    commandDeadlineMs: options.commandDeadlineMs ?? 2_000,
    openDeadlineMs: options.openDeadlineMs ?? 10_000,
    probeIntervalMs: options.probeIntervalMs ?? 5_000,
    subscriberSilenceMs: options.subscriberSilenceMs ?? 15_000,
    presenceTtlMs: options.presenceTtlMs ?? 3_600_000,
    leaseTtlMs: options.leaseTtlMs,
    streamIdleMs: options.streamIdleMs ?? BOUNDS.streamIdleMs,
    inboxMax: options.inboxMax ?? DEFAULT_INBOX_MAX,
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    latencies: new Latencies(),
    notice: options.onNotice ?? (() => {}),
  };
};

/**
 * Connects to Redis and resolves when it can serve. Rejects with `BackplaneUnsupported` for a server that is too old, with
 * `BackplaneUnavailable` where none answers within `openDeadlineMs`, with `InvalidRedisUrl`; messages hold no credentials.
 * From then on it reconnects by itself for ever.
 */
export const openRedisBackplane = async (options: RedisBackplaneOptions): Promise<RedisBackplane> => {
  const address = parseRedisUrl(options.url);
  const settings = settle(options);
  const keys = new Keys(settings.keyPrefix, settings.partitions);
  const state: NodeState = { live: liveLines([settings.incarnation]), lastBeatMs: undefined, maxSeenMs: 0 };
  const sharded = address.mode === 'cluster';
  const publishCommand = sharded ? 'SPUBLISH' : 'PUBLISH';
  let fanout: RedisFanout | undefined;
  let inbox: RedisInbox | undefined;
  const events: TopologyEvents = {
    onPayload: (channel, payload) => {
      if (inbox?.woken(channel) !== true) fanout?.receive(channel, payload);
    },
    onRestored: (channels) => fanout?.restored(channels),
    onMoved: () => {
      fanout?.moved();
      inbox?.moved();
    },
  };
  const topology: Topology = sharded
    ? new ClusterTopology(address, settings, keys, state, events)
    : standaloneTopology(address, settings, keys, state, events);
  const place = describeAddress(address);
  try {
    await withDeadline(topology.whenReady(), settings.openDeadlineMs, 'opening', settings.clock);
  } catch (error) {
    const why = topology.lastError();
    topology.close();
    if (!(error instanceof BackplaneUnavailable)) throw error;
    throw new BackplaneUnavailable(`Redis at ${place} can't be reached${why === undefined ? '' : `: ${why}`}`);
  }

  const settling = new Settling(settings);
  const log = new RedisLog(settings, keys, topology, publishCommand, settling);
  const control = new RedisControl(settings, keys, topology);
  const opened = new RedisFanout(settings, keys, topology, publishCommand);
  fanout = opened;
  const openedInbox = new RedisInbox(settings, keys, topology, publishCommand);
  inbox = openedInbox;
  const stopProbing = probeForEver(topology, settings);
  return {
    address: place,
    control,
    log,
    fanout: opened,
    directory: new RedisDirectory(settings, keys, topology, log, control, publishCommand),
    roster: new RedisRoster(settings, keys, topology, state, publishCommand, settling),
    membership: new RedisMembership(settings, keys, topology, state),
    latencies: settings.latencies,
    limiter: new RedisLimiter(keys, topology, state),
    leases: new RedisLeases(settings, keys, topology, state),
    handoffs: new RedisHandoffs(settings, keys, topology, publishCommand),
    streams: new RedisStreams(settings, keys, topology, publishCommand),
    inbox: openedInbox,
    health: () => health(topology),
    close: async () => {
      stopProbing();
      topology.close();
    },
  };
};

const health = (topology: Topology): BackplaneHealth => {
  const reasons = new Set<string>();
  const links = [...topology.links()];
  if (!topology.isServed || links.length === 0 || links.some((link) => !link.healthy)) reasons.add('redis_unreachable');
  for (const subscriber of topology.subscribers()) {
    if (subscriber.silent) reasons.add('subscriber_silent');
    else if (!subscriber.ready) reasons.add('subscriber_away');
  }
  return { ok: reasons.size === 0, reasons: [...reasons] };
};

/** Each connection is probed on its own, so that one that hangs delays none. */
const probeForEver = (topology: Topology, settings: Settings): (() => void) => {
  let cancel = (): void => {};
  let stopped = false;
  const round = async (): Promise<void> => {
    const probes: Promise<void>[] = [topology.probe()];
    for (const link of topology.links()) probes.push(link.probe());
    for (const subscriber of topology.subscribers()) probes.push(subscriber.probe());
    await Promise.allSettled(probes);
    if (!stopped) next();
  };
  const next = (): void => {
    cancel = settings.clock.schedule(settings.probeIntervalMs, () => void round());
  };
  next();
  return () => {
    stopped = true;
    cancel();
  };
};
