import { spawn } from 'node:child_process';
import type { Step } from './run-result.js';

export type RollingStep =
  | { readonly kind: 'command'; readonly command: string }
  | { readonly kind: 'drain' | 'kill'; readonly pid: number };

export const COMMAND_DEADLINE_MS = 120_000;

const runCommand = (command: string): Promise<string> =>
  new Promise((resolve) => {
    const child = spawn('/bin/sh', ['-c', command], { stdio: ['ignore', 'ignore', 'ignore'] });
    const deadline = setTimeout(() => child.kill('SIGKILL'), COMMAND_DEADLINE_MS);
    const end = (result: string): void => {
      clearTimeout(deadline);
      resolve(result);
    };
    child.on('error', () => end('could not be started'));
    child.on('exit', (code, signal) => end(code === 0 ? 'ok' : `failed (${signal ?? `code ${code}`})`));
  });

const sendSignal = (pid: number, signal: 'SIGTERM' | 'SIGKILL'): string => {
  try {
    process.kill(pid, signal);
    return 'ok';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH' ? 'failed (no such process)' : 'failed (not allowed)';
  }
};

export const describeStep = (step: RollingStep): string =>
  step.kind === 'command' ? step.command : step.kind === 'drain' ? `SIGTERM ${step.pid}` : `SIGKILL ${step.pid}`;

/**
 * Does the steps one after the other, each at its time or when the one before has ended. Resolves when the last has ended, with the
 * milliseconds since the start. Never rejects.
 */
export const runSteps = async (
  steps: readonly RollingStep[],
  {
    everyMs,
    sinceMs,
    isStopped,
    onStep,
  }: {
    readonly everyMs: number;
    /** The start of the load, by `performance.now()`. */
    readonly sinceMs: number;
    readonly isStopped: () => boolean;
    readonly onStep: (step: Step) => void;
  },
): Promise<number> => {
  for (const [i, step] of steps.entries()) {
    const dueMs = sinceMs + everyMs * (i + 1);
    while (performance.now() < dueMs && !isStopped()) {
      await new Promise((resolve) => setTimeout(resolve, Math.min(50, Math.max(1, dueMs - performance.now()))));
    }
    if (isStopped()) break;
    const atMs = performance.now() - sinceMs;
    const result =
      step.kind === 'command'
        ? await runCommand(step.command)
        : sendSignal(step.pid, step.kind === 'drain' ? 'SIGTERM' : 'SIGKILL');
    onStep({ atMs, what: describeStep(step), result });
  }
  return performance.now() - sinceMs;
};
