import { readConfig } from '../config/read-config.js';
import type { ConfigWarning } from '../config/setting-reader.js';
import { type CommandIo, parseOptions } from './command.js';

export const summary = 'check the configuration in the environment';

export const help = `Usage: replyx check-config [--json]

Reads the configuration as \`replyx serve\` would and lists everything that is wrong with it at once; an unknown WS_ name is
an error here. Values of secrets are never shown.

  --json   print {"ok", "problems", "warnings"}

Exit code: 0 valid, 1 not valid.
`;

const isUnknown = (warning: ConfigWarning): boolean => warning.kind === 'unknown';

export const run = async (args: readonly string[], io: CommandIo): Promise<number> => {
  const { values } = parseOptions(args, { json: { type: 'boolean' } });
  const result = readConfig(io.env, io.readFile, io.random.bytes);
  const problems = [
    ...(result.ok ? [] : result.problems),
    ...result.warnings.filter(isUnknown).map(({ name, message }) => ({ name, message })),
  ];
  const warnings = [
    ...result.warnings.filter((warning) => !isUnknown(warning)).map(({ name, message }) => ({ name, message })),
    ...(result.ok
      ? result.generated.map(({ name }) => ({ name, message: 'is absent: one is made at each start' }))
      : []),
  ];
  const ok = problems.length === 0;
  if (values.json) {
    io.out(`${JSON.stringify({ ok, problems, warnings }, undefined, 2)}\n`);
    return ok ? 0 : 1;
  }
  for (const { name, message } of problems) io.out(`error    ${name} ${message}\n`);
  for (const { name, message } of warnings) io.out(`warning  ${name} ${message}\n`);
  const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
  const counted = `${count(problems.length, 'error')}, ${count(warnings.length, 'warning')}`;
  io.out(ok ? `The configuration is valid (${counted}).\n` : `The configuration is not valid (${counted}).\n`);
  return ok ? 0 : 1;
};
