import type { LeaseScope, PublicationSender, Subject } from '@replyx/core';
import { BOUNDS, type Track } from '@replyx/protocol';
import { slotOfTag } from './slot.js';

/** FNV-1a. Fixed for a deployment's life: a change would orphan every dialog. */
const hash = (text: string): number => {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value >>> 0;
};

/** For a part of a key that may hold other characters than an id. */
const encoded = (text: string): string => Buffer.from(text, 'utf8').toString('base64url');

const NODES = 'nodes';
const CONTROL = 'ctl';

export interface ControlKeys {
  readonly epoch: string;
  readonly log: string;
  readonly revoked: string;
  readonly revokedExpiries: string;
  readonly bans: string;
  readonly bansExpiries: string;
  readonly assistants: string;
}

const scopeTag = (kind: LeaseScope['kind'], key: string): string => {
  switch (kind) {
    case 'user':
      return `u:${encoded(key)}`;
    case 'address':
      return `ip:${key}`;
    case 'assistant':
      return `a:${key}`;
    case 'cluster':
      return NODES;
  }
};

/** A partition's inbox; what the scripts of the dialogs in it append to are the first three. */
export interface InboxKeys {
  readonly slot: number;
  readonly stream: string;
  readonly counts: string;
  readonly wake: string;
  readonly lease: string;
  readonly retained: string;
  /** Times of parked dialogs; with `:<dialog>` behind it the parked entries of that one. */
  readonly parked: string;
  readonly tries: string;
  readonly since: string;
  readonly dead: string;
  readonly letters: string;
}

/** Every key and channel of one dialog. */
export interface DialogKeys {
  readonly partition: number;
  readonly meta: string;
  readonly conns: string;
  readonly marks: string;
  readonly writers: string;
  readonly streams: string;
  /** Texts of answers that are being written. */
  readonly texts: readonly string[];
  /** The last actions of a handoff by one sender. */
  handoffIds(sender: PublicationSender): string;
  log(track: Track): string;
  channel(track: Track): string;
  window(sender: PublicationSender): string;
  idempotency(track: Track, sender: PublicationSender, id: string): string;
}

/** The windows of one subject, in one slot. */
export interface SubjectKeys {
  readonly slot: number;
  /** A list of times, or a hash of buckets. */
  window(name: string, form: 'list' | 'buckets'): string;
}

/** Of one address; in the slot of its windows and places. */
export interface AddressKeys {
  readonly slot: number;
  readonly score: string;
  readonly bans: string;
  users(incarnation: string): string;
}

/** The places of one scope, in one slot. */
export interface ScopeKeys {
  readonly slot: number;
  readonly counts: string;
  places(incarnation: string): string;
  users(incarnation: string): string;
}

/** Every key of one lock, on each lock master. */
export interface LockKeys {
  /** The hash tag that they share. */
  readonly tag: string;
  readonly holder: string;
  readonly fence: string;
  /** There while an acquire of this value may come that was released before. */
  released(value: string): string;
}

/** Every key name of the deployment; nothing else builds one. */
export class Keys {
  readonly partitions: number;
  /** Cluster slot by partition. */
  readonly slots: readonly number[];
  readonly nodesSlot = slotOfTag(NODES);
  readonly controlSlot = slotOfTag(CONTROL);
  readonly #prefix: string;
  readonly #tagged: readonly string[];
  #last = { id: '', encoded: '' };

  constructor(prefix: string, partitions: number) {
    this.partitions = partitions;
    this.#prefix = prefix;
    const tags = Array.from({ length: partitions }, (_, partition) => `p${String(partition).padStart(3, '0')}`);
    this.#tagged = tags.map((tag) => `${prefix}:{${tag}}`);
    this.slots = tags.map(slotOfTag);
  }

  partitionOf(dialogId: string): number {
    return hash(dialogId) % this.partitions;
  }

  slotOf(partition: number): number {
    return this.slots[partition] as number;
  }

  dialog(dialogId: string): DialogKeys {
    const partition = this.partitionOf(dialogId);
    const base = `${this.#tagged[partition]}:d:${dialogId}`;
    const of = (sender: PublicationSender): string => `${sender.role}:${this.#encodedId(sender.id)}`;
    return {
      partition,
      meta: `${base}:meta`,
      conns: `${base}:conns`,
      marks: `${base}:marks`,
      writers: `${base}:writers`,
      streams: `${base}:streams`,
      get texts() {
        return Array.from({ length: BOUNDS.openStreams }, (_, number) => `${base}:streams:${number + 1}`);
      },
      handoffIds: (sender) => `${base}:handoff:${of(sender)}`,
      log: (track) => `${base}:${track}:log`,
      channel: (track) => `${base}:${track}:ch`,
      window: (sender) => `${base}:w:${of(sender)}`,
      idempotency: (track, sender, id) => `${base}:${track}:idem:${of(sender)}:${encoded(id)}`,
    };
  }

  /** One command names its sender in more than one key. */
  #encodedId(id: string): string {
    if (this.#last.id !== id) this.#last = { id, encoded: encoded(id) };
    return this.#last.encoded;
  }

  channel(dialogId: string, track: Track): string {
    return `${this.#tagged[this.partitionOf(dialogId)]}:d:${dialogId}:${track}:ch`;
  }

  inbox(partition: number): InboxKeys {
    const base = `${this.#tagged[partition]}:inbox`;
    return {
      slot: this.slotOf(partition),
      stream: base,
      counts: `${base}:n`,
      wake: `${base}:wake`,
      lease: `${base}:lease`,
      retained: `${base}:retained`,
      parked: `${base}:parked`,
      tries: `${base}:tries`,
      since: `${base}:since`,
      dead: `${base}:dead`,
      letters: `${base}:letters`,
    };
  }

  /** The keys of a partition's inbox that a script takes which appends to it, in its order. */
  appendsTo(partition: number): readonly [string, string, string] {
    const { stream, counts, wake } = this.inbox(partition);
    return [stream, counts, wake];
  }

  /** The dialogs of a partition where an incarnation holds connections. */
  held(partition: number, incarnation: string): string {
    return `${this.#tagged[partition]}:n:${incarnation}`;
  }

  /** A private channel of an incarnation, in the first slot that `suits`. Some slot must. */
  probeWhere(incarnation: string, suits: (slot: number) => boolean): { channel: string; slot: number } {
    for (let candidate = 0; ; candidate++) {
      const slot = slotOfTag(`probe${candidate}`);
      if (suits(slot)) return { channel: `${this.#prefix}:{probe${candidate}}:${incarnation}`, slot };
    }
  }

  /** What every node must know at once; in one slot, as every write goes to the snapshot and to the stream. */
  get control(): ControlKeys {
    const base = `${this.#prefix}:{${CONTROL}}`;
    return {
      epoch: `${base}:epoch`,
      log: `${base}:log`,
      revoked: `${base}:revoked`,
      revokedExpiries: `${base}:revoked:exp`,
      bans: `${base}:bans`,
      bansExpiries: `${base}:bans:exp`,
      assistants: `${base}:assistants`,
    };
  }

  subject({ kind, key }: Subject): SubjectKeys {
    const tag = `${kind}:${key}`;
    const base = `${this.#prefix}:{${tag}}`;
    return {
      slot: slotOfTag(tag),
      window: (name, form) => `${base}:${form === 'list' ? 'w' : 'b'}:${name}`,
    };
  }

  address(addressKey: string): AddressKeys {
    const base = `${this.#prefix}:{ip:${addressKey}}`;
    return {
      slot: slotOfTag(`ip:${addressKey}`),
      score: `${base}:score`,
      bans: `${base}:bans`,
      users: (incarnation) => `${base}:users:${incarnation}`,
    };
  }

  scope({ kind, key }: Pick<LeaseScope, 'kind' | 'key'>): ScopeKeys {
    const tag = scopeTag(kind, key);
    const base = `${this.#prefix}:{${tag}}`;
    return {
      slot: slotOfTag(tag),
      counts: `${base}:places`,
      places: (incarnation) => `${base}:places:${incarnation}`,
      users: (incarnation) => `${base}:users:${incarnation}`,
    };
  }

  lock(name: string): LockKeys {
    const tag = `l:${encoded(name)}`;
    const base = `${this.#prefix}:{${tag}}`;
    return {
      tag,
      holder: `${base}:holder`,
      fence: `${base}:fence`,
      released: (value) => `${base}:gone:${value}`,
    };
  }

  get beats(): string {
    return `${this.#prefix}:{${NODES}}:beats`;
  }

  get infos(): string {
    return `${this.#prefix}:{${NODES}}:infos`;
  }

  get runs(): string {
    return `${this.#prefix}:{${NODES}}:runs`;
  }
}
