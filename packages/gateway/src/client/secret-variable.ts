import { CommandFailure, type CommandIo } from '../commands/command.js';

const readSecretFile = (name: string, path: string, io: CommandIo): string => {
  try {
    return io.readFile(path).trim();
  } catch {
    throw new CommandFailure(`the file of ${name}_FILE can't be read`);
  }
};

/** A secret of the environment, or of the file that `<NAME>_FILE` names. Throws `CommandFailure` for an unreadable file. */
export const secretOf = (name: string, io: CommandIo): string | undefined => {
  const path = io.env[`${name}_FILE`];
  const value = io.env[name] ?? (path === undefined || path === '' ? undefined : readSecretFile(name, path, io));
  return value === undefined || value === '' ? undefined : value;
};
