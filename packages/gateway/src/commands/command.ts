import { type ParseArgsConfig, parseArgs } from 'node:util';
import type { Clock, Random } from '@replyx/core';
import type { Fetch } from '../auth/jwks.js';
import type { Env, ReadFile } from '../config/setting-reader.js';

/** What a command may touch of the process. */
export interface CommandIo {
  readonly env: Env;
  readonly readFile: ReadFile;
  readonly clock: Clock;
  readonly random: Random;
  readonly fetch: Fetch;
  /** Writes to standard output, as it is. */
  out(text: string): void;
  /** Writes to standard error, as it is. */
  err(text: string): void;
  /** The whole of standard input. */
  readInput(): Promise<string>;
}

export interface Command {
  /** One line for the list of commands. */
  readonly summary: string;
  readonly help: string;
  /** Resolves the exit code: 0 ok, 1 failure, 2 usage. */
  run(args: readonly string[], io: CommandIo): Promise<number>;
}

/** The caller wrote the command wrongly; told in one line, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The command can't do what was asked; told in one line, exit code 1. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
}

type Options = NonNullable<ParseArgsConfig['options']>;
type Parsed<O extends Options> = ReturnType<
  typeof parseArgs<{ args: string[]; options: O; allowPositionals: boolean; strict: true }>
>;

/** `util.parseArgs`, strict, with its complaints as usage errors. */
export const parseOptions = <const O extends Options>(
  args: readonly string[],
  options: O,
  positionals = false,
): Parsed<O> => {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: positionals, strict: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'arguments are not valid');
  }
};
