import { BanList } from './ban-list.js';
import type { Clock, Random } from './clock.js';
import { seeded } from './control-entries.js';
import type {
  Ban,
  Control,
  ControlCursor,
  ControlEntry,
  ControlSnapshot,
  Revocation,
  SnapshotEntry,
} from './control-port.js';
import { DomainIndex } from './domain-index.js';
import { type AssistantRecord, BackplaneUnavailable } from './ports.js';
import { type FutureToken, RevocationIndex, type TokenSubject } from './revocation.js';

export type ControlNotice =
  /** The whole snapshot was read: at the start, after an error, or since the stream had moved on. */
  | { readonly event: 'control_loaded'; readonly entries: number; readonly assistants: number }
  /** The store had lost entries that this node held; they are there again. */
  | { readonly event: 'control_seeded'; readonly entries: number }
  /** More bans than a node holds: so many were not taken so far. */
  | { readonly event: 'bans_refused'; readonly count: number };

export interface ControlMirrorParts {
  readonly control: Pick<Control, 'snapshot' | 'tail' | 'seed'>;
  readonly clock: Clock;
  readonly random: Pick<Random, 'float'>;
  /**
   * What is new to this node, in order and already in force; also what it missed while it was cut off. `sinceMs`: monotonic
   * milliseconds after which those of the stream were written. Must not throw.
   */
  readonly onEntries: (entries: readonly ControlEntry[], sinceMs: number) => void;
  readonly onNotice: (notice: ControlNotice) => void;
  readonly onBug: (error: unknown) => void;
  /** Most bans that are held; default 100,000. */
  readonly maxBans?: number;
}

const POLL_MS = 250;
const POLL_JITTER_MS = 25;
/** Without a look at the stream for longer, what has been revoked meanwhile is not known: newcomers are refused. */
export const CONTROL_STALE_MS = 10_000;
/**
 * An epoch this young may be that of a store that was emptied just now: the other nodes find out at their next look, and put back
 * what they hold.
 */
const SETTLED_EPOCH_MS = 3 * POLL_MS;
const SWEEP_MS = 60_000;
/** Looks of one poll, each at many entries: the next poll goes on from there. */
const MAX_LOOKS = 8;
const MAX_BANS = 100_000;

/**
 * A node's copy of the control snapshot: every question is answered at once, from memory. It looks at the stream four times a
 * second; what it holds goes by expiry or by a lift only, so that a store that lost its entries gets them back from here.
 */
export class ControlMirror {
  private readonly parts: ControlMirrorParts;
  private readonly entries = new Map<string, SnapshotEntry>();
  private readonly revoked = new RevocationIndex();
  private readonly banList: BanList;
  /** Domains of all active assistants. */
  readonly domains = new DomainIndex();
  private assistants = new Map<string, AssistantRecord>();
  private cursor: ControlCursor | undefined;
  /** When the last look began that found the stream's end: what comes after the cursor is younger. */
  private endSeenMs = Number.NEGATIVE_INFINITY;
  private running = false;
  private mustLoad = true;
  /** False from the moment at which it is known that entries are missing here, or in the store. */
  private isWhole = false;
  private lastOkMs: number | undefined;
  private sweptMs = 0;
  /** Store time less monotonic time. */
  private offsetMs = 0;
  private bansRefused = 0;
  private cancel: () => void = () => {};

  constructor(parts: ControlMirrorParts) {
    this.parts = parts;
    this.banList = new BanList(parts.maxBans ?? MAX_BANS);
  }

  // ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Whether a token, or a connection, has fallen. */
  isRevoked(subject: TokenSubject): boolean {
    return this.revoked.match(subject, this.nowMs) !== undefined;
  }

  /** Whether no token may be made for somebody, whatever its time of issue would be. */
  isVisitorRevoked(subject: FutureToken): boolean {
    return this.revoked.matchFuture(subject, this.nowMs) !== undefined;
  }

  /** The ban of an address: bytes of a peer, text, or the key of a `ClientAddress`. */
  ban(address: string | Uint8Array): Ban | undefined {
    return this.banList.match(address, this.nowMs);
  }

  assistant(assistantId: string): AssistantRecord | undefined {
    return this.assistants.get(assistantId);
  }

  revocations(): Revocation[] {
    return this.present().filter((entry) => entry.kind === 'revocation');
  }

  bans(): Ban[] {
    return this.present().filter((entry) => entry.kind === 'ban');
  }

  /** Those held, which may include some that are over since the last sweep. */
  get banCount(): number {
    return this.banList.size;
  }

  /** Milliseconds since the stream was last read to its end; infinite before that. */
  get ageMs(): number {
    return this.lastOkMs === undefined ? Number.POSITIVE_INFINITY : this.parts.clock.monotonicMs() - this.lastOkMs;
  }

  /** What it says of newcomers can't be relied on: they are to be refused. */
  get isStale(): boolean {
    return !this.isWhole || this.ageMs > CONTROL_STALE_MS;
  }

  // ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Resolves when the first snapshot is in force and settled. Rejects as the backplane does. */
  async start(): Promise<void> {
    this.running = true;
    const youngMs = SETTLED_EPOCH_MS - (await this.load());
    this.scheduleNext();
    if (youngMs > 0) await new Promise<void>((resolve) => void this.parts.clock.schedule(youngMs, resolve));
  }

  /** Safe to call twice. Answers go on, from what is held. */
  stop(): void {
    this.running = false;
    this.cancel();
  }

  private scheduleNext(): void {
    if (!this.running) return;
    const delayMs = POLL_MS + Math.floor(this.parts.random.float() * POLL_JITTER_MS);
    this.cancel = this.parts.clock.schedule(delayMs, () => {
      this.poll()
        .catch((error: unknown) => {
          this.mustLoad = true;
          if (!(error instanceof BackplaneUnavailable)) this.parts.onBug(error);
        })
        .finally(() => this.scheduleNext());
    });
  }

  private async poll(): Promise<void> {
    this.sweep();
    // The old place first, also after an error: what is not part of any snapshot is told there only.
    if (!(await this.tail())) this.mustLoad = true;
    if (this.mustLoad) await this.load();
  }

  /** Reads the stream to its end, or as far as a few looks reach. False where the place in it is lost. */
  private async tail(): Promise<boolean> {
    for (let look = 0; look < MAX_LOOKS && this.running && this.cursor !== undefined; look += 1) {
      const askedMs = this.parts.clock.monotonicMs();
      const result = await this.parts.control.tail(this.cursor);
      if (!this.running) break;
      if (result.status === 'lost') {
        this.isWhole = false;
        return false;
      }
      this.cursor = result.cursor;
      this.tell(result.entries.filter((entry) => this.take(entry)));
      if (!this.mustLoad) this.lastOkMs = this.parts.clock.monotonicMs();
      if (result.entries.length > 0) continue;
      this.endSeenMs = askedMs;
      break;
    }
    return true;
  }

  /** Reads the whole snapshot, gives the store back what it has lost, and tails. Resolves the epoch's age. */
  private async load(): Promise<number> {
    const askedMs = this.parts.clock.monotonicMs();
    const snapshot = await this.parts.control.snapshot();
    if (!this.running) return 0;
    this.offsetMs = snapshot.nowMs - this.parts.clock.monotonicMs();
    const lost = this.lostBy(snapshot);
    this.tell([...snapshot.entries.filter((entry) => this.take(entry)), ...this.takeAssistants(snapshot.assistants)]);
    if (lost.length > 0) {
      this.isWhole = false;
      await this.parts.control.seed(lost);
      this.parts.onNotice({ event: 'control_seeded', entries: lost.length });
    }
    // Not before the store is whole again: a failure until here is begun anew, and finds the other epoch again.
    this.cursor = snapshot.cursor;
    this.endSeenMs = askedMs;
    this.mustLoad = false;
    if (await this.tail()) this.isWhole = true;
    else this.mustLoad = true;
    const { entries, assistants } = this;
    this.parts.onNotice({ event: 'control_loaded', entries: entries.size, assistants: assistants.size });
    return snapshot.epochAgeMs;
  }

  /** What is held here and not in a store that has begun anew. */
  private lostBy({ cursor, entries }: ControlSnapshot): SnapshotEntry[] {
    if (this.cursor === undefined || this.cursor.epoch === cursor.epoch) return [];
    const stored = new Map(entries.map((entry) => [entry.id, entry]));
    return this.present().filter((held) => seeded(stored.get(held.id), held) !== undefined);
  }

  // ── what is held ─────────────────────────────────────────────────────────────────────────────────────────────────

  private get nowMs(): number {
    return this.parts.clock.monotonicMs() + this.offsetMs;
  }

  private present(): SnapshotEntry[] {
    const { nowMs } = this;
    return [...this.entries.values()].filter(({ expiresMs }) => expiresMs > nowMs);
  }

  private tell(entries: readonly ControlEntry[]): void {
    if (entries.length > 0) this.parts.onEntries(entries, this.endSeenMs);
    const { refused } = this.banList;
    if (refused === this.bansRefused) return;
    this.bansRefused = refused;
    this.parts.onNotice({ event: 'bans_refused', count: refused });
  }

  /** Whether it changes anything. */
  private take(entry: ControlEntry): boolean {
    if (entry.kind === 'disconnect' || entry.kind === 'drain') return true;
    if (entry.kind === 'assistant') return this.setAssistant(entry.assistantId, entry.record);
    if (entry.expiresMs <= this.nowMs) return false;
    const present = this.entries.get(entry.id);
    const isOver = present !== undefined && present.expiresMs <= this.nowMs;
    if (isOver) this.drop(present);
    const held = isOver ? undefined : present;
    const kept = seeded(held, entry);
    if (kept === undefined) return false;
    if (held !== undefined) this.drop(held);
    if (kept.kind === 'ban' && !this.banList.add(kept)) return false;
    if (kept.kind === 'revocation') this.revoked.add(kept);
    this.entries.set(kept.id, kept);
    return true;
  }

  private drop(entry: SnapshotEntry): void {
    if (entry.kind === 'revocation') this.revoked.remove(entry);
    else if (entry.kind === 'ban') this.banList.remove(entry);
    this.entries.delete(entry.id);
  }

  /** Every question looks at the expiry itself; this is for the memory. */
  private sweep(): void {
    const monotonicMs = this.parts.clock.monotonicMs();
    if (monotonicMs - this.sweptMs < SWEEP_MS) return;
    this.sweptMs = monotonicMs;
    const { nowMs } = this;
    for (const entry of [...this.entries.values()]) if (entry.expiresMs <= nowMs) this.drop(entry);
  }

  private setAssistant(assistantId: string, record: AssistantRecord | undefined): boolean {
    const before = this.assistants.get(assistantId);
    if (JSON.stringify(before) === JSON.stringify(record)) return false;
    if (record?.active === true) this.domains.put(assistantId, record.allowedDomains);
    else this.domains.delete(assistantId);
    if (record === undefined) this.assistants.delete(assistantId);
    else this.assistants.set(assistantId, record);
    return true;
  }

  /** The directory is the store's alone: what is not in it is gone. */
  private takeAssistants(records: ReadonlyMap<string, AssistantRecord>): ControlEntry[] {
    const ids = new Set([...this.assistants.keys(), ...records.keys()]);
    return [...ids].flatMap((assistantId) => {
      const record = records.get(assistantId);
      return this.setAssistant(assistantId, record) ? [{ kind: 'assistant', assistantId, record } as const] : [];
    });
  }
}
