import { type Backplane, type Hub, renderHandoff, type StoredHandoff } from '@replyx/core';
import { API_BODIES, type ApiAnswer } from '@replyx/protocol/schemas';
import { readBody } from './body.js';
import { type HttpRoute, json } from './http.js';
import { pathId } from './path-id.js';
import { Problem } from './problem.js';
import { ROUTES } from './route-table.js';

export interface HandoffRoutesParts {
  readonly handoffs: Pick<Backplane['handoffs'], 'current'>;
  readonly hub: Pick<Hub, 'handoffs' | 'inboxAt'>;
  readonly dialog: Backplane['directory']['dialog'];
  readonly directory: 'strict' | 'open';
}

/** All backends are one sender: an id is an action's, whichever of them sends it. */
const BACKEND = { role: 'system', id: 'api' } as const;

const handoffBody = (handoff: StoredHandoff): ApiAnswer<'handoff'> => ({
  ...renderHandoff(handoff, 'operator'),
  ...(handoff.fence === 0 ? {} : { fence: handoff.fence }),
});

/** What a backend does with the handoff of a dialog; taking and releasing are for operators, by their sockets. */
export const handoffRoutes = ({ handoffs, hub, dialog, directory }: HandoffRoutesParts): HttpRoute[] => [
  {
    ...ROUTES.handoff,
    handle: async (call) => {
      const dialogId = pathId(call);
      const { id, action, reason } = readBody(call.body, API_BODIES.handoff);
      const mustExist = directory === 'strict';
      const record = await dialog(dialogId);
      const inbox = record === undefined ? undefined : hub.inboxAt(record.tenant, record.assistantId);
      const result = await hub.handoffs.act({ dialogId, action, id, reason, sender: BACKEND, mustExist, inbox });
      if (result.status !== 'done' && result.status !== 'duplicate') throw new Problem(result.status);
      return json(200, handoffBody(result.handoff));
    },
  },
  {
    ...ROUTES.getHandoff,
    handle: async (call) => {
      const dialogId = pathId(call);
      const [handoff, record] = await Promise.all([handoffs.current(dialogId), dialog(dialogId)]);
      if (handoff === undefined || (directory === 'strict' && record === undefined)) throw new Problem('not_found');
      return json(200, handoffBody(handoff));
    },
  },
];
