import { spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { CommandFailure } from '../commands/command.js';
import { anyFreePort } from './ports.js';

const SERVERS = ['redis-server', 'valkey-server'];
const START_DEADLINE_MS = 10_000;

/** The first Redis or Valkey server on the PATH. */
export const findRedisServer = (path: string | undefined): string | undefined => {
  for (const directory of (path ?? '').split(delimiter).filter((entry) => entry !== '')) {
    for (const name of SERVERS) {
      const file = join(directory, name);
      try {
        accessSync(file, constants.X_OK);
        return file;
      } catch {
        // Not here: the next place.
      }
    }
  }
  return undefined;
};

export interface PrivateRedis {
  readonly url: string;
  stop(): Promise<void>;
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    socket.once('data', (data) => {
      socket.destroy();
      resolve(data.toString().startsWith('+PONG'));
    });
    socket.once('error', () => resolve(false));
  });

/**
 * Starts a Redis that keeps nothing and ends with this process, however this process ends: a shell waits at a pipe that
 * breaks with us. In a session of its own, so that Ctrl-C reaches it last.
 */
export const startPrivateRedis = async (server: string): Promise<PrivateRedis> => {
  const port = await anyFreePort();
  const directory = mkdtempSync(join(tmpdir(), 'replyx-redis-'));
  const options = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    '--dir',
    directory,
  ];
  const keeper = '"$@" >/dev/null 2>&1 & server=$!; read _; kill "$server" 2>/dev/null; wait "$server"; rm -rf "$0"';
  const child = spawn('sh', ['-c', keeper, directory, server, ...options], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const deadline = Date.now() + START_DEADLINE_MS;
  while (!(await answers(port))) {
    if (Date.now() > deadline) {
      child.stdin.end();
      throw new CommandFailure(`${server} did not start within ${START_DEADLINE_MS / 1000} s`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    stop: async () => {
      child.stdin.end();
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
};
