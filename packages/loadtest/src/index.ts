export { main } from './cli.js';
export { type EncodedHistogram, Histogram } from './histogram.js';
export type { RunResult } from './run/run-result.js';
