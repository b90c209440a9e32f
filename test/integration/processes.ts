import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { guardProcess } from '@replyx/testkit';

const COMMAND = fileURLToPath(new URL('../../packages/gateway/bin/replyx.js', import.meta.url));

/** `replyx cluster --json` with nothing in its environment but `env`, and what it says once it runs. */
export const startCluster = async <T>(
  args: readonly string[],
  env: Record<string, string>,
): Promise<{ readonly child: ChildProcess; readonly started: T }> => {
  const child = spawn(process.execPath, [COMMAND, 'cluster', '--json', ...args], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  guardProcess(child);
  const [line] = (await Promise.race([
    once(createInterface({ input: child.stdout }), 'line'),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`the cluster ended with code ${code}`))),
  ])) as [string];
  return { child, started: JSON.parse(line) as T };
};

export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** All that a process has started, and what those have. */
export const childrenOf = (pid: number): number[] => {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const parentOf = (name: string) => {
    try {
      return Number(
        readFileSync(`/proc/${name}/stat`, 'utf8')
          .replace(/^.*\) \S /, '')
          .split(' ')[0],
      );
    } catch {
      return 0;
    }
  };
  const parents = new Map(all.map((name) => [Number(name), parentOf(name)]));
  const found: number[] = [];
  for (const [child] of parents) {
    for (let up: number | undefined = child; up !== undefined && up > 1; up = parents.get(up)) {
      if (up === pid && child !== pid) found.push(child);
    }
  }
  return found;
};

/** The process below `pid` that has `name=value` in its environment. */
export const childWith = (pid: number, name: string, value: string): number => {
  const entry = `${name}=${value}`;
  const found = childrenOf(pid).find((child) =>
    readFileSync(`/proc/${child}/environ`, 'utf8').split('\0').includes(entry),
  );
  if (found === undefined) throw new Error(`no process has ${entry}`);
  return found;
};
