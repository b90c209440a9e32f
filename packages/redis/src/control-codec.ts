import {
  type ControlEntry,
  type Disconnect,
  type RevocationRule,
  type SnapshotEntry,
  thresholdOf,
  withThreshold,
} from '@replyx/core';

/**
 * An entry of the control plane as the scripts store and stream it:
 *
 *     r|<made>|<expires>|<threshold>|\n<rule as JSON>     revocation; what scripts compare is not in the JSON
 *     b|<made>|<expires>||\n<ban as JSON>
 *     x|<made>|<expires>||\n<what was lifted>
 *     d\n<disconnect as JSON>
 *     n\n<drain order as JSON>
 *     a\n<assistant's id and record as JSON>
 *
 * The id is a part of the JSON. Times are whole milliseconds.
 */
const HEADER = /^([rbx])\|(\d+)\|(\d+)\|([^|\n]*)\|\n/;

/** What is only told, by its letter. */
const TOLD = { disconnect: 'd', drain: 'n', assistant: 'a' } as const;

export const encodeEntry = (entry: ControlEntry): string => {
  if (entry.kind === 'disconnect' || entry.kind === 'drain' || entry.kind === 'assistant') {
    const { kind, ...rest } = entry;
    return `${TOLD[kind]}\n${JSON.stringify(rest)}`;
  }
  const { kind, createdMs, expiresMs, ...rest } = entry;
  const head = (letter: string, threshold: number | '' = ''): string =>
    `${letter}|${Math.ceil(createdMs)}|${Math.ceil(expiresMs)}|${threshold}|\n`;
  if (kind === 'ban') return head('b') + JSON.stringify(rest);
  if (kind === 'lifted') return head('x') + JSON.stringify(rest);
  const { rule, ...named } = rest as { id: string; rule: RevocationRule };
  const compared = { issuedBefore: undefined, belowVersion: undefined };
  return head('r', thresholdOf(rule) ?? '') + JSON.stringify({ ...named, rule: { ...rule, ...compared } });
};

const decodeKept = (text: string): SnapshotEntry | undefined => {
  const header = HEADER.exec(text);
  if (header === null) return undefined;
  const [{ length }, kind, made, expires, threshold] = header;
  const rest = JSON.parse(text.slice(length)) as never;
  const times = { createdMs: Number(made), expiresMs: Number(expires) };
  if (kind === 'b') return { ...(rest as object), kind: 'ban', ...times } as SnapshotEntry;
  if (kind === 'x') return { ...(rest as object), kind: 'lifted', ...times } as SnapshotEntry;
  const { id, rule } = rest as { id: string; rule: RevocationRule };
  return {
    kind: 'revocation',
    id,
    rule: withThreshold(rule, threshold === '' ? undefined : Number(threshold)),
    ...times,
  };
};

/** `undefined` where the text is none of this version's: a newer node's. */
export const decodeEntry = (text: string): ControlEntry | undefined => {
  if (text.startsWith('d\n')) return { kind: 'disconnect', ...(JSON.parse(text.slice(2)) as Omit<Disconnect, 'kind'>) };
  if (text.startsWith('n\n')) return { kind: 'drain', ...(JSON.parse(text.slice(2)) as { nodeId: string }) };
  if (text.startsWith('a\n')) return { kind: 'assistant', ...(JSON.parse(text.slice(2)) as { assistantId: string }) };
  return decodeKept(text);
};

/** Of the snapshot. */
export const decodeSnapshotEntry = decodeKept;
