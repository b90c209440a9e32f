/**
 * What drives a terminal, splits a line or turns the direction of reading: control characters of both ranges (a lone U+009B begins
 * an escape sequence as ESC [ does), line separators, bidirectional controls, half a surrogate pair.
 */
const DRIVES = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu;

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Somebody else's text as one line that a terminal shows and does not obey. */
export const printable = (text: string): string =>
  text.replace(DRIVES, (character) => (character === '\n' ? '\\n' : character === '\t' ? '\\t' : escaped(character)));

/** A value as one line of JSON, safe for a terminal too: these characters stand in strings only, where an escape means the same. */
export const jsonLine = (value: unknown): string => `${JSON.stringify(value).replace(DRIVES, escaped)}\n`;

/** The same over several lines, for a document. */
export const jsonText = (value: unknown): string =>
  `${JSON.stringify(value, undefined, 2).replace(DRIVES, (character) => (character === '\n' ? character : escaped(character)))}\n`;
