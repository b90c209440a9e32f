import type { HandoffState, PublicSender, ReadMark } from '@replyx/protocol';
import type { StoredHandoff } from './handoff-port.js';
import type { Member, StoredMark } from './ports.js';
import type { Viewer } from './presence.js';

/**
 * A member as a notice about it shows it. Visitors get an operator's public id, and of one who has not written in the main
 * track the role alone.
 */
export const renderSender = (member: Member, wrote: boolean, viewer: Viewer): PublicSender => {
  const name = member.name === undefined ? {} : { name: member.name };
  if (viewer === 'operator' || member.role !== 'manager') return { role: member.role, id: member.id, ...name };
  return wrote ? { role: member.role, id: member.publicId, ...name } : { role: member.role };
};

/** The marks that a viewer may know of, for `connected`. */
export const renderMarks = (marks: readonly StoredMark[], track: 'main' | 'internal', viewer: Viewer): ReadMark[] =>
  marks
    .filter((mark) => mark.track === track && (viewer === 'operator' || mark.role !== 'manager' || mark.wrote))
    .map((mark) => ({ ...renderSender(mark, mark.wrote, viewer), offset: mark.offset }));

/** A handoff as a viewer sees it. */
export const renderHandoff = ({ state, operator, wrote, reason }: StoredHandoff, viewer: Viewer): HandoffState => ({
  state,
  ...(operator === undefined ? {} : { operator: renderSender(operator, wrote, viewer) }),
  ...(reason === undefined ? {} : { reason }),
});
