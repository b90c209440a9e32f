import { parseOrigin } from '@replyx/core';
import { type KeysResult, type NamedKey, parseApiKeys, parseKeys } from './keys.js';
import { nearMiss } from './near-miss.js';
import { parseNetwork } from './networks.js';
import { type ChoiceOf, isSettingName, type NameOf, SETTING_NAMES, SETTINGS, type SettingName } from './schema.js';
import { httpUrlProblem, redisUrlProblem } from './urls.js';

export type Environment = ChoiceOf<'ENVIRONMENT'>;
export type Env = Readonly<Record<string, string | undefined>>;
/** Reads a file as UTF-8; throws when it can't. */
export type ReadFile = (path: string) => string;

/** A value that stops the start. `message` reads after the name and never repeats a secret. */
export interface ConfigProblem {
  readonly name: string;
  readonly message: string;
}

export interface ConfigWarning {
  readonly kind: 'unknown' | 'not_enforced' | 'advice';
  readonly name: string;
  readonly message: string;
}

const MAX_FILE_CHARS = 65_536;

/** Printable and short, for a value that is no secret. */
const quoted = (value: string): string => JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);

const TEXT_FORMATS = {
  host: [/^(\[?[0-9A-Fa-f:.]+\]?|[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)$/, 'must be an address or a host name'],
  name: [/^[A-Za-z0-9._-]{1,128}$/, 'must be 1 to 128 letters, digits, dots, dashes or underscores'],
  prefix: [/^[A-Za-z0-9._-]{1,32}$/, 'must be 1 to 32 letters, digits, dots, dashes or underscores'],
  words: [/^[\x21-\x7e]([\x20-\x7e]{0,1022}[\x21-\x7e])?$/, 'must be 1 to 1024 visible ASCII characters'],
} as const;

const reason = (error: unknown): string => {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'does not exist';
  if (code === 'EACCES' || code === 'EPERM') return 'is not readable by this user';
  if (code === 'EISDIR') return 'is a directory';
  return 'cannot be read';
};

/**
 * Reads settings by name and kind, and collects every problem instead of stopping at the first. After a problem the
 * default is returned, so that reading can go on; the caller looks at `problems` at the end.
 */
export class SettingReader {
  readonly warnings: ConfigWarning[] = [];
  readonly environment: Environment;
  readonly production: boolean;
  readonly #problems: ConfigProblem[] = [];
  readonly #env: Env;
  readonly #readFile: ReadFile;

  constructor(env: Env, readFile: ReadFile) {
    this.#env = env;
    this.#readFile = readFile;
    this.environment = this.choice('ENVIRONMENT');
    this.production = this.environment === 'production';
  }

  /** In the order of the table, then the rest. */
  get problems(): readonly ConfigProblem[] {
    const place = (name: string): number => {
      const index = SETTING_NAMES.indexOf(name.replace(/_FILE$/, '') as SettingName);
      return index === -1 ? SETTING_NAMES.length : index;
    };
    return this.#problems.toSorted((a, b) => place(a.name) - place(b.name));
  }

  problem(name: string, message: string): void {
    this.#problems.push({ name, message });
  }

  advise(name: string, message: string): void {
    this.warnings.push({ kind: 'advice', name, message });
  }

  /** Whether the environment gives a value, directly or by a file. An empty value counts as absent. */
  given(name: SettingName): boolean {
    return this.#filled(name) !== undefined || (SETTINGS[name].secret && this.#filled(`${name}_FILE`) !== undefined);
  }

  integer(name: NameOf<'integer'>): number {
    const setting = SETTINGS[name];
    const raw = this.#raw(name);
    if (raw === undefined) return setting.default;
    const value = /^-?(0|[1-9]\d{0,15})$/.test(raw) ? Number(raw) : Number.NaN;
    if (setting.zeroIsOff && value === 0) return 0;
    if (value >= setting.min && value <= setting.max) return value;
    const range = `must be a whole number from ${setting.min} to ${setting.max}${setting.zeroIsOff ? ', or 0 for off' : ''}`;
    const link = /^(tcp|udp):\/\//.test(raw) ? ' (a Kubernetes service link? set enableServiceLinks: false)' : '';
    this.problem(name, `${range}, not ${quoted(raw)}${link}`);
    return setting.default;
  }

  boolean(name: NameOf<'boolean'>): boolean {
    const setting = SETTINGS[name];
    const raw = this.#raw(name);
    if (raw === 'true') return true;
    if (raw === 'false') return false;
    if (raw !== undefined) this.problem(name, `must be true or false, not ${quoted(raw)}`);
    return setting.default === 'byEnvironment' ? !this.production : setting.default;
  }

  choice<N extends NameOf<'choice'>>(name: N): ChoiceOf<N> {
    const setting = SETTINGS[name];
    const raw = this.#raw(name);
    const found = setting.choices.find((value) => value === raw);
    if (raw !== undefined && found === undefined) {
      this.problem(name, `must be one of ${setting.choices.join(', ')}, not ${quoted(raw)}`);
    }
    return (found ?? setting.default) as ChoiceOf<N>;
  }

  text(name: NameOf<'text'>): string | undefined {
    const setting = SETTINGS[name];
    const raw = this.#raw(name);
    if (raw === undefined) return setting.default;
    let why: string | undefined;
    if (setting.format === 'redisUrl') why = redisUrlProblem(raw, 'any');
    else if (setting.format === 'httpUrl') why = httpUrlProblem(raw, this.production);
    else if (!TEXT_FORMATS[setting.format][0].test(raw)) why = TEXT_FORMATS[setting.format][1];
    if (why === undefined) return raw;
    this.problem(name, setting.secret || setting.format === 'httpUrl' ? why : `${why}, not ${quoted(raw)}`);
    return setting.default;
  }

  list(name: NameOf<'list'>): readonly string[] {
    const setting = SETTINGS[name];
    const items = (this.#raw(name) ?? '').split(',').map((item) => item.trim());
    if (items.length === 1 && items[0] === '') return [];
    const values = new Set<string>();
    for (const [index, item] of items.entries()) {
      const value = this.#item(name, item, index, setting.items);
      if (value !== undefined) values.add(value);
    }
    return [...values];
  }

  /** The keys of a setting; none where it is absent or has a problem. */
  keys(name: NameOf<'keys'>): readonly NamedKey[] {
    return this.#parsed(name, parseKeys);
  }

  apiKeys(name: NameOf<'apiKeys'>): readonly NamedKey[] {
    return this.#parsed(name, (raw) => parseApiKeys(raw, this.production ? 32 : 16));
  }

  /** Warns of names that change nothing and of unknown `WS_` names; a near miss of a known name is a problem. */
  checkNames(): void {
    for (const name of SETTING_NAMES) {
      if (!SETTINGS[name].enforced && this.given(name)) {
        this.warnings.push({ kind: 'not_enforced', name, message: 'is not enforced yet' });
      }
    }
    for (const name of Object.keys(this.#env).sort()) {
      if (!/^WS_/i.test(name) || isSettingName(name)) continue;
      const base = name.replace(/_FILE$/, '');
      if (base !== name && isSettingName(base) && SETTINGS[base].secret) continue;
      const meant = nearMiss(name);
      if (meant !== undefined) this.problem(name, `is not known; did you mean ${meant}?`);
      else this.warnings.push({ kind: 'unknown', name, message: 'is not known' });
    }
  }

  #filled(name: string): string | undefined {
    const value = Object.hasOwn(this.#env, name) ? this.#env[name] : undefined;
    return value === '' ? undefined : value;
  }

  #raw(name: SettingName): string | undefined {
    const direct = this.#filled(name);
    if (!SETTINGS[name].secret) return direct;
    const path = this.#filled(`${name}_FILE`);
    if (path === undefined) return direct;
    if (direct !== undefined) {
      this.problem(name, `is set twice: give ${name} or ${name}_FILE, not both`);
      return direct;
    }
    const content = this.#content(name, path);
    if (content === '') this.problem(`${name}_FILE`, `names an empty file (${quoted(path)})`);
    return content === '' ? undefined : content;
  }

  #content(name: SettingName, path: string): string | undefined {
    let content: string;
    try {
      content = this.#readFile(path);
    } catch (error) {
      this.problem(`${name}_FILE`, `names a file that ${reason(error)} (${quoted(path)})`);
      return undefined;
    }
    if (content.length > MAX_FILE_CHARS) {
      this.problem(`${name}_FILE`, `names a file larger than ${MAX_FILE_CHARS} characters (${quoted(path)})`);
      return undefined;
    }
    return content.replace(/(\r?\n)+$/, '');
  }

  #item(
    name: NameOf<'list'>,
    item: string,
    index: number,
    kind: 'origin' | 'network' | 'redisUrl',
  ): string | undefined {
    if (item === '') {
      this.problem(name, 'has an empty item');
      return undefined;
    }
    if (kind === 'redisUrl') {
      const why = redisUrlProblem(item, 'oneHost');
      if (why === undefined) return item;
      this.problem(name, `item ${index + 1} ${why}`);
      return undefined;
    }
    if (kind === 'origin') {
      const origin = parseOrigin(item)?.canonical;
      if (origin === undefined) this.problem(name, `${quoted(item)} is no exact origin (scheme://host[:port])`);
      return origin;
    }
    const parsed = parseNetwork(item);
    if (!parsed.ok) {
      this.problem(name, `${quoted(item)} ${parsed.why}`);
      return undefined;
    }
    if (parsed.everyone) this.advise(name, `${parsed.network} is every address`);
    return parsed.network;
  }

  #parsed(name: NameOf<'keys' | 'apiKeys'>, parse: (raw: string) => KeysResult): readonly NamedKey[] {
    const before = this.#problems.length;
    const raw = this.#raw(name);
    if (raw === undefined) {
      if (SETTINGS[name].requiredInProduction && this.production && this.#problems.length === before) {
        this.problem(name, `is required in production (or ${name}_FILE)`);
      }
      return [];
    }
    const result = parse(raw);
    if (!result.ok) {
      this.problem(name, result.why);
      return [];
    }
    if (result.advice !== undefined) this.advise(name, result.advice);
    return result.keys;
  }
}
