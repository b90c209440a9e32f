import { type DomainIndex, isOriginAllowed, parseOrigin } from '@replyx/core';

export interface ForeignOriginParts {
  /** Domains of all active assistants. */
  readonly domains: Pick<DomainIndex, 'match'>;
  readonly origins: { readonly cors: readonly string[]; readonly widget: readonly string[] };
}

/** What a request says of the page that sent it. */
export interface PageRequest {
  readonly origin: string | undefined;
  readonly host: string | undefined;
  /** `Sec-Fetch-Site`, where it was looked at. */
  readonly fetchSite?: string | undefined;
}

export type IsForeign = (from: PageRequest) => boolean;

/**
 * Whether a request comes from a page of nobody's: neither a registered domain, nor the main app, nor the hosted page. Any page can make
 * its visitors send requests; what they do wrong is not held against them. An image or a frame is asked for without an `Origin`:
 * then it is another site's, whichever, that the browser says.
 */
export const createForeignOrigin =
  ({ domains, origins }: ForeignOriginParts): IsForeign =>
  ({ origin, host, fetchSite }) => {
    if (origin === undefined) return fetchSite === 'cross-site';
    const parsed = parseOrigin(origin);
    if (parsed === undefined) return true;
    if (origins.cors.includes(parsed.canonical) || domains.match(parsed.host) !== undefined) return false;
    return !isOriginAllowed({
      kind: 'widget',
      origin,
      host,
      domains: [],
      appOrigins: [],
      widgetOrigins: origins.widget,
    });
  };
