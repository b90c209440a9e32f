import { readdirSync, readFileSync } from 'node:fs';

const NANOSECONDS = 1e9;

const gone = (pid: number, file: string): Error =>
  new Error(`no /proc/${pid}/${file}: process ${pid} is gone, or this system is not Linux`);

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    throw gone(pid, file);
  }
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    throw gone(pid, 'task');
  }
}

/** 0 where the thread has ended meanwhile. */
function nanosecondsOf(pid: number, thread: string): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
  } catch {
    return 0;
  }
}

/**
 * User and system CPU time of the threads that a live process has now, in seconds, as exact as the scheduler counts it: `stat` tells only
 * whole hundredths of a second. Linux only.
 */
export function cpuSecondsOf(pid: number): number {
  let nanoseconds = 0;
  for (const thread of threadsOf(pid)) nanoseconds += nanosecondsOf(pid, thread);
  return nanoseconds / NANOSECONDS;
}

/** Resident memory of a live process in bytes. Linux only. */
export function rssBytesOf(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(read(pid, 'status'));
  return match === null ? 0 : Number(match[1]) * 1024;
}
