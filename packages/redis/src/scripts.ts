import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** One Lua script; its file documents KEYS, ARGV and result. */
export interface Script {
  readonly name: string;
  /** How many keys it takes; `any`: its file says which follow. */
  readonly keys: number | 'any';
  readonly text: string;
  readonly sha: string;
}

const read = (path: string): string => readFileSync(new URL(`./scripts/${path}.lua`, import.meta.url), 'utf8');

/** A line `-- @include name` stands for `lib/name.lua`, so that a rule exists once. */
const compose = (name: string): string =>
  read(name).replace(/^-- @include (\S+)$/gm, (_, part: string) => read(`lib/${part}`));

const script = (name: string, keys: number | 'any'): Script => {
  const text = compose(name);
  return { name, keys, text, sha: createHash('sha1').update(text).digest('hex') };
};

export const SCRIPTS = {
  publish: script('publish', 'any'),
  read: script('read', 2),
  erase: script('erase', 15),
  putDialog: script('put-dialog', 4),
  openDialog: script('open-dialog', 4),
  register: script('register', 'any'),
  unregister: script('unregister', 'any'),
  evict: script('evict', 2),
  renew: script('renew', 8),
  sweep: script('sweep', 7),
  mark: script('mark', 4),
  handoff: script('handoff', 12),
  handoffRead: script('handoff-read', 2),
  raiseFence: script('raise-fence', 1),
  streamStart: script('stream-start', 7),
  streamAppend: script('stream-append', 7),
  streamFinish: script('stream-finish', 7),
  streamSettle: script('stream-settle', 7),
  streamAbort: script('stream-abort', 7),
  streamRead: script('stream-read', 7),
  beat: script('beat', 3),
  forget: script('forget', 2),
  run: script('run', 2),
  take: script('take', 'any'),
  raise: script('raise', 'any'),
  countBan: script('count-ban', 2),
  lease: script('lease', 'any'),
  release: script('release', 'any'),
  restore: script('restore', 3),
  inboxExchange: script('inbox-exchange', 9),
  inboxRelease: script('inbox-release', 1),
  inboxLetters: script('inbox-letters', 2),
  inboxLetter: script('inbox-letter', 5),
  controlOpen: script('control-open', 2),
  controlTail: script('control-tail', 2),
  controlWrite: script('control-write', 4),
  controlTell: script('control-tell', 2),
  controlAssistant: script('control-assistant', 3),
} as const;

/** On lock masters, which may be other servers. */
export const LOCK_SCRIPTS = {
  acquire: script('lock-acquire', 3),
  extend: script('lock-extend', 1),
  release: script('lock-release', 2),
  raise: script('lock-raise', 2),
} as const;
