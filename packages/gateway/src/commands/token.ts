import type { TokenType } from '@replyx/protocol';
import { API_BODIES, parseJsonObject } from '@replyx/protocol/schemas';
import { type Auth, createAuth } from '../auth/auth.js';
import { decodePart } from '../auth/token-header.js';
import { type MintClaims, VISITOR_TOKEN_TTL_SECONDS } from '../auth/token-minter.js';
import type { TokenRefusal } from '../auth/token-verifier.js';
import type { AuthConfig } from '../config/gateway-config.js';
import { configInvalidLine, readAuthConfig } from '../config/read-config.js';
import { CommandFailure, type CommandIo, parseOptions, UsageError } from './command.js';

export const summary = 'mint or inspect a token';

export const help = `Usage: replyx token operator --sub <id> --tenant <id> --role <role> [--name] [--public-id] [--assistants a,b]
       replyx token visitor --sub <id> --tenant <id> --assistant <id> --dialog <id> --kind site|widget
                            [--name] [--domains a,b] [--widget-version n] [--parent <jti>]
       replyx token site --tenant <id> --assistant <id> [--domains a,b] [--widget-version n]
       replyx token inspect <token>|-

Mints a token with SECRET_KEY (operator) or SITE_SECRET (visitor, site) from the environment and prints it; \`inspect\`
decodes and verifies one, from standard input with "-", and says why it is refused.

  --ttl <seconds>   life (operator 3600, visitor ${VISITOR_TOKEN_TTL_SECONDS}; a site token has no end of its own unless given)
  --jti <id>        token id (random)
  --json            print {"token", "type", "jti", "expires_in", "expires_at"}

Exit code: 0 minted or valid, 1 refused, 2 usage.
`;

const FIELDS = {
  sub: 'sub',
  tenant: 'tenant',
  role: 'role',
  name: 'name',
  'public-id': 'public_id',
  assistants: 'assistants',
  assistant: 'assistant_id',
  dialog: 'dialog_id',
  kind: 'kind',
  domains: 'allowed_domains',
  'widget-version': 'widget_version',
  parent: 'parent',
  jti: 'jti',
  ttl: 'ttl_seconds',
} as const;

type Option = keyof typeof FIELDS;

const LISTS: readonly string[] = ['assistants', 'domains'];
const NUMBERS: readonly string[] = ['widget-version', 'ttl'];
const DEFAULT_TTL: Partial<Record<TokenType, number>> = { operator: 3600, visitor: VISITOR_TOKEN_TTL_SECONDS };

const REFUSALS: Record<TokenRefusal, string> = {
  missing: 'there is no token',
  malformed: 'it is not a compact JWT of the accepted form',
  algorithm: 'its algorithm is not HS256, RS256, ES256 or EdDSA',
  not_genuine: 'no current key of its type verifies it',
  wrong_type: 'its claim "type" does not belong to the key that signed it',
  claims: 'a claim is missing or malformed',
  issuer: 'its "iss" is not WS_TOKEN_ISSUER',
  audience: 'its "aud" does not contain WS_TOKEN_AUDIENCE',
  not_yet_valid: 'its "nbf" is in the future',
  issued_in_future: 'its "iat" is in the future',
  too_long_lived: 'it lives longer than WS_TOKEN_MAX_LIFE_SECONDS',
  keys_unavailable: 'the keys at WS_JWKS_URL could not be fetched',
};

const openAuth = async (
  io: CommandIo,
  needed: (auth: AuthConfig, absent: ReadonlySet<string>) => string | undefined,
) => {
  const read = readAuthConfig(io.env, io.readFile, io.random.bytes);
  if (!read.ok) throw new CommandFailure(configInvalidLine(read.problems));
  const missing = needed(read.auth, new Set(read.generated.map(({ name }) => name)));
  if (missing !== undefined) throw new CommandFailure(`${missing} is not set (nor ${missing}_FILE)`);
  const { clock, random, fetch } = io;
  return createAuth(read.auth, { clock, random, fetch });
};

const optionOf = (field: PropertyKey | undefined): string =>
  `--${Object.entries(FIELDS).find(([, name]) => name === field)?.[0] ?? String(field)}`;

const bodyOf = (type: TokenType, given: Readonly<Record<string, string | boolean | undefined>>): unknown => {
  const body: Record<string, unknown> = { type };
  for (const [option, field] of Object.entries(FIELDS) as [Option, string][]) {
    const value = given[option];
    if (typeof value !== 'string') continue;
    if (LISTS.includes(option)) body[field] = value.split(',').map((item) => item.trim());
    else if (NUMBERS.includes(option)) body[field] = /^\d{1,12}$/.test(value) ? Number(value) : value;
    else body[field] = value;
  }
  return body;
};

const mint = async (type: TokenType, args: readonly string[], io: CommandIo): Promise<number> => {
  const text = { type: 'string' } as const;
  const { values } = parseOptions(args, {
    ...(Object.fromEntries(Object.keys(FIELDS).map((option) => [option, text])) as Record<Option, typeof text>),
    json: { type: 'boolean' },
  });
  const parsed = API_BODIES.token.safeParse(bodyOf(type, values));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    if (issue?.code === 'unrecognized_keys') {
      throw new UsageError(`${type} tokens take no ${issue.keys.map(optionOf).join(', ')}`);
    }
    const option = optionOf(issue?.path[0]);
    const absent = values[option.slice(2) as Option] === undefined;
    throw new UsageError(absent ? `${type} tokens need ${option}` : `${option} is not valid`);
  }
  const { type: _, ttl_seconds, ...claims } = parsed.data;
  const secret = type === 'operator' ? 'SECRET_KEY' : 'SITE_SECRET';
  const { minter } = await openAuth(io, (_auth, absent) => (absent.has(secret) ? secret : undefined));
  const minted = await minter.mint(type, claims as MintClaims<TokenType>, ttl_seconds ?? DEFAULT_TTL[type]);
  if (!minted.ok) {
    const why = {
      claims: 'the claims are not valid',
      too_long_lived: '--ttl is more than WS_TOKEN_MAX_LIFE_SECONDS',
      too_large: 'the token would be larger than a node accepts',
    }[minted.problem];
    throw new CommandFailure(why);
  }
  const { token, jti, expiresInSeconds, issuedAtSeconds } = minted;
  const expires_at = new Date((issuedAtSeconds + expiresInSeconds) * 1000).toISOString();
  io.out(
    values.json ? `${JSON.stringify({ token, type, jti, expires_in: expiresInSeconds, expires_at })}\n` : `${token}\n`,
  );
  return 0;
};

const decoded = (part: string | undefined): unknown => {
  const json = parseJsonObject(decodePart(part ?? '') ?? '');
  return json.ok ? json.value : null;
};

const judge = async (auth: Auth, token: string): Promise<Record<string, unknown>> => {
  const result = await auth.verifier.verify(token, { types: ['operator', 'visitor', 'site'] as const });
  if (result.status === 'refused')
    return { status: result.status, reason: result.reason, why: REFUSALS[result.reason] };
  return { status: result.status, expires_at: new Date(result.expiresAtMs).toISOString() };
};

const inspect = async (args: readonly string[], io: CommandIo): Promise<number> => {
  const { positionals } = parseOptions(args, { json: { type: 'boolean' } }, true);
  const [given, ...rest] = positionals;
  if (given === undefined || rest.length > 0)
    throw new UsageError('inspect takes one token, or "-" for standard input');
  const token = given === '-' ? (await io.readInput()).trim() : given;
  const auth = await openAuth(io, ({ jwksUrl }, absent) =>
    absent.has('SECRET_KEY') && absent.has('SITE_SECRET') && jwksUrl === undefined ? 'SECRET_KEY' : undefined,
  );
  const verdict = await judge(auth, token);
  const [header, claims] = token.length > 65_536 ? [] : token.split('.');
  io.out(`${JSON.stringify({ ...verdict, header: decoded(header), claims: decoded(claims) }, undefined, 2)}\n`);
  return verdict['status'] === 'valid' ? 0 : 1;
};

export const run = async (args: readonly string[], io: CommandIo): Promise<number> => {
  const [what, ...rest] = args;
  switch (what) {
    case 'operator':
    case 'visitor':
    case 'site':
      return mint(what, rest, io);
    case 'inspect':
      return inspect(rest, io);
    case undefined:
      throw new UsageError('token takes operator, visitor, site or inspect');
    default:
      throw new UsageError(`token takes operator, visitor, site or inspect, not ${JSON.stringify(what)}`);
  }
};
