import type { Ban, Revocation, RevocationRule } from '@replyx/core';
import { BOUNDS } from '@replyx/protocol';
import type { ApiAnswer, controlQuery } from '@replyx/protocol/schemas';
import type { z } from 'zod';

const ruleBody = (rule: RevocationRule) => {
  switch (rule.by) {
    case 'jti':
      return { jti: rule.jti };
    case 'subject': {
      const { sub, tenant, issuedBefore } = rule;
      return { sub, ...(tenant === undefined ? {} : { tenant }), issued_before: issuedBefore };
    }
    case 'assistant':
      return { assistant_id: rule.assistantId, below_version: rule.belowVersion };
    case 'dialog':
      return { dialog_id: rule.dialogId };
  }
};

export const revocationBody = ({ id, rule, createdMs, expiresMs }: Revocation): ApiAnswer<'revocation'> => ({
  id,
  by: rule.by,
  ...ruleBody(rule),
  created_at: createdMs,
  expires_at: expiresMs,
});

export const banBody = ({ id, network, reason, source, createdMs, expiresMs }: Ban): ApiAnswer<'ban'> => ({
  id,
  network,
  ...(reason === undefined ? {} : { reason }),
  source,
  created_at: createdMs,
  expires_at: expiresMs,
});

interface Placed {
  readonly id: string;
  readonly createdMs: number;
}

const compare = (a: Placed, b: Placed): number => b.createdMs - a.createdMs || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

const placeOf = (cursor: string): Placed => {
  const dot = cursor.indexOf('.');
  return { createdMs: Number(cursor.slice(0, dot)), id: cursor.slice(dot + 1) };
};

/** The newest first; a page goes on after a place in the order, so that what comes and goes meanwhile moves none. */
export const pageOf = <T extends Placed>(
  entries: readonly T[],
  { limit = BOUNDS.controlPageDefault, after }: z.output<typeof controlQuery>,
): { readonly entries: readonly T[]; readonly next: string | null } => {
  const place = after === undefined ? undefined : placeOf(after);
  const rest = entries.filter((entry) => place === undefined || compare(place, entry) < 0).sort(compare);
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  return { entries: page, next: last !== undefined && rest.length > limit ? `${last.createdMs}.${last.id}` : null };
};
