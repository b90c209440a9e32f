import { execFile } from 'node:child_process';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { type LogTail, logTail } from './log-tail.js';
import { cpuSecondsOf } from './proc-stat.js';
import { guardContainer } from './process-guard.js';
import type { RedisRun } from './redis-process.js';

const run = promisify(execFile);
const START_TIMEOUT_MS = 30_000;
const VERBS = { SIGKILL: 'kill', SIGTERM: 'stop', SIGSTOP: 'pause', SIGCONT: 'unpause' } as const;

async function docker(...args: string[]): Promise<string> {
  const { stdout } = await run('docker', args, { timeout: 60_000 });
  return stdout.trim();
}

class ContainerRun implements RedisRun {
  readonly log: LogTail;
  readonly pid: number | undefined;
  running = true;
  readonly #id: string;
  readonly #gone: () => void;

  constructor(id: string, pid: number | undefined, log: LogTail) {
    this.#id = id;
    this.pid = pid;
    this.log = log;
    this.#gone = guardContainer(id);
  }

  async signal(name: keyof typeof VERBS): Promise<void> {
    if (!this.running) return;
    // Docker refuses to signal a paused container.
    if (name === 'SIGKILL' || name === 'SIGTERM') await docker('unpause', this.#id).catch(() => {});
    await docker(VERBS[name], this.#id);
    if (name === 'SIGSTOP' || name === 'SIGCONT') return;
    this.running = false;
    await docker('rm', '-f', this.#id);
    this.#gone();
  }

  cpuSeconds(): number {
    if (this.pid === undefined) throw new Error('the CPU time of a container is visible only where Docker is local');
    return cpuSecondsOf(this.pid);
  }
}

/**
 * Starts the image with testcontainers, as this user, with the folder of the configuration file mounted at its own
 * path and the port published unchanged, so that data, port and configuration mean the same as for a process.
 */
export async function runImage(image: string, configFile: string, ports: readonly number[]): Promise<RedisRun> {
  const { GenericContainer, Wait } = await import('testcontainers');
  const folder = dirname(configFile);
  const log = logTail();
  const { uid, gid } = userInfo();
  const container = await new GenericContainer(image)
    .withUser(`${uid}:${gid}`)
    .withBindMounts([{ source: folder, target: folder }])
    .withExposedPorts(...ports.map((port) => ({ container: port, host: port })))
    .withCommand(['redis-server', configFile])
    .withLogConsumer((stream) => log.follow(stream))
    // Any word of the server will do: whether it answers is asked in one place for processes and containers.
    .withWaitStrategy(Wait.forLogMessage(/./))
    .withStartupTimeout(START_TIMEOUT_MS)
    .start();
  const pid = Number(await docker('inspect', '-f', '{{.State.Pid}}', container.getId()));
  return new ContainerRun(container.getId(), process.platform === 'linux' && pid > 0 ? pid : undefined, log);
}
