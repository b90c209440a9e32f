import type { Readable } from 'node:stream';

/** The last lines of one or more streams, bounded. */
export interface LogTail {
  /** Reads a stream from now on; `onLine` sees every line, also those that are dropped later. */
  follow(stream: Readable | null): void;
  onLine(listener: (line: string) => void): void;
  /** All lines that are kept, oldest first. */
  lines(): string[];
  /** The last `count` lines as one text, for a failure message. */
  last(count?: number): string;
}

/** Keeps at most `maxLines` lines; a line longer than 16 KiB is cut into several. */
export function logTail(maxLines = 5_000): LogTail {
  let kept: string[] = [];
  const listeners: ((line: string) => void)[] = [];
  const add = (line: string): void => {
    kept.push(line);
    if (kept.length > maxLines * 2) kept = kept.slice(-maxLines);
    for (const listener of listeners) listener(line);
  };
  return {
    follow(stream) {
      if (stream === null) return;
      let rest = '';
      stream.setEncoding('utf8');
      stream.on('data', (chunk: string) => {
        const parts = (rest + chunk).split('\n');
        rest = parts.pop() ?? '';
        for (const line of parts) if (line !== '') add(line);
        if (rest.length > 16_384) {
          add(rest);
          rest = '';
        }
      });
      stream.on('end', () => {
        if (rest !== '') add(rest);
        rest = '';
      });
    },
    onLine(listener) {
      listeners.push(listener);
    },
    lines: () => kept.slice(-maxLines),
    last: (count = 20) => kept.slice(-count).join('\n'),
  };
}
