import type { OpenDialogResult } from '@replyx/core';
import { seededRandom } from '@replyx/testkit';
import { describe, expect, it } from 'vitest';
import type { ClaimsOf } from '../src/auth/token-verifier.js';
import { Problem } from '../src/http/problem.js';
import { messageRoutes } from '../src/public/message-routes.js';
import type { PublicCall } from '../src/public/public-http.js';
import { sessionRoutes } from '../src/public/session-routes.js';
import { hs256, NOW_S, site, verifierWith, visitor } from './auth-fixtures.js';
import { KEY_B } from './config-fixtures.js';

const CLAIMS = visitor() as unknown as ClaimsOf<'visitor'>;

const callOf = (token: string, body: object = {}): PublicCall =>
  ({
    query: new URLSearchParams(),
    parameters: ['d1'],
    body: new TextEncoder().encode(JSON.stringify(body)),
    header: (name: string) => (name === 'authorization' ? `Bearer ${token}` : ''),
    origin: 'https://shop.test',
    host: 'chat.example',
    peer: { address: { text: '8.8.4.4', key: '8.8.4.4' }, page: {} },
    grantOrigin: () => {},
  }) as unknown as PublicCall;

const outcomeOf = async (answer: unknown): Promise<string | number> => {
  try {
    return ((await answer) as { status: number }).status;
  } catch (error) {
    if (error instanceof Problem) return error.code;
    throw error;
  }
};

describe('messages of a visitor who is revoked', () => {
  /** `during`: what is under way when the revocation comes. */
  const world = (during: 'access' | 'read' | 'nothing') => {
    const state = { revoked: false, appended: 0 };
    const come = (at: typeof during): void => {
      if (at === during) state.revoked = true;
    };
    const routes = messageRoutes({
      visitor: async () => {
        come('access');
        return { dialogId: 'd1', claims: CLAIMS };
      },
      isRevoked: () => state.revoked,
      log: {
        read: async () => {
          come('read');
          return { epoch: 'e', offset: 0, entries: [], more: false } as never;
        },
      },
      hub: {
        feed: () => undefined,
        append: async () => {
          state.appended += 1;
          return { status: 'appended', epoch: 'e', offset: 1 } as never;
        },
      },
      directory: 'strict',
      random: seededRandom(1),
      windowOf: () => ({ limit: 0, windowMs: 1 }),
      hasInbox: () => false,
    });
    const ask = (method: 'get' | 'post', body?: object) =>
      outcomeOf(routes.find((route) => route.method === method)?.handle(callOf('', body)));
    return { ask, state };
  };

  it('are not appended where the directory was still being asked', async () => {
    const { ask, state } = world('access');
    expect(await ask('post', { id: 'm', text: 'hello' })).toBe('revoked');
    expect(state.appended).toBe(0);
  });

  it('are not shown where the directory or the history was still being asked', async () => {
    expect(await world('access').ask('get')).toBe('revoked');
    expect(await world('read').ask('get')).toBe('revoked');
  });

  it('are served while nothing is revoked', async () => {
    const { ask, state } = world('nothing');
    expect([await ask('post', { id: 'm', text: 'hello' }), await ask('get'), state.appended]).toEqual([201, 200, 1]);
  });
});

describe('a session', () => {
  const RECORD = { tenant: 'acme', active: true, allowedDomains: [], widgetVersion: 0, inbox: false };
  type Waited = 'the assistant' | 'the dialog' | 'the limit' | 'the opening' | 'the minting';

  const world = async (during: Waited | undefined, who: 'token' | 'visitor' = 'token') => {
    const { verifier } = await verifierWith();
    const state = { token: false, visitor: false };
    const after =
      <T>(waited: Waited, answer: T) =>
      async (): Promise<T> => {
        if (waited === during) state[who] = true;
        return answer;
      };
    const routes = sessionRoutes({
      auth: {
        verifier,
        minter: { mint: after('the minting', { ok: true, token: 't', expiresInSeconds: 900 }) as never },
      },
      allowQueryToken: false,
      directory: 'strict',
      widgetOrigins: [],
      assistant: after('the assistant', RECORD),
      dialog: after('the dialog', undefined),
      openDialog: after<OpenDialogResult>('the opening', 'created'),
      isRevoked: () => state.token,
      isVisitorRevoked: () => state.visitor,
      limits: { countNewDialog: after('the limit', undefined), countResume: after('the limit', undefined) },
      onForeignOrigin: () => {},
      onRefused: () => {},
    });
    const call = callOf(hs256(site({ exp: NOW_S + 60 }), KEY_B), { secret: Buffer.alloc(32, 1).toString('base64url') });
    return outcomeOf(routes[0]?.handle(call));
  };

  it.each<Waited>(['the assistant', 'the dialog', 'the limit', 'the opening', 'the minting'])(
    'gives no token where the site token or the visitor was revoked while %s was waited for',
    async (waited) => {
      expect([await world(waited, 'token'), await world(waited, 'visitor')]).toEqual(['revoked', 'revoked']);
    },
  );

  it('gives one while nothing is revoked', async () => {
    expect(await world(undefined)).toBe(201);
  });
});
