import { createHash } from 'node:crypto';
import type { RevocationRule } from '@replyx/core';
import type { API_BODIES } from '@replyx/protocol/schemas';
import type { z } from 'zod';

type RevocationBody = z.output<typeof API_BODIES.revocation>;

/** What a body of the API asks for. `issuedBefore`: in seconds, where the body says nothing. */
export const ruleOf = (body: RevocationBody, issuedBefore: number): RevocationRule => {
  if ('jti' in body) return { by: 'jti', jti: body.jti };
  if ('dialog_id' in body) return { by: 'dialog', dialogId: body.dialog_id };
  if ('assistant_id' in body) {
    return { by: 'assistant', assistantId: body.assistant_id, belowVersion: body.below_version };
  }
  const { sub, tenant, issued_before = issuedBefore } = body;
  return { by: 'subject', sub, ...(tenant === undefined ? {} : { tenant }), issuedBefore: issued_before };
};

const subjectOf = (rule: RevocationRule): readonly (string | null)[] => {
  switch (rule.by) {
    case 'jti':
      return [rule.by, rule.jti];
    case 'subject':
      return [rule.by, rule.tenant ?? null, rule.sub];
    case 'assistant':
      return [rule.by, rule.assistantId];
    case 'dialog':
      return [rule.by, rule.dialogId];
  }
};

/** One id for a rule's subject: the same rule twice is one entry, whatever its time or version. A digest, since a `jti` is no id. */
export const revocationIdOf = (rule: RevocationRule): string =>
  `rev_${createHash('sha256')
    .update(JSON.stringify(subjectOf(rule)))
    .digest('base64url')
    .slice(0, 22)}`;
