import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ, fixed at 100 in the Linux ABI for every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface Usage {
  /** When it was told, by `performance.now()`. */
  readonly atMs: number;
  /** User and system CPU time since the process started. */
  readonly cpuSeconds: number;
  readonly rssBytes: number;
  /** Sockets that it says it holds, where it says so. */
  readonly connections?: number;
}

/** The command name in brackets may hold spaces and brackets itself: the fields are counted from the last one. */
const fieldsOf = (stat: string): string[] => stat.slice(stat.lastIndexOf(')') + 2).split(' ');

export const usageFrom = (stat: string, status: string, atMs: number): Usage => {
  const fields = fieldsOf(stat);
  const rss = /^VmRSS:\s+(\d+) kB$/m.exec(status);
  return {
    atMs,
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    rssBytes: rss === null ? 0 : Number(rss[1]) * 1024,
  };
};

/** A process of this machine, from /proc; undefined where it is gone, or the system is not Linux. */
export const processUsage = (pid: number): Usage | undefined => {
  try {
    const [stat, status] = [readFileSync(`/proc/${pid}/stat`, 'utf8'), readFileSync(`/proc/${pid}/status`, 'utf8')];
    return usageFrom(stat, status, performance.now());
  } catch {
    return undefined;
  }
};

/** The processes that a process of this machine has started and that still run; empty where the system is not Linux. */
export const childrenOf = (pid: number): number[] => {
  try {
    const ids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    return ids.filter((id) => parentOf(id) === pid).map(Number);
  } catch {
    return [];
  }
};

const parentOf = (id: string): number | undefined => {
  try {
    return Number(fieldsOf(readFileSync(`/proc/${id}/stat`, 'utf8'))[1]);
  } catch {
    // It ended meanwhile.
    return undefined;
  }
};

/** Most descriptors that one process may hold; undefined where the system does not say. */
export const descriptorLimit = (): number | undefined => {
  try {
    const line = /^Max open files\s+(\d+|unlimited)\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    // Node raises its soft limit to the hard one when it starts.
    return line?.[2] === undefined || line[2] === 'unlimited' ? undefined : Number(line[2]);
  } catch {
    return undefined;
  }
};
