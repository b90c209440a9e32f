import { Problem } from '../http/problem.js';
import type { Refusal } from './public-http.js';

const CODES = { 403: 'not_allowed', 429: 'rate_limited', 503: 'unavailable' } as const;

/** A refusal as an answer; it tells no more than its code. */
export const refusalProblem = ({ status, retryAfterMs }: Refusal): Problem =>
  new Problem(CODES[status], undefined, retryAfterMs);
