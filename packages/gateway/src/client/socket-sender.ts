import type { AckFrame, ErrorFrame, Track } from '@replyx/protocol';
import type { CommandIo } from '../commands/command.js';
import type { Credential } from './credential.js';
import { DialogClient } from './dialog-client.js';
import { printable } from './printable.js';
import { endingWords } from './reconnect.js';

/** One message on its way. */
export interface Outgoing {
  readonly dialogId: string;
  /** Stays the same however often it is sent: the gateway makes one message of it. */
  readonly id: string;
  readonly text: string;
  readonly track: Track;
  readonly timeoutMs: number;
}

export type SendResult =
  | { readonly status: 'acknowledged'; readonly offset: number; readonly duplicate: boolean }
  /** For a reason that does not pass. */
  | { readonly status: 'refused'; readonly why: string }
  /** `why`: what stood in the way last. `mayBeStored`: it was sent, and its answer was lost. */
  | { readonly status: 'timeout'; readonly why: string; readonly mayBeStored: boolean };

/** Wait before a refused frame is sent again where the refusal names none. */
export const RETRY_MS = 500;

export interface SocketSending extends Outgoing {
  readonly urls: readonly string[];
  readonly credential: Credential;
}

/** Sends over a socket, again on every new link, until the answer comes or the time is over. */
export const sendOnSocket = async (
  { dialogId, id, text, track, timeoutMs, urls, credential }: SocketSending,
  { clock, random }: Pick<CommandIo, 'clock' | 'random'>,
): Promise<SendResult> => {
  let result: SendResult | undefined;
  let obstacle = 'no node answered';
  let mayBeStored = false;
  let cancelRetry = (): void => {};

  const send = (): void => {
    mayBeStored = true;
    obstacle = 'no acknowledgement came';
    client.send({ type: track === 'internal' ? 'note' : 'message', id, text });
  };
  const settle = (settled: SendResult): void => {
    result = settled;
    client.stop();
  };
  const answered = (answer: AckFrame | ErrorFrame): void => {
    // One frame is under way, so an error that names no frame is about it.
    if (answer.id !== undefined && answer.id !== id) return;
    if (answer.type === 'ack') {
      settle({ status: 'acknowledged', offset: answer.offset ?? 0, duplicate: answer.duplicate === true });
      return;
    }
    const why = printable(`${answer.code}: ${answer.message}`);
    if (!answer.temporary) {
      settle({ status: 'refused', why });
      return;
    }
    obstacle = why;
    cancelRetry();
    cancelRetry = clock.schedule(answer.retry_after_ms ?? RETRY_MS, send);
  };

  const client = new DialogClient({
    urls,
    dialogId,
    credential,
    tracks: [],
    failFast: false,
    clock,
    random,
    onConnected: send,
    onAnswer: answered,
    onLost: (ending, url) => {
      cancelRetry();
      obstacle = `${url}: ${endingWords(ending)}`;
    },
  });
  const cancelDeadline = clock.schedule(timeoutMs, () => client.stop());
  const outcome = await client.run();
  cancelDeadline();
  cancelRetry();
  if (result !== undefined) return result;
  if (outcome.status === 'refused') return { status: 'refused', why: `${outcome.url}: ${endingWords(outcome.ending)}` };
  return { status: 'timeout', why: obstacle, mayBeStored };
};
