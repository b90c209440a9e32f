import { type DomainIndex, isOriginAllowed, parseOrigin } from '@replyx/core';

export interface ForeignOriginParts {
  /** Domains of all active assistants. */
  readonly domains: Pick<DomainIndex, 'match'>;
  readonly origins: { readonly cors: readonly string[]; readonly widget: readonly string[] };
}

export type IsForeign = (origin: string | undefined, host: string | undefined) => boolean;

/**
 * Whether a request comes from a page of nobody's: neither a registered domain, nor the main app, nor the hosted page. Any page can make
 * its visitors send requests; what they do wrong is not held against them.
 */
export const createForeignOrigin =
  ({ domains, origins }: ForeignOriginParts): IsForeign =>
  (origin, host) => {
    if (origin === undefined) return false;
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
