import type { Position, Track } from '@replyx/protocol';
import type { Link } from './link.js';
import type { Settings } from './options.js';
import type { ScriptArgument } from './script-call.js';

/** The arguments of every script that settles an epoch, as `lib/settle.lua` takes them. */
export class Settling {
  readonly #settings: Settings;
  readonly #names: string;
  #named = 0;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#names = Buffer.from(settings.random.bytes(12)).toString('base64url');
  }

  /** Nothing may be awaited before the script is run on the link. `mint`: `known` is proved wrong. */
  of(link: Link, track: Track, known: Position | undefined, mint = false): ScriptArgument[] {
    const lineage = link.lineage();
    return [
      track === 'main' ? '' : 'i',
      lineage.name,
      lineage.seenMs,
      `${this.#names}${(++this.#named).toString(36)}`,
      known?.epoch ?? '',
      known?.offset ?? 0,
      mint ? '1' : '0',
      this.#settings.presenceTtlMs,
    ];
  }
}
