import {
  type HandoffRequest,
  type HandoffResult,
  type Handoffs,
  REMEMBERED_HANDOFFS,
  renderSender,
  type StoredHandoff,
} from '@replyx/core';
import type { DialogKeys, Keys } from './keys.js';
import type { Link } from './link.js';
import type { Settings } from './options.js';
import { SCRIPTS } from './scripts.js';
import type { Topology } from './topology.js';
import { memberJson, parseMember, userOf } from './user.js';

/** As many as `lib/handoff` gives. */
const HANDOFF_VALUES = 6;

export class RedisHandoffs implements Handoffs {
  readonly #settings: Settings;
  readonly #keys: Keys;
  readonly #topology: Topology;
  readonly #publishCommand: string;

  constructor(settings: Settings, keys: Keys, topology: Topology, publishCommand: string) {
    this.#settings = settings;
    this.#keys = keys;
    this.#topology = topology;
    this.#publishCommand = publishCommand;
  }

  async act(request: HandoffRequest): Promise<HandoffResult> {
    const { dialogId, action, id, sender, operator, reason, minimumFence = 0, mustExist, inbox } = request;
    const { keys, link } = this.#dialog(dialogId);
    const { idempotencyTtlMs, presenceTtlMs } = this.#settings;
    const reply = (await link.run(
      SCRIPTS.handoff,
      [
        keys.meta,
        keys.streams,
        keys.channel('main'),
        ...keys.texts,
        keys.handoffIds(sender),
        keys.writers,
        ...this.#keys.appendsTo(keys.partition),
      ],
      [
        this.#publishCommand,
        action,
        id,
        userOf(sender),
        ...(operator === undefined
          ? ['', '', '']
          : [
              memberJson(operator),
              JSON.stringify(renderSender(operator, true, 'operator')),
              JSON.stringify(renderSender(operator, true, 'visitor')),
            ]),
        reason === undefined ? '' : JSON.stringify(reason),
        minimumFence,
        mustExist ? '1' : '0',
        idempotencyTtlMs,
        REMEMBERED_HANDOFFS,
        presenceTtlMs,
        inbox?.assistantId ?? '',
        this.#settings.inboxMax,
        dialogId,
      ],
    )) as Buffer[];
    const [status, ...values] = reply.map(String);
    if (status === 'done' || status === 'duplicate') {
      const [waitedMs] = values.splice(HANDOFF_VALUES);
      const handoff = decodeHandoff(values);
      return waitedMs === undefined ? { status, handoff } : { status, handoff, waitedMs: Number(waitedMs) };
    }
    return { status: status as 'conflict' | 'closed' | 'not_found' };
  }

  async current(dialogId: string): Promise<StoredHandoff | undefined> {
    const { keys, link } = this.#dialog(dialogId);
    const reply = (await link.run(SCRIPTS.handoffRead, [keys.meta, keys.writers], [])) as Buffer[];
    return reply.length === 0 ? undefined : decodeHandoff(reply.map(String));
  }

  async raiseFence(dialogId: string, fence: number): Promise<void> {
    const { keys, link } = this.#dialog(dialogId);
    await link.run(SCRIPTS.raiseFence, [keys.meta], [fence]);
  }

  #dialog(dialogId: string): { keys: DialogKeys; link: Link } {
    const keys = this.#keys.dialog(dialogId);
    return { keys, link: this.#topology.link(this.#keys.slotOf(keys.partition)) };
  }
}

/** From the six values of `lib/handoff`. */
export const decodeHandoff = (values: readonly string[]): StoredHandoff => {
  const [state, version, member = '', wrote, reason = '', fence] = values;
  return {
    state: state as StoredHandoff['state'],
    version: Number(version),
    ...(member === '' ? {} : { operator: parseMember(member) }),
    wrote: wrote === '1',
    ...(reason === '' ? {} : { reason: JSON.parse(reason) as string }),
    fence: Number(fence),
  };
};
