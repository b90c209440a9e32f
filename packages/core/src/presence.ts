import type { PresenceNotice, PublicSender } from '@replyx/protocol';
import type { PresenceChange, PresentMember } from './ports.js';

/** For whom a notice is rendered: operators see who, visitors see role and display name only. */
export type Viewer = 'operator' | 'visitor';

const named = (name: string | undefined) => (name === undefined ? {} : { name });

/** What `viewer` may know of a member; `undefined`: nothing, an operator who has not written in the main track. */
export const renderMember = (member: PresentMember, viewer: Viewer): PublicSender | undefined => {
  if (viewer === 'operator') return { role: member.role, id: member.id, ...named(member.name) };
  return member.role === 'manager' && !member.wrote ? undefined : { role: member.role, ...named(member.name) };
};

export const renderSnapshot = (
  members: readonly PresentMember[],
  count: { readonly operators: number; readonly visitors: number },
  viewer: Viewer,
): PresenceNotice => ({
  type: 'presence',
  state: 'snapshot',
  users: members.flatMap((member) => renderMember(member, viewer) ?? []),
  count: viewer === 'operator' ? count.operators : count.visitors,
});

export const memberKey = (member: { readonly role: string; readonly id: string }): string =>
  `${member.role}:${member.id}`;

export const isSame = (
  one: { readonly role: string; readonly id: string },
  other: { readonly role: string; readonly id: string },
): boolean => one.id === other.id && one.role === other.role;

/** An operator is told to have joined again when visitors may know of it from now on: it may have been here before. */
const isVisibleOperator = ({ member }: PresenceChange): boolean => member.role === 'manager' && member.wrote;

const isNews = (first: PresenceChange, last: PresenceChange): boolean => {
  if (first.state === last.state) return true;
  return last.state === 'join' ? first.member.wrote !== last.member.wrote : isVisibleOperator(first);
};

/**
 * Changes of one dialog within one coalescing interval. Who came and went within it, or went and came, did not change: a
 * reconnect is not seen.
 */
export class PresenceChanges {
  private readonly byMember = new Map<string, { readonly first: PresenceChange; last: PresenceChange }>();

  add(change: PresenceChange): void {
    const key = memberKey(change.member);
    const earlier = this.byMember.get(key);
    if (earlier === undefined) this.byMember.set(key, { first: change, last: change });
    else earlier.last = change;
  }

  /** What changed in the end, in the order in which it began. */
  net(): PresenceChange[] {
    return [...this.byMember.values()].filter(({ first, last }) => isNews(first, last)).map(({ last }) => last);
  }

  /** How each member stands in the end, news or not: for one whose roster may be older or newer than the changes. */
  latest(): PresenceChange[] {
    return [...this.byMember.values()].map(({ last }) => last);
  }
}
