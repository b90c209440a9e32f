import type { Session } from '@replyx/core';
import { BOUNDS } from '@replyx/protocol';

/** Frames before the decision; a client of ours waits for `connected`, so there are few. */
const MAX_FRAMES = 32;

/** What a client sends while its token is still being verified: kept in order, bounded, and handed to its session. */
export class EarlyFrames {
  private frames: { readonly text: string | undefined; readonly bytes: number }[] | undefined;
  private bytes = 0;

  /** `text` is `undefined` for a binary frame. False: there is no room for it. */
  keep(text: string | undefined, bytes: number): boolean {
    this.bytes += bytes;
    if (this.bytes > BOUNDS.frameBytes || (this.frames?.length ?? 0) >= MAX_FRAMES) return false;
    this.frames ??= [];
    this.frames.push({ text, bytes });
    return true;
  }

  handTo(session: Session): void {
    for (const { text, bytes } of this.frames ?? []) {
      if (text === undefined) session.onBinary();
      else session.onText(text, bytes);
    }
  }
}
