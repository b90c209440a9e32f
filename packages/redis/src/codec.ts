import type { Audience, Delivery, EvictionCode, LogEntry, PresenceChange, PresentMember, TrackRef } from '@replyx/core';

/**
 * A channel payload is a header line and the frame's bytes; a log entry's value is the payload of its publication. Scripts
 * write `p`, `j`, `l`, `v`, `x`, `d`, `h` and the `e` of read marks; this file reads all and writes `e`.
 *
 *     p<epoch>:<offset>:<incarnation>:<request>\n<frame>
 *     e<a all | o operators | v visitors>\n<frame>
 *     j<1 visitors may know | 0>\n<member as JSON>      joined
 *     l<1 | 0>\n<member as JSON>                        left
 *     v<c CONFLICT_CONNECTION | l CONNECTION_LIMIT>\n<connection>   gave way
 *     d<index>:<1 the last | 0>:<stream id>\n<frame>
 *     h<a | o | v>:<version>\n<frame>                   handoff
 *     x\n                                               erased
 */
const AUDIENCES: Readonly<Record<string, Audience>> = { a: 'all', o: 'operators', v: 'visitors' };

const EVICTIONS: Readonly<Record<string, EvictionCode>> = { c: 'CONFLICT_CONNECTION', l: 'CONNECTION_LIMIT' };

const LINE_END = 10;

export const encodeEphemeral = (audience: Audience, frame: Uint8Array | string): Buffer => {
  const body = typeof frame === 'string' ? Buffer.from(frame, 'utf8') : frame;
  return Buffer.concat([Buffer.from(`e${audience[0]}\n`, 'latin1'), body]);
};

const headerOf = (payload: Buffer): { header: string; body: Buffer } | undefined => {
  const end = payload.indexOf(LINE_END);
  return end === -1 ? undefined : { header: payload.toString('utf8', 0, end), body: payload.subarray(end + 1) };
};

interface PublicationHeader {
  readonly epoch: string;
  readonly offset: number;
  readonly origin: string;
}

const publicationHeader = (header: string): PublicationHeader | undefined => {
  const first = header.indexOf(':');
  const second = header.indexOf(':', first + 1);
  if (first === -1 || second === -1) return undefined;
  const offset = Number(header.slice(first + 1, second));
  if (!Number.isSafeInteger(offset)) return undefined;
  return { epoch: header.slice(1, first), offset, origin: header.slice(second + 1) };
};

const presence = (header: string, body: Buffer): PresenceChange => {
  const member = JSON.parse(body.toString('utf8')) as Omit<PresentMember, 'wrote'>;
  return { state: header[0] === 'j' ? 'join' : 'leave', member: { ...member, wrote: header[1] === '1' } };
};

/** `undefined` where the payload is none of this version's. */
export const decodeDelivery = (ref: TrackRef, payload: Buffer): Delivery | undefined => {
  const parts = headerOf(payload);
  if (parts === undefined) return undefined;
  const { header, body } = parts;
  switch (header[0]) {
    case 'p': {
      const publication = publicationHeader(header);
      return publication && { kind: 'publication', ref, ...publication, frame: body };
    }
    case 'e': {
      const audience = AUDIENCES[header[1] ?? ''];
      return audience && { kind: 'ephemeral', ref, audience, frame: body };
    }
    case 'j':
    case 'l':
      return { kind: 'presence', dialogId: ref.dialogId, change: presence(header, body) };
    case 'v': {
      const code = EVICTIONS[header[1] ?? ''];
      return code && { kind: 'evicted', dialogId: ref.dialogId, connectionId: body.toString('utf8'), code };
    }
    case 'd': {
      const [, index, last, streamId] = /^d(\d+):([01]):(.+)$/u.exec(header) ?? [];
      if (streamId === undefined) return undefined;
      const { dialogId } = ref;
      return { kind: 'delta', dialogId, streamId, index: Number(index), done: last === '1', frame: body };
    }
    case 'h': {
      const [, letter = '', version] = /^h(.):(\d+)$/.exec(header) ?? [];
      const audience = AUDIENCES[letter];
      return audience && { kind: 'handoff', dialogId: ref.dialogId, audience, version: Number(version), frame: body };
    }
    case 'x':
      return { kind: 'erased', dialogId: ref.dialogId };
    default:
      return undefined;
  }
};

/** An entry of a log: its stream id names the offset, whatever epoch it was appended in. */
export const decodeEntry = (id: Buffer, value: Buffer): LogEntry => {
  const parts = headerOf(value);
  const publication = parts && publicationHeader(parts.header);
  if (parts === undefined || publication === undefined) throw new Error('a log entry has no header');
  return { offset: Number.parseInt(id.toString('latin1'), 10), origin: publication.origin, frame: parts.body };
};
