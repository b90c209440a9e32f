import { asyncApiDocument } from './asyncapi.js';
import { type HttpRoute, json } from './http.js';
import { openApiDocument } from './openapi.js';
import { ROUTES, type RouteDescription } from './route-table.js';

/** The documents of what a node serves, `described` and these two routes. Each is made when it is first asked for. */
export const documentRoutes = (described: readonly RouteDescription[], version: string): HttpRoute[] => {
  const own = [ROUTES.openapi, ROUTES.asyncapi];
  const once = (make: () => unknown) => {
    let answer: ReturnType<typeof json> | undefined;
    return () => {
      answer ??= json(200, make());
      return answer;
    };
  };
  return [
    { ...ROUTES.openapi, handle: once(() => openApiDocument([...described, ...own], version)) },
    { ...ROUTES.asyncapi, handle: once(() => asyncApiDocument(version)) },
  ];
};
