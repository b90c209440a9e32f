import type { JsonObject } from '@replyx/protocol';
import { BackplaneUnavailable, type PublishResult } from './ports.js';
import type { Publication } from './publisher.js';
import type { StreamFinishResult, StreamOutcome, StreamRef, Streams } from './stream-port.js';

export type FinishedStream =
  | { readonly status: 'published'; readonly epoch: string; readonly offset: number; readonly duplicate: boolean }
  | Exclude<StreamFinishResult, { readonly status: 'finishing' | 'finished' }>
  | { readonly status: Exclude<PublishResult['status'], 'appended' | 'duplicate'> };

export interface StreamWriterParts {
  readonly streams: Streams;
  readonly append: (publication: Omit<Publication, 'known'>) => Promise<PublishResult>;
}

const refusalOf = ({ status }: PublishResult): 'stale_fence' | 'closed' | 'aborted' =>
  status === 'stale_fence' || status === 'closed' ? status : 'aborted';

/**
 * Ends a stream with its message, whose id is the stream's. The stream has its last delta first; then the message is published by
 * the rules of every message, so a person who takes the dialog in between stops it. Repeat it where it rejects: what is done
 * already is not done again.
 */
export const finishStream = async (
  { streams, append }: StreamWriterParts,
  ref: StreamRef,
  given: { readonly text?: string | undefined; readonly meta?: JsonObject | undefined },
): Promise<FinishedStream> => {
  const finish = await streams.finish(ref, given.text !== undefined);
  if (finish.status === 'finished') {
    return { status: 'published', epoch: finish.epoch, offset: finish.offset, duplicate: true };
  }
  if (finish.status !== 'finishing') return finish;
  const { sender, fence, text } = finish;
  const result = await append({
    dialogId: ref.dialogId,
    track: 'main',
    scope: { role: 'assistant', id: sender.id },
    sender: { role: 'assistant', ...sender },
    content: { id: ref.streamId, text: given.text ?? text, meta: given.meta },
    fence,
    window: { limit: 0, windowMs: 1 },
    mustExist: false,
  });
  // A stream that stays unsettled costs a retry its shortcut, nothing else.
  const settle = (outcome: StreamOutcome) =>
    streams.settle(ref, outcome).catch((error: unknown) => {
      if (!(error instanceof BackplaneUnavailable)) throw error;
    });
  if (result.status !== 'appended' && result.status !== 'duplicate') {
    await settle({ status: 'refused', how: refusalOf(result) });
    return { status: result.status };
  }
  const { epoch, offset, status } = result;
  await settle({ status: 'published', epoch, offset });
  return { status: 'published', epoch, offset, duplicate: status === 'duplicate' };
};
