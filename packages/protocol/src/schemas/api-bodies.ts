import { z } from 'zod';
import { BOUNDS } from '../bounds.js';
import { CLOSE_CODES, DISCONNECT_CODES } from '../close-codes.js';
import { CLAIMS_SCHEMAS } from './claims.js';
import { frameId, id, jsonBytes, meta, name, offset, subject, text, track } from './fields.js';
import { depthOf } from './json-text.js';

const backendSender = z.strictObject({
  role: z.enum(['assistant', 'manager', 'system']),
  id: subject,
  name: name.optional(),
});

const eventData = z
  .unknown()
  .refine((value) => value !== undefined, 'required')
  .refine((value) => depthOf(value) <= BOUNDS.metaDepth, `nested deeper than ${BOUNDS.metaDepth}`)
  .refine((value) => jsonBytes(value ?? null) <= BOUNDS.eventBytes, `larger than ${BOUNDS.eventBytes} bytes`)
  .meta({
    description: `At most ${BOUNDS.eventBytes} bytes as compact JSON in UTF-8, nested at most ${BOUNDS.metaDepth} deep.`,
  });

/** Place in a list that is ordered by time, then id: `<time>.<id>`. */
export const CONTROL_CURSOR = /^\d{1,16}\.[A-Za-z0-9_-]{1,128}$/;

const limit = z.int().min(0).max(1_000_000_000);
const lockTtlMs = z.int().min(BOUNDS.lockTtlMinMs).max(BOUNDS.lockTtlMaxMs);
const ttlSeconds = z.int().min(1).max(315_360_000);

/** Overrides of one assistant; 0 switches a limit off. */
export const assistantLimits = z.strictObject({
  messages: limit.optional(),
  messages_window_seconds: z.int().min(1).max(86_400).optional(),
  sessions: limit.optional(),
  connections_per_dialog: limit.optional(),
  connections_per_user: limit.optional(),
  connections: limit.optional(),
});

/** 32 bytes in base64url: 43 characters, of which the last holds four bits. */
const visitorSecret = z
  .string()
  .regex(/^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/)
  .meta({ description: 'Random, 32 bytes in base64url; the visitor is whoever knows it.' });

const reason = z
  .string()
  .max(BOUNDS.reasonChars)
  .regex(/^\P{Cc}+$/u)
  .refine((value) => value.isWellFormed(), 'not well-formed Unicode');

/** Seconds since 1970, as `iat`. Milliseconds, a common mistake, are beyond it. */
const seconds = z.number().min(0).max(100_000_000_000);

/** One of several shapes; the message names them, since no single field is at fault. */
const oneOf = <const T extends readonly [z.ZodObject, z.ZodObject, ...z.ZodObject[]]>(shapes: T, error: string) =>
  z.union(shapes, { error });

const revocation = oneOf(
  [
    z.strictObject({ jti: subject, ttl_seconds: ttlSeconds.optional() }),
    z.strictObject({
      sub: subject,
      tenant: id.optional(),
      issued_before: seconds.optional(),
      ttl_seconds: ttlSeconds.optional(),
    }),
    z.strictObject({
      assistant_id: id,
      below_version: z.int().min(0).max(Number.MAX_SAFE_INTEGER),
      ttl_seconds: ttlSeconds.optional(),
    }),
    z.strictObject({ dialog_id: id, ttl_seconds: ttlSeconds.optional() }),
  ],
  'The body takes jti; sub with tenant and issued_before where wanted; assistant_id with below_version; or dialog_id; and ttl_seconds.',
);

const closeCode = z.union([
  z.enum(DISCONNECT_CODES),
  z.literal(DISCONNECT_CODES.map((name) => CLOSE_CODES[name].code)),
]);

const disconnect = oneOf(
  [
    z.strictObject({ sub: subject, tenant: id.optional(), code: closeCode.optional() }),
    z.strictObject({ dialog_id: id, code: closeCode.optional() }),
    z.strictObject({ connection_id: id, code: closeCode.optional() }),
    z.strictObject({ node_id: subject, code: closeCode.optional() }),
  ],
  `The body takes sub with tenant where wanted, dialog_id, connection_id or node_id; and code, one of ${DISCONNECT_CODES.join(', ')} or its number.`,
);

const fence = z.int().min(1).max(Number.MAX_SAFE_INTEGER);

/** An answer is written by an assistant; its stream's id becomes the message's. */
const assistantSender = backendSender.extend({ role: z.literal('assistant') });

/** Signs deliveries; printable ASCII, so that no one's encoding changes it. */
const webhookSecret = z
  .string()
  .min(BOUNDS.webhookSecretMinChars)
  .max(BOUNDS.webhookSecretChars)
  .regex(/^[!-~]+$/);

/** Where an assistant's inbox is posted to. */
const webhook = z.strictObject({
  url: z.string().min(1).max(BOUNDS.webhookUrlChars).meta({ description: 'An https URL; http outside production.' }),
  secret: webhookSecret
    .optional()
    .meta({ description: 'Signs every delivery. Never given back; without it those that are stored stay.' }),
  previous_secret: webhookSecret
    .optional()
    .meta({ description: 'Signs every delivery as well, while the receiver learns the new one.' }),
});

/** Bodies of both listeners. Strict: a field that the gateway does not know is a mistake of the caller. */
export const API_BODIES = {
  publish: z.strictObject({
    id: frameId.optional(),
    sender: backendSender,
    text,
    meta: meta.optional(),
    track: track.optional(),
    fence: fence.optional(),
  }),
  handoff: z.strictObject({ id: frameId, action: z.enum(['request', 'cancel']), reason: reason.optional() }),
  stream: z.discriminatedUnion('action', [
    z.strictObject({
      action: z.literal('start'),
      id: frameId.optional(),
      sender: assistantSender,
      fence: fence.optional(),
    }),
    z.strictObject({ action: z.literal('append'), stream_id: frameId, index: offset, text }),
    z.strictObject({
      action: z.literal('finish'),
      stream_id: frameId,
      text: text.optional(),
      meta: meta.optional(),
    }),
    z.strictObject({ action: z.literal('abort'), stream_id: frameId }),
  ]),
  event: z.discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('typing'),
      sender: backendSender,
      state: z.enum(['start', 'stop']),
      track: track.optional(),
    }),
    z.strictObject({
      type: z.literal('event'),
      name: z
        .string()
        .min(1)
        .max(BOUNDS.eventNameChars)
        .regex(/^[\w.:-]+$/),
      data: eventData,
      track: track.optional(),
    }),
  ]),
  session: z.strictObject({ secret: visitorSecret, name: name.optional() }),
  visitorMessage: z.strictObject({ id: frameId, text, meta: meta.optional() }),
  assistant: z.strictObject({
    tenant: id,
    active: z.boolean().default(true),
    allowed_domains: z.array(z.string().min(1).max(253)).max(BOUNDS.allowedDomains).default([]),
    widget_version: z.int().min(0).default(0),
    inbox: z.boolean().default(false),
    webhook: webhook.optional(),
    limits: assistantLimits.optional(),
  }),
  dialog: z.strictObject({
    tenant: id,
    assistant_id: id,
    visitor_id: subject.optional(),
    closed: z.boolean().default(false),
  }),
  revocation,
  ban: z.strictObject({ network: z.string().min(1).max(64), ttl_seconds: ttlSeconds, reason: reason.optional() }),
  disconnect,
  drain: z.strictObject({ node_id: subject }),
  lock: z.strictObject({
    owner: subject.meta({ description: 'Who asks; told to those who find the dialog locked.' }),
    ttl_ms: lockTtlMs,
    wait_ms: z.int().min(0).max(BOUNDS.lockWaitMs).optional(),
  }),
  renewLock: z.strictObject({ ttl_ms: lockTtlMs }),
  token: z.discriminatedUnion('type', [
    CLAIMS_SCHEMAS.operator
      .omit({ iat: true, exp: true, jti: true, nbf: true, iss: true, aud: true })
      .extend({ jti: subject.optional(), ttl_seconds: ttlSeconds.optional() })
      .strict(),
    CLAIMS_SCHEMAS.site
      .omit({ iat: true, exp: true, jti: true, nbf: true, iss: true, aud: true })
      .extend({
        jti: subject.optional(),
        ttl_seconds: ttlSeconds.optional(),
        allowed_domains: z.array(z.string()).max(100).default([]),
        widget_version: z.int().min(0).default(0),
      })
      .strict(),
    CLAIMS_SCHEMAS.visitor
      .omit({ iat: true, exp: true, jti: true, nbf: true, iss: true, aud: true })
      .extend({
        jti: subject.optional(),
        ttl_seconds: ttlSeconds.optional(),
        allowed_domains: z.array(z.string()).max(100).default([]),
        widget_version: z.int().min(0).default(0),
      })
      .strict(),
  ]),
} as const;

const pageQuery = {
  after: z.coerce.number().pipe(offset).optional(),
  before: z.coerce.number().pipe(offset).optional(),
  limit: z.coerce.number().pipe(z.int().min(1).max(BOUNDS.historyPage)).optional(),
};
const oneDirection = (query: { readonly before?: number | undefined; readonly after?: number | undefined }): boolean =>
  query.before === undefined || query.after === undefined;
const BOTH = { error: 'takes before or after, not both', path: ['before'] };

/** Query of a history page: `before` or `after`, not both. */
export const historyQuery = z.object({ track: track.optional(), ...pageQuery }).refine(oneDirection, BOTH);

/** The same of a visitor, who has one track. */
export const visitorHistoryQuery = z.object(pageQuery).refine(oneDirection, BOTH);

/** Query of the list of dead letters. */
export const deadLetterQuery = z.object({
  assistant_id: id.optional(),
  limit: z.coerce.number().pipe(z.int().min(1).max(BOUNDS.deadLetterPage)).optional(),
  after: z.string().regex(CONTROL_CURSOR).meta({ description: '`next` of the page before.' }).optional(),
});

/** Query of a list of revocations or bans. */
export const controlQuery = z.object({
  limit: z.coerce.number().pipe(z.int().min(1).max(BOUNDS.controlPage)).optional(),
  after: z.string().regex(CONTROL_CURSOR).meta({ description: '`next` of the page before.' }).optional(),
});
