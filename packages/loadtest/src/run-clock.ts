/**
 * Time of one run in microseconds, the same in all processes of this machine: the system's monotonic clock, counted from
 * `baseNs` (`process.hrtime.bigint()` of the process that started the run).
 */
export interface RunClock {
  nowUs(): number;
}

export const runClock = (baseNs: bigint): RunClock => {
  // Both read the same clock; a number is cheaper to read than a bigint.
  const shiftUs = Number(process.hrtime.bigint() - baseNs) / 1000 - performance.now() * 1000;
  return { nowUs: () => Math.round(performance.now() * 1000 + shiftUs) };
};
