import { SETTING_NAMES } from './schema.js';

/** What Kubernetes injects for a service: `WS_SERVICE_HOST`, `WS_PORT_8080_TCP_ADDR`. Never taken for a slip. */
const SERVICE_LINK = /_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/;
const UNIT = /(_(SECONDS?|SECS?|S|MS|MILLIS|MINUTES?|BYTES|FILE))+$/;

/** Upper case, singular words, no unit at the end: what people vary when they write a name from memory. */
const stem = (name: string): string =>
  name
    .toUpperCase()
    .replaceAll('-', '_')
    .replace(UNIT, '')
    .split('_')
    .map((word) => (word.length > 3 ? word.replace(/IES$/, 'Y').replace(/S$/, '') : word))
    .join('_');

/** Edits between two texts: insertions, deletions, replacements, and swaps of neighbours. */
export const editDistance = (a: string, b: string): number => {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min((above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (above[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, (before[j - 2] ?? 0) + 1);
      row.push(best);
    }
    before = above;
    above = row;
  }
  return above[b.length] ?? 0;
};

const KNOWN = SETTING_NAMES.flatMap((name) => {
  // `WS_SECRET_KEY` for SECRET_KEY; `WS_PORT` and `WS_HOST` are too common elsewhere to be a slip.
  const withPrefix = name.startsWith('WS_') || name === 'PORT' || name === 'HOST' ? [] : [`WS_${name}`];
  return [...(name.startsWith('WS_') ? [name] : []), ...withPrefix].map((written) => ({ name, stem: stem(written) }));
});

/**
 * The known name that an unknown `WS_` name is a slip of: the same but for case, plural or unit, or one edit away, two
 * in longer names.
 */
export const nearMiss = (unknown: string): string | undefined => {
  if (SERVICE_LINK.test(unknown) || unknown.length > 64) return undefined;
  const wanted = stem(unknown);
  let best: { readonly name: string; readonly edits: number } | undefined;
  for (const known of KNOWN) {
    const allowed = Math.min(known.stem.length, wanted.length) >= 13 ? 2 : 1;
    if (Math.abs(known.stem.length - wanted.length) > allowed) continue;
    const edits = editDistance(known.stem, wanted);
    if (edits <= allowed && (best === undefined || edits < best.edits)) best = { name: known.name, edits };
  }
  return best?.name;
};
