import { z } from 'zod';
import { BOUNDS } from '../bounds.js';
import { assistantLimits } from './api-bodies.js';
import { frameId, id, jsonObject, offset, subject } from './fields.js';
import { epoch, errorName, handoffState, role, SERVER_FRAME_SCHEMAS } from './server-frames.js';

const count = z.int().min(0);
const moment = z.number().min(0).meta({ description: 'Milliseconds since 1970.' });

const revocation = z.strictObject({
  id,
  by: z.enum(['jti', 'subject', 'assistant', 'dialog']),
  jti: subject.exactOptional(),
  sub: subject.exactOptional(),
  tenant: id.exactOptional(),
  issued_before: z.number().exactOptional().meta({ description: 'Seconds since 1970, as `iat`.' }),
  assistant_id: id.exactOptional(),
  below_version: count.exactOptional(),
  dialog_id: id.exactOptional(),
  created_at: moment,
  expires_at: moment,
});

const ban = z.strictObject({
  id,
  network: z.string().meta({ description: 'An IPv4 address, or a network; of an IPv6 address its /64.' }),
  reason: z.string().exactOptional(),
  source: z.enum(['api', 'score']),
  created_at: moment,
  expires_at: moment,
});

const next = z.string().nullable().meta({ description: '`after` of the next page; null on the last.' });

/** Answers of both listeners, by name. Strict: what the gateway gives; callers ignore fields they don't know. */
export const API_ANSWERS = {
  published: z.strictObject({ id: frameId, epoch, offset, duplicate: z.boolean() }),
  history: z.strictObject({
    messages: z
      .array(z.discriminatedUnion('type', [SERVER_FRAME_SCHEMAS.message, SERVER_FRAME_SCHEMAS.note]))
      .max(BOUNDS.historyPage),
    epoch,
    offset: offset.meta({ description: "The track's head, not the page's last entry." }),
    more: z.boolean(),
  }),
  accepted: z.strictObject({}),
  handoff: z.strictObject({
    ...handoffState.shape,
    fence: offset.exactOptional().meta({ description: "The dialog's present fence, where it has one." }),
  }),
  stream: z.strictObject({
    stream_id: frameId,
    state: z.enum(['open', 'finished', 'aborted']),
    index: offset.exactOptional().meta({ description: 'Of an open stream: the index that the next piece must have.' }),
    epoch: epoch.exactOptional(),
    offset: offset.exactOptional().meta({ description: 'Of a finished stream: that of its message.' }),
    duplicate: z.boolean().meta({ description: 'An earlier call had done the same.' }),
  }),
  presence: z.strictObject({
    connections: z.array(
      z.strictObject({
        connection_id: id,
        node_id: z.string(),
        role,
        id: subject,
        name: z.string().exactOptional(),
      }),
    ),
    count,
  }),
  dialog: z.strictObject({
    tenant: id,
    assistant_id: id.nullable(),
    visitor_id: subject.nullable(),
    closed: z.boolean(),
  }),
  assistant: z.strictObject({
    tenant: id,
    active: z.boolean(),
    allowed_domains: z.array(z.string()),
    widget_version: count,
    inbox: z.boolean(),
    webhook: z
      .strictObject({
        url: z.string(),
        rotating: z.boolean().meta({ description: 'Whether deliveries are signed by a previous secret as well.' }),
      })
      .exactOptional(),
    limits: assistantLimits,
  }),
  session: z.strictObject({
    dialog_id: id,
    visitor_id: id,
    token: z.string().max(BOUNDS.tokenChars),
    expires_in: z.int().min(1).meta({ description: 'Seconds.' }),
    resumed: z.boolean().meta({ description: 'Whether the dialog was there before.' }),
  }),
  revocation,
  revocations: z.strictObject({ revocations: z.array(revocation).max(BOUNDS.controlPage), next }),
  ban,
  bans: z.strictObject({ bans: z.array(ban).max(BOUNDS.controlPage), next }),
  lock: z.strictObject({
    lock_id: id,
    fence: z.int().min(1).meta({ description: 'Greater than that of every earlier holder; send it with every write.' }),
    expires_in_ms: count.meta({ description: 'How long the lock is surely held, from the answer on.' }),
  }),
  renewedLock: z.strictObject({ lock_id: id, expires_in_ms: count }),
  deadLetters: z.strictObject({
    dead_letters: z
      .array(
        z.strictObject({
          id,
          assistant_id: id,
          dialog_id: id,
          attempts: count,
          reason: z
            .enum(['refused', 'timeout', 'unreachable', 'forbidden'])
            .meta({ description: 'Why the last attempt failed.' }),
          died_at: moment,
          replay_of: z.string().exactOptional(),
          entry: jsonObject,
        }),
      )
      .max(BOUNDS.deadLetterPage),
    next,
  }),
  token: z.strictObject({
    token: z.string().max(BOUNDS.tokenChars),
    expires_in: z.int().min(1).meta({ description: 'Seconds.' }),
  }),
  cluster: z.strictObject({
    nodes: z.array(
      z.strictObject({
        id: z.string(),
        incarnation: z.string(),
        version: z.string(),
        started_at: z.number().meta({ description: 'Milliseconds since 1970.' }),
        connections: count,
        dialogs: count,
        subscriptions: count,
        lag_ms: z.number().min(0),
        draining: z.boolean(),
        inbox: z
          .strictObject({
            entries: count,
            oldest_ms: z.number().min(0),
            parked_dialogs: count,
            dead_letters: count,
            full: z.array(id).meta({ description: 'Assistants whose visitors are refused; at most 20.' }),
          })
          .exactOptional()
          .meta({ description: 'Of the partitions of the inbox that the node serves.' }),
      }),
    ),
  }),
  live: z.strictObject({ status: z.literal('alive') }),
  ready: z.strictObject({ status: z.enum(['ready', 'not_ready']), reasons: z.array(z.string()) }),
} as const;

export type ApiAnswerName = keyof typeof API_ANSWERS;
export type ApiAnswer<N extends ApiAnswerName> = z.output<(typeof API_ANSWERS)[N]>;

/** RFC 9457, with the gateway's stable `code`. */
export const problemBody = z.strictObject({
  type: z.literal('about:blank'),
  title: z.string(),
  status: z.int().min(400).max(599),
  code: errorName,
  detail: z.string().exactOptional(),
  temporary: z.boolean(),
  retry_after_ms: z.number().min(0).exactOptional(),
});
