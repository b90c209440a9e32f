import type { AssistantRecord, DialogOwner, DialogRecord, Directory, OpenDialogResult } from '@replyx/core';
import type { Keys } from './keys.js';
import type { Settings } from './options.js';
import type { RedisControl } from './redis-control.js';
import type { RedisLog } from './redis-log.js';
import { SCRIPTS } from './scripts.js';
import type { Topology } from './topology.js';

/** From the meta fields tenant, assistant, visitor, closed; empty and absent are the same. */
export const decodeDialog = (fields: readonly (Buffer | string | null | undefined)[]): DialogRecord | undefined => {
  const [tenant = '', assistantId = '', visitorId = '', closed] = fields.map((field) => String(field ?? ''));
  if (tenant === '') return undefined;
  return {
    tenant,
    ...(assistantId === '' ? {} : { assistantId }),
    ...(visitorId === '' ? {} : { visitorId }),
    closed: closed === '1',
  };
};

export class RedisDirectory implements Directory {
  readonly #settings: Pick<Settings, 'presenceTtlMs' | 'inboxMax'>;
  readonly #keys: Keys;
  readonly #topology: Topology;
  readonly #log: RedisLog;
  readonly #control: RedisControl;
  readonly #publishCommand: string;

  constructor(
    settings: Pick<Settings, 'presenceTtlMs' | 'inboxMax'>,
    keys: Keys,
    topology: Topology,
    log: RedisLog,
    control: RedisControl,
    publishCommand: string,
  ) {
    this.#settings = settings;
    this.#keys = keys;
    this.#topology = topology;
    this.#log = log;
    this.#control = control;
    this.#publishCommand = publishCommand;
  }

  assistant(assistantId: string): Promise<AssistantRecord | undefined> {
    return this.#control.assistant(assistantId);
  }

  async putAssistant(assistantId: string, record: AssistantRecord): Promise<void> {
    await this.#control.setAssistant({ kind: 'assistant', assistantId, record });
  }

  deleteAssistant(assistantId: string): Promise<boolean> {
    return this.#control.setAssistant({ kind: 'assistant', assistantId });
  }

  async dialog(dialogId: string): Promise<DialogRecord | undefined> {
    const keys = this.#keys.dialog(dialogId);
    const link = this.#topology.link(this.#keys.slotOf(keys.partition));
    return decodeDialog((await link.command('HMGET', keys.meta, 't', 'a', 'v', 'c')) as (Buffer | null)[]);
  }

  async putDialog(dialogId: string, record: DialogRecord, hasInbox = false): Promise<'stored' | 'conflict'> {
    const keys = this.#keys.dialog(dialogId);
    const stored = await this.#topology
      .link(this.#keys.slotOf(keys.partition))
      .run(
        SCRIPTS.putDialog,
        [keys.meta, ...this.#keys.appendsTo(keys.partition)],
        [
          record.tenant,
          record.assistantId ?? '',
          record.visitorId ?? '',
          record.closed ? '1' : '0',
          this.#publishCommand,
          dialogId,
          hasInbox ? '1' : '0',
          this.#settings.inboxMax,
        ],
      );
    return stored === 1 ? 'stored' : 'conflict';
  }

  async openDialog(
    dialogId: string,
    owner: DialogOwner,
    mode: 'make' | 'keep',
    hasInbox = false,
  ): Promise<OpenDialogResult> {
    const keys = this.#keys.dialog(dialogId);
    const opened = await this.#topology
      .link(this.#keys.slotOf(keys.partition))
      .run(
        SCRIPTS.openDialog,
        [keys.meta, ...this.#keys.appendsTo(keys.partition)],
        [
          owner.tenant,
          owner.assistantId,
          owner.visitorId,
          mode,
          this.#settings.presenceTtlMs,
          this.#publishCommand,
          dialogId,
          hasInbox ? '1' : '0',
          this.#settings.inboxMax,
        ],
      );
    return String(opened) as OpenDialogResult;
  }

  deleteDialog(dialogId: string, inboxOf?: string): Promise<boolean> {
    return this.#log.remove(dialogId, false, inboxOf);
  }
}
