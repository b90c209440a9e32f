import { readFileSync, writeFileSync } from 'node:fs';
import { TOLERANCE } from './rounds.mjs';

const MARKED = /(<!-- bench:begin -->\n)[\s\S]*(<!-- bench:end -->)/;

const cell = (value, { unit, digits = 0 }) =>
  value === undefined ? '' : `${value.toFixed(digits)}${unit === '' ? '' : ` ${unit}`}`;
const ratio = (value, base) =>
  value === undefined || base === undefined || base === 0 ? '' : (value / base).toFixed(2);

const NAMES = { replyx: 'ReplyX', 'socket.io': 'Socket.IO', soketi: 'Soketi' };

/** What a row holds: the medians of its contenders. */
const valuesOf = ({ median }, row) => ({
  bare: median('bare', row.fieldOfBare ?? row.field),
  replyx: median('replyx', row.field),
  control: median('control', row.fieldOfBare ?? row.field),
  'socket.io': median('socket.io', row.field),
  soketi: median('soketi', row.field),
});

/** A latency is not what a round is repeated for; where even its median is off, the row says so. */
const isControlOff = ({ bare, control }) => control !== undefined && Math.abs(control / bare - 1) > TOLERANCE;

/** `usual`: how many rounds the table is made of, where a row does not say otherwise. */
const rowText = (outcome, row, usual) => {
  const of = valuesOf(outcome, row);
  const marks = `${outcome.unsteady > 0 || isControlOff(of) ? ' ¹' : ''}${outcome.saturated.length > 0 ? ' ²' : ''}`;
  const rounds = outcome.rounds === usual ? '' : ` (rounds: ${outcome.rounds})`;
  const cells = [
    `${row.work}${rounds}${marks}`,
    cell(of.bare, row),
    cell(of.replyx, row),
    ratio(of.replyx, of.bare),
    ratio(of.control, of.bare),
    cell(of['socket.io'], row),
    cell(of.soketi, row),
  ];
  return `| ${cells.join(' | ')} |`;
};

/** Rows for which something was measured: a size may have been too large for the machine. */
const rowsOf = (outcome) =>
  outcome.scenario.rows(outcome.options).filter((row) => valuesOf(outcome, row).replyx !== undefined);

/** The table of the README: one row for each thing measured. */
export const tableOf = (outcomes) => {
  const rounds = Math.max(...outcomes.map((outcome) => outcome.rounds));
  const nodes = [...new Set(outcomes.map(({ node }) => node))].join(' and ');
  const rows = outcomes.flatMap((outcome) => rowsOf(outcome).map((row) => rowText(outcome, row, rounds)));
  const lines = [
    `Medians of ${rounds} interleaved, paired rounds, Node ${nodes}; CPU from the processes' own accounting. Bare is uWebSockets.js + ioredis with the same fan-out and nothing else; control is a second copy of it, in the ratio to the first; ReplyX has tokens, order, history, idempotency, presence and limits on. How each row is measured: [test/bench](test/bench/README.md).`,
    '',
    '| work | bare | ReplyX | ratio | control | Socket.IO | Soketi |',
    '|---|---|---|---|---|---|---|',
    ...rows,
  ];
  if (rows.some((row) => row.includes(' ¹'))) {
    lines.push(
      '',
      '¹ The control was off by more than a tenth, also when rounds were repeated: the machine was not quiet.',
    );
  }
  const saturated = [...new Set(outcomes.flatMap((outcome) => outcome.saturated))].map((key) => NAMES[key] ?? key);
  if (saturated.length > 0) {
    lines.push(
      '',
      `² The driver was saturated in some rounds (${saturated.join(', ')}): their latencies and highest rates are bounded by it, CPU is not.`,
    );
  }
  return lines.join('\n');
};

/** Each aim with whether it is reached; one whose peer is not there is left out. */
export const aimsOf = (outcomes) =>
  outcomes.flatMap((outcome) =>
    rowsOf(outcome).flatMap((row) => {
      const of = valuesOf(outcome, row);
      return row.aims
        .filter(({ needs }) => needs === undefined || of[needs] !== undefined)
        .map(({ text, met }) => `${met(of, outcome.median) ? 'reached' : 'MISSED '}  ${row.work}: ${text}`);
    }),
  );

export const writeTable = (file, table) => {
  const text = readFileSync(file, 'utf8');
  if (!MARKED.test(text)) throw new Error('README.md has no place for the table');
  writeFileSync(
    file,
    text.replace(MARKED, (_, begin, end) => `${begin}${table}\n${end}`),
  );
};
