import { looksGuessable, looksLikeExample } from '../config/keys.js';
import type { SettingName } from '../config/schema.js';
import type { Env, ReadFile } from '../config/setting-reader.js';
import type { KeyFacts, SecretFacts, SecretSource } from './facts.js';

const NAMED = /^[\w-]{1,64}:(.*)$/s;
/** None so short that a random value would hold one: six letters are met once in twenty million. */
const WORDS =
  /secret|example|passw[o0]rd|change.?me|default|qwerty|letmein|replyx|s3cr3t|sample|foo.?bar|deadbeef|(.)\1{7}/i;
/** Words with something between them, as people make long secrets. */
const PHRASE = /^[A-Z]?[a-z]+([-_. ][A-Z]?[a-z]+){2,}\d{0,4}$/;

/** The shortest text of which a value is a repetition. */
const unitOf = (value: string): string => {
  const at = `${value}${value}`.indexOf(value, 1);
  return value.slice(0, at);
};

/** Whether a person could have made the value up: words, repetition, or too few different characters. */
export const isGuessable = (value: string): boolean =>
  looksGuessable(value) ||
  WORDS.test(value) ||
  PHRASE.test(value) ||
  /^\d+$/.test(value) ||
  unitOf(value).length <= value.length / 2;

/** The raw text of a setting and where it is; empty counts as absent. */
export const rawSecret = (
  env: Env,
  readFile: ReadFile,
  name: SettingName,
): { readonly source: SecretSource; readonly text: string } => {
  const [direct = '', path = ''] = [env[name], env[`${name}_FILE`]];
  if (direct !== '') return { source: 'environment', text: direct };
  if (path === '') return { source: 'absent', text: '' };
  try {
    const text = readFile(path).replace(/(\r?\n)+$/, '');
    return { source: text === '' ? 'unreadable' : 'file', text };
  } catch {
    return { source: 'unreadable', text: '' };
  }
};

/** As the configuration takes them apart, also where it refuses them. */
const valuesOf = (name: SettingName, text: string): readonly string[] => {
  if (text === '') return [];
  const items = text.split(',').map((item) => item.trim());
  if (name === 'API_KEYS') return items.filter((item) => item !== '');
  const named = items.map((item) => NAMED.exec(item)?.[1]);
  return named.every((value) => value !== undefined) ? named : [text];
};

const KEY_SETTINGS = ['SECRET_KEY', 'SITE_SECRET', 'API_KEYS', 'PUBLIC_ID_SECRET'] as const satisfies SettingName[];

/** What is to be known of the configured keys. What it returns holds none of them. */
export const secretFacts = (env: Env, readFile: ReadFile): readonly SecretFacts[] => {
  const numbers = new Map<string, number>();
  const describe = (value: string): KeyFacts => {
    const same = numbers.get(value) ?? numbers.size;
    numbers.set(value, same);
    return {
      bytes: Buffer.byteLength(value),
      example: looksLikeExample(value),
      guessable: isGuessable(value),
      same,
    };
  };
  return KEY_SETTINGS.map((name) => {
    const { source, text } = rawSecret(env, readFile, name);
    return { name, source, keys: valuesOf(name, text).map(describe) };
  });
};
