import { ERROR_CODES, type ErrorName, type Sender } from '@replyx/protocol';
import type { CommandIo } from '../commands/command.js';
import { type ApiAnswer, callInternal } from './internal-api.js';
import { printable } from './printable.js';
import { type Outgoing, RETRY_MS, type SendResult } from './socket-sender.js';

export interface BackendSending extends Outgoing {
  readonly sender: Sender;
  /** Internal addresses of nodes, tried in turn. */
  readonly addresses: readonly string[];
  readonly key: string;
}

const CALL_MS = 10_000;
/** A try with less time left could only say that it was cut, and hide why the ones before it failed. */
const MIN_TRY_MS = 50;

/** An answer that is no acknowledgement: in words, whether it passes, and after how long. */
const obstacleOf = (answer: ApiAnswer): { why: string; passes: boolean; waitMs: number } => {
  if (answer.status === 'unreachable') return { why: answer.why, passes: true, waitMs: RETRY_MS };
  const { code, detail, title, temporary, retry_after_ms: wait } = answer.body;
  const known = typeof code === 'string' && Object.hasOwn(ERROR_CODES, code);
  const words = typeof detail === 'string' ? detail : typeof title === 'string' ? title : '';
  return {
    why: known ? printable(`${code}: ${words || ERROR_CODES[code as ErrorName].means}`) : `HTTP ${answer.http}`,
    passes: temporary === true || (!known && answer.http >= 500),
    waitMs: typeof wait === 'number' && wait >= 0 ? wait : RETRY_MS,
  };
};

/** Publishes through the internal listener, again until the answer comes or the time is over. */
export const sendAsBackend = async (
  { dialogId, id, text, track, timeoutMs, sender, addresses, key }: BackendSending,
  io: Pick<CommandIo, 'clock' | 'fetch'>,
): Promise<SendResult> => {
  const { clock } = io;
  const endsAtMs = clock.monotonicMs() + timeoutMs;
  const leftMs = (): number => endsAtMs - clock.monotonicMs();
  let obstacle = 'no node answered';
  let mayBeStored = false;
  for (let turn = 0; turn === 0 || leftMs() >= MIN_TRY_MS; turn += 1) {
    const address = addresses[turn % addresses.length] as string;
    const answer = await callInternal(io, address, {
      method: 'POST',
      path: `/v1/dialogs/${dialogId}/messages`,
      key,
      body: { id, sender, text, track },
      deadlineMs: Math.min(CALL_MS, leftMs()),
    });
    if (answer.status === 'answered' && answer.http === 201 && typeof answer.body['offset'] === 'number') {
      return { status: 'acknowledged', offset: answer.body['offset'], duplicate: answer.body['duplicate'] === true };
    }
    const { why, passes, waitMs } = obstacleOf(answer);
    obstacle = `${address}: ${why}`;
    mayBeStored ||= answer.status === 'answered' ? answer.http >= 500 : !answer.neverSent;
    if (!passes) return { status: 'refused', why: obstacle };
    await new Promise<void>((resolve) => clock.schedule(Math.max(0, Math.min(waitMs, leftMs())), resolve));
  }
  return { status: 'timeout', why: obstacle, mayBeStored };
};
