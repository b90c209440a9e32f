import { createVisitorAccess, type VisitorAccessParts } from './access.js';
import { type EventRoutesParts, eventRoutes } from './event-routes.js';
import { hostedPageRoutes } from './hosted-page.js';
import { type MessageRoutesParts, messageRoutes } from './message-routes.js';
import type { PublicRoute } from './public-http.js';
import { type SessionRoutesParts, sessionRoutes } from './session-routes.js';

export interface PublicRoutesParts
  extends Omit<SessionRoutesParts, 'widgetOrigins' | 'openDialog'>,
    Omit<MessageRoutesParts, 'visitor'>,
    Pick<VisitorAccessParts, 'authorize' | 'openDialog'> {
  readonly origins: { readonly widget: readonly string[] };
  readonly events: EventRoutesParts;
}

/** Everything that the public listener serves besides its sockets. */
export const publicRoutes = (parts: PublicRoutesParts): PublicRoute[] => [
  ...sessionRoutes({ ...parts, widgetOrigins: parts.origins.widget }),
  ...messageRoutes({ ...parts, visitor: createVisitorAccess(parts) }),
  ...eventRoutes(parts.events),
  ...hostedPageRoutes(parts),
];
