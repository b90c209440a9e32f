import { readFileSync } from 'node:fs';

// USER_HZ, fixed at 100 in the Linux ABI for every architecture that Node runs on.
const TICKS_PER_SECOND = 100;

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    throw new Error(`no /proc/${pid}/${file}: process ${pid} is gone, or this system is not Linux`);
  }
}

/** User and system CPU time that a live process has used, in seconds, to 10 ms. Linux only. */
export function cpuSecondsOf(pid: number): number {
  const stat = read(pid, 'stat');
  // The command name in brackets may hold spaces and brackets itself: count the fields from the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Resident memory of a live process in bytes. Linux only. */
export function rssBytesOf(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(read(pid, 'status'));
  return match === null ? 0 : Number(match[1]) * 1024;
}
