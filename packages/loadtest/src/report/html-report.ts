import { formatBytes, formatMs, formatNumber } from '../quantity.js';
import type { LatencySummary, RunResult } from '../run/run-result.js';
import type { TimePoint } from '../run/timeline.js';
import { escapeHtml } from './printable.js';
import { costTexts, LATENCY_TITLES } from './summary-text.js';
import { barChart, lineChart } from './svg-chart.js';
import { verdictsOf } from './verdict.js';

const STYLE = `
:root{color-scheme:light dark;--fg:#1b1f24;--bg:#fff;--soft:#667;--line:#d8dde3;--bad:#b3261e;--good:#1a7f37}
@media (prefers-color-scheme:dark){:root{--fg:#e6e9ee;--bg:#14171b;--soft:#9aa3ad;--line:#333a42;--bad:#ff8a80;--good:#7ee2a0}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:1100px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}p{margin:.3rem 0}.soft,small,.t{color:var(--soft)}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}td,th{padding:.25rem .6rem;border-bottom:1px solid var(--line);text-align:right}
td:first-child,th:first-child{text-align:left}.ok{color:var(--good)}.bad{color:var(--bad);font-weight:600}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(440px,1fr));gap:1rem}figure{margin:0}figcaption{font-weight:600}
svg{width:100%;height:auto;border:1px solid var(--line);border-radius:6px}.t{font-size:11px;fill:var(--soft)}.g{stroke:var(--line)}
.l{fill:none;stroke-width:1.6}.m{stroke:var(--bad);stroke-dasharray:4 3}.b{fill:#3b82c4}.k::before{content:"\\25CF";margin-right:.25em}
.c0{stroke:#3b82c4}.c1{stroke:#d9822b}.c2{stroke:#2f9e6e}.c3{stroke:#b4489c}.c4{stroke:#7a68d8}.c5{stroke:#a08a1f}.c6{stroke:#c2503f}.c7{stroke:#4a98a5}
.k.c0{color:#3b82c4}.k.c1{color:#d9822b}.k.c2{color:#2f9e6e}.k.c3{color:#b4489c}.k.c4{color:#7a68d8}.k.c5{color:#a08a1f}.k.c6{color:#c2503f}.k.c7{color:#4a98a5}
`;

const row = (cells: readonly string[], tag: 'td' | 'th' = 'td'): string =>
  `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`;

const POINTS = ['p50', 'p90', 'p95', 'p99', 'p999', 'max', 'mean'] as const;

const latencyTable = ({ latencies }: RunResult): string => {
  const rows = Object.entries(LATENCY_TITLES).flatMap(([name, title]) => {
    const summary = latencies[name as keyof typeof LATENCY_TITLES];
    return summary === undefined
      ? []
      : [row([title, formatNumber(summary.count), ...POINTS.map((point) => formatMs(summary[point]))])];
  });
  if (rows.length === 0) return '';
  return `<h2>Latency</h2><p class="soft">From the moment at which something was due, not from when it was sent: a wait in the driver counts.</p><table>${row(['', 'count', 'p50', 'p90', 'p95', 'p99', 'p99.9', 'max', 'mean'], 'th')}${rows.join('')}</table>`;
};

/** Percentiles by the number of nines, so that the tail has room. */
const nines = (percent: number): number => -Math.log10(Math.max(1e-5, 1 - percent / 100));

const percentileChart = ({ latencies }: RunResult): string => {
  const shown = (['delivery', 'quiet', 'ack', 'connect', 'recovery', 'refusal'] as const).flatMap((name) => {
    const summary: LatencySummary | undefined = latencies[name];
    return summary === undefined ? [] : [{ name: LATENCY_TITLES[name], values: summary.curve.map(([, ms]) => ms) }];
  });
  const curve = Object.values(latencies)[0]?.curve ?? [];
  return lineChart({
    title: 'Latency by percentile',
    xs: curve.map(([percent]) => nines(percent)),
    series: shown,
    formatX: (x) => `${+(100 * (1 - 10 ** -x)).toFixed(3)} %`,
    formatY: (ms) => formatMs(ms),
    logY: true,
  });
};

const charts = (result: RunResult): string => {
  const { timeline, servers, steps } = result;
  const column = (read: (point: TimePoint) => number | null): (number | null)[] => timeline.map(read);
  const marks = steps.map(({ atMs, what }) => ({ x: atMs, name: what }));
  const over = (
    title: string,
    series: { name: string; values: (number | null)[] }[],
    formatY: (y: number) => string,
  ): string =>
    lineChart({
      title,
      xs: timeline.map(({ atMs }) => atMs),
      series: series.filter(({ values }) => values.some((value) => value !== null && value > 0)),
      formatX: (ms) => (ms >= 600_000 ? `${(ms / 60_000).toFixed(0)} min` : `${(ms / 1000).toFixed(0)} s`),
      formatY,
      marks,
    });
  const whole = (value: number): string => formatNumber(value, value < 10 ? 1 : 0);
  return [
    over(
      'Latency over time',
      [
        { name: 'p50', values: column(({ p50 }) => p50) },
        { name: 'p99', values: column(({ p99 }) => p99) },
        { name: 'max', values: column(({ max }) => max) },
      ],
      (ms) => formatMs(ms),
    ),
    percentileChart(result),
    over(
      'Rates, a second',
      [
        { name: 'messages', values: column(({ sent }) => sent) },
        { name: 'deliveries', values: column(({ delivered }) => delivered) },
        { name: 'connects', values: column(({ joined }) => joined) },
        { name: 'attempts', values: column(({ attempts }) => attempts) },
      ],
      whole,
    ),
    over('Connections', [{ name: 'open', values: column(({ connections }) => connections) }], whole),
    over(
      'CPU, share of a core',
      [
        ...servers.map(({ name }, i) => ({ name, values: column(({ cpu }) => cpu[i] ?? null) })),
        { name: 'busiest driver', values: column(({ driverCpu }) => driverCpu) },
      ],
      (share) => `${Math.round(share * 100)} %`,
    ),
    over(
      'Memory of the servers',
      servers.map(({ name }, i) => ({ name, values: column(({ rss }) => rss[i] ?? null) })),
      formatBytes,
    ),
    over(
      'Errors and closes',
      [
        { name: 'errors', values: column(({ errors }) => errors) },
        { name: 'closes', values: column(({ closes }) => closes) },
      ],
      whole,
    ),
    barChart('Close codes', result.counts.closed, (n) => formatNumber(n)),
    barChart('Turned away', result.counts.turnedAway, (n) => formatNumber(n)),
    barChart('Attempts', result.counts.attempts, (n) => formatNumber(n)),
    barChart('Errors', result.counts.errors, (n) => formatNumber(n)),
  ].join('');
};

const settingText = (value: RunResult['settings'][string]): string =>
  typeof value === 'number' ? formatNumber(value, 2) : typeof value === 'string' ? value : value.join(', ');

/** A run as one page that needs nothing else: no script, no address is fetched, every text escaped. */
export const htmlReport = (result: RunResult): string => {
  const { environment, servers, assertions, driverLimits, steps } = result;
  const said = (ok: boolean, text: string): string =>
    `<p class="${ok ? 'ok' : 'bad'}">${ok ? '✓' : '✗'} ${escapeHtml(text)}</p>`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeHtml(`replyx-load ${result.scenario}`)}</title><style>${STYLE}</style></head><body>
<h1>${escapeHtml(`${result.scenario}: ${result.title}`)}</h1>
<p class="soft">${escapeHtml(`${result.startedAt}, replyx-load ${result.tool}, Node ${environment.node}, ${environment.system}, ${environment.cpus} CPUs`)}</p>
${verdictsOf(result)
  .map(({ ok, text }) => said(ok, text))
  .join('')}
${driverLimits.map((text) => said(false, `The driver may be what was measured: ${text}`)).join('')}
${assertions.map(({ ok, text, value }) => said(ok, `${text} (${value === null ? 'not measured' : formatNumber(value, 3)})`)).join('')}
${latencyTable(result)}
<h2>Charts</h2><div class="charts">${charts(result)}</div>
${
  servers.length === 0
    ? ''
    : `<h2>Servers</h2><table>${row(['', 'CPU, share of a core', 'memory before', 'memory at the end'], 'th')}${servers
        .map(({ name, cpuShare, rssBeforeBytes, rssBytes }) =>
          row([
            name,
            cpuShare === null ? '-' : `${Math.round(cpuShare * 100)} %`,
            rssBeforeBytes === null ? '-' : formatBytes(rssBeforeBytes),
            rssBytes === null ? '-' : formatBytes(rssBytes),
          ]),
        )
        .join('')}</table><p>${escapeHtml(costTexts(result).join(', '))}</p>`
}
${steps.length === 0 ? '' : `<h2>Steps</h2><table>${steps.map((step) => row([`${formatMs(step.atMs)}: ${step.what}`, step.result])).join('')}</table>`}
<h2>Numbers</h2><table>${Object.entries(result.measures)
    .map(([name, value]) => row([name, formatNumber(value, 3)]))
    .join('')}</table>
<h2>Settings</h2><table>${Object.entries(result.settings)
    .map(([name, value]) => row([name, settingText(value)]))
    .join('')}</table>
</body></html>
`;
};
