import { closeSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { CommandFailure, type CommandIo, UsageError } from './command.js';
import { isScenario, SCENARIOS, type Scenario } from './load-plan.js';
import { planCommand, planHelp } from './plan/plan-command.js';
import { compareCommand, compareHelp } from './report/compare-command.js';
import { loadCommand, loadHelp } from './run/load-command.js';
import { BY_NAME_PREFIXES, LATENCY_POINTS, LATENCY_PREFIXES, MEASURES } from './run/measures.js';
import { packageVersion } from './version.js';

const EXIT = { ok: 0, failure: 1, usage: 2 } as const;

const overview = (): string => `Usage: replyx-load <scenario> --url <ws://host:port> [options]
       replyx-load compare <before.json> <after.json>
       replyx-load plan --connections <n> --rate <n/s>
       replyx-load measures

${(Object.entries(SCENARIOS) as [Scenario, string][]).map(([name, says]) => `  ${name.padEnd(12)}${says}`).join('\n')}

  ${'compare'.padEnd(12)}two results, side by side
  ${'plan'.padEnd(12)}how many nodes and Redis shards a load needs
  ${'measures'.padEnd(12)}the names that --assert knows

replyx-load <command> --help says more; --version prints the version.
`;

const measuresText = (): string =>
  [
    `Latency, in ms: ${LATENCY_POINTS.join(', ')}, with these prefixes:\n`,
    ...Object.entries(LATENCY_PREFIXES).map(([prefix, says]) => `  ${(prefix || '(none)').padEnd(22)}${says}\n`),
    '\nNumbers:\n',
    ...Object.entries(MEASURES).map(([name, { says }]) => `  ${name.padEnd(22)}${says}\n`),
    `\nBy name, 0 where it did not occur: ${BY_NAME_PREFIXES.map((prefix) => `${prefix}<name>`).join(', ')}\n`,
  ].join('');

const helpOf = (name: string): string | undefined => {
  if (name === 'compare') return compareHelp;
  if (name === 'plan') return planHelp;
  return isScenario(name) ? loadHelp(name) : undefined;
};

const dispatch = async (argv: readonly string[], io: CommandIo): Promise<number> => {
  const [name, ...args] = argv;
  if (name === undefined) {
    io.err(overview());
    return EXIT.usage;
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    io.out(overview());
    return EXIT.ok;
  }
  if (name === '--version' || name === '-v') {
    io.out(`${packageVersion()}\n`);
    return EXIT.ok;
  }
  if (name === 'measures') {
    io.out(measuresText());
    return EXIT.ok;
  }
  const help = helpOf(name);
  if (help === undefined) throw new UsageError(`there is no scenario or command ${JSON.stringify(name)}`);
  if (args.includes('--help') || args.includes('-h')) {
    io.out(help);
    return EXIT.ok;
  }
  if (name === 'compare') return compareCommand(args, io);
  if (name === 'plan') return planCommand(args, io);
  return loadCommand(name, args, io);
};

/** Runs one command line and resolves its exit code: 0 ok, 1 failure, 2 usage. A mistake of the user is one line. */
export const main = async (argv: readonly string[], io: CommandIo = processIo()): Promise<number> => {
  try {
    return await dispatch(argv, io);
  } catch (error) {
    if (error instanceof UsageError) {
      io.err(`replyx-load: ${error.message} (see replyx-load --help)\n`);
      return EXIT.usage;
    }
    if (!(error instanceof CommandFailure)) throw error;
    io.err(`replyx-load: ${error.message}\n`);
    return EXIT.failure;
  }
};

/** Nothing but opening it tells whether a file can be written: not its mode, nor that of its folder. */
const checkWritable = (path: string): void => {
  const there = statSync(path, { throwIfNoEntry: false });
  // The reader of a pipe would take our closing it for the end.
  if (there?.isFIFO() === true) return;
  closeSync(openSync(path, 'a'));
  if (there === undefined) rmSync(path);
};

export const processIo = (): CommandIo => ({
  env: process.env,
  readFile: (path) => readFileSync(path, 'utf8'),
  checkWritable,
  writeFile: (path, text) => writeFileSync(path, text),
  isTerminal: process.stderr.isTTY === true,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
});
