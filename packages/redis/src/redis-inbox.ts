import {
  DEAD_LETTER_TTL_MS,
  type DeadLetter,
  type DeadLetterQuery,
  type Inbox,
  type InboxExchange,
  type InboxOutcome,
  type InboxReply,
  MOST_DEAD_LETTERS,
} from '@replyx/core';
import { decodeLetter, decodeReply } from './inbox-codec.js';
import type { InboxKeys, Keys } from './keys.js';
import type { Settings } from './options.js';
import type { ScriptArgument } from './script-call.js';
import { SCRIPTS } from './scripts.js';
import type { Subscriber } from './subscriber.js';
import type { Topology } from './topology.js';

/** Acknowledged entries that one step gives. */
const READ_A_STEP = 128;
/** Partitions that are asked for their dead letters at a time. */
const AT_A_TIME = 32;

const LETTER_ID = /^(\d{1,4})-(\d{1,16}-\d{1,20})$/;

const outcomeArguments = (outcome: InboxOutcome): ScriptArgument[] => {
  const { kind, entry } = outcome;
  const from = kind === 'read' ? 's' : kind === 'dead' || outcome.from === 'parked' ? 'p' : 's';
  const attempts = kind === 'dead' || kind === 'parked' ? (outcome.attempts ?? '') : '';
  const rest = kind === 'dead' ? outcome.reason : kind === 'parked' ? (outcome.dueInMs ?? '') : '';
  return [kind, from, entry.id, entry.dialogId, entry.assistantId, attempts, rest];
};

export class RedisInbox implements Inbox {
  readonly partitions: number;
  readonly #settings: Settings;
  readonly #keys: Keys;
  readonly #topology: Topology;
  readonly #publishCommand: string;
  readonly #watched = new Map<string, { readonly partition: number; subscriber: Subscriber | undefined }>();
  #onWake: (partition: number) => void = () => {};

  constructor(settings: Settings, keys: Keys, topology: Topology, publishCommand: string) {
    this.partitions = keys.partitions;
    this.#settings = settings;
    this.#keys = keys;
    this.#topology = topology;
    this.#publishCommand = publishCommand;
  }

  watch(partitions: readonly number[], onWake: (partition: number) => void): void {
    this.#onWake = onWake;
    const wanted = new Map(partitions.map((partition) => [this.#keys.inbox(partition).wake, partition]));
    for (const [channel, { subscriber }] of [...this.#watched]) {
      if (wanted.has(channel)) continue;
      subscriber?.remove(channel);
      this.#watched.delete(channel);
    }
    for (const [channel, partition] of wanted) {
      if (!this.#watched.has(channel)) this.#watched.set(channel, { partition, subscriber: undefined });
    }
    this.moved();
  }

  /** Whether the channel is one that wakes. */
  woken(channel: string): boolean {
    const watched = this.#watched.get(channel);
    if (watched === undefined) return false;
    this.#onWake(watched.partition);
    return true;
  }

  /** Slots may have moved: each channel is subscribed where it is served now. Who serves it looks by itself from time to time. */
  moved(): void {
    for (const [channel, watched] of this.#watched) {
      const next = this.#subscriberOf(watched.partition);
      if (next === undefined || next === watched.subscriber) continue;
      watched.subscriber?.remove(channel);
      watched.subscriber = next;
      void next.add(channel, this.#keys.slotOf(watched.partition));
    }
  }

  async exchange(request: InboxExchange): Promise<InboxReply> {
    const keys = this.#keys.inbox(request.partition);
    const reply = await this.#topology
      .link(keys.slot)
      .run(
        SCRIPTS.inboxExchange,
        [
          keys.stream,
          keys.counts,
          keys.retained,
          keys.parked,
          keys.tries,
          keys.since,
          keys.dead,
          keys.letters,
          keys.lease,
        ],
        [
          this.#settings.incarnation,
          request.token ?? '',
          request.leaseTtlMs,
          request.after,
          request.limit,
          request.parkedLimit,
          request.claimMs,
          request.readAfter ?? '-',
          READ_A_STEP,
          this.#settings.inboxMax,
          MOST_DEAD_LETTERS,
          DEAD_LETTER_TTL_MS,
          ...request.outcomes.flatMap(outcomeArguments),
        ],
      );
    return decodeReply(reply as unknown[]);
  }

  async release(partition: number, token: string): Promise<void> {
    const keys = this.#keys.inbox(partition);
    await this.#topology.link(keys.slot).run(SCRIPTS.inboxRelease, [keys.lease], [token]);
  }

  async deadLetters(query: DeadLetterQuery): Promise<readonly DeadLetter[]> {
    const found: DeadLetter[] = [];
    for (let start = 0; start < this.partitions; start += AT_A_TIME) {
      const count = Math.min(AT_A_TIME, this.partitions - start);
      const pages = Array.from({ length: count }, (_, index) => this.#letters(start + index, query));
      for (const page of await Promise.all(pages)) found.push(...page);
    }
    return found.sort(compareLetters).slice(0, query.limit);
  }

  replay(letterId: string): Promise<boolean> {
    return this.#take(letterId, 'replay');
  }

  discard(letterId: string): Promise<boolean> {
    return this.#take(letterId, 'discard');
  }

  async #letters(partition: number, { assistantId, after, limit }: DeadLetterQuery): Promise<DeadLetter[]> {
    const keys = this.#keys.inbox(partition);
    // Letters of one time are in the order of their ids, which begin with the partition's number as text.
    const place = after === undefined ? undefined : placeIn(String(partition), after);
    const reply = (await this.#topology
      .link(keys.slot)
      .run(
        SCRIPTS.inboxLetters,
        [keys.dead, keys.letters],
        [place?.diedMs ?? '', place?.id ?? '', assistantId ?? '', limit, DEAD_LETTER_TTL_MS],
      )) as Buffer[];
    const letters: DeadLetter[] = [];
    for (let index = 0; index + 1 < reply.length; index += 2) {
      letters.push(decodeLetter(partition, String(reply[index]), String(reply[index + 1])));
    }
    return letters;
  }

  async #take(letterId: string, how: 'replay' | 'discard'): Promise<boolean> {
    const [, number, id = ''] = LETTER_ID.exec(letterId) ?? [];
    const partition = Number(number);
    if (number === undefined || String(partition) !== number || partition >= this.partitions) return false;
    const keys: InboxKeys = this.#keys.inbox(partition);
    const taken = await this.#topology
      .link(keys.slot)
      .run(
        SCRIPTS.inboxLetter,
        [keys.dead, keys.letters, keys.stream, keys.counts, keys.wake],
        [id, how, this.#publishCommand],
      );
    return taken === 1;
  }

  #subscriberOf(partition: number): Subscriber | undefined {
    try {
      return this.#topology.subscriber(this.#keys.slotOf(partition));
    } catch {
      return undefined;
    }
  }
}

const compareLetters = (a: DeadLetter, b: DeadLetter): number =>
  b.diedMs - a.diedMs || (a.letterId < b.letterId ? -1 : a.letterId > b.letterId ? 1 : 0);

/** The place of a cursor among the letters of one partition: the same time, and the id from which its letters come after it. */
const placeIn = (
  partition: string,
  { diedMs, letterId }: NonNullable<DeadLetterQuery['after']>,
): { readonly diedMs: number; readonly id: string } => {
  const prefix = `${partition}-`;
  if (letterId.startsWith(prefix)) return { diedMs, id: letterId.slice(prefix.length) };
  // All of the partition's letters of that time come before the cursor, or all after it.
  return { diedMs, id: prefix < letterId ? '~' : '' };
};
