import type { Position, Track } from '@replyx/protocol';
import { isStaleWrite } from '../handoff-rule.js';
import type { Log, LogEntry, PublishRequest, PublishResult, ReadRequest, ReadResult } from '../ports.js';
import type { MemoryCluster } from './cluster.js';
import type { MemoryInboxWriter } from './inbox.js';
import type { MemoryNode } from './node.js';
import { type Dialog, type Meta, type TrackPlace, userOf } from './store.js';

const encoder = new TextEncoder();
const DAY_MS = 86_400_000;

export class MemoryLog implements Log {
  readonly #cluster: MemoryCluster;
  readonly #node: MemoryNode;
  readonly #inbox: MemoryInboxWriter;

  constructor(cluster: MemoryCluster, node: MemoryNode, inbox: MemoryInboxWriter) {
    this.#cluster = cluster;
    this.#node = node;
    this.#inbox = inbox;
  }

  async publish(request: PublishRequest): Promise<PublishResult> {
    this.#cluster.enter(this.#node);
    const { dialogId, track, sender, fence } = request;
    const nowMs = this.#cluster.nowMs;
    if (request.mustExist && this.#cluster.dialog(dialogId)?.meta?.tenant === undefined) return { status: 'not_found' };
    const dialog = this.#cluster.ensureDialog(dialogId);
    const meta = this.#cluster.ensureMeta(dialog);
    const place = this.#settle(dialog, meta, track, request.known, false);
    const { epoch, life } = place;

    const user = userOf(sender);
    const key = `${track}\n${user}\n${request.id}`;
    const earlier = dialog.appended.get(key);
    if (earlier !== undefined && earlier.expiresMs > nowMs && earlier.life === life) {
      if (earlier.digest !== request.bodyDigest) return { status: 'conflict' };
      return { status: 'duplicate', epoch, offset: earlier.offset };
    }
    if (meta.closed && track === 'main') return { status: 'closed' };
    if (isStaleWrite(meta, sender.role, fence)) return { status: 'stale_fence' };
    const retryAfterMs = this.#retryAfterMs(dialog, user, request, nowMs);
    const overLimit = retryAfterMs > 0;
    if (overLimit && request.windowIsDryRun !== true) return { status: 'rate_limited', retryAfterMs };
    if (request.inbox !== undefined && this.#inbox.isFull(dialogId, request.inbox)) return { status: 'inbox_full' };
    if (!overLimit) this.#admit(dialog, user, request, nowMs);

    const offset = ++place.offset;
    if (fence !== undefined && fence > (meta.fence ?? -1)) meta.fence = fence;
    const { idempotencyTtlMs, historyTtlMs } = this.#node.options;
    dialog.appended.delete(key);
    dialog.appended.set(key, { life, offset, digest: request.bodyDigest, expiresMs: nowMs + idempotencyTtlMs });
    const text = `${request.frameHead}${offset},"timestamp":${nowMs}${request.frameTail}`;
    const frame = encoder.encode(text);
    const origin = `${this.#node.incarnation}:${request.request}`;
    this.#append(dialog, track, { offset, origin, frame });
    meta.expiresMs = Math.max(meta.expiresMs, nowMs + Math.max(historyTtlMs, idempotencyTtlMs) + DAY_MS);
    const ref = { dialogId, track };
    this.#cluster.send(ref, { kind: 'publication', ref, epoch, offset, origin, frame });
    if (request.inbox !== undefined) {
      this.#inbox.message(dialogId, { tenant: meta.tenant ?? '', assistantId: request.inbox }, epoch, text);
    }
    if (sender.role === 'manager' && track === 'main') this.#noteWriter(dialogId, dialog, user);
    return { status: 'appended', epoch, offset, ...(overLimit ? { overLimit } : {}) };
  }

  /** As `read` says it, to a caller that knows nothing. */
  head(dialogId: string, track: Track): Position {
    const dialog = this.#cluster.ensureDialog(dialogId);
    const { epoch, offset } = this.#settle(dialog, this.#cluster.ensureMeta(dialog), track, undefined, false);
    return { epoch, offset };
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    this.#cluster.enter(this.#node);
    const { dialogId, track, after, before, limit } = request;
    const dialog = this.#cluster.ensureDialog(dialogId);
    const meta = this.#cluster.ensureMeta(dialog);
    const place = this.#settle(dialog, meta, track, request.known, request.mint === true);
    const kept = dialog.logs[track]?.entries ?? [];
    const oldest = kept[0]?.offset ?? place.offset + 1;
    let entries: LogEntry[] = [];
    let more = false;
    if (limit > 0 && after !== undefined) {
      const start = Math.max(0, after + 1 - oldest);
      entries = kept.slice(start, start + limit);
      more = kept.length > start + limit;
    } else if (limit > 0) {
      const end = before === undefined ? kept.length : Math.min(kept.length, Math.max(0, before - oldest));
      entries = kept.slice(Math.max(0, end - limit), end);
      more = end > limit;
    }
    return { epoch: place.epoch, offset: place.offset, oldest, entries, more };
  }

  async erase(dialogId: string): Promise<void> {
    this.#cluster.enter(this.#node);
    this.remove(dialogId, true);
  }

  /** Whether anything was there. */
  remove(dialogId: string, keepDirectory: boolean, inboxOf?: string): boolean {
    const dialog = this.#cluster.dialog(dialogId);
    const found = dialog !== undefined && (dialog.meta !== undefined || dialog.connections.size > 0);
    if (dialog !== undefined) {
      const { meta } = dialog;
      if (inboxOf !== undefined && meta?.tenant !== undefined && meta.assistantId === inboxOf && !meta.closed) {
        const address = { tenant: meta.tenant, assistantId: inboxOf };
        this.#inbox.event(dialogId, address, { kind: 'closed', reason: 'deleted' });
      }
      dialog.logs = {};
      dialog.appended.clear();
      dialog.marks.clear();
      dialog.writers.clear();
      dialog.connections.clear();
      dialog.streams.clear();
      if (keepDirectory && meta?.tenant !== undefined) {
        meta.places = {};
        meta.handoff = undefined;
      } else dialog.meta = undefined;
    }
    this.#cluster.send({ dialogId, track: 'main' }, { kind: 'erased', dialogId });
    return found;
  }

  /** The rule that names epochs; `settle.lua` says the same. */
  #settle(dialog: Dialog, meta: Meta, track: Track, known: Position | undefined, mint: boolean): TrackPlace {
    let place = meta.places[track];
    if (place === undefined) {
      delete dialog.logs[track];
      place = this.#cluster.newPlace();
      meta.places[track] = place;
      return place;
    }
    const behind = known !== undefined && known.epoch === place.epoch && (mint || known.offset > place.offset);
    if (place.run < this.#cluster.run || behind) {
      place.epoch = this.#cluster.newName();
      place.run = this.#cluster.run;
    }
    return place;
  }

  /** 0, or how long the sender has to wait. Exact: the times of the last `windowLimit` admissions are kept. */
  #retryAfterMs(dialog: Dialog, user: string, { windowLimit, windowMs }: PublishRequest, nowMs: number): number {
    if (windowLimit <= 0) return 0;
    const times = dialog.windows.get(user) ?? [];
    const oldest = times.at(-windowLimit);
    if (oldest !== undefined) {
      const age = nowMs - oldest;
      // Set back by more than the window, the clock makes these times meaningless.
      if (age < -windowMs) times.length = 0;
      else if (age <= windowMs) return Math.min(windowMs + 1 - age, windowMs + 1);
    }
    return 0;
  }

  #admit(dialog: Dialog, user: string, { windowLimit }: PublishRequest, nowMs: number): void {
    if (windowLimit <= 0) return;
    const times = dialog.windows.get(user) ?? [];
    times.push(nowMs);
    if (times.length > windowLimit) times.splice(0, times.length - windowLimit);
    dialog.windows.set(user, times);
  }

  #append(dialog: Dialog, track: Track, entry: LogEntry): void {
    const { historySize, historyTtlMs } = this.#node.options;
    const log = dialog.logs[track] ?? { entries: [], expiresMs: 0 };
    log.entries.push(entry);
    if (log.entries.length > historySize) log.entries.splice(0, log.entries.length - historySize);
    log.expiresMs = this.#cluster.nowMs + historyTtlMs;
    dialog.logs[track] = log;
  }

  /** Visitors may know of an operator from the first message on. */
  #noteWriter(dialogId: string, dialog: Dialog, user: string): void {
    if (dialog.writers.has(user)) return;
    dialog.writers.add(user);
    for (const { member } of dialog.connections.values()) {
      if (userOf(member) !== user) continue;
      const change = { state: 'join', member: { ...member, wrote: true } } as const;
      this.#cluster.send({ dialogId, track: 'main' }, { kind: 'presence', dialogId, change });
      return;
    }
  }
}
