import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type LogTail, logTail } from './log-tail.js';
import { cpuSecondsOf } from './proc-stat.js';
import { guardProcess } from './process-guard.js';

/** What a running Redis can be asked for, be it a process or a container. */
export interface RedisRun {
  readonly log: LogTail;
  /** The process id on this system; undefined where it cannot be seen. */
  readonly pid: number | undefined;
  readonly running: boolean;
  /** Sends the signal; for one that ends the process, waits until it has ended. */
  signal(name: 'SIGTERM' | 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void>;
  cpuSeconds(): number;
}

class LocalRun implements RedisRun {
  readonly log = logTail();
  readonly #child: ChildProcess;
  readonly #gone: Promise<unknown>;

  constructor(path: string, configFile: string, cwd: string) {
    this.#child = spawn(path, [configFile], { cwd, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    this.#gone = once(this.#child, 'close').catch(() => {});
    this.#child.on('error', () => {});
    this.log.follow(this.#child.stdout);
    this.log.follow(this.#child.stderr);
    guardProcess(this.#child);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async signal(name: 'SIGTERM' | 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    if (!this.running) return;
    // A stopped process takes SIGTERM only when it goes on.
    if (name === 'SIGTERM') this.#child.kill('SIGCONT');
    this.#child.kill(name);
    if (name === 'SIGTERM' || name === 'SIGKILL') await this.#gone;
  }

  cpuSeconds(): number {
    if (!this.running || this.pid === undefined) throw new Error('redis-server does not run');
    return cpuSecondsOf(this.pid);
  }
}

/** Starts the executable with a configuration file; does not wait until it answers. */
export function runExecutable(path: string, configFile: string, cwd: string): RedisRun {
  return new LocalRun(path, configFile, cwd);
}
