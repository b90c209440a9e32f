import { z } from 'zod';
import { BOUNDS } from '../bounds.js';
import { FRAME_ID_PATTERN, ID_PATTERN, isSubject, SUBJECT_PATTERN } from '../ids.js';
import { depthOf } from './json-text.js';

const encoder = new TextEncoder();

/** Bytes of a value as compact JSON in UTF-8. */
export const jsonBytes = (value: unknown): number => encoder.encode(JSON.stringify(value)).length;

export const id = z.string().regex(ID_PATTERN);
export const subject = z.string().regex(SUBJECT_PATTERN).refine(isSubject);
export const frameId = z.string().regex(FRAME_ID_PATTERN);
export const name = z.string().min(1).max(BOUNDS.nameChars).refine(isSubject);
export const offset = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
export const track = z.enum(['main', 'internal']);
export const text = z
  .string()
  .min(1)
  .max(BOUNDS.textUnits)
  // zod measures code points; the contract counts UTF-16 units.
  .refine((value) => value.length <= BOUNDS.textUnits, `longer than ${BOUNDS.textUnits} UTF-16 units`)
  .refine((value) => value.isWellFormed(), 'not well-formed Unicode');

/** A JSON object of anybody's shape. Passed on as it came, never merged into another. */
export const jsonObject = z
  .custom<Record<string, unknown>>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), {
    error: 'expected an object',
  })
  .meta({ type: 'object', additionalProperties: true });

/** The same, of bounded size and depth. */
export const meta = jsonObject
  .refine((value) => depthOf(value) <= BOUNDS.metaDepth, `nested deeper than ${BOUNDS.metaDepth}`)
  .refine((value) => jsonBytes(value) <= BOUNDS.metaBytes, `larger than ${BOUNDS.metaBytes} bytes`)
  .meta({
    type: 'object',
    additionalProperties: true,
    description: `At most ${BOUNDS.metaBytes} bytes as compact JSON in UTF-8, nested at most ${BOUNDS.metaDepth} deep.`,
  });
