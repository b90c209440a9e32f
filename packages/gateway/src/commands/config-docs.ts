import { configTable } from '../config/config-table.js';
import { type CommandIo, parseOptions } from './command.js';

export const summary = 'print the table of all settings as Markdown';

export const help = `Usage: replyx config-docs

Prints every setting with its default, its bounds and its meaning as a Markdown table.
`;

export const run = async (args: readonly string[], io: CommandIo): Promise<number> => {
  parseOptions(args, {});
  io.out(configTable());
  return 0;
};
