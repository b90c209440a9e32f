import { type ChildProcess, fork } from 'node:child_process';
import type { Running } from './supervised.js';

export interface Child extends Running {
  readonly process: ChildProcess;
  /** The last that it wrote to standard error. */
  lastWords(): string;
}

/**
 * Runs a Node program that ends with this process: it holds the other end of an IPC channel. In a session of its own, so
 * that Ctrl-C at the terminal reaches only us, who stop things in order.
 */
export const startChild = (
  name: string,
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  onLog: (line: string) => void,
): Child => {
  const child = fork(file, [...args], { env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'], detached: true });
  let lastWords = '';
  child.stderr?.on('data', (data: Buffer) => {
    lastWords = data.toString().trim();
    onLog(`${name} ${lastWords}`);
  });
  const ended = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? `code ${code}`));
    child.once('error', (error) => resolve(error.message));
  });
  return {
    process: child,
    ended,
    lastWords: () => lastWords,
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
    kill: () => {
      child.kill('SIGKILL');
    },
  };
};
