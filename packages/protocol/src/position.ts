import { EPOCH_PATTERN } from './ids.js';

/** Where a reader stands in one track. Offsets are dense from 1; 0 means before the first publication. */
export interface Position {
  readonly epoch: string;
  readonly offset: number;
}

/**
 * A position as it comes in a query string.
 * `undefined`: none was given, a fresh start. `'malformed'`: something was given that is no position, so the client
 * believes it has a copy: it must be told `recovered: false`.
 */
export const parsePosition = (
  epoch: string | undefined,
  offset: string | undefined,
): Position | 'malformed' | undefined => {
  if (epoch === undefined && offset === undefined) return undefined;
  if (epoch === undefined || offset === undefined) return 'malformed';
  if (!EPOCH_PATTERN.test(epoch) || !/^(0|[1-9]\d{0,15})$/.test(offset)) return 'malformed';
  const value = Number(offset);
  return Number.isSafeInteger(value) ? { epoch, offset: value } : 'malformed';
};
