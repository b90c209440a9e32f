import { createHmac, randomBytes } from 'node:crypto';

/** A key as `SECRET_KEY` and `SITE_SECRET` hold it; not shown when it is printed. */
export interface SigningKey {
  readonly kid?: string;
  readonly secret: string;
}

const KEYED = /^[\w-]{1,64}:/;

/** One key, or several as `kid1:value1,kid2:value2`: the first signs. Undefined for what is no key. */
export const parseSigningKey = (text: string): SigningKey | undefined => {
  const trimmed = text.replace(/[\r\n]+$/, '');
  const items = trimmed.split(',');
  if (trimmed === '') return undefined;
  if (!items.every((item) => KEYED.test(item))) return { secret: trimmed };
  const [first = ''] = items;
  const colon = first.indexOf(':');
  return { kid: first.slice(0, colon), secret: first.slice(colon + 1) };
};

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A compact JWT, HS256. */
export const signToken = (claims: Readonly<Record<string, unknown>>, { kid, secret }: SigningKey): string => {
  const signed = `${encode({ alg: 'HS256', typ: 'JWT', ...(kid === undefined ? {} : { kid }) })}.${encode(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
};

export interface MintRequest {
  readonly role: 'visitor' | 'operator';
  readonly sub: string;
  readonly tenant: string;
  readonly assistantId: string;
  readonly dialogId: string;
  readonly domains: readonly string[];
  readonly lifeSeconds: number;
}

export const mintToken = (request: MintRequest, key: SigningKey, nowMs = Date.now()): string => {
  const { role, sub, tenant, assistantId, dialogId, domains, lifeSeconds } = request;
  const iat = Math.floor(nowMs / 1000);
  const common = { type: role, iat, exp: iat + lifeSeconds, jti: randomBytes(12).toString('base64url'), sub, tenant };
  if (role === 'operator') return signToken({ ...common, role: 'operator' }, key);
  return signToken(
    {
      ...common,
      assistant_id: assistantId,
      dialog_id: dialogId,
      kind: 'site',
      allowed_domains: domains,
      widget_version: 1,
    },
    key,
  );
};

/** A token that the caller has brought, and the dialog that it is for. */
export interface GivenToken {
  readonly token: string;
  readonly dialogId: string;
  readonly role: 'visitor' | 'operator';
}

/**
 * One line of a file of tokens: `<token>` of a visitor, whose claims name the dialog, or `<token> <dialog id>`. Undefined for what is
 * neither; the signature is the server's business.
 */
export const parseTokenLine = (line: string): GivenToken | undefined => {
  const [token = '', dialog, ...rest] = line.trim().split(/\s+/);
  if (rest.length > 0) return undefined;
  try {
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as Record<
      string,
      unknown
    >;
    const dialogId = dialog ?? claims['dialog_id'];
    if (typeof dialogId !== 'string' || !/^[\w-]{1,128}$/.test(dialogId)) return undefined;
    return { token, dialogId, role: claims['type'] === 'operator' ? 'operator' : 'visitor' };
  } catch {
    return undefined;
  }
};
