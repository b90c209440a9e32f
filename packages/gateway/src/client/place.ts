import type { ConnectedFrame, Position, PublicationFrame, ResetFrame, Track } from '@replyx/protocol';

/** Where a client stands in the tracks that it follows, so that it can say where to resume. */
export class Place {
  private readonly at: Partial<Record<Track, Position>> = {};
  private readonly tracks: readonly Track[];

  constructor(from: Partial<Record<Track, Position>>, tracks: readonly Track[]) {
    this.tracks = tracks;
    for (const track of tracks) if (from[track] !== undefined) this.at[track] = from[track];
  }

  of(track: Track): Position | undefined {
    return this.at[track];
  }

  /** `offset` and not `head`: what is recovered is still to come, and a link that is cut in between must ask for it again. */
  connected(frame: ConnectedFrame): void {
    for (const track of this.tracks) {
      const place = track === 'main' ? frame : frame.internal;
      if (place !== undefined) this.at[track] = { epoch: place.epoch, offset: place.offset };
    }
  }

  reset({ track, epoch, offset }: ResetFrame): void {
    if (this.tracks.includes(track)) this.at[track] = { epoch, offset };
  }

  /**
   * Takes a publication. `next`: the one that follows what is had. `gap`: one or more between them are missing, and the place stays.
   * `other`: had already, or of a track that is not followed.
   */
  publication(frame: PublicationFrame): 'next' | 'gap' | 'other' {
    const track: Track = frame.type === 'note' ? 'internal' : 'main';
    const at = this.at[track];
    if (at === undefined || frame.offset <= at.offset) return 'other';
    if (frame.offset > at.offset + 1) return 'gap';
    this.at[track] = { epoch: at.epoch, offset: frame.offset };
    return 'next';
  }
}
