import { BOUNDS, type TokenType, WS_ROUTES } from '@replyx/protocol';
import { API_BODIES, parseJsonObject } from '@replyx/protocol/schemas';
import { createAuth } from '../auth/auth.js';
import { decodePart } from '../auth/token-header.js';
import type { MintClaims } from '../auth/token-minter.js';
import { CommandFailure, type CommandIo, UsageError } from '../commands/command.js';
import { configInvalidLine, readAuthConfig } from '../config/read-config.js';
import { secretOf } from './secret-variable.js';

/** A token and what follows from it: which route it opens, and which page it pretends to come from. */
export interface Credential {
  readonly token: string;
  /** The route of a dialog, with its id in it. */
  path(dialogId: string): string;
  /** The `Origin` to name; visitors need one. */
  origin(url: string): string | undefined;
  /** Another token in place of one that has expired; `undefined` where there is none. */
  renew(): Promise<Credential | undefined>;
}

/** Options of every command that opens a dialog. */
export const CREDENTIAL_OPTIONS = {
  token: { type: 'string' },
  origin: { type: 'string' },
  as: { type: 'string' },
  tenant: { type: 'string' },
  sub: { type: 'string' },
  role: { type: 'string' },
  name: { type: 'string' },
  assistant: { type: 'string' },
} as const;

export const CREDENTIAL_HELP = `The token comes from REPLYX_TOKEN, from the file that REPLYX_TOKEN_FILE names (read again when the token expires), or from
--token, which other users of the machine can read in the list of processes. With --tenant one is minted instead:

  --as operator|visitor   an operator with SECRET_KEY, a visitor with SITE_SECRET (operator)
  --tenant <id>           tenant of the dialog
  --sub <id>              who it is (terminal)
  --role <role>           role of an operator (operator)
  --assistant <id>        assistant of the dialog; visitors need it
  --name <name>           name that is shown
  --origin <origin>       page that a visitor comes from (the first domain of the token)`;

export type CredentialValues = { readonly [name in keyof typeof CREDENTIAL_OPTIONS]?: string | undefined };

const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]+$/;
/** Minted for one command; a longer one ends in 4001 and is minted again. */
const TTL_SECONDS = 900;

const isText = (value: unknown): value is string => typeof value === 'string';

/** Reads a token without verifying it: that is the node's part. Throws `CommandFailure`, which never repeats it. */
const credentialOf = (
  token: string,
  values: CredentialValues,
  renew: () => Promise<Credential | undefined>,
): Credential => {
  const payload = token.length <= BOUNDS.tokenChars && COMPACT.test(token) ? token.split('.')[1] : undefined;
  const parsed = parseJsonObject(decodePart(payload ?? '') ?? '');
  if (!parsed.ok) throw new CommandFailure('the token is not a JWT');
  const { type, kind, allowed_domains } = parsed.value;
  if (type === 'site') throw new CommandFailure('a site token opens no socket: a visitor or operator token is needed');
  if (type !== 'operator' && type !== 'visitor') throw new CommandFailure('the token has no type that opens a dialog');
  if (values.as !== undefined && values.as !== type)
    throw new CommandFailure(`the token is of type ${type}, not ${values.as}`);
  const route = type === 'operator' ? WS_ROUTES.operator : WS_ROUTES[kind === 'widget' ? 'widget' : 'site'];
  // Older tokens hold their domains as a comma-separated text.
  const domains = isText(allowed_domains)
    ? allowed_domains.split(',')
    : Array.isArray(allowed_domains)
      ? allowed_domains
      : [];
  const domain = domains.filter(isText).map((entry) => entry.trim())[0];
  return {
    token,
    path: (dialogId) => route.replace(':dialog_id', dialogId),
    origin: (url) => {
      if (values.origin !== undefined || type === 'operator') return values.origin;
      if (kind === 'widget') return new URL(url.replace(/^ws/, 'http')).origin;
      return domain === undefined ? undefined : `https://${domain}`;
    },
    renew,
  };
};

const claimsOf = (
  type: 'operator' | 'visitor',
  dialogId: string,
  values: CredentialValues,
): Record<string, unknown> => {
  const { tenant, sub = 'terminal', role = 'operator', name, assistant } = values;
  const common = { type, tenant, sub, ...(name === undefined ? {} : { name }) };
  if (type === 'operator') return { ...common, role };
  if (assistant === undefined) throw new UsageError('a visitor is minted with --assistant');
  return { ...common, assistant_id: assistant, dialog_id: dialogId, kind: 'site', allowed_domains: ['localhost'] };
};

const mint = async (dialogId: string, values: CredentialValues, io: CommandIo): Promise<Credential> => {
  const type = values.as ?? 'operator';
  if (type !== 'operator' && type !== 'visitor') throw new UsageError('--as takes operator or visitor');
  const body = API_BODIES.token.safeParse(claimsOf(type, dialogId, values));
  if (!body.success) {
    const field = String(body.error.issues[0]?.path[0]);
    throw new UsageError(`--${field === 'assistant_id' ? 'assistant' : field} is not valid`);
  }
  const read = readAuthConfig(io.env, io.readFile, io.random.bytes);
  if (!read.ok) throw new CommandFailure(configInvalidLine(read.problems));
  const secret = type === 'operator' ? 'SECRET_KEY' : 'SITE_SECRET';
  if (read.generated.some(({ name }) => name === secret)) {
    throw new CommandFailure(`${secret} is not set (nor ${secret}_FILE): it signs the token that --tenant asks for`);
  }
  const { clock, random, fetch } = io;
  const { minter } = await createAuth(read.auth, { clock, random, fetch });
  const { type: _, ttl_seconds: __, ...claims } = body.data;
  const minted = await minter.mint(type, claims as MintClaims<TokenType>, TTL_SECONDS);
  if (!minted.ok) throw new CommandFailure('the token could not be minted: its claims are not valid');
  return credentialOf(minted.token, values, () => mint(dialogId, values, io));
};

/** The credential that a command was given, or one that it mints. Throws `UsageError` or `CommandFailure`. */
export const openCredential = async (
  dialogId: string,
  values: CredentialValues,
  io: CommandIo,
): Promise<Credential> => {
  if (values.origin !== undefined && !/^https?:\/\/[^\s/?#@]+$/.test(values.origin)) {
    throw new UsageError('--origin takes http://host or https://host');
  }
  if (values.tenant !== undefined) {
    if (values.token !== undefined) throw new UsageError('--tenant mints a token: it does not go with --token');
    return mint(dialogId, values, io);
  }
  for (const option of ['sub', 'role', 'name', 'assistant'] as const) {
    if (values[option] !== undefined) throw new UsageError(`--${option} goes with --tenant, which mints a token`);
  }
  const current = (): string | undefined => values.token ?? secretOf('REPLYX_TOKEN', io);
  const opened = (token: string): Credential =>
    credentialOf(token, values, async () => {
      const now = current();
      return now === undefined || now === token ? undefined : opened(now);
    });
  const token = current();
  if (token === undefined) {
    throw new CommandFailure(
      'there is no token: set REPLYX_TOKEN or REPLYX_TOKEN_FILE, or mint one with --tenant and SECRET_KEY',
    );
  }
  return opened(token);
};
