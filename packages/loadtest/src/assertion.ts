import { UsageError } from './command.js';
import { measureOf, unitOf } from './run/measures.js';
import type { AssertionOutcome } from './run/run-result.js';

const OPERATORS = {
  '<': (a: number, b: number) => a < b,
  '<=': (a: number, b: number) => a <= b,
  '>': (a: number, b: number) => a > b,
  '>=': (a: number, b: number) => a >= b,
  '=': (a: number, b: number) => a === b,
  '==': (a: number, b: number) => a === b,
  '!=': (a: number, b: number) => a !== b,
} as const;

const SCALES: Readonly<Record<'' | 'ms' | 'B', Readonly<Record<string, number>>>> = {
  '': { '': 1, k: 1e3, M: 1e6, '%': 0.01 },
  ms: { '': 1, us: 0.001, ms: 1, s: 1000 },
  B: { '': 1, B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, KB: 1e3, MB: 1e6, GB: 1e9 },
};

export interface Assertion {
  readonly text: string;
  readonly name: string;
  readonly operator: keyof typeof OPERATORS;
  readonly bound: number;
}

/** `p99<200`, `ack_p99 <= 1s`, `lost=0`, `rss_per_connection<5KiB`, `closes.1006=0`. Throws `UsageError`. */
export const parseAssertion = (text: string): Assertion => {
  const match = /^\s*([a-z][\w.]*)\s*(<=|>=|==|!=|<|>|=)\s*(-?\d+(?:\.\d+)?)\s*([A-Za-z%]*)\s*$/.exec(text);
  if (match === null) throw new UsageError(`--assert takes one like p99<200 or lost=0, not ${JSON.stringify(text)}`);
  const [, name = '', operator = '=', number = '0', suffix = ''] = match;
  const unit = unitOf(name);
  if (unit === undefined) {
    throw new UsageError(`--assert: there is no measure ${JSON.stringify(name)} (replyx-load measures lists them)`);
  }
  const scale = SCALES[unit][suffix];
  if (scale === undefined) throw new UsageError(`--assert: ${name} is not measured in ${JSON.stringify(suffix)}`);
  return { text: text.trim(), name, operator: operator as Assertion['operator'], bound: Number(number) * scale };
};

/** What was not measured fails: a threshold that looks at nothing would always pass. */
export const judge = (
  assertions: readonly Assertion[],
  measures: Readonly<Record<string, number>>,
): AssertionOutcome[] =>
  assertions.map(({ text, name, operator, bound }) => {
    const value = measureOf(measures, name);
    return { text, value: value ?? null, ok: value !== undefined && OPERATORS[operator](value, bound) };
  });
