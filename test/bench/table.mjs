import { readFileSync, writeFileSync } from 'node:fs';

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

const rowText = (outcome, row) => {
  const of = valuesOf(outcome, row);
  const marks = `${outcome.unsteady > 0 ? ' ¹' : ''}${outcome.saturated.length > 0 ? ' ²' : ''}`;
  const cells = [
    `${row.work}${marks}`,
    cell(of.bare, row),
    cell(of.replyx, row),
    ratio(of.replyx, of.bare),
    ratio(of.control, of.bare),
    cell(of['socket.io'], row),
    cell(of.soketi, row),
  ];
  return `| ${cells.join(' | ')} |`;
};

/** The table of the README: one row for each thing measured. */
export const tableOf = (outcomes, options) => {
  const rows = outcomes.flatMap((outcome) => outcome.scenario.rows(options).map((row) => rowText(outcome, row)));
  const lines = [
    `Medians of ${options.rounds} interleaved, paired rounds, Node ${process.versions.node}; CPU from the processes' own accounting. Bare is uWebSockets.js + ioredis with the same fan-out and nothing else; control is a second copy of it, in the ratio to the first; ReplyX has everything on. How each row is measured: [test/bench](test/bench/README.md).`,
    '',
    '| work | bare | ReplyX | ratio | control | Socket.IO | Soketi |',
    '|---|---|---|---|---|---|---|',
    ...rows,
  ];
  if (outcomes.some(({ unsteady }) => unsteady > 0)) {
    lines.push('', '¹ The control was off by more than a tenth in some rounds, also when they were repeated.');
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
export const aimsOf = (outcomes, options) =>
  outcomes.flatMap((outcome) =>
    outcome.scenario.rows(options).flatMap((row) => {
      const of = valuesOf(outcome, row);
      return row.aims
        .filter(({ needs }) => of.replyx !== undefined && (needs === undefined || of[needs] !== undefined))
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
