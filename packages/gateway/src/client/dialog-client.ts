import type { Clock, Random } from '@replyx/core';
import type {
  AckFrame,
  ConnectedFrame,
  ErrorFrame,
  Position,
  PublicationFrame,
  ResetFrame,
  ServerFrame,
  Track,
} from '@replyx/protocol';
import type { Credential } from './credential.js';
import { type Link, openLink } from './link.js';
import { Place } from './place.js';
import { type Ending, nextStep } from './reconnect.js';

export interface DialogEvents {
  /** A node has let the client in. `resumedFrom`: the place that was asked for, by track. */
  onConnected?(frame: ConnectedFrame, url: string, resumedFrom: Readonly<Partial<Record<Track, Position>>>): void;
  /** The next publication of a followed track: each once and in order, or after `onReset` or a `connected` that is not recovered. */
  onPublication?(frame: PublicationFrame, epoch: string): void;
  onReset?(frame: ResetFrame, before: Position | undefined): void;
  onAnswer?(frame: AckFrame | ErrorFrame): void;
  /** A link has ended and another one follows after the wait. */
  onLost?(ending: Ending, url: string, next: { readonly url: string; readonly delayMs: number }): void;
}

export interface DialogClientOptions extends DialogEvents {
  /** Addresses of nodes, tried in turn. */
  readonly urls: readonly string[];
  readonly dialogId: string;
  readonly credential: Credential;
  /** The tracks to follow; none for who only sends. */
  readonly tracks: readonly Track[];
  readonly from?: Readonly<Partial<Record<Track, Position>>>;
  /** Ends with `unreachable` when none of the addresses answers at the start; else it goes on trying. */
  readonly failFast: boolean;
  readonly clock: Clock;
  readonly random: Pick<Random, 'float'>;
}

export type DialogOutcome =
  | { readonly status: 'stopped' }
  | { readonly status: 'refused'; readonly ending: Ending; readonly url: string }
  | { readonly status: 'unreachable'; readonly tried: readonly { readonly url: string; readonly ending: Ending }[] };

/** A link that lived so long ended for a reason of its own: waits begin anew. */
const STABLE_MS = 10_000;

/** A client of one dialog that outlives its nodes: it resumes where it stood, on whichever address answers. */
export class DialogClient {
  private readonly options: DialogClientOptions;
  private readonly place: Place;
  private link: Link | undefined;
  private credential: Credential;
  private stopped = false;
  private wake = (): void => {};

  constructor(options: DialogClientOptions) {
    this.options = options;
    this.credential = options.credential;
    this.place = new Place(options.from ?? {}, options.tracks);
  }

  /** Sends on the present link; a frame is lost with its link, and the caller sends it again after `onConnected`. */
  send(frame: Parameters<Link['send']>[0]): void {
    this.link?.send(frame);
  }

  /** Ends the run. Safe to call twice. */
  stop(): void {
    this.stopped = true;
    this.wake();
    this.link?.close();
  }

  /** Resolves when it was stopped, when the gateway refuses it for good, or when nothing answers (`failFast`). */
  async run(): Promise<DialogOutcome> {
    const { urls, random } = this.options;
    const tried: { url: string; ending: Ending }[] = [];
    let failures = 0;
    let expired = 0;
    let everReached = false;
    for (let turn = 0; !this.stopped; turn += 1) {
      const url = urls[turn % urls.length] as string;
      const ending = await this.connect(url);
      if (this.stopped) break;
      everReached ||= ending.code !== undefined || ending.httpStatus !== undefined || ending.wasConnected;
      failures = ending.wasConnected && ending.livedMs >= STABLE_MS ? 1 : failures + 1;
      expired = ending.wasConnected ? 0 : expired;
      if (!everReached && this.options.failFast) {
        tried.push({ url, ending });
        if (tried.length === urls.length) return { status: 'unreachable', tried };
        continue;
      }
      const step = nextStep(ending, failures, urls.length, random.float());
      if (!step.again) return { status: 'refused', ending, url };
      if (step.refresh) {
        failures -= 1;
        expired += 1;
        const renewed = await this.credential.renew();
        // The second one in a row is refused for a reason that a third would share, a wrong clock for instance.
        if (renewed === undefined || expired > 1) return { status: 'refused', ending, url };
        this.credential = renewed;
      }
      const next = { url: urls[(turn + 1) % urls.length] as string, delayMs: step.delayMs };
      this.options.onLost?.(ending, url, next);
      await this.sleep(step.delayMs);
    }
    return { status: 'stopped' };
  }

  private async connect(url: string): Promise<Ending> {
    const { dialogId, clock } = this.options;
    const main = this.place.of('main');
    const internal = this.place.of('internal');
    const query = new URLSearchParams({
      ...(main === undefined ? {} : { epoch: main.epoch, offset: String(main.offset) }),
      ...(internal === undefined ? {} : { note_epoch: internal.epoch, note_offset: String(internal.offset) }),
    });
    const address = `${url}${this.credential.path(dialogId)}${query.size === 0 ? '' : `?${query}`}`;
    const link = openLink({
      address,
      token: this.credential.token,
      origin: this.credential.origin(url),
      clock,
      onFrame: (frame) => {
        if (!this.stopped && this.link === link) this.receive(frame, url);
      },
    });
    this.link = link;
    const ending = await link.ended;
    this.link = undefined;
    return ending;
  }

  private receive(frame: ServerFrame, url: string): void {
    const { options, place } = this;
    switch (frame.type) {
      case 'connected': {
        const from = Object.fromEntries(options.tracks.map((track) => [track, place.of(track)]));
        place.connected(frame);
        options.onConnected?.(frame, url, from);
        return;
      }
      case 'message':
      case 'note': {
        const taken = place.publication(frame);
        if (taken === 'next') options.onPublication?.(frame, place.of(trackOf(frame))?.epoch ?? '');
        // A hole is never stepped over: the place stands before it, and the next link recovers from there.
        else if (taken === 'gap') this.link?.cut('a publication was left out');
        return;
      }
      case 'reset': {
        const before = place.of(frame.track);
        place.reset(frame);
        if (options.tracks.includes(frame.track)) options.onReset?.(frame, before);
        return;
      }
      case 'ack':
      case 'error':
        options.onAnswer?.(frame);
        return;
    }
  }

  private async sleep(ms: number): Promise<void> {
    if (this.stopped || ms <= 0) return;
    await new Promise<void>((resolve) => {
      const cancel = this.options.clock.schedule(ms, resolve);
      this.wake = () => {
        cancel();
        resolve();
      };
    });
  }
}

export const trackOf = (frame: PublicationFrame): Track => (frame.type === 'note' ? 'internal' : 'main');
