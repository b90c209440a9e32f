import { z } from 'zod';
import { BOUNDS } from '../bounds.js';
import type { ClientFrame } from '../frames.js';
import { frameId, meta, offset, text, track } from './fields.js';
import { parseJsonObject } from './json-text.js';

const message = { id: frameId, text, meta: meta.optional() };

/** One strict schema a client frame type: an unknown field is refused. */
export const CLIENT_FRAME_SCHEMAS = {
  message: z.strictObject({ type: z.literal('message'), ...message }),
  note: z.strictObject({ type: z.literal('note'), ...message }),
  typing: z.strictObject({ type: z.literal('typing'), state: z.enum(['start', 'stop']), track: track.optional() }),
  read: z.strictObject({ type: z.literal('read'), offset, track: track.optional() }),
  history: z
    .strictObject({
      type: z.literal('history'),
      id: frameId,
      before: offset.optional(),
      after: offset.optional(),
      limit: z.int().min(1).max(BOUNDS.historyPage).optional(),
      track: track.optional(),
    })
    .refine((frame) => frame.before === undefined || frame.after === undefined, {
      error: 'takes before or after, not both',
      path: ['before'],
    })
    .meta({ not: { required: ['before', 'after'] } }),
  refresh: z.strictObject({ type: z.literal('refresh'), id: frameId, token: z.string().min(1).max(BOUNDS.tokenChars) }),
  handoff: z.strictObject({
    type: z.literal('handoff'),
    id: frameId,
    action: z.enum(['request', 'cancel', 'take', 'release']),
  }),
  ping: z.strictObject({ type: z.literal('ping') }),
} as const satisfies Record<ClientFrame['type'], z.ZodType<ClientFrame>>;

export type ClientFrameResult =
  | { readonly ok: true; readonly frame: ClientFrame }
  /** `id` is there when the refused frame carried a usable one, so that its sender can match the error. */
  | { readonly ok: false; readonly id?: string; readonly message: string };

const isFrameType = (type: unknown): type is ClientFrame['type'] =>
  typeof type === 'string' && Object.hasOwn(CLIENT_FRAME_SCHEMAS, type);

/** The first problem as a fixed sentence: names only fields of the contract, never values of the peer. */
const describe = (error: z.ZodError): string => {
  const issue = error.issues[0];
  if (issue?.code === 'unrecognized_keys') return 'The frame has an unknown field.';
  const field = issue?.path[0];
  return typeof field === 'string' ? `The field ${field} is missing or not valid.` : 'The frame is not valid.';
};

/** Validates one text frame from a peer. Never throws. */
export const parseClientFrame = (raw: string): ClientFrameResult => {
  const json = parseJsonObject(raw);
  if (!json.ok) return { ok: false, message: `The frame ${json.why}.` };
  const { value } = json;
  const { type } = value;
  if (!isFrameType(type)) return refused(value, 'The frame has no known type.');
  const parsed = CLIENT_FRAME_SCHEMAS[type].safeParse(value);
  return parsed.success ? { ok: true, frame: parsed.data as ClientFrame } : refused(value, describe(parsed.error));
};

const refused = (value: Record<string, unknown>, message: string): ClientFrameResult => {
  const id = frameId.safeParse(Object.hasOwn(value, 'id') ? value['id'] : undefined);
  return id.success ? { ok: false, id: id.data, message } : { ok: false, message };
};
