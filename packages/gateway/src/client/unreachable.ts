import { printable } from './printable.js';

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name did not resolve',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ETIMEDOUT: 'no answer in time',
  TimeoutError: 'no answer in time',
  AbortError: 'no answer in time',
  UND_ERR_SOCKET: 'the connection was cut',
};

const codeOf = (error: unknown): string | undefined => {
  if (!(error instanceof Error)) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  return codeOf(error.cause) ?? (error.name in WORDS ? error.name : undefined);
};

/** Why an address could not be reached, in a few words. The error's own message is left out: it may hold a header's value. */
export const unreachableWords = (error: unknown): string => {
  const code = codeOf(error);
  return code === undefined ? 'the connection failed' : (WORDS[code] ?? printable(code));
};

/** Whether a failed request was surely never sent, because no connection was made. */
export const wasNeverSent = (error: unknown): boolean =>
  ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'].includes(codeOf(error) ?? '');
