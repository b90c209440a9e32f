import { formatBytes, formatMs, formatNumber } from '../quantity.js';
import type { LatencySummary, RunResult } from '../run/run-result.js';
import { printable } from './printable.js';
import { verdictsOf } from './verdict.js';

export const LATENCY_TITLES = {
  delivery: 'delivery',
  quiet: 'before the flood',
  ack: 'acknowledgement',
  connect: 'connect',
  recovery: 'recovery',
  refusal: 'refusal',
} as const;

const line = (name: string, text: string): string => `  ${name.padEnd(17)}${text}\n`;

const latencyText = ({ p50, p90, p99, p999, max, count }: LatencySummary): string =>
  `p50 ${formatMs(p50)}  p90 ${formatMs(p90)}  p99 ${formatMs(p99)}  p99.9 ${formatMs(p999)}  max ${formatMs(max)}  (${formatNumber(count)})`;

export const recordText = (record: Readonly<Record<string, number>>): string =>
  Object.entries(record)
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${printable(name)} ${formatNumber(count)}`)
    .join(', ');

const COSTS = [
  ['cpu_us_per_message', 'server CPU a message'],
  ['cpu_us_per_connect', 'a connect'],
  ['cpu_us_per_recovery', 'a recovery'],
  ['cpu_us_per_attempt', 'a refused attempt'],
] as const;

/** The costs that were measured, as words: `server CPU a message 152 us, memory a connection 5.2 KiB`. */
export const costTexts = ({ measures }: Pick<RunResult, 'measures'>): string[] => [
  ...COSTS.flatMap(([name, words]) => {
    const value = measures[name];
    return value === undefined ? [] : [`${words} ${formatNumber(value, 1)} us`];
  }),
  ...(measures['rss_per_connection'] === undefined
    ? []
    : [`memory a connection ${formatBytes(measures['rss_per_connection'])}`]),
  ...(measures['rss_growth_per_hour'] === undefined
    ? []
    : [`memory growth ${formatBytes(measures['rss_growth_per_hour'])} an hour`]),
];

const serverText = ({ servers }: RunResult): string =>
  servers
    .map(({ name, cpuShare, rssBytes }) => {
      const cpu = cpuShare === null ? '-' : `${Math.round(cpuShare * 100)} % of a core`;
      return `${printable(name)} ${cpu}, ${rssBytes === null ? 'gone' : formatBytes(rssBytes)}`;
    })
    .join('; ');

/** The results for people, plain lines. */
export const summaryText = (result: RunResult): string => {
  const { counts, measures, latencies, scenario } = result;
  const costs = costTexts(result);
  return [
    `\n${scenario}: ${printable(result.title)}\n`,
    ...Object.entries(LATENCY_TITLES).flatMap(([name, title]) => {
      const summary = latencies[name as keyof typeof LATENCY_TITLES];
      return summary === undefined ? [] : [line(title, latencyText(summary))];
    }),
    ...(counts.sent > 0
      ? [
          line(
            'messages',
            `${formatNumber(counts.sent)} sent (${formatNumber(measures['rate'] ?? 0)}/s acknowledged), ${formatNumber(counts.delivered)} deliveries, ${formatNumber(counts.resent)} sent again`,
          ),
        ]
      : []),
    line(
      'connections',
      `${formatNumber(counts.joined)} admitted (${formatNumber(measures['connect_rate'] ?? 0)}/s), ${formatNumber(counts.recovered)} resumed`,
    ),
    ...(measures['attempts'] === undefined
      ? []
      : [line('attempts', `${formatNumber(measures['attempt_rate'] ?? 0)}/s: ${recordText(counts.attempts)}`)]),
    ...(Object.keys(counts.closed).length === 0 ? [] : [line('closed', recordText(counts.closed))]),
    ...(Object.keys(counts.turnedAway).length === 0 ? [] : [line('turned away', recordText(counts.turnedAway))]),
    ...(Object.keys(counts.errors).length === 0 ? [] : [line('errors', recordText(counts.errors))]),
    ...(result.servers.length === 0 ? [] : [line('servers', serverText(result))]),
    ...(costs.length === 0 ? [] : [line('costs', costs.join(', '))]),
    ...result.steps.map(({ atMs, what, result: ended }) =>
      line(`step at ${formatMs(atMs)}`, `${printable(what)}: ${ended}`),
    ),
    ...verdictsOf(result).map(({ ok, text }) => line(ok ? 'verdict' : 'VERDICT', text)),
    ...result.driverLimits.map((text) => line('DRIVER LIMITED', text)),
    ...result.assertions.map(({ ok, text, value }) =>
      line(
        ok ? 'assert' : 'ASSERT FAILED',
        `${text}${ok ? '' : ` (${value === null ? 'not measured' : formatNumber(value, 3)})`}`,
      ),
    ),
  ].join('');
};
