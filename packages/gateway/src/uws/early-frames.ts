import type { Session } from '@replyx/core';
import { BOUNDS, type CloseName } from '@replyx/protocol';

/** Frames before the decision; a client of ours waits for `connected`, so there are few. */
const MAX_FRAMES = 32;

/** What a client sends while its token is still being verified: kept in order, bounded, and handed to its session. */
export class EarlyFrames {
  private frames: { readonly text: string | undefined; readonly bytes: number }[] | undefined;
  private bytes = 0;

  /** `text` is `undefined` for a binary frame. Returns what its socket is to be closed with where it can't be kept. */
  keep(text: string | undefined, bytes: number): CloseName | undefined {
    if (bytes > BOUNDS.frameBytes) return 'TOO_LARGE';
    this.bytes += bytes;
    if (this.bytes > BOUNDS.frameBytes || (this.frames?.length ?? 0) >= MAX_FRAMES) return 'RATE_LIMITED';
    this.frames ??= [];
    this.frames.push({ text, bytes });
    return undefined;
  }

  handTo(session: Session): void {
    for (const { text, bytes } of this.frames ?? []) {
      if (text === undefined) session.onBinary();
      else session.onText(text, bytes);
    }
  }
}
