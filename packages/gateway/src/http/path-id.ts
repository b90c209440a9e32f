import { isId } from '@replyx/protocol';
import type { HttpCall } from './http.js';
import { Problem } from './problem.js';

/** The id in a path. A malformed one is of nothing that exists. Throws `Problem`. */
export const pathId = (call: Pick<HttpCall, 'parameters'>): string => {
  const [id] = call.parameters;
  if (!isId(id)) throw new Problem('not_found');
  return id;
};
