import { describe, expect, it } from 'vitest';
import { noFaults } from '../src/dialog-check.js';
import { Histogram } from '../src/histogram.js';
import { compareResults, compareText } from '../src/report/compare-command.js';
import { htmlReport } from '../src/report/html-report.js';
import { escapeHtml } from '../src/report/printable.js';
import { Progress } from '../src/report/progress.js';
import { summaryText } from '../src/report/summary-text.js';
import { gridSteps, lineChart } from '../src/report/svg-chart.js';
import { isWell } from '../src/report/verdict.js';
import { RESULT_FORMAT, type RunResult, summarize } from '../src/run/run-result.js';
import { Timeline, type TimePoint } from '../src/run/timeline.js';

const HOSTILE = `<script>alert("1")</script>&'\u001b[31m`;

const point = (atMs: number, over: Partial<TimePoint> = {}): TimePoint => ({
  atMs,
  sent: 10,
  delivered: 20,
  joined: 0,
  attempts: 0,
  p50: 1,
  p99: 2,
  max: 3,
  connections: 5,
  errors: 0,
  closes: 0,
  driverCpu: 0.1,
  driverLagMs: 1,
  cpu: [0.5],
  rss: [1e8],
  ...over,
});

const result = (over: Partial<RunResult> = {}): RunResult => {
  const histogram = new Histogram();
  for (let i = 1; i <= 1_000; i += 1) histogram.record(i * 10);
  const delivery = summarize(histogram);
  return {
    format: RESULT_FORMAT,
    tool: '0.1.0',
    run: 'r4nd0m1',
    scenario: 'dialogs',
    title: 'ten dialogs',
    startedAt: '2026-01-01T00:00:00.000Z',
    interrupted: false,
    settings: { scenario: 'dialogs', rate: 100, urls: ['ws://127.0.0.1:1'] },
    environment: { node: '20.0.0', system: 'linux x64', cpus: 2 },
    measures: { p50: 5, p99: 9.9, rate: 100, faults: 0, cpu_us_per_message: 150 },
    latencies: delivery === undefined ? {} : { delivery },
    counts: {
      sent: 10,
      resent: 0,
      acked: 10,
      delivered: 20,
      unsent: 0,
      refused: 0,
      opened: 2,
      joined: 2,
      recovered: 0,
      discontinued: 0,
      others: 0,
      closed: { '1006': 2 },
      errors: {},
      turnedAway: {},
      attempts: {},
    },
    faults: noFaults(),
    driverLimits: [],
    servers: [{ name: 'n1', cpuShare: 0.5, rssBeforeBytes: 1e8, rssBytes: 1e8 }],
    steps: [],
    timeline: [point(1_000), point(2_000), point(3_000)],
    assertions: [],
    ...over,
  };
};

describe('htmlReport', () => {
  it('escapes every text that came from outside', () => {
    const page = htmlReport(
      result({
        title: HOSTILE,
        servers: [{ name: HOSTILE, cpuShare: null, rssBeforeBytes: null, rssBytes: null }],
        steps: [{ atMs: 1_500, what: HOSTILE, result: HOSTILE }],
        counts: {
          ...result().counts,
          closed: { [HOSTILE]: 1 },
          errors: { [HOSTILE]: 2 },
          turnedAway: { [HOSTILE]: 3 },
        },
        settings: { [HOSTILE]: HOSTILE },
        assertions: [{ text: HOSTILE, value: null, ok: false }],
        driverLimits: [HOSTILE],
      }),
    );
    expect(page).not.toContain('<script');
    expect(page).not.toContain('alert("');
    expect(page).not.toContain('\u001b');
    expect(page).toContain('&lt;script&gt;');
  });

  it('needs nothing but itself: no script, no address', () => {
    const page = htmlReport(result());
    expect(page).not.toMatch(/<script|<link|<img|src=|href=|url\(|@import/i);
    expect(page).toContain("default-src 'none'");
  });

  it('draws latency, percentiles, CPU, memory, connections and close codes', () => {
    const page = htmlReport(result());
    for (const title of [
      'Latency over time',
      'Latency by percentile',
      'CPU, share of a core',
      'Memory of the servers',
      'Connections',
      'Close codes',
    ]) {
      expect(page).toContain(`<figcaption>${title}`);
    }
    expect(page).not.toContain('NaN');
  });
});

describe('escapeHtml', () => {
  it('leaves no character that means something in an element or an attribute', () => {
    expect(escapeHtml(`<a href="x" title='y'>&\u202e`)).toBe(
      '&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;\\u202e',
    );
  });
});

describe('lineChart', () => {
  it('draws nothing for nothing, and leaves a gap where a value is missing', () => {
    const chart = { title: 't', xs: [0, 1, 2], formatX: String, formatY: String };
    expect(lineChart({ ...chart, series: [{ name: 'a', values: [null, null, null] }] })).toBe('');
    expect(lineChart({ ...chart, series: [{ name: 'a', values: [1, null, 3] }] }).match(/M/g)).toHaveLength(2);
  });

  it('puts its grid at round numbers', () => {
    expect(gridSteps(10)).toEqual([0, 5, 10]);
    expect(gridSteps(0.9)).toEqual([0, 0.5]);
    expect(gridSteps(0)).toEqual([0]);
  });
});

describe('summaryText', () => {
  it('says what went wrong, and that the driver may be what was measured', () => {
    const text = summaryText(
      result({ faults: { ...noFaults(), lost: 3 }, driverLimits: ['a driver used 97 % of a core'], interrupted: true }),
    );
    expect(text).toContain('3 lost');
    expect(text).toContain('DRIVER LIMITED');
    expect(text).toContain('interrupted');
  });
});

describe('isWell', () => {
  const counts = (over: Partial<RunResult['counts']>) => ({ counts: { ...result().counts, ...over } });
  const steps = [{ atMs: 1, what: 'false', result: 'failed (code 1)' }];
  const flood = (measures: Record<string, number>): Partial<RunResult> => ({
    scenario: 'flood',
    measures: { attempts: 9, ...measures },
  });

  it('holds for a run without faults, however it was ended and whatever its assertions say', () => {
    expect(isWell(result())).toBe(true);
    expect(isWell(result({ interrupted: true }))).toBe(true);
    expect(isWell(result({ assertions: [{ text: 'sent<5', value: 10, ok: false }] }))).toBe(true);
    expect(isWell(result(flood({ attempts_refused: 9 })))).toBe(true);
  });

  it.each([
    ...Object.keys(noFaults()).map((name) => [name, { faults: { ...noFaults(), [name]: 1 } }] as const),
    ['away', { measures: { away: 1 } }],
    ['unsent', counts({ unsent: 1 })],
    ['refused', counts({ refused: 1 })],
    ['discontinued', counts({ discontinued: 1 })],
    ['failed steps', { steps }],
    ['an admitted attempt', flood({ admitted: 1 })],
    ['an attempt without an answer', flood({ unanswered: 1 })],
    ['an attempt that reached nobody', flood({ attempts_failed: 1 })],
  ] as [string, Partial<RunResult>][])('does not hold for %s', (_, over) => {
    expect(isWell(result(over))).toBe(false);
  });
});

describe('compareResults', () => {
  const after = (measures: Record<string, number>, settings: RunResult['settings'] = result().settings) =>
    compareResults(result(), result({ measures: { ...result().measures, ...measures }, settings }), 10);

  it('finds what is worse by more than is tolerated, in its own direction', () => {
    expect(after({ p99: 11.5, cpu_us_per_message: 160, rate: 80 }).worse).toEqual(['p99', 'rate']);
    expect(after({ p99: 5, rate: 200 }).worse).toEqual([]);
    expect(after({ faults: 1 }).worse).toEqual(['faults']);
  });

  it('finds a load that failed altogether, which measured no latency and no rate', () => {
    const dead = result({ measures: { refused: 500 } });
    expect(compareResults(result(), dead, 10).worse).toEqual(['p50', 'p99', 'rate', 'cpu_us_per_message', 'refused']);
    expect(compareResults(dead, result(), 10).worse).toEqual([]);
  });

  it.each(['refused', 'failed_steps', 'unanswered', 'attempts_failed'])('finds more %s', (name) => {
    expect(after({ [name]: 1 }).worse).toEqual([name]);
  });

  it('finds a cost where there was none', () => {
    const free = result({ measures: { p99: 0 } });
    expect(compareResults(free, result({ measures: { p99: 1 } }), 10).worse).toEqual(['p99']);
  });

  it('warns of a run that says less than it seems to', () => {
    const limited = result({ driverLimits: ['a driver used 97 % of a core'] });
    const comparison = compareResults(limited, result({ interrupted: true }), 10);
    expect(comparison.warnings).toEqual([
      'before: the driver may be what was measured: a driver used 97 % of a core',
      'after: the run was interrupted',
    ]);
    for (const warning of comparison.warnings) expect(compareText(comparison)).toContain(warning);
    expect(after({}).warnings).toEqual([]);
  });

  it('says where two runs are not the same work', () => {
    expect(after({}, { ...result().settings, rate: 200 }).differences).toEqual(['rate']);
    expect(after({}, { ...result().settings, urls: ['ws://elsewhere'] }).differences).toEqual([]);
  });
});

describe('Timeline', () => {
  it('keeps a long run within its bound, its worst latency and its whole span', () => {
    const timeline = new Timeline();
    for (let i = 1; i <= 100_000; i += 1) timeline.add(point(i * 1_000, { p99: i === 50_000 ? 999 : 2 }));
    const points = timeline.points();
    expect(points.length).toBeLessThanOrEqual(1_201);
    expect(Math.max(...points.map(({ p99 }) => p99 ?? 0))).toBe(999);
    expect(points.at(-1)?.atMs).toBe(100_000_000);
  });
});

describe('Progress', () => {
  const show = (isTerminal: boolean): string => {
    let written = '';
    const progress = new Progress((text) => {
      written += text;
    }, isTerminal);
    progress.phase('load');
    for (let second = 1; second <= 11; second += 1)
      progress.show({ ...point(second * 1_000), elapsedMs: second * 1_000 });
    progress.end();
    return written;
  };

  it('writes one line over and over in a terminal, and clears it at the end', () => {
    const written = show(true);
    expect(written).not.toContain('\n');
    expect(written.endsWith('\r\u001b[K')).toBe(true);
  });

  it('writes plain lines elsewhere, one every 5 s', () => {
    const written = show(false);
    expect(written).not.toContain('\u001b');
    expect(written.trim().split('\n')).toHaveLength(3);
  });
});
