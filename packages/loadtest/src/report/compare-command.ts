import { CommandFailure, type CommandIo, parseOptions, readNamedFile, UsageError } from '../command.js';
import { formatNumber, parseNumber } from '../quantity.js';
import { RESULT_FORMAT, type RunResult } from '../run/run-result.js';
import { printable } from './printable.js';

export const compareHelp = `Usage: replyx-load compare <before.json> <after.json> [--fail-worse <percent>] [--json]

Shows the measures of two results side by side.

  --fail-worse <percent>  exit code 1 when latency (p50, p99), CPU or memory a unit is worse by more than this, the rate lower, one
                          of these is missing that was measured before, or there are more faults
  --json                  print {"differences", "warnings", "measures", "worse"}

Exit code: 0, 1 worse or a file that is no result, 2 usage.
`;

/** What gets worse by growing, and by shrinking. */
const COSTS = /^(?:(?:ack_|connect_|recovery_|refusal_)?p(?:50|99)|cpu_us_per_\w+|rss_per_connection|quiet_ratio)$/;
const GAINS = /^(?:rate|connect_rate)$/;
const FAULTS = [
  'faults',
  'away',
  'discontinued',
  'unsent',
  'refused',
  'admitted',
  'unanswered',
  'attempts_failed',
  'failed_steps',
];

export interface Row {
  readonly name: string;
  readonly before: number | null;
  readonly after: number | null;
  /** After by before; null where there is no such number. */
  readonly ratio: number | null;
}

export interface Comparison {
  /** Settings in which the runs differ, so that they are not the same work. */
  readonly differences: readonly string[];
  /** Why one of the runs says less than its numbers seem to. */
  readonly warnings: readonly string[];
  readonly measures: readonly Row[];
  readonly worse: readonly string[];
}

const warningsOf = (which: string, { driverLimits, interrupted }: RunResult): string[] => [
  ...driverLimits.map((limit) => `${which}: the driver may be what was measured: ${limit}`),
  ...(interrupted ? [`${which}: the run was interrupted`] : []),
];

export const compareResults = (before: RunResult, after: RunResult, toleratedPercent: number): Comparison => {
  const names = [...new Set([...Object.keys(before.measures), ...Object.keys(after.measures)])];
  const measures = names.map((name): Row => {
    const [a, b] = [before.measures[name] ?? null, after.measures[name] ?? null];
    return { name, before: a, after: b, ratio: a === null || b === null || a === 0 ? null : b / a };
  });
  const most = 1 + toleratedPercent / 100;
  const isWorse = ({ name, before: a, after: b, ratio }: Row): boolean => {
    if (FAULTS.includes(name)) return (b ?? 0) > (a ?? 0);
    const [isCost, isGain] = [COSTS.test(name), GAINS.test(name)];
    if (a === null || !(isCost || isGain)) return false;
    // A load that got nothing done has no latency: what is missing now is not what has become better.
    if (b === null) return true;
    if (ratio === null) return isCost && b > a;
    return isCost ? ratio > most : ratio < 1 / most;
  };
  const keys = [...new Set([...Object.keys(before.settings), ...Object.keys(after.settings)])];
  return {
    differences: keys.filter(
      (key) => key !== 'urls' && JSON.stringify(before.settings[key]) !== JSON.stringify(after.settings[key]),
    ),
    warnings: [...warningsOf('before', before), ...warningsOf('after', after)],
    measures,
    worse: measures.filter(isWorse).map(({ name }) => name),
  };
};

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A number, or null: JSON has no word for what is not finite. */
const isMeasure = (value: unknown): boolean => value === null || typeof value === 'number';

const isResult = (json: unknown): json is RunResult =>
  isRecord(json) &&
  json['format'] === RESULT_FORMAT &&
  isRecord(json['measures']) &&
  Object.values(json['measures']).every(isMeasure) &&
  isRecord(json['settings']) &&
  Array.isArray(json['driverLimits']) &&
  json['driverLimits'].every((limit) => typeof limit === 'string');

const readResult = (io: CommandIo, path: string): RunResult => {
  const text = readNamedFile(io, 'compare', path);
  try {
    const json: unknown = JSON.parse(text);
    if (isResult(json)) return json;
  } catch {
    // Told below.
  }
  throw new CommandFailure(`${JSON.stringify(path)} is no result of replyx-load`);
};

const cell = (value: number | null): string => (value === null ? '-' : formatNumber(value, 3));
const change = (ratio: number | null): string =>
  ratio === null ? '' : `${ratio >= 1 ? '+' : ''}${((ratio - 1) * 100).toFixed(1)} %`;

export const compareText = ({ differences, warnings, measures, worse }: Comparison): string => {
  const shown = measures.filter(({ before, after }) => (before ?? 0) !== 0 || (after ?? 0) !== 0);
  const rows = [
    ['', 'before', 'after', 'change'],
    ...shown.map(({ name, before, after, ratio }) => [
      printable(name),
      cell(before),
      cell(after),
      `${change(ratio)}${worse.includes(name) ? '  worse' : ''}`,
    ]),
  ];
  const widths = [0, 1, 2].map((i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const table = rows.map(([name = '', a = '', b = '', c = '']) =>
    `${name.padEnd(widths[0] ?? 0)}  ${a.padStart(widths[1] ?? 0)}  ${b.padStart(widths[2] ?? 0)}  ${c}`.trimEnd(),
  );
  const warned = [
    ...(differences.length === 0
      ? []
      : [`These are not the same work: ${differences.map(printable).join(', ')} differ.`]),
    ...warnings.map(printable),
  ];
  return `${[...warned, ...(warned.length === 0 ? [] : ['']), ...table].join('\n')}\n`;
};

export const compareCommand = (args: readonly string[], io: CommandIo): number => {
  const { values, positionals } = parseOptions(
    args,
    { 'fail-worse': { type: 'string' }, json: { type: 'boolean' } },
    true,
  );
  const [before, after, ...rest] = positionals;
  if (before === undefined || after === undefined || rest.length > 0) {
    throw new UsageError('compare takes two result files');
  }
  const asked = values['fail-worse'];
  const percent = asked === undefined ? 0 : parseNumber('--fail-worse', asked.replace(/\s*%$/, ''), [0, 1_000]);
  const comparison = compareResults(readResult(io, before), readResult(io, after), percent);
  io.out(values.json === true ? `${JSON.stringify(comparison)}\n` : compareText(comparison));
  return asked !== undefined && comparison.worse.length > 0 ? 1 : 0;
};
