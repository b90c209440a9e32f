import type { Position, Start, Track } from './journal.js';

export type Report = (rule: string, what: string) => void;

/** What the tracks of all receivers of a dialog share: an offset of an epoch names one publication. */
export interface Places {
  /** Reports where the place has another content already. */
  note(track: Track, place: Position, content: string, report: Report): void;
}

/** One receiver's copy of one track, over all its connections. */
export class ReceiverTrack {
  /** Where its copy stands; undefined before the first `connected`. */
  position: Position | undefined;
  /** Begins of its copy since the first: what was not recovered and said so. */
  announced = 0;
  readonly #who: string;
  readonly #track: Track;
  readonly #places: Places;
  readonly #epochsOf = new Map<string, string>();
  #claimed: Position | undefined;

  constructor(who: string, track: Track, places: Places) {
    this.#who = who;
    this.#track = track;
    this.#places = places;
  }

  claims(position: Position | undefined): void {
    this.#claimed = position;
  }

  connected({ epoch, offset, recovered }: Start, report: Report): void {
    if (!recovered) {
      this.#begin({ epoch, offset });
      return;
    }
    // Recovered means: goes on exactly where the receiver is.
    if (this.#claimed === undefined || this.position === undefined)
      report('unclaimed recovery', `${this.#name()} claimed no position and was told that it is recovered`);
    else if (epoch !== this.position.epoch || offset !== this.position.offset)
      report(
        'silent gap',
        `${this.#name()} stands at ${show(this.position)} and was recovered at ${show({ epoch, offset })}`,
      );
    this.position = { epoch, offset };
  }

  reset(position: Position): void {
    this.#begin(position);
  }

  /** `mayRepeat`: data was lost, so that an id can have been appended again in another epoch. */
  got(offset: number, id: string, digest: string, mayRepeat: boolean, report: Report): void {
    const { position } = this;
    const here = `${this.#name()} got ${id} at offset ${offset}`;
    if (position === undefined) {
      report('before connected', here);
      return;
    }
    if (offset <= position.offset) report('order', `${here} after ${show(position)}`);
    else if (offset > position.offset + 1) report('silent gap', `${here} after ${show(position)}`);
    const epoch = this.#epochsOf.get(id);
    if (epoch !== undefined && (epoch === position.epoch || !mayRepeat)) report('repeated', `${here} again`);
    this.#epochsOf.set(id, position.epoch);
    this.position = { epoch: position.epoch, offset };
    this.#places.note(this.#track, this.position, `${id}/${digest}`, report);
  }

  #begin(position: Position): void {
    if (this.position !== undefined) this.announced += 1;
    this.position = position;
  }

  #name(): string {
    return `${this.#who} (${this.#track})`;
  }
}

export const show = ({ epoch, offset }: Position): string => `${epoch}:${offset}`;
