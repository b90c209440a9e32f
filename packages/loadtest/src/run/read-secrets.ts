import { CommandFailure, type CommandIo, readNamedFile, UsageError } from '../command.js';
import { type GivenToken, parseSigningKey, parseTokenLine, type SigningKey } from '../token-mint.js';

/** A secret from the file of an option, from the environment, or from the file that `<NAME>_FILE` names. Never shown. */
const secretOf = (io: CommandIo, option: string, path: string | undefined, variable: string): string | undefined => {
  if (path !== undefined) return readNamedFile(io, option, path).trim();
  const value = io.env[variable];
  if (value !== undefined && value !== '') return value;
  const named = io.env[`${variable}_FILE`];
  return named === undefined || named === '' ? undefined : readNamedFile(io, `${variable}_FILE`, named).trim();
};

export const readApiKey = (io: CommandIo, path: string | undefined): string | undefined => {
  const key = secretOf(io, '--api-key-file', path, 'REPLYX_API_KEY');
  // What no header can hold would be refused by `fetch` with a message that repeats it.
  if (key !== undefined && !/^[\x21-\x7e]+$/.test(key)) {
    throw new CommandFailure('the API key is not valid: it holds a blank or no ASCII');
  }
  return key;
};

const SOURCES = {
  visitor: { option: 'site-secret-file', variable: 'SITE_SECRET' },
  operator: { option: 'secret-key-file', variable: 'SECRET_KEY' },
} as const;

export const readSigningKey = (io: CommandIo, role: 'visitor' | 'operator', path: string | undefined): SigningKey => {
  const { option, variable } = SOURCES[role];
  const text = secretOf(io, `--${option}`, path, variable);
  const key = text === undefined ? undefined : parseSigningKey(text);
  if (key === undefined) {
    throw new UsageError(`${role} tokens need --${option} (or ${variable}, ${variable}_FILE), or --tokens`);
  }
  return key;
};

/** Lines that begin with # are comments. */
export const readTokens = (io: CommandIo, path: string): GivenToken[] => {
  const lines = readNamedFile(io, '--tokens', path).split('\n');
  const tokens = lines.flatMap((line, i) => {
    if (line.trim() === '' || line.startsWith('#')) return [];
    const given = parseTokenLine(line);
    // The line itself is a secret.
    if (given === undefined) throw new CommandFailure(`line ${i + 1} of --tokens is no token with a dialog`);
    return [given];
  });
  if (tokens.length === 0) throw new CommandFailure('the file of --tokens holds no token');
  return tokens;
};
