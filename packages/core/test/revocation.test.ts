import { describe, expect, it } from 'vitest';
import type { Revocation, RevocationRule } from '../src/control-port.js';
import { RevocationIndex, subjectOfIdentity, type TokenSubject } from '../src/revocation.js';
import type { Identity } from '../src/session.js';

const NOW_MS = 1_000_000;

const VISITOR: TokenSubject = {
  type: 'visitor',
  tenant: 'acme',
  sub: 'v',
  issuedAt: 100,
  tokenIds: ['j1', 'parent'],
  dialogId: 'd',
  assistantId: 'bot',
  widgetVersion: 3,
};
const OPERATOR: TokenSubject = {
  type: 'operator',
  tenant: 'acme',
  sub: 'v',
  issuedAt: 100,
  tokenIds: ['j2'],
  dialogId: 'd',
};
const SITE: TokenSubject = {
  type: 'site',
  tenant: 'acme',
  issuedAt: 100,
  tokenIds: ['parent'],
  assistantId: 'bot',
  widgetVersion: 3,
};

let serial = 0;
const revocation = (rule: RevocationRule, expiresMs = NOW_MS + 1): Revocation => {
  serial += 1;
  return { kind: 'revocation', id: `r${serial}`, rule, createdMs: 0, expiresMs };
};
const indexOf = (...revocations: readonly Revocation[]): RevocationIndex => {
  const index = new RevocationIndex();
  for (const each of revocations) index.add(each);
  return index;
};

const subject = (rest: Partial<Extract<RevocationRule, { by: 'subject' }>>): RevocationRule => ({
  by: 'subject',
  sub: 'v',
  tenant: 'acme',
  issuedBefore: 100,
  ...rest,
});

describe('a revocation', () => {
  const rows: readonly (readonly [string, RevocationRule, TokenSubject, 'falls' | 'stays'])[] = [
    ['by jti, the token itself', { by: 'jti', jti: 'j1' }, VISITOR, 'falls'],
    ['by jti, one that was minted from it', { by: 'jti', jti: 'parent' }, VISITOR, 'falls'],
    ['by jti, the site token', { by: 'jti', jti: 'parent' }, SITE, 'falls'],
    ['by jti, another token', { by: 'jti', jti: 'j' }, VISITOR, 'stays'],
    [
      'by jti, every token that a connection has used',
      { by: 'jti', jti: 'j0' },
      { ...VISITOR, tokenIds: ['j0', 'j1'] },
      'falls',
    ],
    ['by subject, issued at the time', subject({}), VISITOR, 'falls'],
    ['by subject, issued before', subject({ issuedBefore: 101 }), VISITOR, 'falls'],
    ['by subject, issued after', subject({ issuedBefore: 99 }), VISITOR, 'stays'],
    ['by subject, a fraction of a second after', subject({}), { ...VISITOR, issuedAt: 100.001 }, 'stays'],
    ['by subject, an operator of that name', subject({}), OPERATOR, 'falls'],
    ['by subject, the same name in another tenant', subject({}), { ...VISITOR, tenant: 'other' }, 'stays'],
    ['by subject, another name', subject({}), { ...VISITOR, sub: 'w' }, 'stays'],
    ['by subject in every tenant', subject({ tenant: undefined }), { ...VISITOR, tenant: 'other' }, 'falls'],
    ['by subject in every tenant, issued after', subject({ tenant: undefined, issuedBefore: 99 }), VISITOR, 'stays'],
    ['by subject, a site token, which is nobody’s', subject({}), SITE, 'stays'],
    ['by assistant, an older widget', { by: 'assistant', assistantId: 'bot', belowVersion: 4 }, VISITOR, 'falls'],
    ['by assistant, an older site token', { by: 'assistant', assistantId: 'bot', belowVersion: 4 }, SITE, 'falls'],
    ['by assistant, the version itself', { by: 'assistant', assistantId: 'bot', belowVersion: 3 }, VISITOR, 'stays'],
    ['by assistant, another assistant', { by: 'assistant', assistantId: 'b', belowVersion: 4 }, VISITOR, 'stays'],
    [
      'by assistant, an operator of its dialogs',
      { by: 'assistant', assistantId: 'bot', belowVersion: 4 },
      { ...OPERATOR, assistantId: 'bot' },
      'stays',
    ],
    ['by dialog, its visitor', { by: 'dialog', dialogId: 'd' }, VISITOR, 'falls'],
    ['by dialog, its operator', { by: 'dialog', dialogId: 'd' }, OPERATOR, 'falls'],
    ['by dialog, another dialog', { by: 'dialog', dialogId: 'e' }, VISITOR, 'stays'],
    ['by dialog, a site token', { by: 'dialog', dialogId: 'd' }, SITE, 'stays'],
  ];
  it.each(rows)('%s', (_, rule, token, verdict) => {
    const one = revocation(rule);
    const index = indexOf(one);
    expect(index.match(token, NOW_MS)).toEqual(verdict === 'falls' ? one : undefined);
    expect(index.match(token, one.expiresMs)).toBeUndefined();
    index.remove(one);
    expect(index.match(token, NOW_MS)).toBeUndefined();
  });

  it('is found among others of the same name', () => {
    const wide = revocation(subject({ issuedBefore: 50 }));
    const narrow = revocation(subject({}));
    const index = indexOf(wide, revocation(subject({}), NOW_MS), narrow);
    expect(index.match(VISITOR, NOW_MS)).toBe(narrow);
    index.remove(narrow);
    expect(index.match(VISITOR, NOW_MS)).toBeUndefined();
    expect(index.match({ ...VISITOR, issuedAt: 50 }, NOW_MS)).toBe(wide);
  });
});

describe('for somebody who wants a token', () => {
  const { issuedAt: _, type: __, ...future } = VISITOR;
  it.each<[string, RevocationRule, boolean]>([
    ['a subject rule counts whatever its time', subject({ issuedBefore: 0 }), true],
    ['one of another tenant does not', subject({ tenant: 'other' }), false],
    ['a dialog rule counts', { by: 'dialog', dialogId: 'd' }, true],
    ['an assistant rule counts for older widgets', { by: 'assistant', assistantId: 'bot', belowVersion: 4 }, true],
    ['and not for others', { by: 'assistant', assistantId: 'bot', belowVersion: 3 }, false],
    ['the parent’s fall counts', { by: 'jti', jti: 'parent' }, true],
  ])('%s', (_name, rule, isRevoked) => {
    expect(indexOf(revocation(rule)).matchFuture(future, NOW_MS) !== undefined).toBe(isRevoked);
  });
});

it('a connection is judged by its identity', () => {
  const identity: Identity = {
    connectionId: 'c',
    dialogId: 'd',
    kind: 'widget',
    tenant: 'acme',
    member: { role: 'user', id: 'v', publicId: 'p' },
    issuedAt: 100,
    expiresAtMs: 1,
    tokenIds: ['j1', 'parent'],
    assistantId: 'bot',
    widgetVersion: 3,
  };
  expect(subjectOfIdentity(identity)).toEqual(VISITOR);
  expect(subjectOfIdentity({ ...identity, kind: 'operator' }).type).toBe('operator');
});
