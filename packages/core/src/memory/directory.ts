import type { AssistantRecord, DialogOwner, DialogRecord, Directory, OpenDialogResult } from '../ports.js';
import type { MemoryCluster } from './cluster.js';
import type { MemoryControl } from './control.js';
import type { MemoryInboxWriter } from './inbox.js';
import type { MemoryLog } from './log.js';
import type { MemoryNode } from './node.js';
import type { Meta } from './store.js';

/** The directory's part of a dialog's meta; `undefined` for a dialog that the directory does not know. */
export const recordOf = (meta: Meta | undefined): DialogRecord | undefined => {
  if (meta?.tenant === undefined) return undefined;
  const { tenant, assistantId, visitorId, closed } = meta;
  return {
    tenant,
    ...(assistantId === undefined ? {} : { assistantId }),
    ...(visitorId === undefined ? {} : { visitorId }),
    closed,
  };
};

export class MemoryDirectory implements Directory {
  readonly #cluster: MemoryCluster;
  readonly #node: MemoryNode;
  readonly #log: MemoryLog;
  readonly #control: MemoryControl;
  readonly #inbox: MemoryInboxWriter;

  constructor(
    cluster: MemoryCluster,
    node: MemoryNode,
    log: MemoryLog,
    control: MemoryControl,
    inbox: MemoryInboxWriter,
  ) {
    this.#cluster = cluster;
    this.#node = node;
    this.#log = log;
    this.#control = control;
    this.#inbox = inbox;
  }

  async assistant(assistantId: string): Promise<AssistantRecord | undefined> {
    this.#cluster.enter(this.#node);
    return this.#cluster.data.assistants.get(assistantId);
  }

  async putAssistant(assistantId: string, record: AssistantRecord): Promise<void> {
    await this.#control.write({ kind: 'assistant', assistantId, record });
  }

  async deleteAssistant(assistantId: string): Promise<boolean> {
    this.#cluster.enter(this.#node);
    if (!this.#cluster.data.assistants.has(assistantId)) return false;
    await this.#control.write({ kind: 'assistant', assistantId });
    return true;
  }

  async dialog(dialogId: string): Promise<DialogRecord | undefined> {
    this.#cluster.enter(this.#node);
    return recordOf(this.#cluster.dialog(dialogId)?.meta);
  }

  async putDialog(dialogId: string, record: DialogRecord, hasInbox = false): Promise<'stored' | 'conflict'> {
    this.#cluster.enter(this.#node);
    const meta = this.#cluster.ensureMeta(this.#cluster.ensureDialog(dialogId));
    if (meta.tenant !== undefined && meta.tenant !== record.tenant) return 'conflict';
    const wasOpen = meta.tenant !== undefined && meta.assistantId === record.assistantId && !meta.closed;
    meta.tenant = record.tenant;
    meta.assistantId = record.assistantId;
    meta.visitorId = record.visitorId;
    meta.closed = record.closed;
    meta.expiresMs = Number.POSITIVE_INFINITY;
    const { tenant, assistantId, closed } = record;
    const address = hasInbox && assistantId !== undefined ? { tenant, assistantId } : undefined;
    if (!closed && !wasOpen) this.#inbox.event(dialogId, address, { kind: 'opened' });
    else if (closed && wasOpen) this.#inbox.event(dialogId, address, { kind: 'closed', reason: 'closed' });
    return 'stored';
  }

  async openDialog(
    dialogId: string,
    owner: DialogOwner,
    mode: 'make' | 'keep',
    hasInbox = false,
  ): Promise<OpenDialogResult> {
    this.#cluster.enter(this.#node);
    const known = this.#cluster.dialog(dialogId)?.meta;
    const created = known?.tenant === undefined;
    if (created && mode === 'keep') return 'unknown';
    const assistantId = known?.assistantId ?? (mode === 'make' ? owner.assistantId : undefined);
    const visitorId = known?.visitorId ?? owner.visitorId;
    if (!created && known.tenant !== owner.tenant) return 'conflict';
    if (assistantId !== owner.assistantId || visitorId !== owner.visitorId) return 'conflict';
    const meta = this.#cluster.ensureMeta(this.#cluster.ensureDialog(dialogId));
    Object.assign(meta, owner);
    meta.expiresMs = Math.max(meta.expiresMs, this.#cluster.nowMs + this.#cluster.presenceTtlMs);
    if (created && hasInbox) this.#inbox.event(dialogId, owner, { kind: 'opened' });
    return created ? 'created' : 'resumed';
  }

  async deleteDialog(dialogId: string, inboxOf?: string): Promise<boolean> {
    this.#cluster.enter(this.#node);
    return this.#log.remove(dialogId, false, inboxOf);
  }
}
