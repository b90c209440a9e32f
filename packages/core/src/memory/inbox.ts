import {
  compareInboxIds,
  DEAD_LETTER_TTL_MS,
  type DeadLetter,
  type DeadLetterQuery,
  EVENTS_BOUND_FACTOR,
  type Inbox,
  type InboxAddress,
  type InboxEntry,
  type InboxExchange,
  type InboxOutcome,
  type InboxReply,
  type InboxStanding,
  inboxTimeOf,
  MOST_DEAD_LETTERS,
} from '../inbox-port.js';
import { DEFAULT_INBOX_MAX, type Member } from '../ports.js';
import type { MemoryCluster } from './cluster.js';
import type { MemoryNode } from './node.js';
import type { InboxPartition, ParkedDialog } from './store.js';

/** Few, as nothing is gained by more in one process; more than one, so that nodes share them. */
export const MEMORY_PARTITIONS = 8;

export const emptyPartition = (): InboxPartition => ({
  last: '',
  entries: [],
  counts: new Map(),
  dropped: new Map(),
  asleep: false,
  lease: undefined,
  parked: new Map(),
  letters: [],
});

const partitionOf = (dialogId: string): number => {
  let sum = 0;
  for (let index = 0; index < dialogId.length; index += 1) sum = (sum * 31 + dialogId.charCodeAt(index)) >>> 0;
  return sum % MEMORY_PARTITIONS;
};

export type InboxEvent =
  | { readonly kind: 'opened' }
  | { readonly kind: 'closed'; readonly reason: 'closed' | 'deleted' }
  | { readonly kind: 'user_connected' | 'user_disconnected'; readonly user: Member }
  /** `fields` as the JSON of the entry names them. */
  | { readonly kind: 'handoff'; readonly fields: Readonly<Record<string, unknown>> };

const fieldsOf = (event: InboxEvent): Readonly<Record<string, unknown>> => {
  switch (event.kind) {
    case 'opened':
      return {};
    case 'closed':
      return { reason: event.reason };
    case 'handoff':
      return event.fields;
    default:
      return { user: { role: event.user.role, id: event.user.id, name: event.user.name } };
  }
};

/** What the other ports append. */
export class MemoryInboxWriter {
  readonly #cluster: MemoryCluster;
  readonly #node: MemoryNode;

  constructor(cluster: MemoryCluster, node: MemoryNode) {
    this.#cluster = cluster;
    this.#node = node;
  }

  get #max(): number {
    return this.#node.options.inboxMax ?? DEFAULT_INBOX_MAX;
  }

  isFull(dialogId: string, assistantId: string): boolean {
    return (this.#partition(dialogId).counts.get(assistantId) ?? 0) >= this.#max;
  }

  message(dialogId: string, address: InboxAddress, epoch: string, frame: string): void {
    this.#append(dialogId, address, `"epoch":${JSON.stringify(epoch)},"message":${frame}`, 'message');
  }

  /** An event is never refused; at twice the bound it is dropped, and the next entry says how many were. */
  event(dialogId: string, address: InboxAddress | undefined, event: InboxEvent): void {
    if (address === undefined) return;
    const { counts, dropped } = this.#partition(dialogId);
    const { assistantId } = address;
    if ((counts.get(assistantId) ?? 0) >= EVENTS_BOUND_FACTOR * this.#max) {
      dropped.set(assistantId, (dropped.get(assistantId) ?? 0) + 1);
      return;
    }
    this.#append(dialogId, address, JSON.stringify(fieldsOf(event)).slice(1, -1), event.kind);
  }

  #partition(dialogId: string): InboxPartition {
    return this.#cluster.inboxPartition(partitionOf(dialogId));
  }

  #append(dialogId: string, { assistantId, tenant }: InboxAddress, more: string, kind: string): void {
    const partition = this.#partition(dialogId);
    const head = JSON.stringify({
      kind,
      assistant_id: assistantId,
      tenant,
      dialog_id: dialogId,
      time: this.#cluster.nowMs,
    });
    const dropped = partition.dropped.get(assistantId);
    partition.dropped.delete(assistantId);
    const parts = [head.slice(1, -1), more, dropped === undefined ? '' : `"dropped":${dropped}`];
    const body = `{${parts.filter((part) => part !== '').join(',')}}`;
    put(this.#cluster, partitionOf(dialogId), { assistantId, dialogId, body });
  }
}

const put = (cluster: MemoryCluster, number: number, entry: Omit<InboxEntry, 'id'>): void => {
  const partition = cluster.inboxPartition(number);
  const nowMs = Math.max(cluster.nowMs, partition.last === '' ? 0 : inboxTimeOf(partition.last));
  const isSameMs = partition.last !== '' && inboxTimeOf(partition.last) === nowMs;
  partition.last = `${nowMs}-${isSameMs ? Number(partition.last.split('-')[1]) + 1 : 0}`;
  partition.entries.push({ ...entry, id: partition.last });
  count(partition, entry.assistantId, 1);
  if (!partition.asleep) return;
  partition.asleep = false;
  cluster.wakeInbox(number);
};

const count = ({ counts }: InboxPartition, assistantId: string, change: number): void => {
  const now = (counts.get(assistantId) ?? 0) + change;
  if (now > 0) counts.set(assistantId, now);
  else counts.delete(assistantId);
};

const leaveStream = (partition: InboxPartition, id: string): InboxEntry | undefined => {
  const index = partition.entries.findIndex((entry) => entry.id === id);
  return index < 0 ? undefined : partition.entries.splice(index, 1)[0];
};

const compareLetters = (a: DeadLetter, b: DeadLetter): number =>
  b.diedMs - a.diedMs || (a.letterId < b.letterId ? -1 : a.letterId > b.letterId ? 1 : 0);

/** There are no consumer groups beside it: nobody outside of the process can read it. */
export class MemoryInbox implements Inbox {
  readonly partitions = MEMORY_PARTITIONS;
  readonly #cluster: MemoryCluster;
  readonly #node: MemoryNode;

  constructor(cluster: MemoryCluster, node: MemoryNode) {
    this.#cluster = cluster;
    this.#node = node;
  }

  watch(partitions: readonly number[], onWake: (partition: number) => void): void {
    this.#node.inboxWakes = new Map(partitions.map((partition) => [partition, () => onWake(partition)]));
  }

  async exchange(request: InboxExchange): Promise<InboxReply> {
    this.#cluster.enter(this.#node);
    const partition = this.#cluster.inboxPartition(request.partition);
    const { nowMs } = this.#cluster;
    const lease = partition.lease !== undefined && partition.lease.untilMs > nowMs ? partition.lease : undefined;
    let { token } = request;
    if (token !== undefined) {
      if (lease?.token !== token) return { status: 'lost' };
    } else {
      if (lease !== undefined) return { status: 'held', leftMs: lease.untilMs - nowMs };
      const nextDueMs = this.#nextDueMs(partition);
      if (partition.entries.length === 0 && nextDueMs !== 0) {
        partition.asleep = true;
        return { status: 'idle', standing: this.#standing(partition), nextDueMs };
      }
      token = `${this.#node.incarnation}:${nowMs}`;
    }
    partition.lease = { token, untilMs: nowMs + request.leaseTtlMs };
    for (const outcome of request.outcomes) this.#apply(request.partition, partition, outcome);
    return { status: 'served', token, ...this.#read(partition, request) };
  }

  async release(number: number, token: string): Promise<void> {
    this.#cluster.enter(this.#node);
    const partition = this.#cluster.inboxPartition(number);
    if (partition.lease?.token === token) partition.lease = undefined;
  }

  async deadLetters({ assistantId, after, limit }: DeadLetterQuery): Promise<readonly DeadLetter[]> {
    this.#cluster.enter(this.#node);
    const place = after === undefined ? undefined : ({ ...after } as DeadLetter);
    return this.#numbers
      .flatMap((number) => this.#cluster.inboxPartition(number).letters)
      .filter(({ diedMs }) => diedMs > this.#cluster.nowMs - DEAD_LETTER_TTL_MS)
      .filter((letter) => assistantId === undefined || letter.assistantId === assistantId)
      .filter((letter) => place === undefined || compareLetters(place, letter) < 0)
      .sort(compareLetters)
      .slice(0, limit);
  }

  async replay(letterId: string): Promise<boolean> {
    this.#cluster.enter(this.#node);
    const letter = this.#takeLetter(letterId);
    if (letter === undefined) return false;
    const { assistantId, dialogId, body, id, replayOf = id } = letter;
    put(this.#cluster, partitionOf(dialogId), { assistantId, dialogId, body, replayOf });
    return true;
  }

  async discard(letterId: string): Promise<boolean> {
    this.#cluster.enter(this.#node);
    return this.#takeLetter(letterId) !== undefined;
  }

  get #numbers(): number[] {
    return Array.from({ length: MEMORY_PARTITIONS }, (_, number) => number);
  }

  #takeLetter(letterId: string): DeadLetter | undefined {
    for (const number of this.#numbers) {
      const { letters } = this.#cluster.inboxPartition(number);
      const index = letters.findIndex((letter) => letter.letterId === letterId);
      if (index >= 0) return letters.splice(index, 1)[0];
    }
    return undefined;
  }

  #apply(number: number, partition: InboxPartition, outcome: InboxOutcome): void {
    const { id, dialogId, assistantId } = outcome.entry;
    switch (outcome.kind) {
      case 'read':
        return;
      case 'done':
        if (outcome.from === 'stream') {
          if (leaveStream(partition, id) !== undefined) count(partition, assistantId, -1);
        } else this.#shift(partition, dialogId, id);
        return;
      case 'dead': {
        const entry = this.#shift(partition, dialogId, id);
        if (entry === undefined) return;
        const { attempts, reason } = outcome;
        partition.letters.push({
          ...entry,
          letterId: `${number}-${id}`,
          attempts,
          reason,
          diedMs: this.#cluster.nowMs,
        });
        partition.letters.splice(0, partition.letters.length - MOST_DEAD_LETTERS);
        return;
      }
      case 'parked':
        this.#park(partition, outcome);
    }
  }

  #park(partition: InboxPartition, outcome: Extract<InboxOutcome, { kind: 'parked' }>): void {
    const { entry, attempts, dueInMs } = outcome;
    const { nowMs } = this.#cluster;
    let parked = partition.parked.get(entry.dialogId);
    if (outcome.from === 'stream') {
      const left = leaveStream(partition, entry.id);
      if (left === undefined) return;
      parked ??= { entries: [], attempts: 0, dueMs: nowMs };
      parked.entries.push(left);
      parked.entries.sort((a, b) => compareInboxIds(a.id, b.id));
      partition.parked.set(entry.dialogId, parked);
    }
    if (parked === undefined) return;
    if (attempts !== undefined) parked.attempts = attempts;
    if (dueInMs !== undefined) parked.dueMs = nowMs + dueInMs;
  }

  /** Takes the first parked entry of a dialog away where it is this one. */
  #shift(partition: InboxPartition, dialogId: string, id: string): InboxEntry | undefined {
    const parked: ParkedDialog | undefined = partition.parked.get(dialogId);
    if (parked?.entries[0]?.id !== id) return undefined;
    const entry = parked.entries.shift() as InboxEntry;
    count(partition, entry.assistantId, -1);
    parked.attempts = 0;
    parked.dueMs = this.#cluster.nowMs;
    if (parked.entries.length === 0) partition.parked.delete(dialogId);
    return entry;
  }

  #read(
    partition: InboxPartition,
    { after, limit, parkedLimit, claimMs }: InboxExchange,
  ): Omit<Extract<InboxReply, { status: 'served' }>, 'status' | 'token'> {
    const { nowMs } = this.#cluster;
    const rest = partition.entries.filter(({ id }) => after === '' || compareInboxIds(id, after) > 0);
    const page = rest.slice(0, limit);
    if (limit > 0 && rest.length === 0) partition.asleep = true;
    const due = [...partition.parked]
      .filter(([, { dueMs }]) => dueMs <= nowMs)
      .sort(([, a], [, b]) => a.dueMs - b.dueMs)
      .slice(0, parkedLimit);
    for (const [, dialog] of due) dialog.dueMs = nowMs + claimMs;
    return {
      standing: this.#standing(partition),
      entries: page.map((entry) => ({ ...entry, isBehind: partition.parked.has(entry.dialogId) })),
      after: page.at(-1)?.id ?? after,
      more: rest.length > page.length && limit > 0,
      parked: due.map(([, { entries, attempts }]) => ({ ...(entries[0] as InboxEntry), attempts })),
      nextDueMs: this.#nextDueMs(partition),
      read: [],
    };
  }

  #nextDueMs(partition: InboxPartition): number | undefined {
    const dues = [...partition.parked.values()].map(({ dueMs }) => dueMs);
    return dues.length === 0 ? undefined : Math.max(0, Math.min(...dues) - this.#cluster.nowMs);
  }

  #standing({ entries, parked, counts, letters }: InboxPartition): InboxStanding {
    const firsts = [entries[0], ...[...parked.values()].map((dialog) => dialog.entries[0])];
    const times = firsts.flatMap((entry) => (entry === undefined ? [] : inboxTimeOf(entry.id)));
    const max = this.#node.options.inboxMax ?? DEFAULT_INBOX_MAX;
    return {
      entries: [...counts.values()].reduce((sum, one) => sum + one, 0),
      parkedDialogs: parked.size,
      deadLetters: letters.length,
      oldestMs: times.length === 0 ? 0 : Math.max(0, this.#cluster.nowMs - Math.min(...times)),
      full: [...counts].flatMap(([assistantId, waiting]) => (waiting >= max ? [assistantId] : [])),
    };
  }
}
