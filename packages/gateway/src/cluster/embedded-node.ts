import type { memoryCluster } from '@replyx/core';
import { backplaneOptions, newIncarnation } from '../backplane.js';
import { CommandFailure, type CommandIo } from '../commands/command.js';
import { configInvalidLine, readConfig } from '../config/read-config.js';
import { locksOn } from '../locks.js';
import { startNode } from '../node.js';
import { createLogger } from '../observability/logger.js';
import { packageVersion } from '../version.js';
import { type LocalEnvironment, type LocalNode, type NodePlan, nodeEnvironment } from './local-node.js';

/** Starts a node in this process, on a backplane in memory that it shares with the others here. */
export const startEmbeddedNode = async (
  cluster: ReturnType<typeof memoryCluster>,
  shared: LocalEnvironment,
  plan: NodePlan,
  io: CommandIo,
): Promise<LocalNode> => {
  const read = readConfig({ LOG_LEVEL: 'warn', ...nodeEnvironment(shared, plan) }, io.readFile);
  if (!read.ok) throw new CommandFailure(configInvalidLine(read.problems));
  const { config } = read;
  const { clock, random, fetch } = io;
  const incarnation = newIncarnation(config.node.id);
  const backplane = cluster.open(backplaneOptions(config, incarnation));
  const lockMaster = cluster.lockMaster.open();
  const logger = createLogger(config.logLevel, config.node.id);
  const node = await startNode({
    config,
    backplane,
    locks: locksOn([lockMaster], { clock, random, logger }),
    incarnation,
    version: packageVersion(),
    logger,
    clock,
    random,
    fetch,
  });
  let end: (how: string) => void = () => {};
  const stop = async (): Promise<void> => {
    await node.drain();
    end('stopped');
  };
  node.drainAsked.then(stop).catch((error: unknown) => logger.error({ error: String(error) }, 'bug'));
  return {
    id: node.id,
    port: node.port,
    internalPort: node.internalPort,
    ended: new Promise((resolve) => {
      end = resolve;
    }),
    stop,
    kill: () => {
      // The backplane first, so that nothing of the node's end reaches the others: its leases run out by themselves.
      void backplane.close();
      void lockMaster.close();
      node.kill();
      end('killed');
    },
  };
};
