import { readdirSync, readFileSync } from 'node:fs';

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
