import {
  type OpenStream,
  REMEMBERED_STREAMS,
  STREAM_MEMORY_MS,
  type StreamAbortResult,
  type StreamAppendResult,
  type StreamFinishResult,
  type StreamOutcome,
  type StreamOver,
  type StreamPiece,
  type StreamRef,
  type StreamStart,
  type StreamStartResult,
  type Streams,
} from '@replyx/core';
import { BOUNDS } from '@replyx/protocol';
import type { Keys } from './keys.js';
import type { Settings } from './options.js';
import type { ScriptArgument } from './script-call.js';
import { SCRIPTS, type Script } from './scripts.js';
import type { Topology } from './topology.js';
import { userOf } from './user.js';

/** What stands between the quotes of a JSON string, so that pieces can be joined as they are. */
const insideJson = (text: string): string => JSON.stringify(text).slice(1, -1);
const fromInside = (inside: string): string => JSON.parse(`"${inside}"`) as string;

export class RedisStreams implements Streams {
  readonly #settings: Pick<Settings, 'presenceTtlMs' | 'streamIdleMs'>;
  readonly #keys: Keys;
  readonly #topology: Topology;
  readonly #publishCommand: string;

  constructor(
    settings: Pick<Settings, 'presenceTtlMs' | 'streamIdleMs'>,
    keys: Keys,
    topology: Topology,
    publishCommand: string,
  ) {
    this.#settings = settings;
    this.#keys = keys;
    this.#topology = topology;
    this.#publishCommand = publishCommand;
  }

  async start({ dialogId, streamId, sender, fence, mustExist }: StreamStart): Promise<StreamStartResult> {
    const { id, name } = sender;
    const [status, first, second] = await this.#run(SCRIPTS.streamStart, dialogId, [
      streamId,
      JSON.stringify(streamId),
      userOf({ role: 'assistant', id }),
      JSON.stringify({ id, ...(name === undefined ? {} : { name }) }),
      fence ?? '',
      mustExist ? '1' : '0',
      BOUNDS.openStreams,
      this.#settings.streamIdleMs,
      STREAM_MEMORY_MS,
      REMEMBERED_STREAMS,
      this.#settings.presenceTtlMs,
    ]);
    switch (status) {
      case 'open':
        return { status, next: Number(first), duplicate: second === '1' };
      case 'over':
        return over(first);
      case 'full':
        return { status, retryAfterMs: Number(first) };
      default:
        return { status: status as 'conflict' | 'stale_fence' | 'closed' | 'not_found' };
    }
  }

  async append({ dialogId, streamId, index, text }: StreamPiece): Promise<StreamAppendResult> {
    const [status, first, second] = await this.#run(SCRIPTS.streamAppend, dialogId, [
      streamId,
      index,
      insideJson(text),
      text.length,
      BOUNDS.textUnits,
      this.#settings.streamIdleMs,
      STREAM_MEMORY_MS,
    ]);
    if (status === 'open') return { status, next: Number(first), duplicate: second === '1' };
    if (status === 'over') return over(first);
    return { status: status as 'conflict' | 'too_large' | 'not_found' };
  }

  async finish({ dialogId, streamId }: StreamRef, hasText: boolean): Promise<StreamFinishResult> {
    const args = [streamId, hasText ? '1' : '0', this.#settings.streamIdleMs];
    const [status, first = '', fence = '', text = ''] = await this.#run(SCRIPTS.streamFinish, dialogId, args);
    switch (status) {
      case 'finishing':
        return {
          status,
          sender: JSON.parse(first),
          fence: fence === '' ? undefined : Number(fence),
          text: fromInside(text),
        };
      case 'finished': {
        const [epoch = '', offset] = first.split(':');
        return { status, epoch, offset: Number(offset) };
      }
      case 'over':
        return over(first);
      default:
        return { status: status as 'conflict' | 'not_found' };
    }
  }

  async settle({ dialogId, streamId }: StreamRef, outcome: StreamOutcome): Promise<void> {
    const args =
      outcome.status === 'published'
        ? [streamId, 'finished', `${outcome.epoch}:${outcome.offset}`]
        : [streamId, outcome.how, ''];
    await this.#run(SCRIPTS.streamSettle, dialogId, args);
  }

  async abort({ dialogId, streamId }: StreamRef): Promise<StreamAbortResult> {
    const [status, first] = await this.#run(SCRIPTS.streamAbort, dialogId, [streamId]);
    if (status === 'aborted') return { status, duplicate: first === '1' };
    return status === 'over' ? over(first) : { status: 'not_found' };
  }

  async open(dialogId: string): Promise<readonly OpenStream[]> {
    const reply = await this.#run(SCRIPTS.streamRead, dialogId, [this.#settings.streamIdleMs]);
    const streams: OpenStream[] = [];
    for (let at = 0; at + 2 < reply.length; at += 3) {
      const [streamId = '', index, text = ''] = reply.slice(at, at + 3);
      streams.push({ streamId, index: Number(index), text: fromInside(text) });
    }
    return streams;
  }

  async #run(script: Script, dialogId: string, args: readonly ScriptArgument[]): Promise<string[]> {
    const keys = this.#keys.dialog(dialogId);
    const link = this.#topology.link(this.#keys.slotOf(keys.partition));
    const reply = await link.run(
      script,
      [keys.meta, keys.streams, keys.channel('main'), ...keys.texts],
      [this.#publishCommand, ...args],
    );
    return Array.isArray(reply) ? reply.map(String) : [];
  }
}

const over = (how: string | undefined): StreamOver => ({ status: 'over', how: how as StreamOver['how'] });
