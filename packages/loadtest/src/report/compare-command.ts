import { CommandFailure, type CommandIo, parseOptions, readNamedFile, UsageError } from '../command.js';
import { formatNumber, parseNumber } from '../quantity.js';
import { RESULT_FORMAT, type RunResult } from '../run/run-result.js';
import { printable } from './printable.js';

export const compareHelp = `Usage: replyx-load compare <before.json> <after.json> [--fail-worse <percent>] [--json]

Shows the measures of two results side by side.

  --fail-worse <percent>  exit code 1 when latency (p50, p99), CPU or memory a unit is worse by more than this, the rate lower, or
                          there are faults that there were not
  --json                  print {"differences", "measures", "worse"}

Exit code: 0, 1 worse or a file that is no result, 2 usage.
`;

/** What gets worse by growing, and by shrinking. */
const COSTS = /^(?:(?:ack_|connect_|recovery_|refusal_)?p(?:50|99)|cpu_us_per_\w+|rss_per_connection|quiet_ratio)$/;
const GAINS = /^(?:rate|connect_rate)$/;
const FAULTS = ['faults', 'away', 'discontinued', 'admitted', 'unsent'];

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
  readonly measures: readonly Row[];
  readonly worse: readonly string[];
}

export const compareResults = (before: RunResult, after: RunResult, toleratedPercent: number): Comparison => {
  const names = [...new Set([...Object.keys(before.measures), ...Object.keys(after.measures)])];
  const measures = names.map((name): Row => {
    const [a, b] = [before.measures[name] ?? null, after.measures[name] ?? null];
    return { name, before: a, after: b, ratio: a === null || b === null || a === 0 ? null : b / a };
  });
  const most = 1 + toleratedPercent / 100;
  const isWorse = ({ name, before: a, after: b, ratio }: Row): boolean => {
    if (FAULTS.includes(name)) return (b ?? 0) > (a ?? 0);
    if (ratio === null) return false;
    return (COSTS.test(name) && ratio > most) || (GAINS.test(name) && ratio < 1 / most);
  };
  const keys = [...new Set([...Object.keys(before.settings), ...Object.keys(after.settings)])];
  return {
    differences: keys.filter(
      (key) => key !== 'urls' && JSON.stringify(before.settings[key]) !== JSON.stringify(after.settings[key]),
    ),
    measures,
    worse: measures.filter(isWorse).map(({ name }) => name),
  };
};

const readResult = (io: CommandIo, path: string): RunResult => {
  const text = readNamedFile(io, 'compare', path);
  try {
    const result = JSON.parse(text) as RunResult;
    const isResult =
      result.format === RESULT_FORMAT && typeof result.measures === 'object' && typeof result.settings === 'object';
    if (isResult) return result;
  } catch {
    // Told below.
  }
  throw new CommandFailure(`${JSON.stringify(path)} is no result of replyx-load`);
};

const cell = (value: number | null): string => (value === null ? '-' : formatNumber(value, 3));
const change = (ratio: number | null): string =>
  ratio === null ? '' : `${ratio >= 1 ? '+' : ''}${((ratio - 1) * 100).toFixed(1)} %`;

export const compareText = ({ differences, measures, worse }: Comparison): string => {
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
  const warning =
    differences.length === 0
      ? []
      : [`These are not the same work: ${differences.map(printable).join(', ')} differ.`, ''];
  return `${[...warning, ...table].join('\n')}\n`;
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
