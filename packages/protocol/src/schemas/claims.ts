import { z } from 'zod';
import { BOUNDS } from '../bounds.js';
import type { Claims, OperatorClaims, SiteClaims, TokenType, VisitorClaims } from '../claims.js';
import { id, name, subject } from './fields.js';

const seconds = z.number().finite().min(0).max(Number.MAX_SAFE_INTEGER);
const domain = z.string().min(1).max(253);

/** A list, or comma-separated text as the first system wrote it. */
const allowedDomains = z
  .union([z.array(domain).max(BOUNDS.allowedDomains), z.string().max(BOUNDS.allowedDomains * 254)])
  .transform((value) =>
    (typeof value === 'string' ? value.split(',') : value).map((entry) => entry.trim()).filter((entry) => entry !== ''),
  )
  .refine((list) => list.length <= BOUNDS.allowedDomains && list.every((entry) => entry.length <= 253));

const widgetVersion = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

const common = {
  iat: seconds,
  jti: subject,
  nbf: seconds.optional(),
  iss: z.string().max(1024).optional(),
  aud: z.union([z.string().max(1024), z.array(z.string().max(1024)).max(16)]).optional(),
};

/** One schema a token type. Claims that are not of the contract are dropped, not refused: issuers add their own. */
export const CLAIMS_SCHEMAS = {
  operator: z.object({
    ...common,
    type: z.literal('operator'),
    exp: seconds,
    sub: subject,
    tenant: id,
    role: subject,
    name: name.optional(),
    public_id: subject.optional(),
    assistants: z.array(id).max(BOUNDS.assistantsInToken).optional(),
  }),
  site: z.object({
    ...common,
    type: z.literal('site'),
    exp: seconds.optional(),
    tenant: id,
    assistant_id: id,
    allowed_domains: allowedDomains,
    widget_version: widgetVersion,
  }),
  visitor: z.object({
    ...common,
    type: z.literal('visitor'),
    exp: seconds,
    sub: subject,
    tenant: id,
    assistant_id: id,
    dialog_id: id,
    kind: z.enum(['site', 'widget']),
    name: name.optional(),
    allowed_domains: allowedDomains,
    widget_version: widgetVersion,
    parent: subject.optional(),
  }),
} as const;

type ClaimsOf = { operator: OperatorClaims; site: SiteClaims; visitor: VisitorClaims };

/** The claims of a verified payload, copied field by field; `undefined` when one is missing or malformed. Never throws. */
export const parseClaims = <T extends TokenType>(type: T, payload: unknown): ClaimsOf[T] | undefined => {
  const parsed = CLAIMS_SCHEMAS[type].safeParse(payload);
  return parsed.success ? (parsed.data as Claims as ClaimsOf[T]) : undefined;
};
