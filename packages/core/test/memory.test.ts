import type { Backplane } from '@replyx/core';
import { fakeClock, seededRandom } from '@replyx/testkit';
import { CONTRACT_OPTIONS, describeBackplaneContract, freshId, type World } from '@replyx/testkit/contract';
import { memoryCluster } from '../src/memory/index.js';

const makeWorld = async (): Promise<World> => {
  const clock = fakeClock();
  const cluster = memoryCluster({ clock, random: seededRandom(1) });
  const incarnations = new Map<Backplane, string>();
  const incarnationOf = (backplane: Backplane): string => incarnations.get(backplane) ?? 'unknown';
  return {
    async open(overrides = {}) {
      const incarnation = `node.${freshId('boot')}`;
      const backplane = cluster.open({ ...CONTRACT_OPTIONS, incarnation, nodeId: 'node', ...overrides });
      incarnations.set(backplane, incarnation);
      return backplane;
    },
    incarnationOf,
    kill: async (backplane) => cluster.killNode(incarnationOf(backplane)),
    flush: async () => cluster.flush(),
    async saveForRollback() {
      const snapshot = cluster.snapshot();
      return async () => cluster.restore(snapshot);
    },
    async saveForSilentRollback() {
      const snapshot = cluster.snapshot();
      return async () => cluster.restore(snapshot, { sameRun: true });
    },
    expire: async (dialogId, what, track) => cluster.expire(dialogId, what, track),
    trimControl: async () => cluster.trimControl(),
    pass: (ms) => clock.advanceAsync(ms),
    nowMs: async () => clock.nowMs(),
    close: async () => {
      for (const backplane of incarnations.keys()) await backplane.close();
    },
  };
};

describeBackplaneContract('memory', makeWorld);
