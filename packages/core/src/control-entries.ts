import type { Revocation, RevocationRule, SnapshotEntry } from './control-port.js';

/**
 * What becomes of two entries of one id. The store's script follows the same rules (`control-write.lua`), and so does the mirror:
 * whatever order entries come in, and however often, all end with the same.
 */

const isRevocation = (entry: SnapshotEntry): entry is Revocation => entry.kind === 'revocation';

/** Up to which value a rule bites; of two rules of one subject the higher is the wider. */
export const thresholdOf = (rule: RevocationRule): number | undefined => {
  if (rule.by === 'subject') return rule.issuedBefore;
  return rule.by === 'assistant' ? rule.belowVersion : undefined;
};

export const withThreshold = (rule: RevocationRule, threshold: number | undefined): RevocationRule => {
  if (threshold === undefined) return rule;
  if (rule.by === 'subject') return { ...rule, issuedBefore: threshold };
  return rule.by === 'assistant' ? { ...rule, belowVersion: threshold } : rule;
};

/** Two rules of one subject as one that is as wide and as long as both. */
const joined = (held: Revocation, next: Revocation): Revocation => {
  const thresholds = [held.rule, next.rule].flatMap((rule) => thresholdOf(rule) ?? []);
  return {
    ...next,
    rule: withThreshold(next.rule, thresholds.length === 0 ? undefined : Math.max(...thresholds)),
    createdMs: Math.max(held.createdMs, next.createdMs),
    expiresMs: Math.max(held.expiresMs, next.expiresMs),
  };
};

/**
 * A write replaces. But a revocation of the same subject never becomes narrower or shorter by being written again: only a lift
 * takes it away, and a lift lasts at least as long as what it lifts. The new entry is always the later made one, whatever clocks
 * say, so that everybody who compares the two prefers it.
 */
export const written = (held: SnapshotEntry | undefined, next: SnapshotEntry): SnapshotEntry => {
  if (held === undefined) return next;
  const createdMs = Math.max(next.createdMs, held.createdMs + 1);
  if (isRevocation(held) && isRevocation(next)) return { ...joined(held, next), createdMs };
  if (next.kind === 'lifted') return { ...next, createdMs, expiresMs: Math.max(next.expiresMs, held.expiresMs) };
  return { ...next, createdMs };
};

/**
 * Of a lift, what it lifted and what was written after it, the later made one wins; made at the same time, the lift, then the
 * later expiry. `undefined` where the held one stays as it is.
 */
export const seeded = (held: SnapshotEntry | undefined, offered: SnapshotEntry): SnapshotEntry | undefined => {
  if (held === undefined) return offered;
  if (isRevocation(held) && isRevocation(offered)) {
    const both = joined(held, offered);
    const isSame =
      both.createdMs === held.createdMs &&
      both.expiresMs === held.expiresMs &&
      thresholdOf(both.rule) === thresholdOf(held.rule);
    return isSame ? undefined : both;
  }
  if (offered.createdMs !== held.createdMs) return offered.createdMs > held.createdMs ? offered : undefined;
  if (offered.kind !== held.kind) return offered.kind === 'lifted' ? offered : undefined;
  return offered.expiresMs > held.expiresMs ? offered : undefined;
};
