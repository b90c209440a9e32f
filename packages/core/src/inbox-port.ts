/**
 * The inbox: what visitors write, and what happens to their dialogs, waiting for the backends of assistants that have one. Entries
 * are appended by the scripts that cause them, atomically with their cause (`PublishRequest.inbox`, `RegisterRequest.inbox`, the
 * directory's last arguments). This port is for those who deliver.
 *
 * Dialogs are spread over partitions. One node at a time serves a partition: it holds a lease in it, and every step that it takes
 * is checked against that lease where it is written.
 */

/** Whose inbox an entry goes to. */
export interface InboxAddress {
  readonly tenant: string;
  readonly assistantId: string;
}

export interface InboxEntry {
  /** Its place in the partition, `<ms>-<n>`: grows, so that in one dialog the greater id is the later entry. */
  readonly id: string;
  readonly assistantId: string;
  readonly dialogId: string;
  /** One JSON object with `kind`, `assistant_id`, `tenant`, `dialog_id`, `time`, and what belongs to the kind. */
  readonly body: string;
  /** The dead letter that this is another attempt of. */
  readonly replayOf?: string | undefined;
}

export interface WaitingEntry extends InboxEntry {
  /** Earlier entries of its dialog are parked: it has to go behind them. */
  readonly isBehind: boolean;
}

export interface ParkedEntry extends InboxEntry {
  /** Attempts that have failed. */
  readonly attempts: number;
}

/**
 * Why an attempt failed. `refused`: the backend answered otherwise than with 2xx; `forbidden`: its address is not one that may be
 * connected to.
 */
export type FailedDelivery = 'refused' | 'timeout' | 'unreachable' | 'forbidden';

/** What became of an entry. All are idempotent: one that was applied already changes nothing. */
export type InboxOutcome =
  /** Delivered, or nobody's any more. */
  | { readonly kind: 'done'; readonly from: 'stream' | 'parked'; readonly entry: InboxEntry }
  /** Put in its dialog's own list, or left there: the dialog is due again after `dueInMs`. */
  | {
      readonly kind: 'parked';
      readonly from: 'stream' | 'parked';
      readonly entry: InboxEntry;
      /** Of the dialog's first entry; `undefined` leaves what is known of it. */
      readonly attempts?: number | undefined;
      /** `undefined` leaves a dialog's time where it has one, and is now where it has none. */
      readonly dueInMs?: number | undefined;
    }
  /** Given up: the first of its dialog's list becomes a dead letter. */
  | { readonly kind: 'dead'; readonly entry: InboxEntry; readonly attempts: number; readonly reason: FailedDelivery }
  /** Read by every consumer group, and waiting for nobody else. */
  | { readonly kind: 'read'; readonly entry: Pick<InboxEntry, 'id' | 'assistantId' | 'dialogId'> };

export interface InboxExchange {
  readonly partition: number;
  /** The lease that is held; absent: take it if anything waits. */
  readonly token?: string | undefined;
  readonly leaseTtlMs: number;
  /** Applied in order, before anything is read. Only with a token. */
  readonly outcomes: readonly InboxOutcome[];
  /** Waiting entries after this id, oldest first; '' from the start. */
  readonly after: string;
  readonly limit: number;
  /** Parked dialogs that are due, each by its first entry; a dialog that is given is not due again for `claimMs`. */
  readonly parkedLimit: number;
  readonly claimMs: number;
  /** Entries after this id that every consumer group has acknowledged; `undefined`: not asked for. */
  readonly readAfter?: string | undefined;
}

/** Numbers of one partition. */
export interface InboxStanding {
  /** Entries that are not acknowledged, parked ones included. */
  readonly entries: number;
  readonly parkedDialogs: number;
  readonly deadLetters: number;
  /** Age of the oldest entry that is not acknowledged, in milliseconds; 0 where there is none. */
  readonly oldestMs: number;
  /** Assistants that have as many entries as they may: their visitors' messages are refused. */
  readonly full: readonly string[];
}

export type InboxReply =
  /** The lease is another's, or has run out: nothing was applied. */
  | { readonly status: 'lost' }
  /** Another node serves the partition for so long at least, if it is not renewed. */
  | { readonly status: 'held'; readonly leftMs: number }
  /** Nothing waits, and no lease was taken. */
  | { readonly status: 'idle'; readonly standing: InboxStanding; readonly nextDueMs: number | undefined }
  | {
      readonly status: 'served';
      readonly token: string;
      readonly standing: InboxStanding;
      readonly entries: readonly WaitingEntry[];
      /** Where to read on from. */
      readonly after: string;
      readonly more: boolean;
      readonly parked: readonly ParkedEntry[];
      /** Milliseconds until the next parked dialog is due. */
      readonly nextDueMs: number | undefined;
      /** `isServed`: it was delivered already, and stayed for the consumer groups alone. */
      readonly read: readonly (Pick<InboxEntry, 'id' | 'assistantId' | 'dialogId'> & { readonly isServed: boolean })[];
    };

export interface DeadLetter extends InboxEntry {
  /** `<partition>-<entry id>`; for `replay` and `discard`. */
  readonly letterId: string;
  readonly attempts: number;
  /** Of the last attempt. */
  readonly reason: FailedDelivery;
  readonly diedMs: number;
}

export interface DeadLetterQuery {
  readonly assistantId?: string | undefined;
  /** Those after this one in the order of the list. */
  readonly after?: { readonly diedMs: number; readonly letterId: string } | undefined;
  readonly limit: number;
}

export interface Inbox {
  readonly partitions: number;
  /** Calls `onWake` when something comes into one of exactly these partitions while it is idle. Best effort: look all the same. */
  watch(partitions: readonly number[], onWake: (partition: number) => void): void;
  /** Applies outcomes and reads what waits, in one atomic step. */
  exchange(request: InboxExchange): Promise<InboxReply>;
  /** Gives the lease back. Idempotent. */
  release(partition: number, token: string): Promise<void>;
  /** The newest first, then by letter id. */
  deadLetters(query: DeadLetterQuery): Promise<readonly DeadLetter[]>;
  /** Puts a dead letter behind what waits, as a new entry that counts like any other. Resolves whether it was there. */
  replay(letterId: string): Promise<boolean>;
  /** Resolves whether it was there. */
  discard(letterId: string): Promise<boolean>;
}

/** Dead letters of one partition that are kept, and for how long: the oldest go first. */
export const MOST_DEAD_LETTERS = 1_000;
export const DEAD_LETTER_TTL_MS = 7 * 86_400_000;

/** Events are refused never, and dropped from so many times the bound; the next entry of the assistant says how many. */
export const EVENTS_BOUND_FACTOR = 2;

/** Milliseconds since 1970 at which an entry was made, by its id. */
export const inboxTimeOf = (id: string): number => Number(id.slice(0, id.indexOf('-')));

/** The order of entries. */
export const compareInboxIds = (a: string, b: string): number => {
  const [aMs = '', aNumber = ''] = a.split('-');
  const [bMs = '', bNumber = ''] = b.split('-');
  return Number(aMs) - Number(bMs) || Number(aNumber) - Number(bNumber);
};
