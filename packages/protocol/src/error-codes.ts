export interface ErrorCode {
  /** Whether the same request may succeed later, unchanged. */
  readonly temporary: boolean;
  readonly http: number;
  readonly means: string;
}

/** Every code of an `error` frame and of an `application/problem+json` body. */
export const ERROR_CODES = {
  bad_frame: { temporary: false, http: 400, means: 'The frame or body is malformed.' },
  unauthorized: { temporary: false, http: 401, means: 'The credential is missing or not valid.' },
  expired: { temporary: false, http: 401, means: 'The credential has expired.' },
  not_allowed: { temporary: false, http: 403, means: 'The credential does not permit this.' },
  forbidden_domain: { temporary: false, http: 403, means: 'The Origin is not allowed.' },
  revoked: { temporary: false, http: 403, means: 'The credential was revoked.' },
  not_found: { temporary: false, http: 404, means: 'There is no such thing for this credential.' },
  conflict: { temporary: false, http: 409, means: 'The request contradicts an earlier one or the present state.' },
  stale_fence: { temporary: false, http: 409, means: 'A newer holder has written since.' },
  closed: { temporary: false, http: 409, means: 'The dialog is closed.' },
  too_large: { temporary: false, http: 413, means: 'The request is larger than the contract allows.' },
  rate_limited: { temporary: true, http: 429, means: 'Too many requests; retry after the given wait.' },
  internal: { temporary: true, http: 500, means: 'The gateway failed; the request may be retried with the same id.' },
  unavailable: { temporary: true, http: 503, means: 'A part that the request needs is away; retry with the same id.' },
} as const satisfies Record<string, ErrorCode>;

export type ErrorName = keyof typeof ERROR_CODES;
