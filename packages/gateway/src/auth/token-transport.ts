import { SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX } from '@replyx/protocol';

export interface TokenCarriers {
  /** The value of `Sec-WebSocket-Protocol`, its header lines joined by commas. */
  readonly protocols?: string | undefined;
  /** The value of `Authorization`. */
  readonly authorization?: string | undefined;
  /** The raw query, without the question mark. */
  readonly query?: string | undefined;
  readonly allowQueryToken: boolean;
}

export interface TokenPick {
  readonly token?: string;
  /** What the answer to the upgrade selects; absent when the client offers nothing that is known. */
  readonly selectedProtocol?: typeof SUBPROTOCOL;
  /** `conflicting`: two different tokens; `malformed`: a carrier that holds no token where it should. */
  readonly problem?: 'conflicting' | 'malformed';
}

const QUERY_NAMES = ['token', 'site_token'] as const;

/** The token of an `Authorization` value; another scheme is no token, `null` is a malformed one. */
export const bearerToken = (authorization: string | undefined): string | undefined | null => {
  if (authorization === undefined || !/^\s*bearer(\s|$)/i.test(authorization)) return undefined;
  return /^\s*bearer +([^\s,]+)\s*$/i.exec(authorization)?.[1] ?? null;
};

/** Picks the token from wherever a client may put it. The same token twice is fine, two different ones are refused. */
export const pickToken = ({ protocols, authorization, query, allowQueryToken }: TokenCarriers): TokenPick => {
  const offered = (protocols ?? '').split(',').map((item) => item.trim());
  // A list, for there is one as a rule and a set would hash a long text. Two are refused, so more need not be told apart.
  const tokens: (string | null)[] = [];
  const found = (token: string | null): void => {
    if ((token === null || tokens.length < 2) && !tokens.includes(token)) tokens.push(token);
  };
  for (const item of offered) {
    if (item.startsWith(TOKEN_SUBPROTOCOL_PREFIX)) found(item.slice(TOKEN_SUBPROTOCOL_PREFIX.length) || null);
  }
  const bearer = bearerToken(authorization);
  if (bearer !== undefined) found(bearer);
  if (allowQueryToken && query) {
    const parameters = new URLSearchParams(query);
    for (const name of QUERY_NAMES) for (const value of parameters.getAll(name)) if (value !== '') found(value);
  }
  const selected: Pick<TokenPick, 'selectedProtocol'> = offered.includes(SUBPROTOCOL)
    ? { selectedProtocol: SUBPROTOCOL }
    : {};
  if (tokens.includes(null)) return { ...selected, problem: 'malformed' };
  if (tokens.length > 1) return { ...selected, problem: 'conflicting' };
  const [token] = tokens;
  return token ? { ...selected, token } : selected;
};
