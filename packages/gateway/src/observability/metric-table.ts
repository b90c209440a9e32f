import { METRICS } from './metric-names.js';

/** The metrics as a Markdown table, as `docs/metrics.md` holds it. */
export const metricTable = (): string =>
  [
    '| name | kind | labels | what it says |',
    '|---|---|---|---|',
    ...Object.entries(METRICS).map(
      ([name, { kind, labels, help }]) => `| \`${name}\` | ${kind} | ${labels} | ${help} |`,
    ),
    '',
  ].join('\n');
