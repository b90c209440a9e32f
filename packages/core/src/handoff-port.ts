import type { HandoffState } from '@replyx/protocol';
import type { InboxAddress } from './inbox-port.js';
import type { Member, PublicationSender } from './ports.js';

export type HandoffAction = 'request' | 'cancel' | 'take' | 'release';

export interface HandoffRequest {
  readonly dialogId: string;
  readonly action: HandoffAction;
  /** Unique for its sender in the dialog; the last `REMEMBERED_HANDOFFS` of a sender are remembered for the idempotency time. */
  readonly id: string;
  /** Scope of `id`. */
  readonly sender: PublicationSender;
  /** Who takes the dialog; with `take` only. */
  readonly operator?: Member | undefined;
  /** Of a request or its cancellation. */
  readonly reason?: string | undefined;
  /**
   * With `take`: the dialog's new fence is this one, or one past the stored one where that is greater. 0: nobody else gives fences
   * for the dialog; then it is also not below the store's time in milliseconds, at which counters of fences begin.
   */
  readonly minimumFence?: number | undefined;
  /** True where a dialog without a directory record is refused with `not_found`. */
  readonly mustExist: boolean;
  /** Whose inbox is told of a change: the dialog's assistant, where it has one. */
  readonly inbox?: InboxAddress | undefined;
}

/** The state of a handoff, as stored. */
export interface StoredHandoff {
  readonly state: HandoffState['state'];
  /** Changes of the state so far; a notice carries the version that it made. */
  readonly version: number;
  /** Who holds the dialog, or held it when it was released. */
  readonly operator?: Member | undefined;
  /** Whether the operator has written in the main track, so that visitors may know who it is. */
  readonly wrote: boolean;
  readonly reason?: string | undefined;
  /** The dialog's fence; 0 where it has none. */
  readonly fence: number;
}

export type HandoffResult =
  /** The dialog is as asked. `duplicate`: an earlier call with the same id had done it; what came after stands. */
  | {
      readonly status: 'done' | 'duplicate';
      readonly handoff: StoredHandoff;
      /** How long the request had waited that was taken now; absent where nobody had asked. */
      readonly waitedMs?: number;
    }
  /** `conflict`: the present state does not allow it, or the id was used for another action. Nothing is left behind. */
  | { readonly status: 'conflict' | 'closed' | 'not_found' };

/** The handoff of a dialog to a person. */
export interface Handoffs {
  /**
   * One atomic step: the state's change, the notices to the dialog's nodes, and with `take` the new fence and the end of every
   * answer that is being written. What asks for the state that is there already is done without a notice.
   */
  act(request: HandoffRequest): Promise<HandoffResult>;
  /** `undefined`: nothing is stored of the dialog. */
  current(dialogId: string): Promise<StoredHandoff | undefined>;
  /** Raises the dialog's fence; never lowers it. */
  raiseFence(dialogId: string, fence: number): Promise<void>;
}

export const REMEMBERED_HANDOFFS = 16;
