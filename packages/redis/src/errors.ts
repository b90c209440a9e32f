import { BackplaneUnavailable } from '@replyx/core';

/** The Redis that answers can't carry the gateway, now or later; the message says why in one line. */
export class BackplaneUnsupported extends Error {
  override readonly name = 'BackplaneUnsupported';
}

/** Replies by which Redis says that it can't serve now, or not so. */
const TEMPORARY =
  /^(?:CROSSSLOT|READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|MOVED|ASK|TRYAGAIN|BUSY|OOM|MISCONF|NOREPLICAS|NOAUTH|WRONGPASS|NOPERM|UNBLOCKED|ERR max number of clients)\b/;

/** Replies of a server that is no master any more. */
const DEMOTED = /^(?:READONLY|MASTERDOWN)\b/;

/** Replies of a cluster node that does not serve the slot, or not yet, or not any more. */
const MISPLACED = /^(?:MOVED|ASK|CLUSTERDOWN|TRYAGAIN)\b/;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const isReply = (error: unknown): boolean => error instanceof Error && error.name === 'ReplyError';

/** Whether Redis itself answered, so the connection works. */
export const isAnswer = isReply;

export const isDeadline = (error: unknown): boolean => messageOf(error) === 'Command timed out';

export const isDemoted = (error: unknown): boolean => isReply(error) && DEMOTED.test(messageOf(error));

export const isMisplaced = (error: unknown): boolean => isReply(error) && MISPLACED.test(messageOf(error));

/** A sharded database behind one address, which says of itself that it is none. */
export const isCrossSlot = (error: unknown): boolean => isReply(error) && messageOf(error).startsWith('CROSSSLOT');

export const isMissingScript = (error: unknown): boolean => isReply(error) && messageOf(error).startsWith('NOSCRIPT');

/**
 * What a caller of the port sees: `BackplaneUnavailable` for an outage, the error itself for a bug (a script that fails, a key
 * of the wrong type).
 */
export const outage = (error: unknown): Error => {
  if (error instanceof BackplaneUnavailable || error instanceof BackplaneUnsupported) return error;
  const message = messageOf(error);
  if (isReply(error) && !TEMPORARY.test(message)) return error as Error;
  return new BackplaneUnavailable(`Redis: ${message}`);
};
