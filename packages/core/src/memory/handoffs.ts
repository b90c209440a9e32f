import type { HandoffState } from '@replyx/protocol';
import { encodeFrame } from '../frame-text.js';
import {
  type HandoffRequest,
  type HandoffResult,
  type Handoffs,
  REMEMBERED_HANDOFFS,
  type StoredHandoff,
} from '../handoff-port.js';
import { nextHandoff } from '../handoff-rule.js';
import type { Audience } from '../ports.js';
import { renderHandoff } from '../sender-view.js';
import type { MemoryCluster } from './cluster.js';
import type { MemoryInboxWriter } from './inbox.js';
import type { MemoryNode } from './node.js';
import { type Dialog, type KeptHandoff, type Meta, userOf } from './store.js';
import { endStream } from './streams.js';

/** What is stored of the handoff of a dialog. */
export const handoffOf = (dialog: Dialog, meta: Meta): StoredHandoff => {
  const { state = 'none', version = 0, operator, reason } = meta.handoff ?? {};
  return {
    state,
    version,
    ...(operator === undefined ? {} : { operator }),
    wrote: operator !== undefined && dialog.writers.has(userOf(operator)),
    ...(reason === undefined ? {} : { reason }),
    fence: meta.fence ?? 0,
  };
};

/** `handoff.lua` says the same. */
export class MemoryHandoffs implements Handoffs {
  readonly #cluster: MemoryCluster;
  readonly #node: MemoryNode;

  readonly #inbox: MemoryInboxWriter;

  constructor(cluster: MemoryCluster, node: MemoryNode, inbox: MemoryInboxWriter) {
    this.#cluster = cluster;
    this.#node = node;
    this.#inbox = inbox;
  }

  async act(request: HandoffRequest): Promise<HandoffResult> {
    this.#cluster.enter(this.#node);
    const { dialogId, action, id, sender } = request;
    const known = this.#cluster.dialog(dialogId);
    if (request.mustExist && known?.meta?.tenant === undefined) return { status: 'not_found' };
    const user = userOf(sender);
    const before = known?.meta?.handoff;
    const earlier = known?.handoffIds.get(user)?.find((one) => one.id === id && one.life === before?.life);
    if (known?.meta !== undefined && earlier !== undefined) {
      if (earlier.action !== action) return { status: 'conflict' };
      return { status: 'duplicate', handoff: handoffOf(known, known.meta) };
    }
    if (known?.meta?.closed === true) return { status: 'closed' };
    const state = before?.state ?? 'none';
    const isHolder = before?.operator !== undefined && userOf(before.operator) === user;
    const next = nextHandoff(state, action, isHolder);
    if (next === undefined) return { status: 'conflict' };

    const dialog = known ?? this.#cluster.ensureDialog(dialogId);
    const meta = this.#cluster.ensureMeta(dialog);
    const { requestedMs } = before ?? {};
    const waited = action === 'take' && state === 'requested' && requestedMs !== undefined;
    if (next !== 'stays') this.#change(dialog, meta, next, request);
    const life = meta.handoff?.life ?? '';
    const expiresMs = this.#cluster.nowMs + this.#node.options.idempotencyTtlMs;
    const done = [{ id, action, life, expiresMs }, ...(dialog.handoffIds.get(user) ?? [])];
    dialog.handoffIds.set(user, done.slice(0, REMEMBERED_HANDOFFS));
    const handoff = handoffOf(dialog, meta);
    return waited
      ? { status: 'done', handoff, waitedMs: this.#cluster.nowMs - requestedMs }
      : { status: 'done', handoff };
  }

  async current(dialogId: string): Promise<StoredHandoff | undefined> {
    this.#cluster.enter(this.#node);
    const dialog = this.#cluster.dialog(dialogId);
    return dialog?.meta && handoffOf(dialog, dialog.meta);
  }

  async raiseFence(dialogId: string, fence: number): Promise<void> {
    this.#cluster.enter(this.#node);
    const meta = this.#cluster.dialog(dialogId)?.meta;
    if (meta !== undefined) meta.fence = Math.max(meta.fence ?? 0, fence);
  }

  #change(dialog: Dialog, meta: Meta, state: HandoffState['state'], request: HandoffRequest): void {
    const { dialogId, action, operator, reason, minimumFence = 0 } = request;
    const before = meta.handoff;
    const { nowMs } = this.#cluster;
    if (action === 'take') {
      const least = minimumFence === 0 ? nowMs : minimumFence;
      meta.fence = Math.max((meta.fence ?? 0) + 1, least);
      for (const [streamId, stream] of dialog.streams) {
        if (stream.state === 'open') endStream(this.#cluster, dialogId, streamId, stream, 'stale_fence');
      }
    }
    const asked = action === 'request' || action === 'cancel';
    const kept: KeptHandoff = {
      state,
      version: (before?.version ?? 0) + 1,
      life: before?.life ?? this.#cluster.newName(),
      requestedMs: action === 'request' ? nowMs : before?.requestedMs,
      operator: asked ? undefined : action === 'take' ? operator && structuredClone(operator) : before?.operator,
      reason: asked ? reason : action === 'take' ? before?.reason : undefined,
    };
    meta.handoff = kept;
    const changed = handoffOf(dialog, meta);
    this.#tell(dialogId, changed);
    if (request.inbox !== undefined && meta.assistantId === request.inbox.assistantId) {
      const fields = { ...renderHandoff({ ...changed, wrote: true }, 'operator') };
      this.#inbox.event(dialogId, request.inbox, { kind: 'handoff', fields });
    }
  }

  #tell(dialogId: string, handoff: StoredHandoff): void {
    const ref = { dialogId, track: 'main' } as const;
    const send = (audience: Audience, viewer: 'operator' | 'visitor'): void => {
      const frame = new TextEncoder().encode(encodeFrame({ type: 'handoff', ...renderHandoff(handoff, viewer) }));
      const { version } = handoff;
      this.#cluster.send(ref, { kind: 'handoff', dialogId, audience, version, frame });
    };
    if (handoff.operator === undefined) send('all', 'operator');
    else {
      send('operators', 'operator');
      send('visitors', 'visitor');
    }
  }
}
