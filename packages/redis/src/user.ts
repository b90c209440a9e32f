import type { Member } from '@replyx/core';
import type { SenderRole } from '@replyx/protocol';

/** A user of a dialog in one line: `<role>:<id as JSON>`, so that no character of an id can end it. */
export const userOf = ({ role, id }: { readonly role: SenderRole; readonly id: string }): string =>
  `${role}:${JSON.stringify(id)}`;

/** A member as it is stored and sent; known fields only. */
export const memberJson = ({ role, id, name, publicId }: Member): string =>
  JSON.stringify({ role, id, ...(name === undefined ? {} : { name }), publicId });

export const parseMember = (json: string): Member => JSON.parse(json) as Member;
