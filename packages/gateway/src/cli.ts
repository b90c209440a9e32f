import { readFileSync } from 'node:fs';
import { type Command, CommandFailure, type CommandIo, UsageError } from './commands/command.js';
import { systemClock, systemRandom } from './system-clock.js';
import { packageVersion } from './version.js';

const VERBS = [
  'serve',
  'cluster',
  'send',
  'tail',
  'status',
  'drain',
  'revoke',
  'ban',
  'token',
  'check-config',
  'audit',
  'config-docs',
  'gen-config',
] as const;
type Verb = (typeof VERBS)[number];

const EXIT = { ok: 0, failure: 1, usage: 2 } as const;

const isVerb = (name: string): name is Verb => (VERBS as readonly string[]).includes(name);

/** By name, so that a verb loads nothing that only another one needs (uWebSockets.js least of all). */
const load = async (verb: Verb): Promise<Command> =>
  (await import(new URL(`./commands/${verb}.js`, import.meta.url).href)) as Command;

const overview = async (): Promise<string> => {
  const lines = await Promise.all(
    VERBS.map(async (verb) => {
      const summary = await load(verb).then(
        (command) => command.summary,
        () => 'not available here',
      );
      return `  ${verb.padEnd(14)}${summary}`;
    }),
  );
  return `Usage: replyx <command> [options]\n\n${lines.join('\n')}\n\nreplyx <command> --help says more; --version prints the version.\n`;
};

/** A module that the system can't load, as one line that says what would do; undefined for any other error. */
export const loadFailureLine = (error: unknown): string | undefined => {
  if (!(error instanceof Error)) return undefined;
  const { platform, arch, versions } = process;
  if (/uWS\.js|uWebSockets|uws_/.test(error.message)) {
    const glibc = /GLIBC/.test(error.message) ? ' It needs a newer glibc (2.38 for Node 22 and later).' : '';
    return `uWebSockets.js has no binary that loads on Node ${versions.node}, ${platform} ${arch}: use Node 20, 22 or 24 on Linux with glibc (x64, arm64), macOS or Windows.${glibc}`;
  }
  if ('code' in error && error.code === 'ERR_MODULE_NOT_FOUND') {
    const missing =
      /Cannot find (?:module|package) '([^']+)'/.exec(error.message)?.[1]?.replace(/^.*\//, '') ?? 'a module';
    return `REPLYX is not built or not installed whole (${missing} is missing): run npm install and npm run build`;
  }
  return undefined;
};

const runVerb = async (verb: Verb, args: readonly string[], io: CommandIo): Promise<number> => {
  const command = await load(verb);
  // What follows `--` is no option, whatever it looks like.
  const options = args.includes('--') ? args.slice(0, args.indexOf('--')) : args;
  if (options.includes('--help') || options.includes('-h')) {
    io.out(command.help);
    return EXIT.ok;
  }
  return command.run(args, io);
};

const dispatch = async (argv: readonly string[], io: CommandIo): Promise<number> => {
  const [name, ...args] = argv;
  if (name === undefined) {
    io.err(await overview());
    return EXIT.usage;
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    io.out(await overview());
    return EXIT.ok;
  }
  if (name === '--version' || name === '-v') {
    io.out(`${packageVersion()}\n`);
    return EXIT.ok;
  }
  if (!isVerb(name)) throw new UsageError(`there is no command ${JSON.stringify(name)}`);
  return runVerb(name, args, io);
};

/** Runs one command line and resolves its exit code: 0 ok, 1 failure, 2 usage. A mistake of the user is one line. */
export const main = async (argv: readonly string[], io: CommandIo = processIo()): Promise<number> => {
  try {
    return await dispatch(argv, io);
  } catch (error) {
    if (error instanceof UsageError) {
      io.err(`replyx: ${error.message} (see replyx --help)\n`);
      return EXIT.usage;
    }
    const line = error instanceof CommandFailure ? error.message : loadFailureLine(error);
    if (line === undefined) throw error;
    io.err(`replyx: ${line}\n`);
    return EXIT.failure;
  }
};

export const processIo = (): CommandIo => ({
  env: process.env,
  readFile: (path) => readFileSync(path, 'utf8'),
  clock: systemClock,
  random: systemRandom,
  fetch: (url, init) => fetch(url, init),
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  readInput: async () => {
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString('utf8');
  },
});
