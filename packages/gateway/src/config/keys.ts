/** One secret key as text; `kid` where the configuration names it. */
export interface NamedKey {
  readonly kid?: string;
  readonly value: string;
}

export type KeysResult =
  | { readonly ok: true; readonly keys: readonly NamedKey[]; readonly advice?: string }
  | { readonly ok: false; readonly why: string };

export const MIN_KEY_BYTES = 32;

const NAMED = /^([\w-]{1,64}):(.*)$/s;
const EXAMPLE =
  /change.?(me|this)|replace.?(me|this)|your[-_ ]|placeholder|example|insecure|passw[o0]rd|dev(elopment)?[-_ ]?(only|secret|key)|super[-_ ]?secret|a-string-secret/i;
const GUESSABLE = /(test|demo|local|site|api)[-_ ]?(only|secret|key)|0123456789|abcdefgh/i;

/** Whether a value is one that documentation shows. */
export const looksLikeExample = (value: string): boolean => EXAMPLE.test(value);

/** Whether a value has too little variety to be random, or words in it. */
export const looksGuessable = (value: string): boolean => GUESSABLE.test(value) || new Set(value).size < 8;

/**
 * One key, or `kid1:value1,kid2:value2` when every item has the form of a named key. The first signs. No problem ever
 * repeats a value.
 */
export const parseKeys = (text: string): KeysResult => {
  const items = text.split(',');
  const named = items.map((item) => NAMED.exec(item));
  if (!named.every((match) => match !== null)) {
    if (items.every((item) => NAMED.test(item.trim()))) {
      return { ok: false, why: 'has white space around a comma or a key id' };
    }
    if (Buffer.byteLength(text) < MIN_KEY_BYTES) return { ok: false, why: `is shorter than ${MIN_KEY_BYTES} bytes` };
    const mixed = named.some((match) => match !== null) && items.length > 1;
    return {
      ok: true,
      keys: [{ value: text }],
      ...(mixed && { advice: 'is read as one key, because not every item is written kid:value' }),
    };
  }
  const keys = named.map((match) => ({ kid: match?.[1] ?? '', value: match?.[2] ?? '' }));
  const twice = keys.find(({ kid }, index) => keys.findIndex((other) => other.kid === kid) !== index);
  if (twice) return { ok: false, why: `names the key ${twice.kid} twice` };
  const short = keys.find(({ value }) => Buffer.byteLength(value) < MIN_KEY_BYTES);
  if (short) return { ok: false, why: `has a key (${short.kid}) shorter than ${MIN_KEY_BYTES} bytes` };
  if (new Set(keys.map(({ value }) => value)).size !== keys.length) return { ok: false, why: 'has one value twice' };
  return { ok: true, keys };
};

/** API keys travel in a header, so they are visible ASCII without commas. */
export const parseApiKeys = (text: string, minChars: number): KeysResult => {
  const values = text.split(',').map((item) => item.trim());
  const at = (index: number): string => (values.length > 1 ? `has a key (number ${index + 1}) that` : 'has a key that');
  for (const [index, value] of values.entries()) {
    if (value === '') return { ok: false, why: 'has an empty item' };
    if (!/^[\x21-\x7e]+$/.test(value)) return { ok: false, why: `${at(index)} is not visible ASCII` };
    if (value.length < minChars) return { ok: false, why: `${at(index)} is shorter than ${minChars} characters` };
    if (value.length > 512) return { ok: false, why: `${at(index)} is longer than 512 characters` };
  }
  if (new Set(values).size !== values.length) return { ok: false, why: 'has one key twice' };
  return { ok: true, keys: values.map((value) => ({ value })) };
};
