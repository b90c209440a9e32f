import type { Log, LogEntry, PublishRequest, PublishResult, ReadRequest, ReadResult } from '@replyx/core';
import { decodeEntry } from './codec.js';
import type { Keys } from './keys.js';
import { logLifetimeMs, metaLifetimeMs, type Settings } from './options.js';
import { SCRIPTS } from './scripts.js';
import type { Settling } from './settling.js';
import type { Topology } from './topology.js';
import { userOf } from './user.js';

export class RedisLog implements Log {
  readonly #settings: Settings;
  readonly #keys: Keys;
  readonly #topology: Topology;
  readonly #publishCommand: string;
  readonly #settling: Settling;

  constructor(settings: Settings, keys: Keys, topology: Topology, publishCommand: string, settling: Settling) {
    this.#settings = settings;
    this.#keys = keys;
    this.#topology = topology;
    this.#publishCommand = publishCommand;
    this.#settling = settling;
  }

  async publish(request: PublishRequest): Promise<PublishResult> {
    const { sender, track, inbox } = request;
    const settings = this.#settings;
    const keys = this.#keys.dialog(request.dialogId);
    const link = this.#topology.link(this.#keys.slotOf(keys.partition));
    const reply = await link.run(
      SCRIPTS.publish,
      [
        keys.meta,
        keys.log(track),
        keys.channel(track),
        keys.idempotency(track, sender, request.id),
        keys.window(sender),
        keys.writers,
        keys.conns,
        keys.marks,
        ...(inbox === undefined ? [] : this.#keys.appendsTo(keys.partition)),
      ],
      [
        ...this.#settling.of(link, track, request.known),
        this.#publishCommand,
        `${settings.incarnation}:${request.request}`,
        request.frameHead,
        request.frameTail,
        request.bodyDigest,
        settings.idempotencyTtlMs,
        request.windowLimit,
        request.windowMs,
        request.fence ?? '',
        request.mustExist ? '1' : '0',
        settings.historySize,
        settings.historyTtlMs,
        logLifetimeMs(settings),
        metaLifetimeMs(settings),
        userOf(sender),
        request.windowIsDryRun === true ? '1' : '0',
        ...(inbox === undefined ? [] : [inbox, settings.inboxMax, request.dialogId]),
      ],
    );
    return decodePublished(reply as unknown[]);
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    const { track, after, before, limit } = request;
    const keys = this.#keys.dialog(request.dialogId);
    const link = this.#topology.link(this.#keys.slotOf(keys.partition));
    const up = after !== undefined;
    // Nothing lies before offset 1, and 0 makes no stream id: then only the position is read.
    const most = !up && before !== undefined && before <= 1 ? 0 : limit;
    const from = up ? `${Math.max(after, 0) + 1}-0` : before === undefined ? '+' : `${Math.max(before - 1, 1)}-0`;
    const reply = (await link.run(
      SCRIPTS.read,
      [keys.meta, keys.log(track)],
      [...this.#settling.of(link, track, request.known, request.mint === true), up ? 'up' : 'down', from, most],
    )) as [Buffer, number, number, Buffer, ...Buffer[]];
    return decodeRead(reply, up);
  }

  async erase(dialogId: string): Promise<void> {
    await this.remove(dialogId, true);
  }

  /** Resolves whether anything was there. */
  async remove(dialogId: string, keepDirectory: boolean, inboxOf = ''): Promise<boolean> {
    const keys = this.#keys.dialog(dialogId);
    const link = this.#topology.link(this.#keys.slotOf(keys.partition));
    const removed = await link.run(
      SCRIPTS.erase,
      [
        keys.channel('main'),
        keys.meta,
        keys.log('main'),
        keys.log('internal'),
        keys.conns,
        keys.marks,
        keys.writers,
        keys.streams,
        ...keys.texts,
        ...this.#keys.appendsTo(keys.partition),
      ],
      [this.#publishCommand, keepDirectory ? '1' : '0', dialogId, inboxOf, this.#settings.inboxMax],
    );
    return removed === 1;
  }
}

const decodePublished = (reply: readonly unknown[]): PublishResult => {
  const status = String(reply[0]) as PublishResult['status'];
  switch (status) {
    case 'appended':
    case 'duplicate':
      return {
        status,
        epoch: String(reply[1]),
        offset: Number(reply[2]),
        ...(reply[3] === undefined ? {} : { overLimit: true }),
      };
    case 'rate_limited':
      return { status, retryAfterMs: Number(reply[1]) };
    default:
      return { status };
  }
};

const decodeRead = (reply: readonly [Buffer, number, number, Buffer, ...Buffer[]], up: boolean): ReadResult => {
  const [epoch, offset, oldest, more, ...pairs] = reply;
  const entries: LogEntry[] = [];
  for (let index = 0; index + 1 < pairs.length; index += 2) {
    entries.push(decodeEntry(pairs[index] as Buffer, pairs[index + 1] as Buffer));
  }
  if (!up) entries.reverse();
  return { epoch: epoch.toString('latin1'), offset, oldest, more: String(more) === '1', entries };
};
