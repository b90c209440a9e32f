import { BOUNDS } from '@replyx/protocol';
import { encodeFrame } from './frame-text.js';
import type { Delivery } from './ports.js';
import type { OpenStream } from './stream-port.js';

export type DeltaDelivery = Extract<Delivery, { kind: 'delta' }>;

/** Who is given the pieces of drafts; a session. */
export interface DraftReader {
  readonly isJoined: boolean;
  readonly outbox: { readonly isBehind: boolean };
  write(frame: string | Uint8Array): void;
}

/** The end of a stream whose last delta was not heard. */
export interface LateEnd<R> {
  readonly frame: string;
  /** Those who have a part of it. */
  readonly readers: readonly R[];
}

/** More are not kept: of those open at once, and those whose end was not heard. */
const MAX_DRAFTS = 4 * BOUNDS.openStreams;
const REMEMBERED_ENDS = 32;
/** A draft that the store does not have is over, when its last delta has not come after so long. */
const MISSING_MS = 5_000;
/** Past the store's own bound, by which it has ended. */
const IDLE_MS = BOUNDS.streamIdleMs + 2_000;

/** One answer that is being written, as far as this node has it. */
class Draft<R extends DraftReader> {
  readonly streamId: string;
  /** The pieces up to this one are in `text`. */
  index = -1;
  text = '';
  /** Pieces beyond a gap. Bounded by the stream's own bound. */
  readonly ahead = new Map<number, string>();
  /** The last piece that each reader has been given. */
  readonly given = new Map<R, number>();
  touchedMs: number;
  missingSinceMs: number | undefined;
  private encoded: { readonly index: number; readonly frame: string } | undefined;

  constructor(streamId: string, nowMs: number) {
    this.streamId = streamId;
    this.touchedMs = nowMs;
  }

  add(index: number, text: string): void {
    if (index > this.index) this.ahead.set(index, text);
    this.join();
  }

  /** What the store has of it. */
  replace(index: number, text: string): void {
    if (index > this.index) {
      this.index = index;
      this.text = text;
      for (const early of this.ahead.keys()) if (early <= index) this.ahead.delete(early);
    }
    this.join();
  }

  get hasGap(): boolean {
    return this.ahead.size > 0;
  }

  whole(): string {
    if (this.encoded?.index !== this.index) {
      const { streamId, index, text } = this;
      const frame = encodeFrame({ type: 'delta', stream_id: streamId, index, text, whole: true });
      this.encoded = { index, frame };
    }
    return this.encoded.frame;
  }

  private join(): void {
    for (let next = this.ahead.get(this.index + 1); next !== undefined; next = this.ahead.get(this.index + 1)) {
      this.index += 1;
      this.text += next;
      this.ahead.delete(this.index);
    }
  }
}

const decoder = new TextDecoder();
const textOf = (frame: Uint8Array): string => (JSON.parse(decoder.decode(frame)) as { text: string }).text;

/** What the drafts of a dialog are read from. */
export interface DraftSource {
  readonly openStreams: (dialogId: string) => Promise<readonly OpenStream[]>;
  readonly monotonicMs: () => number;
}

const NONE: ReadonlyMap<string, never> = new Map<string, never>();

/**
 * The answers that are being written in one dialog, on this node. A reader is given a stream's pieces in order, none twice; one who
 * joins, or who was left out while it was behind, is given the whole text in their place.
 */
export class Drafts<R extends DraftReader = DraftReader> {
  // Most dialogs never have any, and a node holds many dialogs: nothing is allocated before it is needed.
  private own: Map<string, Draft<R>> | undefined;
  /** Streams that this node has ended by itself: what still comes of them is late. */
  private endedHere: Set<string> | undefined;
  /** Streams whose last delta came while the store was being read: what it had of them is old. */
  private endedMeanwhile: Set<string> | undefined;
  private loading: Promise<void> | undefined;
  /** Nothing that was open when this node began to follow is unknown to it. */
  private isWhole = false;
  /** How often deltas may have been lost: what is read of the store must have been asked for afterwards. */
  private doubts = 0;
  private readonly dialogId: string;
  private readonly source: DraftSource;

  constructor(dialogId: string, source: DraftSource) {
    this.dialogId = dialogId;
    this.source = source;
  }

  private get byId(): ReadonlyMap<string, Draft<R>> {
    return this.own ?? NONE;
  }

  get isEmpty(): boolean {
    return this.byId.size === 0;
  }

  /** Some draft has a hole that only the store can fill. */
  get hasGap(): boolean {
    for (const draft of this.byId.values()) if (draft.hasGap) return true;
    return false;
  }

  /** Takes a delta. True for a last one, which is for everybody to hear. */
  arrive({ streamId, index, done, frame }: DeltaDelivery, readers: readonly R[]): boolean {
    if (this.endedHere?.has(streamId) === true) return false;
    if (done) {
      this.own?.delete(streamId);
      this.endedMeanwhile?.add(streamId);
      return true;
    }
    const draft = this.draft(streamId);
    if (index <= draft.index) return false;
    const before = draft.index;
    draft.add(index, textOf(frame));
    draft.touchedMs = this.source.monotonicMs();
    draft.missingSinceMs = undefined;
    if (draft.index === before) return false;
    if (draft.index > index) this.tell(draft, readers);
    else this.tell(draft, readers, { index, frame });
    return false;
  }

  /** Everything so far, for one that has just joined; of what may be over, nothing: it may have seen the end elsewhere. */
  greet(reader: R): void {
    for (const draft of this.byId.values()) if (draft.missingSinceMs === undefined) this.tell(draft, [reader]);
  }

  forget(reader: R): void {
    for (const draft of this.byId.values()) draft.given.delete(reader);
  }

  /** The store said, after this node had begun to follow, that nothing was open. */
  foundNothing(): void {
    if (this.isEmpty) this.isWhole = true;
    // Either that is older than what has begun here, or what is here has ended and nobody said so.
    else this.doubt();
  }

  /** Deltas may have been lost. */
  doubt(): void {
    this.isWhole = false;
    this.doubts += 1;
  }

  /** Resolves when this node has all that is open. Rejects as the backplane does. */
  async complete(readers: () => readonly R[]): Promise<void> {
    if (!this.isWhole) await this.refresh(readers);
  }

  /** Reads what the store has. A call made meanwhile joins. Rejects as the backplane does. */
  refresh(readers: () => readonly R[]): Promise<void> {
    this.loading ??= this.doRefresh(readers).finally(() => {
      this.loading = undefined;
      this.endedMeanwhile = undefined;
    });
    return this.loading;
  }

  private async doRefresh(readers: () => readonly R[]): Promise<void> {
    const ended = new Set<string>();
    this.endedMeanwhile = ended;
    const { doubts } = this;
    const before = new Set(this.byId.keys());
    const open = await this.source.openStreams(this.dialogId);
    for (const { streamId, index, text } of open) {
      before.delete(streamId);
      if (ended.has(streamId) || this.endedHere?.has(streamId) === true) continue;
      const draft = this.draft(streamId);
      draft.replace(index, text);
      draft.missingSinceMs = undefined;
      this.tell(draft, readers());
    }
    for (const streamId of before) {
      const draft = this.byId.get(streamId);
      if (draft !== undefined) draft.missingSinceMs ??= this.source.monotonicMs();
    }
    this.isWhole = doubts === this.doubts;
  }

  /**
   * Gives those who were behind what they lack. Resolves nothing, asks nothing: `needsLook` says whether the store has to be read,
   * `ended` are last deltas of streams that are gone without one, for those who were given of them.
   */
  tick(readers: readonly R[]): { readonly needsLook: boolean; readonly ended: readonly LateEnd<R>[] } {
    const nowMs = this.source.monotonicMs();
    const ended: LateEnd<R>[] = [];
    let needsLook = this.hasGap || !this.isWhole;
    for (const draft of this.byId.values()) {
      const { missingSinceMs } = draft;
      if (missingSinceMs !== undefined) {
        if (nowMs - missingSinceMs >= MISSING_MS) ended.push(this.end(draft));
        continue;
      }
      this.tell(draft, readers);
      needsLook ||= nowMs - draft.touchedMs >= IDLE_MS;
    }
    return { needsLook, ended };
  }

  private end(draft: Draft<R>): LateEnd<R> {
    const { streamId, index, given } = draft;
    this.own?.delete(streamId);
    const known = [...(this.endedHere ?? [])].slice(1 - REMEMBERED_ENDS);
    this.endedHere = new Set([...known, streamId]);
    const frame = encodeFrame({ type: 'delta', stream_id: streamId, index: index + 1, text: '', done: true });
    return { frame, readers: [...given.keys()] };
  }

  private draft(streamId: string): Draft<R> {
    let draft = this.byId.get(streamId);
    if (draft === undefined) {
      if (this.byId.size >= MAX_DRAFTS) {
        // Its end was not heard; the next tick tells it.
        const oldest = [...this.byId.values()].reduce((a, b) => (a.touchedMs <= b.touchedMs ? a : b));
        oldest.missingSinceMs = Number.NEGATIVE_INFINITY;
      }
      draft = new Draft<R>(streamId, this.source.monotonicMs());
      this.own ??= new Map();
      this.own.set(streamId, draft);
    }
    return draft;
  }

  private tell(
    draft: Draft<R>,
    readers: readonly R[],
    piece?: { readonly index: number; readonly frame: Uint8Array },
  ): void {
    if (draft.index < 0) return;
    for (const reader of readers) {
      const given = draft.given.get(reader) ?? -1;
      // One that is behind is given the whole text once it is not.
      if (!reader.isJoined || given >= draft.index || reader.outbox.isBehind) continue;
      reader.write(piece !== undefined && given === piece.index - 1 ? piece.frame : draft.whole());
      draft.given.set(reader, draft.index);
    }
  }
}
