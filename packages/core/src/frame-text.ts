import type { AckFrame, ErrorFrame, ErrorName, HistoryAnswerFrame, ServerFrame, Track } from '@replyx/protocol';
import { CLOSE_CODES, type CloseName, ERROR_CODES } from '@replyx/protocol';
import type { PublishRequest, ReadResult } from './ports.js';

/** A frame as it goes over the wire. Keys are in the order of the object: docs and golden tests rely on it. */
export const encodeFrame = (frame: ServerFrame): string => JSON.stringify(frame);

export const PONG = encodeFrame({ type: 'pong' });

export const ackFrame = (id: string, offset: number, track: Track, duplicate: boolean): string => {
  const frame: AckFrame = {
    type: 'ack',
    id,
    offset,
    ...(track === 'internal' ? { track } : {}),
    ...(duplicate ? { duplicate: true as const } : {}),
  };
  return encodeFrame(frame);
};

export const errorFrame = (code: ErrorName, id?: string, detail?: string, retryAfterMs?: number): string => {
  const entry = ERROR_CODES[code];
  const frame: ErrorFrame = {
    type: 'error',
    ...(id === undefined ? {} : { id }),
    code,
    message: detail ?? entry.means,
    temporary: entry.temporary,
    ...(retryAfterMs === undefined ? {} : { retry_after_ms: retryAfterMs }),
  };
  return encodeFrame(frame);
};

export const disconnectFrame = (name: CloseName, delayMs: number): string => {
  const { code, reconnect } = CLOSE_CODES[name];
  return encodeFrame({ type: 'disconnect', code, reason: name, reconnect: { mode: reconnect, delay_ms: delayMs } });
};

const decoder = new TextDecoder();

/** Stored frames are JSON already: the page is joined from their text, not parsed and printed again. */
export const historyMessages = (page: Pick<ReadResult, 'entries'>): string =>
  `[${page.entries.map((entry) => decoder.decode(entry.frame)).join(',')}]`;

export const historyFrame = (id: string, track: Track, page: ReadResult): string => {
  const { type, messages, ...rest } = {
    type: 'history',
    id,
    track,
    messages: [],
    epoch: page.epoch,
    offset: page.offset,
    more: page.more,
  } satisfies HistoryAnswerFrame;
  return `{"type":"${type}","messages":${historyMessages(page)},${JSON.stringify(rest).slice(1)}`;
};

export interface PublicationContent {
  readonly id: string;
  readonly text: string;
  readonly meta?: Readonly<Record<string, unknown>> | undefined;
}

/** The frame of a publication around the offset and time that the append assigns, as `PublishRequest` says. */
export const publicationParts = (
  track: Track,
  sender: { readonly role: string; readonly id: string; readonly name?: string | undefined },
  content: PublicationContent,
): Pick<PublishRequest, 'frameHead' | 'frameTail'> => {
  const meta = content.meta === undefined ? '' : `,"meta":${JSON.stringify(content.meta)}`;
  const { role, id, name } = sender;
  return {
    frameHead: `{"type":"${track === 'main' ? 'message' : 'note'}","offset":`,
    frameTail: `,"id":${JSON.stringify(content.id)},"sender":${JSON.stringify({ role, id, name })},"text":${JSON.stringify(content.text)}${meta}}`,
  };
};

/**
 * 64 bits over what the sender chose. It only tells a retry from a reuse of its own id, so it needs no cryptographic
 * strength: who finds a collision fools nobody but itself.
 */
export const bodyDigest = (content: PublicationContent): string => {
  const text = content.meta === undefined ? content.text : `${content.text}\u0000${JSON.stringify(content.meta)}`;
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 2654435761);
    b = Math.imul(b ^ unit, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  // Printed as they are: one number of both, in another base, takes longer than the loop above.
  return `${a}.${b}`;
};
