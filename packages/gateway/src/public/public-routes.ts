import type { ClaimsOf } from '../auth/token-verifier.js';
import { createVisitorAccess, type VisitorAccessParts } from './access.js';
import { type EventRoutesParts, eventRoutes } from './event-routes.js';
import { hostedPageRoutes } from './hosted-page.js';
import { type MessageRoutesParts, messageRoutes } from './message-routes.js';
import type { PublicRoute } from './public-http.js';
import { type SessionRoutesParts, sessionRoutes } from './session-routes.js';

export interface PublicRoutesParts
  extends Omit<SessionRoutesParts, 'widgetOrigins' | 'openDialog' | 'isRevoked'>,
    Omit<MessageRoutesParts, 'visitor' | 'isRevoked'>,
    Pick<VisitorAccessParts, 'authorize' | 'openDialog'> {
  readonly origins: { readonly widget: readonly string[] };
  readonly events: EventRoutesParts;
  readonly isRevoked: (claims: ClaimsOf<'site' | 'visitor'>) => boolean;
}

/** Everything that the public listener serves besides its sockets. */
export const publicRoutes = (parts: PublicRoutesParts): PublicRoute[] => [
  ...sessionRoutes({ ...parts, widgetOrigins: parts.origins.widget }),
  ...messageRoutes({ ...parts, visitor: createVisitorAccess(parts) }),
  ...eventRoutes(parts.events),
  ...hostedPageRoutes(parts),
];
