import type { Entry, JournalEntry, Position, Start, Track } from './journal.js';
import { MessageLedger } from './message-ledger.js';
import { type Places, ReceiverTrack, type Report, show } from './receiver-check.js';
import { type Counts, Tally } from './tally.js';

/** A promise that was broken, as the journal shows it. */
export interface Breach {
  readonly rule: string;
  readonly what: string;
  /** Line of the journal that it rests on. */
  readonly line: number;
  /** Names in the journal that its story is about. */
  readonly about: readonly string[];
}

export interface Verdict {
  readonly breaches: readonly Breach[];
  readonly counts: Counts;
}

type Of<K extends Entry['kind']> = Extract<JournalEntry, { kind: K }>;

interface Receiver {
  readonly member: Of<'member'>;
  readonly tracks: Partial<Record<Track, ReceiverTrack>>;
  live: boolean;
}

/** A broken run may have thousands. */
const MOST_BREACHES = 200;

/**
 * Judges a run by its journal alone, fed line by line: every acknowledged message is kept (or its loss was announced, where a
 * fault loses data), an offset of an epoch names one publication, each receiver's offsets are dense and no id repeats, every
 * jump is announced, nothing crosses dialogs or tracks, nothing of a revoked subject is accepted, fences do not fall.
 */
export class Checker {
  readonly #receivers = new Map<string, Receiver>();
  readonly #ledger = new MessageLedger();
  readonly #contents = new Map<string, string>();
  readonly #revoked = new Map<string, Of<'revoked'>>();
  readonly #breaches: Breach[] = [];
  readonly #tally = new Tally();
  #losing = 0;
  #lossEndsAt: number | undefined;
  #line = 0;

  see(entry: JournalEntry, line: number): void {
    this.#line = line;
    this.#tally.see(entry);
    switch (entry.kind) {
      case 'member':
        this.#receivers.set(entry.who, {
          member: entry,
          tracks: this.#tracksOf(entry),
          live: false,
        });
        return;
      case 'connecting': {
        const { tracks } = this.#receiver(entry.who);
        tracks.main?.claims(entry.main);
        tracks.internal?.claims(entry.internal);
        return;
      }
      case 'connected':
        this.#connected(entry);
        return;
      case 'got':
        this.#got(entry);
        return;
      case 'reset':
        this.#reset(entry);
        return;
      case 'hinted':
        if (this.#receiver(entry.who).member.role === 'visitor')
          this.#report('leaked', `${entry.who}, a visitor, got a ${entry.frame} of the internal track`, [entry.who]);
        return;
      case 'sent':
        this.#ledger.sent(line, entry.at, entry);
        return;
      case 'acked':
        this.#acked(entry);
        return;
      case 'refused':
        if (!entry.temporary && entry.code !== 'stale_fence' && !this.#isRevoked(entry.who, entry.id, entry.at))
          this.#report('refused', `${entry.id} of ${entry.who} was refused: ${entry.code}`, [entry.id]);
        return;
      case 'left':
        this.#receiver(entry.who).live = false;
        if (!this.#isRevoked(entry.who, undefined, Number.POSITIVE_INFINITY))
          this.#report('sent away', `${entry.who} was closed with a code that tells it to stay away`, [entry.who]);
        return;
      case 'revoked':
        this.#revoked.set(entry.name, entry);
        return;
      case 'lifted':
        this.#revoked.delete(entry.name);
        return;
      case 'fault':
        this.#fault(entry);
        return;
      case 'kept':
        this.#ledger.kept(entry.dialog, entry.track, entry.id, entry.digest, entry, this.#reporter([entry.id]));
        this.#places(entry.dialog).note(entry.track, entry, `${entry.id}/${entry.digest}`, this.#reporter([entry.id]));
        return;
      case 'head':
        this.#ledger.head(entry.dialog, entry.track, entry, this.#reporter([entry.dialog]));
    }
  }

  /** When the whole journal was seen. */
  verdict(): Verdict {
    this.#ledger.settle(this.#lossEndsAt, (rule, what, line, id) => this.#report(rule, what, [id], line));
    let announcedResets = 0;
    for (const [who, { member, tracks, live }] of this.#receivers) {
      for (const track of ['main', 'internal'] as const) {
        announcedResets += tracks[track]?.announced ?? 0;
        const head = this.#ledger.headOf(member.dialog, track);
        if (!live || head === undefined || tracks[track] === undefined) continue;
        const { position } = tracks[track];
        // Dense up to here, so that with the head it has everything since its copy began.
        if (position === undefined || show(position) !== show(head))
          this.#report(
            'behind',
            `${who} ends at ${position === undefined ? 'nothing' : show(position)} in ${track}, the head is ${show(head)}`,
            [who],
          );
      }
    }
    return {
      breaches: this.#breaches,
      counts: this.#tally.counts(this.#ledger, announcedResets),
    };
  }

  #connected(entry: Of<'connected'>): void {
    const receiver = this.#receiver(entry.who);
    const { dialog, role } = receiver.member;
    const report = this.#reporter([entry.who]);
    if (entry.dialog !== dialog) report('leaked', `${entry.who} joined ${dialog} and was connected to ${entry.dialog}`);
    if (entry.internal !== undefined && role === 'visitor')
      report('leaked', `${entry.who}, a visitor, was told a position of the internal track`);
    if (this.#isRevoked(entry.who, undefined, entry.at))
      report('revoked', `${entry.who} was connected after it was revoked`);
    receiver.live = true;
    for (const track of ['main', 'internal'] as const) {
      const start: Start | undefined = entry[track];
      if (start === undefined) continue;
      this.#ledger.sawEpoch(this.#line, dialog, track, start.epoch);
      receiver.tracks[track]?.connected(start, report);
    }
  }

  #got({ who, track, offset, id, digest }: Of<'got'>): void {
    const { member, tracks } = this.#receiver(who);
    const report = this.#reporter([who, id]);
    const copy = tracks[track];
    if (copy === undefined) {
      report('leaked', `${who}, a visitor, got ${id} of the internal track`);
      return;
    }
    copy.got(offset, id, digest, this.#lossEndsAt !== undefined || this.#losing > 0, report);
    this.#ledger.shown(member.dialog, track, id, digest, copy.position, report);
  }

  #reset({ who, track, epoch, offset }: Of<'reset'>): void {
    const { member, tracks } = this.#receiver(who);
    if (tracks[track] === undefined) this.#report('leaked', `${who}, a visitor, got a reset of ${track}`, [who]);
    tracks[track]?.reset({ epoch, offset });
    this.#ledger.sawEpoch(this.#line, member.dialog, track, epoch);
  }

  #acked({ who, id, offset, epoch, at }: Of<'acked'>): void {
    const report = this.#reporter([who, id]);
    this.#ledger.acked(this.#line, id, { offset, epoch }, report);
    if (this.#isRevoked(who, id, at)) report('revoked', `${id} of ${who} was accepted after it was revoked`);
    const place = this.#ledger.trackOf(id);
    if (place === undefined || epoch === undefined) return;
    this.#ledger.sawEpoch(this.#line, place.dialog, place.track, epoch);
  }

  #fault({ phase, losesData, at }: Of<'fault'>): void {
    if (!losesData) return;
    this.#losing += phase === 'begins' ? 1 : -1;
    if (phase === 'ends') this.#lossEndsAt = at;
  }

  #isRevoked(who: string, id: string | undefined, at: number): boolean {
    const member = this.#receivers.get(who)?.member;
    const dialog = member?.dialog ?? (id === undefined ? undefined : this.#ledger.trackOf(id)?.dialog);
    for (const rule of this.#revoked.values()) {
      if (at <= rule.at + rule.withinMs) continue;
      const hits = rule.sub === undefined ? rule.dialog === dialog : rule.sub === member?.sub;
      if (hits && rule.dialog !== undefined && rule.dialog !== dialog) continue;
      if (hits) return true;
    }
    return false;
  }

  #tracksOf({ who, dialog, role }: Of<'member'>): Receiver['tracks'] {
    const places = this.#places(dialog);
    const main = new ReceiverTrack(who, 'main', places);
    return role === 'visitor' ? { main } : { main, internal: new ReceiverTrack(who, 'internal', places) };
  }

  #places(dialog: string): Places {
    return {
      note: (track: Track, place: Position, content: string, report: Report) => {
        const key = `${dialog} ${track} ${show(place)}`;
        const other = this.#contents.get(key);
        if (other === undefined) this.#contents.set(key, content);
        else if (other !== content) report('two contents', `${key} is ${other} and ${content}`);
      },
    };
  }

  #receiver(who: string): Receiver {
    const receiver = this.#receivers.get(who);
    if (receiver === undefined) throw new Error(`line ${this.#line}: ${who} was never introduced`);
    return receiver;
  }

  #reporter(about: readonly string[]): Report {
    return (rule, what) => this.#report(rule, what, about);
  }

  #report(rule: string, what: string, about: readonly string[], line = this.#line): void {
    if (this.#breaches.length < MOST_BREACHES) this.#breaches.push({ rule, what, line, about });
  }
}
