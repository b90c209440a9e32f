import { Backoff, makeClient } from './connection.js';
import type { Keys } from './keys.js';
import { makeRegistrar } from './lineage.js';
import { Link } from './link.js';
import type { Settings } from './options.js';
import type { NodeState } from './state.js';
import { Subscriber } from './subscriber.js';
import type { Topology, TopologyEvents } from './topology.js';
import { describeAddress, type RedisAddress } from './url.js';

/** One Redis, or the master that sentinels name. */
export const standaloneTopology = (
  address: RedisAddress,
  settings: Settings,
  keys: Keys,
  state: NodeState,
  events: TopologyEvents,
): Topology => {
  const label = describeAddress(address);
  const dataBackoff = new Backoff(settings.random.float);
  const link = new Link({
    label,
    client: makeClient(address, settings, dataBackoff, 'data'),
    backoff: dataBackoff,
    settings,
    register: makeRegistrar(settings, keys, state),
    onMisplaced: () => {},
  });
  const subscriberBackoff = new Backoff(settings.random.float);
  const subscriber = new Subscriber({
    label,
    client: makeClient(address, settings, subscriberBackoff, 'subscriber'),
    backoff: subscriberBackoff,
    settings,
    sharded: false,
    probe: keys.probeWhere(settings.incarnation, () => true),
    publishProbe: async (channel) => Number(await link.command('PUBLISH', channel, '')),
    onMisplaced: () => {},
    onPayload: events.onPayload,
    onRestored: events.onRestored,
  });
  link.connect();
  subscriber.connect();
  return {
    link: () => link,
    subscriber: () => subscriber,
    unit: (slot) => (link.spansSlots ? 0 : slot),
    links: () => [link],
    subscribers: () => [subscriber],
    isServed: true,
    whenReady: async () => {
      await Promise.all([link.whenReady(), subscriber.whenReady()]);
    },
    probe: async () => {},
    lastError: () => link.lastError,
    close: () => {
      link.close();
      subscriber.close();
    },
  };
};
