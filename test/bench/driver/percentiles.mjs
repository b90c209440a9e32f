/** Percentiles of a list of milliseconds, which is sorted in place. */
export const percentiles = (values) => {
  values.sort();
  const at = (share) => values[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
};
