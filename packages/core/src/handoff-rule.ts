import type { HandoffState } from '@replyx/protocol';
import type { HandoffAction } from './handoff-port.js';

type State = HandoffState['state'];

/**
 * What an action makes of a state. `stays`: it is already as asked. `undefined`: a conflict. `isHolder`: the one who acts holds the
 * dialog. `handoff.lua` says the same.
 */
export const nextHandoff = (state: State, action: HandoffAction, isHolder: boolean): State | 'stays' | undefined => {
  switch (action) {
    case 'request':
      if (state === 'active') return undefined;
      return state === 'requested' ? 'stays' : 'requested';
    case 'cancel':
      return state === 'requested' ? 'cancelled' : undefined;
    case 'take':
      if (state !== 'active') return 'active';
      return isHolder ? 'stays' : undefined;
    case 'release':
      return state === 'active' ? 'released' : undefined;
  }
};

/**
 * Whether a write comes from one whose turn is over: an older fence than the dialog's, or an assistant's without one while a person
 * has the dialog. `lib/fence.lua` says the same.
 */
export const isStaleWrite = (
  dialog: { readonly fence?: number | undefined; readonly handoff?: { readonly state: State } | undefined },
  role: string,
  fence: number | undefined,
): boolean => {
  if (fence !== undefined) return dialog.fence !== undefined && fence < dialog.fence;
  return role === 'assistant' && dialog.handoff?.state === 'active';
};
