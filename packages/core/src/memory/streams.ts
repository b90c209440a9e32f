import { BOUNDS, type StreamEnd } from '@replyx/protocol';
import { encodeFrame } from '../frame-text.js';
import { isStaleWrite } from '../handoff-rule.js';
import {
  type OpenStream,
  REMEMBERED_STREAMS,
  type StreamAbortResult,
  type StreamAppendResult,
  type StreamFinishResult,
  type StreamOutcome,
  type StreamPiece,
  type StreamRef,
  type StreamStart,
  type StreamStartResult,
  type Streams,
} from '../stream-port.js';
import type { MemoryCluster } from './cluster.js';
import type { MemoryNode } from './node.js';
import type { Dialog, KeptStream } from './store.js';

const tell = (cluster: MemoryCluster, dialogId: string, streamId: string, index: number, frame: object): void => {
  const bytes = new TextEncoder().encode(
    encodeFrame({ type: 'delta', stream_id: streamId, index, text: '', ...frame } as never),
  );
  const done = 'done' in frame;
  cluster.send({ dialogId, track: 'main' }, { kind: 'delta', dialogId, streamId, index, done, frame: bytes });
};

/** `lib/streams.lua` says the same. */
export const endStream = (
  cluster: MemoryCluster,
  dialogId: string,
  streamId: string,
  stream: KeptStream,
  how: StreamEnd | 'finishing',
): void => {
  if (stream.state === 'open') {
    const reason = how === 'finishing' ? 'finished' : how;
    tell(cluster, dialogId, streamId, stream.pieces.length, { done: true, reason });
  }
  stream.state = how;
  stream.touchedMs = cluster.nowMs;
  if (how !== 'finishing') stream.pieces = [];
};

const unitsOf = ({ pieces }: KeptStream): number => pieces.reduce((sum, piece) => sum + piece.length, 0);

export class MemoryStreams implements Streams {
  readonly #cluster: MemoryCluster;
  readonly #node: MemoryNode;

  constructor(cluster: MemoryCluster, node: MemoryNode) {
    this.#cluster = cluster;
    this.#node = node;
  }

  async start({ dialogId, streamId, sender, fence, mustExist }: StreamStart): Promise<StreamStartResult> {
    this.#cluster.enter(this.#node);
    const { nowMs } = this.#cluster;
    const known = this.#cluster.dialog(dialogId);
    if (mustExist && known?.meta?.tenant === undefined) return { status: 'not_found' };
    const earlier = known?.streams.get(streamId);
    if (earlier !== undefined) {
      if (earlier.sender.id !== sender.id) return { status: 'conflict' };
      this.#endIfIdle(dialogId, streamId, earlier);
      if (earlier.state !== 'open') return { status: 'over', how: earlier.state };
      return { status: 'open', next: earlier.pieces.length, duplicate: true };
    }
    if (known?.meta?.closed === true) return { status: 'closed' };
    if (known?.meta !== undefined && isStaleWrite(known.meta, 'assistant', fence)) return { status: 'stale_fence' };
    const dialog = known ?? this.#cluster.ensureDialog(dialogId);
    const retryAfterMs = this.#makeRoom(dialogId, dialog);
    if (retryAfterMs > 0) return { status: 'full', retryAfterMs };
    if (fence !== undefined) {
      const meta = this.#cluster.ensureMeta(dialog);
      meta.fence = Math.max(meta.fence ?? 0, fence);
    }
    dialog.streams.set(streamId, { state: 'open', sender: { ...sender }, fence, pieces: [], touchedMs: nowMs });
    return { status: 'open', next: 0, duplicate: false };
  }

  async append({ dialogId, streamId, index, text }: StreamPiece): Promise<StreamAppendResult> {
    const found = this.#find(dialogId, streamId);
    if (found === undefined) return { status: 'not_found' };
    const { stream, dialog } = found;
    this.#endIfOver(dialogId, streamId, dialog, stream);
    if (stream.state !== 'open') return { status: 'over', how: stream.state };
    const next = stream.pieces.length;
    if (index === next - 1 && stream.pieces[index] === text) return { status: 'open', next, duplicate: true };
    if (index !== next) return { status: 'conflict' };
    if (unitsOf(stream) + text.length > BOUNDS.textUnits) return { status: 'too_large' };
    stream.pieces.push(text);
    stream.touchedMs = this.#cluster.nowMs;
    tell(this.#cluster, dialogId, streamId, index, { text });
    return { status: 'open', next: next + 1, duplicate: false };
  }

  async finish({ dialogId, streamId }: StreamRef, hasText: boolean): Promise<StreamFinishResult> {
    const found = this.#find(dialogId, streamId);
    if (found === undefined) return { status: 'not_found' };
    const { stream, dialog } = found;
    if (stream.state === 'finished' && stream.position !== undefined) return { status: 'finished', ...stream.position };
    this.#endIfOver(dialogId, streamId, dialog, stream);
    if (stream.state !== 'open' && stream.state !== 'finishing') return { status: 'over', how: stream.state };
    if (stream.pieces.length === 0 && !hasText) return { status: 'conflict' };
    endStream(this.#cluster, dialogId, streamId, stream, 'finishing');
    return { status: 'finishing', sender: stream.sender, fence: stream.fence, text: stream.pieces.join('') };
  }

  async settle({ dialogId, streamId }: StreamRef, outcome: StreamOutcome): Promise<void> {
    const stream = this.#find(dialogId, streamId)?.stream;
    if (stream?.state !== 'finishing') return;
    if (outcome.status === 'published') stream.position = { epoch: outcome.epoch, offset: outcome.offset };
    endStream(this.#cluster, dialogId, streamId, stream, outcome.status === 'published' ? 'finished' : outcome.how);
  }

  async abort({ dialogId, streamId }: StreamRef): Promise<StreamAbortResult> {
    const stream = this.#find(dialogId, streamId)?.stream;
    if (stream === undefined) return { status: 'not_found' };
    if (stream.state === 'open') {
      endStream(this.#cluster, dialogId, streamId, stream, 'aborted');
      return { status: 'aborted', duplicate: false };
    }
    return stream.state === 'aborted' ? { status: 'aborted', duplicate: true } : { status: 'over', how: stream.state };
  }

  async open(dialogId: string): Promise<readonly OpenStream[]> {
    this.#cluster.enter(this.#node);
    const open: OpenStream[] = [];
    for (const [streamId, stream] of this.#cluster.dialog(dialogId)?.streams ?? []) {
      this.#endIfIdle(dialogId, streamId, stream);
      const { state, pieces } = stream;
      if (state === 'open' && pieces.length > 0)
        open.push({ streamId, index: pieces.length - 1, text: pieces.join('') });
    }
    return open;
  }

  get #idleMs(): number {
    return this.#node.options.streamIdleMs ?? BOUNDS.streamIdleMs;
  }

  #find(dialogId: string, streamId: string): { dialog: Dialog; stream: KeptStream } | undefined {
    this.#cluster.enter(this.#node);
    const dialog = this.#cluster.dialog(dialogId);
    const stream = dialog?.streams.get(streamId);
    return dialog === undefined || stream === undefined ? undefined : { dialog, stream };
  }

  #endIfIdle(dialogId: string, streamId: string, stream: KeptStream): void {
    const isLive = stream.state === 'open' || stream.state === 'finishing';
    if (isLive && this.#cluster.nowMs - stream.touchedMs > this.#idleMs)
      endStream(this.#cluster, dialogId, streamId, stream, 'expired');
  }

  /** For a stream that is to be written: ends it where nobody went on, or its writer's turn is over, or the dialog. */
  #endIfOver(dialogId: string, streamId: string, { meta }: Dialog, stream: KeptStream): void {
    if (stream.state === 'open') this.#endIfIdle(dialogId, streamId, stream);
    if (stream.state !== 'open' || meta === undefined) return;
    if (meta.closed) endStream(this.#cluster, dialogId, streamId, stream, 'closed');
    else if (isStaleWrite(meta, 'assistant', stream.fence))
      endStream(this.#cluster, dialogId, streamId, stream, 'stale_fence');
  }

  /** 0, or for how long there may be no room for another. */
  #makeRoom(dialogId: string, dialog: Dialog): number {
    const { nowMs } = this.#cluster;
    for (const [streamId, stream] of dialog.streams) this.#endIfIdle(dialogId, streamId, stream);
    const byAge = [...dialog.streams].sort(([, a], [, b]) => a.touchedMs - b.touchedMs);
    const open = byAge.filter(([, { state }]) => state === 'open');
    const oldest = open[0]?.[1].touchedMs ?? nowMs;
    if (open.length >= BOUNDS.openStreams) return Math.max(1, this.#idleMs + 1 - (nowMs - oldest));
    const finishing = byAge.filter(([, { state }]) => state === 'finishing');
    const [given] = finishing;
    // As in the store with a fixed number of texts: of those that were finished and not settled the oldest gives way.
    if (given !== undefined && open.length + finishing.length >= BOUNDS.openStreams)
      endStream(this.#cluster, dialogId, given[0], given[1], 'expired');
    const ended = byAge.filter(([, { state }]) => state !== 'open' && state !== 'finishing');
    for (const [streamId] of ended.slice(0, Math.max(0, ended.length - REMEMBERED_STREAMS)))
      dialog.streams.delete(streamId);
    return 0;
  }
}
