import type { Identity, Session } from '@replyx/core';
import { describe, expect, it } from 'vitest';
import { createRefreshJudge } from '../src/admission/refresh.js';
import { hs256, NOW_S, operator, verifierWith, visitor } from './auth-fixtures.js';
import { KEY_A, KEY_B } from './config-fixtures.js';

const identity = (rest: Partial<Identity>): Identity => ({
  connectionId: 'c',
  dialogId: 'd1',
  kind: 'site',
  tenant: 'acme',
  member: { role: 'user', id: 'v1', publicId: 'v1' },
  issuedAt: NOW_S,
  expiresAtMs: NOW_S * 1_000 + 1,
  origin: 'https://shop.test',
  tokenIds: ['j'],
  ...rest,
});
const OF_VISITOR = { identity: identity({ assistantId: 'bot', widgetVersion: 1 }), dialogAssistantId: 'bot' };
const OF_OPERATOR = {
  identity: identity({ kind: 'operator', member: { role: 'manager', id: 'alice', publicId: 'p' } }),
  dialogAssistantId: 'bot',
};

const world = async () => {
  const { verifier } = await verifierWith();
  const state = { revoked: false, stale: false };
  const judge = createRefreshJudge({
    auth: { verifier },
    isRevoked: () => state.revoked,
    isControlStale: () => state.stale,
  });
  const refresh = async (session: Partial<Session>, token: string): Promise<string> => {
    const verdict = await judge(session as Session, token);
    return verdict.ok ? 'ok' : verdict.code;
  };
  return { refresh, state };
};
const asVisitor = (more: object = {}): string => hs256(visitor(more), KEY_B);
const asOperator = (more: object = {}): string => hs256(operator(more), KEY_A);

describe('a refresh', () => {
  it('is not accepted while what was revoked of late is not known', async () => {
    const { refresh, state } = await world();
    state.stale = true;
    expect(await refresh(OF_VISITOR, asVisitor())).toBe('unavailable');
    expect(await refresh(OF_OPERATOR, asOperator())).toBe('unavailable');
    state.stale = false;
    expect(await refresh(OF_VISITOR, asVisitor())).toBe('ok');
    expect(await refresh(OF_OPERATOR, asOperator())).toBe('ok');
    state.revoked = true;
    expect(await refresh(OF_VISITOR, asVisitor())).toBe('revoked');
  });

  it.each<[string, readonly string[] | undefined, string | undefined, string]>([
    ['any assistant', undefined, 'bot', 'ok'],
    ["the dialog's assistant among others", ['other', 'bot'], 'bot', 'ok'],
    ['other assistants', ['other'], 'bot', 'unauthorized'],
    ['none', [], 'bot', 'unauthorized'],
    ['one, where the dialog has none', ['bot'], undefined, 'unauthorized'],
    ['any, where the dialog has none', undefined, undefined, 'ok'],
  ])("of an operator whose token allows %s is held against the dialog's", async (_, assistants, dialogs, outcome) => {
    const { refresh } = await world();
    expect(await refresh({ ...OF_OPERATOR, dialogAssistantId: dialogs }, asOperator({ assistants }))).toBe(outcome);
  });

  it('of a visitor stays with its assistant', async () => {
    const { refresh } = await world();
    expect(await refresh(OF_VISITOR, asVisitor({ assistant_id: 'other' }))).toBe('unauthorized');
    expect(await refresh(OF_VISITOR, asVisitor({ assistant_id: 'bot' }))).toBe('ok');
  });
});
