import { parseJsonObject } from '@replyx/protocol/schemas';
import type { z } from 'zod';
import { Problem } from './problem.js';

/** Nesting of a body: `meta` and `data` may go 8 deep below a field of it. */
const MAX_DEPTH = 12;

const decoder = new TextDecoder('utf-8', { fatal: true });

const textOf = (body: Uint8Array): string => {
  try {
    return decoder.decode(body);
  } catch {
    throw new Problem('bad_frame', 'The body is not UTF-8.');
  }
};

/** What is wrong first, by field; values of the caller are not repeated. */
const describe = (error: z.ZodError): string => {
  const issue = error.issues[0];
  if (issue?.code === 'unrecognized_keys') return `Unknown field: ${issue.keys.slice(0, 3).join(', ').slice(0, 128)}.`;
  const path = issue?.path.join('.') ?? '';
  // Where several shapes would do, the schema says which; zod's own words say nothing.
  if (issue?.code === 'invalid_union' && path === '' && issue.message !== 'Invalid input') return issue.message;
  return path === '' ? 'The body is not valid.' : `The field ${path.slice(0, 128)} is missing or not valid.`;
};

/** Reads a JSON body by its schema. Throws `Problem`. */
export const readBody = <T extends z.ZodType>(body: Uint8Array, schema: T): z.output<T> => {
  const parsed = parseJsonObject(textOf(body), MAX_DEPTH);
  if (!parsed.ok) throw new Problem('bad_frame', `The body ${parsed.why}.`);
  const valid = schema.safeParse(parsed.value);
  if (!valid.success) throw new Problem('bad_frame', describe(valid.error));
  return valid.data;
};

/** Reads query parameters by their schema; a repeated parameter is a mistake. Throws `Problem`. */
export const readQuery = <T extends z.ZodType>(query: URLSearchParams, schema: T): z.output<T> => {
  const names = [...query.keys()];
  if (new Set(names).size !== names.length) throw new Problem('bad_frame', 'A query parameter is repeated.');
  const valid = schema.safeParse(Object.fromEntries(query));
  if (!valid.success) throw new Problem('bad_frame', describe(valid.error));
  return valid.data;
};
