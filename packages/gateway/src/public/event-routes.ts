import type { Session, Transport } from '@replyx/core';
import { type ConnectionKind, VISITOR_KINDS, type VisitorKind } from '@replyx/protocol';
import type { Admitted, Screening, UpgradeRequest, Verdict } from '../admission/admission.js';
import type { TokenPick } from '../auth/token-transport.js';
import { Problem } from '../http/problem.js';
import { refuse } from './access.js';
import type { PublicCall, PublicRoute } from './public-http.js';
import { VISITOR_ROUTES } from './route-table.js';
import { positionOfEventId } from './sse-frames.js';

export interface EventRoutesParts {
  /** The same as of a socket. */
  readonly screen: (request: UpgradeRequest) => Screening;
  readonly admit: (request: UpgradeRequest, picked: TokenPick) => Promise<Verdict>;
  readonly join: (admitted: Admitted, transport: Transport) => Session;
  readonly onVerdict: (kind: ConnectionKind, verdict: Screening | Verdict | 'gone', request?: UpgradeRequest) => void;
}

/** The request as that of a socket, which resumes by its query. */
const asUpgrade = (call: PublicCall, kind: VisitorKind): UpgradeRequest => {
  const query = new URLSearchParams(call.query);
  const eventId = call.header('last-event-id') ?? query.get('last_event_id');
  if (eventId !== null && eventId !== '') {
    query.delete('epoch');
    query.delete('offset');
    for (const [name, value] of Object.entries(positionOfEventId(eventId))) query.set(name, value);
  }
  return {
    kind,
    address: call.peer.address,
    dialogId: call.parameters[0] ?? '',
    query: query.toString(),
    // A stream of events has no version of its own to be wrong about.
    version: '13',
    protocols: undefined,
    authorization: call.header('authorization'),
    ...call.peer.page,
  };
};

const follow =
  (kind: VisitorKind, parts: EventRoutesParts): PublicRoute['handle'] =>
  async (call) => {
    const request = asUpgrade(call, kind);
    const screening = parts.screen(request);
    if (screening.screening === 'refuse') {
      parts.onVerdict(kind, screening, request);
      throw new Problem('not_found');
    }
    const verdict = await parts.admit(request, screening.token);
    if (verdict.verdict === 'close') {
      parts.onVerdict(kind, verdict, request);
      throw refuse(call, verdict.code);
    }
    call.grantOrigin();
    return {
      open: (transport) => {
        parts.onVerdict(kind, verdict);
        return parts.join(verdict.admitted, transport);
      },
      gone: () => parts.onVerdict(kind, 'gone'),
    };
  };

/** Where sockets are blocked: the same session over server-sent events. */
export const eventRoutes = (parts: EventRoutesParts): PublicRoute[] =>
  VISITOR_KINDS.map((kind) => ({ ...VISITOR_ROUTES[kind].events, handle: follow(kind, parts) }));
