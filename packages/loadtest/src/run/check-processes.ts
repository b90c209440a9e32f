import { CommandFailure } from '../command.js';
import { childrenOf, processUsage } from './process-stat.js';
import type { ServerSource } from './server-watch.js';

/** Throws `CommandFailure` for the first that is not: its figures would be missing without a word. */
export const checkRunning = (servers: readonly ServerSource[]): void => {
  for (const server of servers) {
    if ('pid' in server && processUsage(server.pid) === undefined) {
      throw new CommandFailure(`there is no process ${server.pid} of --pid here, as far as /proc tells`);
    }
  }
};

/** Of processes that leave the work to others, such as `replyx serve --workers`. */
export const childWarnings = (servers: readonly ServerSource[]): string[] => {
  const named = new Set(servers.map((server) => ('pid' in server ? server.pid : undefined)));
  const warnings: string[] = [];
  for (const server of servers) {
    if (!('pid' in server)) continue;
    const children = childrenOf(server.pid).filter((child) => !named.has(child));
    if (children.length === 0) continue;
    warnings.push(
      `${server.name} (process ${server.pid}) has child processes that are not measured with it: name those that serve with --pid (${children.join(', ')})`,
    );
  }
  return warnings;
};
