import {
  type AssistantChange,
  type AssistantRecord,
  BackplaneUnavailable,
  type Control,
  type ControlCursor,
  type ControlEntry,
  type ControlSnapshot,
  type SnapshotEntry,
  type TailResult,
} from '@replyx/core';
import { decodeEntry, decodeSnapshotEntry, encodeEntry } from './control-codec.js';
import type { ControlKeys, Keys } from './keys.js';
import type { Link } from './link.js';
import type { Settings } from './options.js';
import type { ScriptArgument } from './script-call.js';
import { SCRIPTS, type Script } from './scripts.js';
import type { Topology } from './topology.js';

const LOG_SIZE = 50_000;
/** Bans that the store keeps: a flood of them must not fill it. */
const MOST_BANS = 100_000;
const TAIL_PAGE = 500;
/** Pages of one `tail`: what the stream keeps, and a little. */
const MOST_PAGES = 24;
const SCAN_COUNT = 1_000;
const SEED_BATCH = 200;
const SNAPSHOT_ATTEMPTS = 3;

interface Place {
  readonly epoch: string;
  /** Id of the last entry that was read, and its number: `<id>/<number>`. */
  readonly after: string;
  readonly nowMs: number;
  readonly bornMs: number;
}

const familyOf = (entry: SnapshotEntry): 'revoked' | 'bans' =>
  entry.kind === 'ban' || (entry.kind === 'lifted' && entry.of === 'ban') ? 'bans' : 'revoked';

export class RedisControl implements Control {
  readonly #settings: Settings;
  readonly #keys: ControlKeys;
  readonly #slot: number;
  readonly #topology: Topology;

  constructor(settings: Settings, keys: Keys, topology: Topology) {
    this.#settings = settings;
    this.#keys = keys.control;
    this.#slot = keys.controlSlot;
    this.#topology = topology;
  }

  async write<E extends ControlEntry>(entry: E): Promise<E> {
    if (entry.kind === 'assistant') await this.setAssistant(entry);
    else if (entry.kind === 'disconnect' || entry.kind === 'drain') {
      const { epoch, log } = this.#keys;
      await this.#run(SCRIPTS.controlTell, [epoch, log], [LOG_SIZE, encodeEntry(entry)]);
    } else {
      const [stored] = await this.#put('write', familyOf(entry), [entry]);
      if (stored !== undefined) return stored as E;
    }
    return entry;
  }

  async nowMs(): Promise<number> {
    const [seconds, micros] = (await this.#link.command('TIME')) as [Buffer, Buffer];
    return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
  }

  async snapshot(): Promise<ControlSnapshot> {
    for (let attempt = 0; attempt < SNAPSHOT_ATTEMPTS; attempt++) {
      const { epoch, after, nowMs, bornMs } = await this.#open();
      const [revoked, bans, records] = await Promise.all([
        this.#scan(this.#keys.revoked),
        this.#scan(this.#keys.bans),
        this.#scan(this.#keys.assistants),
      ]);
      // What changed while it was read comes after the cursor; but not what a store lost that was emptied meanwhile.
      if ((await this.#open()).epoch !== epoch) continue;
      const entries = [...revoked.values(), ...bans.values()].flatMap((text) => decodeSnapshotEntry(text) ?? []);
      const assistants = new Map([...records].map(([id, json]) => [id, JSON.parse(json) as AssistantRecord]));
      return {
        cursor: { epoch, after },
        entries: entries.filter(({ expiresMs }) => expiresMs > nowMs),
        assistants,
        nowMs,
        epochAgeMs: nowMs - bornMs,
      };
    }
    throw new BackplaneUnavailable('Redis: the control snapshot changed its epoch while it was read');
  }

  async tail(cursor: ControlCursor): Promise<TailResult> {
    const entries: ControlEntry[] = [];
    let { after } = cursor;
    for (let page = 0; page < MOST_PAGES; page++) {
      const [id = '', number = ''] = after.split('/');
      const reply = (await this.#run(
        SCRIPTS.controlTail,
        [this.#keys.epoch, this.#keys.log],
        [cursor.epoch, id, number, TAIL_PAGE],
      )) as [Buffer, [Buffer, Buffer]][] | null;
      if (reply === null) return { status: 'lost' };
      for (const [, [, text]] of reply) {
        const entry = decodeEntry(text.toString('utf8'));
        if (entry !== undefined) entries.push(entry);
      }
      const last = reply.at(-1);
      if (last !== undefined) after = `${last[0].toString('latin1')}/${Number(number) + reply.length}`;
      if (reply.length < TAIL_PAGE) break;
    }
    return { status: 'entries', entries, cursor: { epoch: cursor.epoch, after } };
  }

  async seed(entries: readonly SnapshotEntry[]): Promise<void> {
    for (const family of ['revoked', 'bans'] as const) {
      const ours = entries.filter((entry) => familyOf(entry) === family);
      for (let from = 0; from < ours.length; from += SEED_BATCH) {
        await this.#put('seed', family, ours.slice(from, from + SEED_BATCH));
      }
    }
  }

  // ── the directory's part ──────────────────────────────────────────────────────────────────────────────────────────

  async assistant(assistantId: string): Promise<AssistantRecord | undefined> {
    const json = await this.#link.command('HGET', this.#keys.assistants, assistantId);
    return json === null ? undefined : (JSON.parse(String(json)) as AssistantRecord);
  }

  /** Resolves whether it was known. */
  async setAssistant(change: AssistantChange): Promise<boolean> {
    const { epoch, log, assistants } = this.#keys;
    const { assistantId, record } = change;
    const known = await this.#run(
      SCRIPTS.controlAssistant,
      [epoch, log, assistants],
      [LOG_SIZE, assistantId, record === undefined ? '' : JSON.stringify(record), encodeEntry(change)],
    );
    return known === 1;
  }

  // ── one script ────────────────────────────────────────────────────────────────────────────────────────────────────

  get #link(): Link {
    return this.#topology.link(this.#slot);
  }

  /** Every script of the control plane takes a fresh name and the lineage of the process first. */
  async #run(script: Script, keys: readonly string[], args: readonly ScriptArgument[]): Promise<unknown> {
    const link = this.#link;
    const { name, seenMs } = link.lineage();
    const fresh = Buffer.from(this.#settings.random.bytes(12)).toString('base64url');
    return link.run(script, keys, [fresh, name, seenMs, ...args]);
  }

  async #open(): Promise<Place> {
    const reply = (await this.#run(SCRIPTS.controlOpen, [this.#keys.epoch, this.#keys.log], [])) as (Buffer | number)[];
    const [epoch = '', id, number, now, born] = reply.map(String);
    return { epoch, after: `${id}/${number}`, nowMs: Number(now), bornMs: Number(born) };
  }

  async #put(
    how: 'write' | 'seed',
    family: 'revoked' | 'bans',
    entries: readonly SnapshotEntry[],
  ): Promise<(SnapshotEntry | undefined)[]> {
    const keys = this.#keys;
    const reply = (await this.#run(
      SCRIPTS.controlWrite,
      [keys.epoch, keys.log, keys[family], keys[`${family}Expiries`]],
      [
        LOG_SIZE,
        family === 'bans' ? MOST_BANS : 0,
        how,
        ...entries.flatMap((entry) => [entry.id, encodeEntry(entry)] as const),
      ],
    )) as Buffer[];
    return reply.map((text) => decodeSnapshotEntry(text.toString('utf8')));
  }

  /** A whole hash in bounded steps: it may hold too much for Redis to stand still meanwhile. */
  async #scan(key: string): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    let cursor = '0';
    do {
      const [next, pairs] = (await this.#link.command('HSCAN', key, cursor, 'COUNT', SCAN_COUNT)) as [Buffer, Buffer[]];
      for (let index = 0; index + 1 < pairs.length; index += 2) {
        found.set(String(pairs[index]), (pairs[index + 1] as Buffer).toString('utf8'));
      }
      cursor = next.toString('latin1');
    } while (cursor !== '0');
    return found;
  }
}
