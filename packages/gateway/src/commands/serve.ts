import { availableParallelism } from 'node:os';
import { BackplaneUnavailable, memoryCluster } from '@replyx/core';
import { BackplaneUnsupported } from '@replyx/redis';
import { backplaneOptions, newIncarnation, openRedis } from '../backplane.js';
import { type ParentChannel, WorkerLink } from '../cluster/worker-link.js';
import { Workers } from '../cluster/workers.js';
import type { GatewayConfig } from '../config/gateway-config.js';
import { configInvalidLine, readConfig } from '../config/read-config.js';
import { locksOn, openLocks } from '../locks.js';
import { type GatewayNode, startNode } from '../node.js';
import { createLogger, type Logger } from '../observability/logger.js';
import { PortTaken } from '../uws/listen.js';
import { packageVersion } from '../version.js';
import { CommandFailure, type CommandIo, parseOptions, UsageError } from './command.js';

export const summary = 'run one node';

export const help = `Usage: replyx serve [--workers <n>|auto]

Runs one gateway node. The whole configuration comes from the environment (replyx config-docs lists it); each secret also
from <NAME>_FILE. Without REDIS_URL the node keeps everything in memory and stands alone.

  --workers <n>  run so many nodes as processes of their own that share both ports; auto: one a core. Each has a node id of its
                 own (<NODE_ID>-1, ...), limits per node hold for each, /metrics and /readyz speak for all. One that dies is
                 started again. Needs Linux and REDIS_URL.

SIGTERM or SIGINT drains: the node turns not ready, waits WS_DRAIN_WAIT_SECONDS, closes its sockets so that they resume
elsewhere, and exits 0. A second signal skips the wait.

Exit code: 0 stopped in order, 1 could not start, 2 usage.
`;

interface Read {
  readonly config: GatewayConfig;
  /** What was made for this run. */
  readonly generated: Readonly<Record<string, string>>;
}

const readOrFail = (io: CommandIo): Read => {
  const read = readConfig(io.env, io.readFile);
  if (!read.ok) throw new CommandFailure(configInvalidLine(read.problems));
  for (const { name, value } of read.generated) {
    io.err(`replyx: ${name} was not set; for this run it is ${value}\n`);
  }
  for (const { name, message } of read.warnings) io.err(`replyx: ${name}: ${message}\n`);
  return { config: read.config, generated: Object.fromEntries(read.generated.map(({ name, value }) => [name, value])) };
};

/** A start's expected failures as one line; anything else is a bug. */
export const startFailure = (error: unknown): CommandFailure | undefined =>
  error instanceof BackplaneUnavailable || error instanceof BackplaneUnsupported || error instanceof PortTaken
    ? new CommandFailure(error.message)
    : undefined;

/** Starts a node of a configuration on Redis, or alone in memory. Rejects with `CommandFailure` for expected failures. */
export const startConfigured = async (
  config: GatewayConfig,
  io: CommandIo,
  logger: Logger,
  workerLink?: WorkerLink,
): Promise<GatewayNode> => {
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
    return await startNode({
      ...{ config, backplane, locks, incarnation, version, logger, clock, random, fetch, workerLink },
    });
  } catch (error) {
    throw startFailure(error) ?? error;
  }
};

/** Resolves when the process is asked to stop: by a signal, by the parent of a worker, or by the end of one that holds its IPC channel. */
const stopRequested = (again: () => void, link?: WorkerLink): Promise<string> =>
  new Promise((resolve) => {
    let asked = false;
    let signalled = false;
    const ask = (why: string, isAgain: boolean) => {
      if (isAgain) again();
      asked = true;
      resolve(why);
    };
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        ask(signal, signalled);
        signalled = true;
      });
    }
    // A worker's first signal and its parent's first word are of one cause, whichever comes first.
    link?.onStop((how) => ask('parent', how === 'hurry'));
    process.on('disconnect', () => ask('parent_gone', asked));
    // Gone already, while this process was starting; undefined where there was none.
    if (process.connected === false) ask('parent_gone', false);
  });

const workerCount = (text: string): number => {
  if (text === 'auto') return availableParallelism();
  if (!/^[1-9]\d?$/.test(text)) throw new UsageError('--workers takes 1 to 99, or auto');
  return Number(text);
};

/** Runs workers until they have ended; the exit code is theirs. */
const runWorkers = async (count: number, { config, generated }: Read, io: CommandIo): Promise<number> => {
  if (process.platform !== 'linux')
    throw new CommandFailure('--workers needs Linux, whose kernel spreads connections over the processes of one port');
  if (config.redis === undefined)
    throw new CommandFailure('--workers needs REDIS_URL: processes share dialogs through Redis only');
  const logger = createLogger(config.logLevel, config.node.id);
  const given = Object.entries(io.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
  const env = { ...Object.fromEntries(given), ...generated } as Readonly<Record<string, string>>;
  const workers = new Workers({ count, config, env, clock: io.clock, logger });
  const stopping = stopRequested(() => void workers.stop());
  const ended = async (): Promise<string> => {
    const { port, internalPort } = await workers.start();
    logger.info({ port, internal_port: internalPort, workers: count }, 'workers_listening');
    return (await workers.ended) ? 'asked' : 'worker_given_up';
  };
  const reason = await Promise.race([stopping, ended()]);
  logger.info({ reason }, 'workers_draining');
  const deadline = setTimeout(() => {
    logger.error('drain_deadline_missed');
    workers.kill();
  }, config.drain.graceMs);
  await workers.stop();
  clearTimeout(deadline);
  const isInOrder = await workers.ended;
  logger.info('workers_stopped');
  return isInOrder ? 0 : 1;
};

export const run = async (args: readonly string[], io: CommandIo): Promise<number> => {
  const { values } = parseOptions(args, { workers: { type: 'string' }, worker: { type: 'boolean' } });
  const count = values.workers === undefined ? 1 : workerCount(values.workers);
  const read = readOrFail(io);
  const { config } = read;
  if (count > 1) return runWorkers(count, read, io);
  const logger = createLogger(config.logLevel, config.node.id);
  const link =
    values.worker === true && process.connected ? new WorkerLink(process as ParentChannel, io.clock) : undefined;
  const node = await startConfigured(config, io, logger, link);
  // Before anybody hears that it listens: a signal that comes at once is to drain, too.
  const stopping = stopRequested(() => node.hurry(), link);
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
