import { envFile } from '../config/env-file.js';
import { SETTINGS } from '../config/schema.js';
import { type CommandIo, parseOptions, UsageError } from './command.js';

export const summary = 'print a commented .env with fresh secrets';

export const help = `Usage: replyx gen-config [--environment production] > .env

Prints a .env that names every setting with its default as a comment, and sets fresh random secrets. Each run makes other
secrets; the nodes of one deployment need the same.

  --environment <name>   ${SETTINGS.ENVIRONMENT.choices.join(', ')} (production)
`;

export const run = async (args: readonly string[], io: CommandIo): Promise<number> => {
  const { values } = parseOptions(args, { environment: { type: 'string', default: 'production' } });
  const environment = SETTINGS.ENVIRONMENT.choices.find((choice) => choice === values.environment);
  if (environment === undefined) {
    throw new UsageError(`--environment must be one of ${SETTINGS.ENVIRONMENT.choices.join(', ')}`);
  }
  io.out(envFile(environment, io.random.bytes));
  return 0;
};
