import type { Check, Known, Tell } from './check.js';
import { DeliveryCheck } from './delivery-check.js';
import { HandoffCheck } from './handoff-check.js';
import type { JournalEntry, Of, Position, Start, Track } from './journal.js';
import { LockCheck } from './lock-check.js';
import { MessageLedger } from './message-ledger.js';
import { type Places, ReceiverTrack, type Report, show } from './receiver-check.js';
import { RevocationCheck } from './revocation-check.js';
import { StreamCheck } from './stream-check.js';
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
 * jump is announced, nothing crosses dialogs or tracks, fences do not fall; and what the other checks say.
 */
export class Checker {
  readonly #receivers = new Map<string, Receiver>();
  readonly #ledger = new MessageLedger();
  readonly #contents = new Map<string, string>();
  readonly #breaches: Breach[] = [];
  readonly #tally = new Tally();
  readonly #tell: Tell = (rule, what, about, line) => this.#report(rule, what, about, line);
  readonly #checks: readonly Check[];
  #losing = 0;
  #lossEndsAt: number | undefined;
  #line = 0;

  constructor() {
    const known: Known = {
      subOf: (who) => this.#receivers.get(who)?.member.sub,
      dialogOf: (who) => this.#receivers.get(who)?.member.dialog,
      isVisitor: (who) => this.#receivers.get(who)?.member.role === 'visitor',
      isLive: (who) => this.#receivers.get(who)?.live === true,
      message: (id) => this.#ledger.message(id),
    };
    this.#checks = [
      new RevocationCheck(known),
      new StreamCheck(known),
      new HandoffCheck(known),
      new LockCheck(),
      new DeliveryCheck(known),
    ];
  }

  see(entry: JournalEntry, line: number): void {
    this.#line = line;
    this.#tally.see(entry);
    this.#judge(entry, line);
    for (const check of this.#checks) check.see(entry, line, this.#tell);
  }

  #judge(entry: JournalEntry, line: number): void {
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
      case 'left':
        this.#receiver(entry.who).live = false;
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
    for (const check of this.#checks) check.settle?.(this.#tell);
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

  #acked({ who, id, offset, epoch }: Of<'acked'>): void {
    const report = this.#reporter([who, id]);
    this.#ledger.acked(this.#line, id, { offset, epoch }, report);
    const place = this.#ledger.message(id);
    if (place === undefined || epoch === undefined) return;
    this.#ledger.sawEpoch(this.#line, place.dialog, place.track, epoch);
  }

  #fault({ phase, losesData, at }: Of<'fault'>): void {
    if (!losesData) return;
    this.#losing += phase === 'begins' ? 1 : -1;
    if (phase === 'begins') this.#ledger.losing(this.#line);
    if (phase === 'ends') this.#lossEndsAt = at;
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
