import type { Position, ReceivedFrame } from './client.js';

/** One step of a client's copy of a track. */
export type DeliveryEntry =
  | {
      readonly kind: 'publication';
      readonly epoch: string;
      readonly offset: number;
      /** Names the publication: an id is unique for its sender only. */
      readonly key: string;
    }
  /** The copy is continuous from this position on: a fresh start or a `reset`. */
  | { readonly kind: 'start'; readonly epoch: string; readonly offset: number };

/** The name of a publication in checks: an `id` is unique for its sender in the dialog and track only. */
export function publicationKey(sender: { role: string; id: string }, id: string): string {
  return `${sender.role}/${sender.id}/${id}`;
}

interface PositionFields {
  readonly epoch?: unknown;
  readonly offset?: unknown;
  readonly recovered?: unknown;
}

/** Follows a client's position in both tracks, the way a correct client does. */
export class PositionTracker {
  main: Position | undefined;
  internal: Position | undefined;
  readonly entries: { readonly main: DeliveryEntry[]; readonly internal: DeliveryEntry[] } = { main: [], internal: [] };
  readonly #keep: boolean;

  constructor(main: Position | undefined, internal: Position | undefined, keep: boolean) {
    this.main = main;
    this.internal = internal;
    this.#keep = keep;
  }

  see(frame: ReceivedFrame): void {
    switch (frame.type) {
      case 'connected':
        this.#connected('main', frame);
        if (typeof frame['internal'] === 'object' && frame['internal'] !== null)
          this.#connected('internal', frame['internal']);
        break;
      case 'message':
        this.#publication('main', frame);
        break;
      case 'note':
        this.#publication('internal', frame);
        break;
      case 'reset':
        this.#start(frame.track === 'internal' ? 'internal' : 'main', frame);
        break;
    }
  }

  // After a recovery the frame names the head, but what was missed is still to come: the old position stands until
  // each publication has arrived, so that a connection cut in between resumes where it was.
  #connected(track: 'main' | 'internal', fields: PositionFields): void {
    if (fields.recovered === true && this[track] !== undefined) return;
    this.#start(track, fields);
  }

  #start(track: 'main' | 'internal', fields: PositionFields): void {
    if (typeof fields.epoch !== 'string' || typeof fields.offset !== 'number') return;
    this[track] = { epoch: fields.epoch, offset: fields.offset };
    if (this.#keep) this.entries[track].push({ kind: 'start', epoch: fields.epoch, offset: fields.offset });
  }

  #publication(track: 'main' | 'internal', frame: ReceivedFrame): void {
    const epoch = this[track]?.epoch ?? '';
    if (typeof frame.offset !== 'number') return;
    this[track] = { epoch, offset: frame.offset };
    if (!this.#keep) return;
    const sender = frame['sender'] as { role?: unknown; id?: unknown } | undefined;
    const key = publicationKey({ role: String(sender?.role), id: String(sender?.id) }, String(frame.id));
    this.entries[track].push({ kind: 'publication', epoch, offset: frame.offset, key });
  }
}
