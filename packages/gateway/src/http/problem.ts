import { ERROR_CODES, type ErrorName } from '@replyx/protocol';
import type { HttpAnswer } from './http.js';

/** An expected failure of an HTTP request, thrown by handlers and turned into an answer in one place. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: ErrorName;
  readonly detail: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorName, detail?: string, retryAfterMs?: number) {
    super(code);
    this.code = code;
    this.detail = detail;
    this.retryAfterMs = retryAfterMs;
  }
}

/** RFC 9457, with the gateway's stable `code`. `status`: where HTTP has a more exact one than the code; default the code's. */
export const problemAnswer = (
  { code, detail, retryAfterMs }: Pick<Problem, 'code' | 'detail' | 'retryAfterMs'>,
  status: number = ERROR_CODES[code].http,
): HttpAnswer => {
  const { means, temporary } = ERROR_CODES[code];
  return {
    status,
    type: 'application/problem+json',
    body: JSON.stringify({
      type: 'about:blank',
      title: means,
      status,
      code,
      detail,
      temporary,
      retry_after_ms: retryAfterMs,
    }),
    ...(retryAfterMs === undefined ? {} : { headers: { 'Retry-After': String(Math.ceil(retryAfterMs / 1000)) } }),
  };
};
