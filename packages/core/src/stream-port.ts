import type { StreamEnd } from '@replyx/protocol';

/** An assistant. */
export interface StreamSender {
  readonly id: string;
  readonly name?: string | undefined;
}

export interface StreamRef {
  readonly dialogId: string;
  /** Unique in the dialog; the id of the message that the answer becomes. */
  readonly streamId: string;
}

export interface StreamStart extends StreamRef {
  readonly sender: StreamSender;
  /** Held against the dialog's fence by every further step. */
  readonly fence?: number | undefined;
  /** True where a dialog without a directory record is refused with `not_found`. */
  readonly mustExist: boolean;
}

export interface StreamPiece extends StreamRef {
  /** Dense from 0. */
  readonly index: number;
  readonly text: string;
}

/** It is over, and how; it had its last delta. `finishing`: its message is not yet known to be appended. */
export interface StreamOver {
  readonly status: 'over';
  readonly how: StreamEnd | 'finishing';
}

export type StreamStartResult =
  /** `next`: the index of the next piece. */
  | { readonly status: 'open'; readonly next: number; readonly duplicate: boolean }
  | StreamOver
  /** `conflict`: the id is another sender's. */
  | { readonly status: 'conflict' | 'stale_fence' | 'closed' | 'not_found' }
  /** As many are open as may be. */
  | { readonly status: 'full'; readonly retryAfterMs: number };

export type StreamAppendResult =
  /** `duplicate`: the last piece again. */
  | { readonly status: 'open'; readonly next: number; readonly duplicate: boolean }
  | StreamOver
  /** `conflict`: another index than the next, or the last one with another text. `too_large`: the text would be too long. */
  | { readonly status: 'conflict' | 'too_large' | 'not_found' };

export type StreamFinishResult =
  /** Nothing is written to it any more. `text`: all of it. Publish it, then `settle`. Given again until it is settled. */
  | {
      readonly status: 'finishing';
      readonly sender: StreamSender;
      readonly fence: number | undefined;
      readonly text: string;
    }
  | { readonly status: 'finished'; readonly epoch: string; readonly offset: number }
  | StreamOver
  /** `conflict`: it has no text. */
  | { readonly status: 'conflict' | 'not_found' };

export type StreamAbortResult =
  | { readonly status: 'aborted'; readonly duplicate: boolean }
  | StreamOver
  | { readonly status: 'not_found' };

/** What came of publishing a finished answer. */
export type StreamOutcome =
  | { readonly status: 'published'; readonly epoch: string; readonly offset: number }
  | { readonly status: 'refused'; readonly how: 'stale_fence' | 'closed' | 'aborted' };

export interface OpenStream {
  readonly streamId: string;
  /** Index of the last piece. */
  readonly index: number;
  /** All pieces up to it. */
  readonly text: string;
}

/**
 * Answers while they are written. Each step is atomic and told to the dialog's nodes in it, so any node may take any step: pieces in
 * order, then exactly one last delta. A stream that is not written on for `BOUNDS.streamIdleMs` is over; whoever looks next ends it.
 * What has ended is remembered for `STREAM_MEMORY_MS`, up to a bound.
 */
export interface Streams {
  start(request: StreamStart): Promise<StreamStartResult>;
  append(piece: StreamPiece): Promise<StreamAppendResult>;
  /** `hasText`: the caller brings the text, so none need be there. */
  finish(ref: StreamRef, hasText: boolean): Promise<StreamFinishResult>;
  settle(ref: StreamRef, outcome: StreamOutcome): Promise<void>;
  abort(ref: StreamRef): Promise<StreamAbortResult>;
  /** What is open and has a piece; ends what is idle. */
  open(dialogId: string): Promise<readonly OpenStream[]>;
}

export const STREAM_MEMORY_MS = 600_000;
/** Ended streams of one dialog that are remembered at least. */
export const REMEMBERED_STREAMS = 32;
