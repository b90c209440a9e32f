import { type ParseArgsConfig, parseArgs } from 'node:util';

/** What a command may touch of the process. */
export interface CommandIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly readFile: (path: string) => string;
  /** Throws where `writeFile` would; what is there stays as it is, and what is not is not made. */
  readonly checkWritable: (path: string) => void;
  readonly writeFile: (path: string, text: string) => void;
  readonly isTerminal: boolean;
  /** Writes to standard output, as it is. */
  out(text: string): void;
  /** Writes to standard error, as it is: progress and warnings. */
  err(text: string): void;
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

/** The content of a file that the caller names. Throws `CommandFailure`, which repeats the path and nothing of the content. */
export const readNamedFile = (io: Pick<CommandIo, 'readFile'>, option: string, path: string): string => {
  try {
    return io.readFile(path);
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : "can't be read";
    throw new CommandFailure(`the file ${JSON.stringify(path)} of ${option} ${why}`);
  }
};
