import type { HandoffRequest, HandoffResult, Handoffs } from './handoff-port.js';
import { BackplaneUnavailable } from './ports.js';
import type { Stats } from './stats.js';

/**
 * Raises whatever else gives fences for a dialog (locks): resolves a fence that is at least `atLeast`, greater than every one that was
 * given before and smaller than every one that is given after. Rejects with `BackplaneUnavailable`.
 */
export type RaiseFence = (dialogId: string, atLeast: number) => Promise<number>;

export interface HandoffDesk {
  /**
   * Carries out an action. After a `take` that is done, no write of a worker whose turn began before is accepted: neither without a
   * fence nor with any that was given. Rejects with `BackplaneUnavailable`; then repeat it with the same id.
   */
  act(request: Omit<HandoffRequest, 'minimumFence'>): Promise<HandoffResult>;
}

export const createHandoffDesk = (
  handoffs: Handoffs,
  raiseFence: RaiseFence | undefined,
  stats: Pick<Stats, 'handoffs'>,
  /** A request was taken that had waited so long. */
  onTaken: (waitedMs: number) => void = () => {},
): HandoffDesk => {
  const perform: HandoffDesk['act'] = async (request) => {
    if (request.action !== 'take' || raiseFence === undefined) return handoffs.act(request);
    const { dialogId, sender } = request;
    const minimumFence = await raiseFence(dialogId, 1);
    const result = await handoffs.act({ ...request, minimumFence });
    if (result.status !== 'done' && result.status !== 'duplicate') return result;
    const { state, operator, fence } = result.handoff;
    if (state !== 'active' || operator?.role !== sender.role || operator.id !== sender.id) return result;
    // Whoever was given a fence between the two steps may have seen the dialog untaken, and holds a greater one. A duplicate may be
    // the retry of a call that did not come as far as here.
    const last = await raiseFence(dialogId, fence);
    if (last <= fence) return result;
    await handoffs.raiseFence(dialogId, last);
    return { ...result, handoff: { ...result.handoff, fence: last } };
  };
  return {
    act: async (request) => {
      const counts = stats.handoffs[request.action];
      try {
        const result = await perform(request);
        counts[result.status] += 1;
        if ('waitedMs' in result && result.waitedMs !== undefined) onTaken(result.waitedMs);
        return result;
      } catch (error) {
        if (error instanceof BackplaneUnavailable) counts.unavailable += 1;
        throw error;
      }
    },
  };
};
