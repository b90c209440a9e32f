import { z } from 'zod';
import { BOUNDS } from '../bounds.js';
import { CLOSE_CODES, type CloseCode, type CloseName } from '../close-codes.js';
import { ERROR_CODES, type ErrorName } from '../error-codes.js';
import type {
  AckFrame,
  ConnectedFrame,
  DeltaNotice,
  DisconnectFrame,
  ErrorFrame,
  EventNotice,
  HandoffNotice,
  HandoffState,
  HistoryAnswerFrame,
  PongFrame,
  PresenceNotice,
  PublicationFrame,
  ReadMark,
  ReadNotice,
  ResetFrame,
  ServerFrame,
  TrackPosition,
  TypingNotice,
} from '../frames.js';
import { EPOCH_PATTERN } from '../ids.js';
import type { PublicSender, Sender } from '../roles.js';
import { frameId, id, jsonObject, offset, subject, track } from './fields.js';

/** A schema a field, none left out and none made up. */
type ShapeOf<T> = { readonly [K in keyof T]-?: z.ZodType<T[K]> };

const namesOf = <T extends string>(table: Readonly<Record<T, unknown>>) => Object.keys(table) as [T, ...T[]];

export const epoch = z.string().regex(EPOCH_PATTERN);
export const role = z.enum(['user', 'assistant', 'manager', 'system']);
export const errorName = z.enum(namesOf<ErrorName>(ERROR_CODES));
const closeCodes: readonly CloseCode[] = Object.values(CLOSE_CODES);
const milliseconds = z.number().min(0);
const displayName = z.string().min(1).max(BOUNDS.nameChars);

export const sender = z.strictObject({
  role,
  id: subject,
  name: displayName.exactOptional(),
} satisfies ShapeOf<Sender>);
export const publicSender = z.strictObject({
  role,
  id: subject.exactOptional(),
  name: displayName.exactOptional(),
} satisfies ShapeOf<PublicSender>);

export const readMark = z.strictObject({
  role,
  id: subject.exactOptional(),
  name: displayName.exactOptional(),
  offset,
} satisfies ShapeOf<ReadMark>);

const handoff = {
  state: z.enum(['none', 'requested', 'active', 'released', 'cancelled']),
  operator: publicSender.exactOptional(),
  reason: z.string().max(BOUNDS.reasonChars).exactOptional(),
  queue_position: z.int().min(0).exactOptional(),
} satisfies ShapeOf<HandoffState>;
export const handoffState = z.strictObject(handoff);

const position = { epoch, offset, head: offset, recovered: z.boolean() } satisfies ShapeOf<TrackPosition>;

const publication = {
  offset: z.int().min(1).max(Number.MAX_SAFE_INTEGER),
  timestamp: z.int().min(0).meta({ description: "Milliseconds since 1970 by the store's clock." }),
  id: frameId,
  sender,
  text: z.string().min(1).max(BOUNDS.textUnits),
  meta: jsonObject.exactOptional(),
} satisfies Omit<ShapeOf<PublicationFrame>, 'type'>;

const message = z.strictObject({ type: z.literal('message'), ...publication });
const note = z.strictObject({ type: z.literal('note'), ...publication });

type FrameOf<T extends ServerFrame['type']> = T extends 'message' | 'note'
  ? PublicationFrame & { readonly type: T }
  : Extract<ServerFrame, { readonly type: T }>;

/** One strict schema a server frame type: what the gateway sends. Clients ignore fields that they don't know. */
export const SERVER_FRAME_SCHEMAS = {
  connected: z.strictObject({
    type: z.literal('connected'),
    connection_id: id,
    dialog_id: id,
    role,
    ...position,
    ping_interval_ms: milliseconds,
    expires_in_ms: milliseconds,
    server_time: milliseconds,
    handoff: handoffState,
    read: z.array(readMark),
    internal: z.strictObject({ ...position, read: z.array(readMark) }).exactOptional(),
  } satisfies ShapeOf<ConnectedFrame>),
  message,
  note,
  ack: z.strictObject({
    type: z.literal('ack'),
    id: frameId,
    offset: offset.exactOptional(),
    track: track.exactOptional(),
    duplicate: z.literal(true).exactOptional(),
  } satisfies ShapeOf<AckFrame>),
  error: z.strictObject({
    type: z.literal('error'),
    id: frameId.exactOptional(),
    code: errorName,
    message: z.string(),
    temporary: z.boolean(),
    retry_after_ms: milliseconds.exactOptional(),
  } satisfies ShapeOf<ErrorFrame>),
  history: z.strictObject({
    type: z.literal('history'),
    id: frameId,
    track,
    messages: z.array(z.discriminatedUnion('type', [message, note])).max(BOUNDS.historyPage),
    epoch,
    offset,
    more: z.boolean(),
  } satisfies ShapeOf<HistoryAnswerFrame>),
  typing: z.strictObject({
    type: z.literal('typing'),
    sender: publicSender,
    state: z.enum(['start', 'stop']),
    track: track.exactOptional(),
  } satisfies ShapeOf<TypingNotice>),
  read: z.strictObject({
    type: z.literal('read'),
    sender: publicSender,
    offset,
    track: track.exactOptional(),
  } satisfies ShapeOf<ReadNotice>),
  presence: z.strictObject({
    type: z.literal('presence'),
    state: z.enum(['snapshot', 'join', 'leave']),
    users: z.array(publicSender),
    count: z.int().min(0).exactOptional(),
  } satisfies ShapeOf<PresenceNotice>),
  event: z.strictObject({
    type: z.literal('event'),
    name: z.string().min(1).max(BOUNDS.eventNameChars),
    data: z.unknown().nonoptional(),
  } satisfies ShapeOf<EventNotice>),
  delta: z.strictObject({
    type: z.literal('delta'),
    stream_id: frameId,
    index: offset,
    text: z.string().max(BOUNDS.textUnits),
    whole: z.literal(true).exactOptional(),
    done: z.literal(true).exactOptional(),
    reason: z.enum(['finished', 'aborted', 'expired', 'stale_fence', 'closed']).exactOptional(),
  } satisfies ShapeOf<DeltaNotice>),
  handoff: z.strictObject({ type: z.literal('handoff'), ...handoff } satisfies ShapeOf<HandoffNotice>),
  reset: z.strictObject({
    type: z.literal('reset'),
    track,
    epoch,
    offset,
    reason: z.enum(['new_epoch', 'history_lost']),
  } satisfies ShapeOf<ResetFrame>),
  disconnect: z.strictObject({
    type: z.literal('disconnect'),
    code: z.literal(closeCodes.map(({ code }) => code)),
    reason: z.enum(namesOf<CloseName>(CLOSE_CODES)),
    reconnect: z.strictObject({
      mode: z.enum([...new Set(closeCodes.map(({ reconnect }) => reconnect))]),
      delay_ms: milliseconds,
    }),
  } satisfies ShapeOf<DisconnectFrame>),
  pong: z.strictObject({ type: z.literal('pong') } satisfies ShapeOf<PongFrame>),
} as const satisfies { readonly [T in ServerFrame['type']]: z.ZodType<FrameOf<T>> };
