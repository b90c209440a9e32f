import { z } from 'zod';
import { BOUNDS } from '../bounds.js';
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

/** Bodies of the internal listener. Strict: a field that the gateway does not know is a mistake of the caller. */
export const API_BODIES = {
  publish: z.strictObject({
    id: frameId.optional(),
    sender: backendSender,
    text,
    meta: meta.optional(),
    track: track.optional(),
    fence: z.int().min(1).max(Number.MAX_SAFE_INTEGER).optional(),
  }),
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
  assistant: z.strictObject({
    tenant: id,
    active: z.boolean().default(true),
    allowed_domains: z.array(z.string().min(1).max(253)).max(BOUNDS.allowedDomains).default([]),
    widget_version: z.int().min(0).default(0),
    inbox: z.boolean().default(false),
    limits: assistantLimits.optional(),
  }),
  dialog: z.strictObject({
    tenant: id,
    assistant_id: id,
    visitor_id: subject.optional(),
    closed: z.boolean().default(false),
  }),
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

/** Query of a history page: `before` or `after`, not both. */
export const historyQuery = z
  .object({
    track: track.optional(),
    after: z.coerce.number().pipe(offset).optional(),
    before: z.coerce.number().pipe(offset).optional(),
    limit: z.coerce.number().pipe(z.int().min(1).max(BOUNDS.historyPage)).optional(),
  })
  .refine((query) => query.before === undefined || query.after === undefined, {
    error: 'takes before or after, not both',
    path: ['before'],
  });
