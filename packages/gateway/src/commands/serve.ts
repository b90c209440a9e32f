import { BackplaneUnavailable, memoryCluster } from '@replyx/core';
import { BackplaneUnsupported } from '@replyx/redis';
import { backplaneOptions, newIncarnation, openRedis } from '../backplane.js';
import type { GatewayConfig } from '../config/gateway-config.js';
import { configInvalidLine, readConfig } from '../config/read-config.js';
import { locksOn, openLocks } from '../locks.js';
import { type GatewayNode, startNode } from '../node.js';
import { createLogger, type Logger } from '../observability/logger.js';
import { PortTaken } from '../uws/listen.js';
import { packageVersion } from '../version.js';
import { CommandFailure, type CommandIo, parseOptions } from './command.js';

export const summary = 'run one node';

export const help = `Usage: replyx serve

Runs one gateway node. The whole configuration comes from the environment (replyx config-docs lists it); each secret also
from <NAME>_FILE. Without REDIS_URL the node keeps everything in memory and stands alone.

SIGTERM or SIGINT drains: the node turns not ready, waits WS_DRAIN_WAIT_SECONDS, closes its sockets so that they resume
elsewhere, and exits 0. A second signal skips the wait.

Exit code: 0 stopped in order, 1 could not start, 2 usage.
`;

const readOrFail = (io: CommandIo): GatewayConfig => {
  const read = readConfig(io.env, io.readFile);
  if (!read.ok) throw new CommandFailure(configInvalidLine(read.problems));
  for (const { name, value } of read.generated) {
    io.err(`replyx: ${name} was not set; for this run it is ${value}\n`);
  }
  for (const { name, message } of read.warnings) io.err(`replyx: ${name}: ${message}\n`);
  return read.config;
};

/** A start's expected failures as one line; anything else is a bug. */
export const startFailure = (error: unknown): CommandFailure | undefined =>
  error instanceof BackplaneUnavailable || error instanceof BackplaneUnsupported || error instanceof PortTaken
    ? new CommandFailure(error.message)
    : undefined;

/** Starts a node of a configuration on Redis, or alone in memory. Rejects with `CommandFailure` for expected failures. */
export const startConfigured = async (config: GatewayConfig, io: CommandIo, logger: Logger): Promise<GatewayNode> => {
  const { clock, random, fetch } = io;
  const incarnation = newIncarnation(config.node.id);
  const options = backplaneOptions(config, incarnation);
  try {
    const parts = { clock, random, logger };
    const memory = memoryCluster({ clock, random });
    const { redis } = config;
    const backplane = redis === undefined ? memory.open(options) : await openRedis(redis, options, parts);
    const locks =
      redis === undefined ? locksOn([memory.lockMaster.open()], parts) : await openLocks(redis, config.node.id, parts);
    const version = packageVersion();
    return await startNode({ config, backplane, locks, incarnation, version, logger, clock, random, fetch });
  } catch (error) {
    throw startFailure(error) ?? error;
  }
};

/** Resolves when the process is asked to stop: by a signal, or by the end of a parent that holds its IPC channel. */
const stopRequested = (again: () => void): Promise<string> =>
  new Promise((resolve) => {
    let asked = false;
    const ask = (why: string) => {
      if (asked) again();
      asked = true;
      resolve(why);
    };
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => ask(signal));
    process.on('disconnect', () => ask('parent_gone'));
  });

export const run = async (args: readonly string[], io: CommandIo): Promise<number> => {
  parseOptions(args, {});
  const config = readOrFail(io);
  const logger = createLogger(config.logLevel, config.node.id);
  const node = await startConfigured(config, io, logger);
  // Before anybody hears that it listens: a signal that comes at once is to drain, too.
  const stopping = stopRequested(() => node.hurry());
  logger.info({ port: node.port, internal_port: node.internalPort, host: config.listen.public.host }, 'listening');
  const reason = await Promise.race([stopping, node.drainAsked.then(() => 'asked')]);
  logger.info({ reason }, 'draining');
  const deadline = setTimeout(() => {
    logger.error('drain_deadline_missed');
    process.exit(1);
  }, config.drain.graceMs);
  await node.drain();
  clearTimeout(deadline);
  logger.info('stopped');
  if (process.connected) process.disconnect();
  return 0;
};
