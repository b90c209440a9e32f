import { BOUNDS } from '../bounds.js';

/** Why a text is no acceptable JSON object; the texts are fixed, so nothing of the input is echoed. */
export type JsonRefusal =
  | 'is not JSON'
  | 'is not an object'
  | 'is nested too deeply'
  | 'repeats a field'
  | 'holds text that is not well-formed Unicode';

export type JsonObjectResult =
  | { readonly ok: true; readonly value: Record<string, unknown> }
  | { readonly ok: false; readonly why: JsonRefusal };

const refuse = (why: JsonRefusal): JsonObjectResult => ({ ok: false, why });

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;

/**
 * One pass over the raw text: its depth and its number of members, strings skipped. -1 when deeper than `maxDepth`.
 * Runs before JSON.parse, so that a bomb of brackets costs a scan and no stack.
 */
const countMembers = (text: string, maxDepth: number): number => {
  let depth = 0;
  let members = 0;
  for (let i = 0; i < text.length; i += 1) {
    switch (text.charCodeAt(i)) {
      case QUOTE: {
        let end = text.indexOf('"', i + 1);
        while (end !== -1) {
          let escapes = 0;
          while (text.charCodeAt(end - 1 - escapes) === BACKSLASH) escapes += 1;
          if (escapes % 2 === 0) break;
          end = text.indexOf('"', end + 1);
        }
        if (end === -1) return members;
        i = end;
        break;
      }
      case COLON:
        members += 1;
        break;
      case 0x7b:
      case 0x5b:
        depth += 1;
        if (depth > maxDepth) return -1;
        break;
      case 0x7d:
      case 0x5d:
        depth -= 1;
        break;
    }
  }
  return members;
};

const parsedMembers = (value: unknown): number => {
  if (typeof value !== 'object' || value === null) return 0;
  let members = Array.isArray(value) ? 0 : Object.keys(value).length;
  for (const child of Object.values(value)) members += parsedMembers(child);
  return members;
};

const isWellFormed = (value: unknown): boolean => {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([key, child]) => key.isWellFormed() && isWellFormed(child));
};

/**
 * Parses one JSON object from a hostile peer. A repeated field is found by counting: the text has more members than
 * what JSON.parse made of it. `__proto__` is an own property after JSON.parse; copy known fields only.
 */
export const parseJsonObject = (text: string, maxDepth: number = BOUNDS.frameDepth): JsonObjectResult => {
  const members = countMembers(text, maxDepth);
  if (members === -1) return refuse('is nested too deeply');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse('is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse('is not an object');
  if (parsedMembers(value) !== members) return refuse('repeats a field');
  // A lone surrogate, mostly as an escape, can't be sent on as UTF-8.
  if (!text.isWellFormed() || (text.includes('\\u') && !isWellFormed(value)))
    return refuse('holds text that is not well-formed Unicode');
  return { ok: true, value: value as Record<string, unknown> };
};

/** Nesting of a value, itself counted as 1 when it is an object or an array. Safe: the text's depth was bounded. */
export const depthOf = (value: unknown): number => {
  if (typeof value !== 'object' || value === null) return 0;
  let deepest = 0;
  for (const child of Object.values(value)) deepest = Math.max(deepest, depthOf(child));
  return deepest + 1;
};
