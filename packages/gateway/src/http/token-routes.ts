import { API_BODIES, type ApiAnswer } from '@replyx/protocol/schemas';
import type { MintResult, TokenMinter } from '../auth/token-minter.js';
import { VISITOR_TOKEN_TTL_SECONDS } from '../auth/token-minter.js';
import { readBody } from './body.js';
import { type HttpRoute, json } from './http.js';
import { Problem } from './problem.js';
import { ROUTES } from './route-table.js';

const OPERATOR_TOKEN_TTL_SECONDS = 3_600;

const PROBLEMS: Readonly<Record<Extract<MintResult, { ok: false }>['problem'], string>> = {
  claims: 'A claim is not valid.',
  too_long_lived: 'The field ttl_seconds is longer than a token may live here.',
  too_large: 'The token would be larger than a node reads.',
};

/** Mints tokens for backends that do not want to hold the keys. */
export const tokenRoutes = (minter: TokenMinter): HttpRoute[] => [
  {
    ...ROUTES.mintToken,
    handle: async (call) => {
      const { ttl_seconds: ttl, ...body } = readBody(call.body, API_BODIES.token);
      const minted = await mintBody(minter, body, ttl);
      if (!minted.ok) throw new Problem('bad_frame', PROBLEMS[minted.problem]);
      return json(201, { token: minted.token, expires_in: minted.expiresInSeconds } satisfies ApiAnswer<'token'>);
    },
  },
];

type TokenBody = Omit<import('zod').output<typeof API_BODIES.token>, 'ttl_seconds'>;

const mintBody = (minter: TokenMinter, body: TokenBody, ttl: number | undefined): Promise<MintResult> => {
  const { type, ...claims } = body;
  switch (type) {
    case 'operator':
      return minter.mint('operator', claims as never, ttl ?? OPERATOR_TOKEN_TTL_SECONDS);
    case 'site':
      return minter.mint('site', claims as never, ttl);
    case 'visitor':
      return minter.mint('visitor', claims as never, ttl ?? VISITOR_TOKEN_TTL_SECONDS);
  }
};
