import type { DeadLetter, FailedDelivery, InboxReply, InboxStanding, ParkedEntry, WaitingEntry } from '@replyx/core';

/** Replies of the inbox's scripts. What they are made of says `inbox-exchange.lua`. */

const textOf = (value: unknown): string => (Buffer.isBuffer(value) ? value.toString('utf8') : String(value));

const rowsOf = (flat: unknown, width: number): string[][] => {
  const values = flat as unknown[];
  const rows: string[][] = [];
  for (let start = 0; start + width <= values.length; start += width) {
    rows.push(values.slice(start, start + width).map(textOf));
  }
  return rows;
};

const standingOf = (flat: unknown): InboxStanding => {
  const [entries, parkedDialogs, deadLetters, oldestMs, ...full] = (flat as unknown[]).map(textOf);
  return {
    entries: Number(entries),
    parkedDialogs: Number(parkedDialogs),
    deadLetters: Number(deadLetters),
    oldestMs: Number(oldestMs),
    full,
  };
};

const dueOf = (value: unknown): number | undefined => (Number(value) < 0 ? undefined : Number(value));

const entryOf = ([id = '', assistantId = '', dialogId = '', body = '', replayOf = '']: readonly string[]) => ({
  id,
  assistantId,
  dialogId,
  body,
  ...(replayOf === '' ? {} : { replayOf }),
});

export const decodeReply = (reply: readonly unknown[]): InboxReply => {
  switch (textOf(reply[0])) {
    case 'held':
      return { status: 'held', leftMs: Math.max(0, Number(reply[1])) };
    case 'idle':
      return { status: 'idle', nextDueMs: dueOf(reply[1]), standing: standingOf(reply[2]) };
    case 'served': {
      const [, token, after, more, nextDue, standing, waiting, parked, read] = reply;
      return {
        status: 'served',
        token: textOf(token),
        after: textOf(after),
        more: textOf(more) === '1',
        nextDueMs: dueOf(nextDue),
        standing: standingOf(standing),
        entries: rowsOf(waiting, 6).map((row): WaitingEntry => ({ ...entryOf(row), isBehind: row[5] === '1' })),
        parked: rowsOf(parked, 6).map((row): ParkedEntry => ({ ...entryOf(row), attempts: Number(row[5]) })),
        read: rowsOf(read, 4).map(([id = '', assistantId = '', dialogId = '', served]) => ({
          id,
          assistantId,
          dialogId,
          isServed: served === '1',
        })),
      };
    }
    default:
      return { status: 'lost' };
  }
};

const LETTER = /^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([\s\S]*)$/;

export const decodeLetter = (partition: number, id: string, letter: string): DeadLetter => {
  const [, assistantId = '', dialogId = '', attempts, reason = '', diedMs, replayOf = '', body = ''] =
    LETTER.exec(letter) ?? [];
  return {
    letterId: `${partition}-${id}`,
    id,
    assistantId,
    dialogId,
    body,
    ...(replayOf === '' ? {} : { replayOf }),
    attempts: Number(attempts),
    reason: reason as FailedDelivery,
    diedMs: Number(diedMs),
  };
};
