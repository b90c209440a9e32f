import { type DomainIndex, isOriginAllowed, parseOrigin } from '@replyx/core';
import type { VisitorKind } from '@replyx/protocol';

/** What CORS says of an origin before a token is seen. */
export interface OriginStanding {
  /** Whether its pages may ask, and may read the answers. */
  readonly known: boolean;
  /** Of the main app alone: the gateway takes no cookie, and widgets have none to send. */
  readonly credentials: boolean;
  /** For metrics: a registered domain, a configured origin, or `other`. */
  readonly label: string;
}

export interface CorsParts {
  readonly directory: 'strict' | 'open';
  /** Domains of all active assistants. */
  readonly domains: Pick<DomainIndex, 'match'>;
  /** Canonical, as `parseOrigin` writes them. */
  readonly origins: { readonly cors: readonly string[]; readonly widget: readonly string[] };
}

export type JudgeOrigin = (
  origin: string | undefined,
  route: { readonly kind: VisitorKind | undefined; readonly host: string | undefined },
) => OriginStanding;

/** Label values that may come to be, so that a directory of any size makes no flood of series. */
const MAX_LABELS = 500;

const NOBODY: OriginStanding = { known: false, credentials: false, label: 'other' };

/**
 * A browser asks without the token, so for a site every origin is known that some token may allow: those of the registered
 * domains, or where assistants need not be registered any origin at all. The request itself is then judged by its token.
 */
export const createOriginJudge = ({ directory, domains, origins }: CorsParts): JudgeOrigin => {
  const configured = new Set([...origins.cors, ...origins.widget]);
  const labels = new Set<string>();
  const labelOf = (value: string | undefined): string => {
    if (value === undefined) return NOBODY.label;
    if (labels.has(value)) return value;
    if (labels.size >= MAX_LABELS) return NOBODY.label;
    labels.add(value);
    return value;
  };
  return (origin, { kind, host }) => {
    const parsed = origin === undefined ? undefined : parseOrigin(origin);
    if (parsed === undefined) return NOBODY;
    const { canonical } = parsed;
    const domain = domains.match(parsed.host);
    const isOfApp = origins.cors.includes(canonical);
    const isOfKind =
      kind === 'widget'
        ? isOriginAllowed({ kind, origin, host, domains: [], appOrigins: [], widgetOrigins: origins.widget })
        : directory === 'open' || domain !== undefined;
    return {
      known: isOfApp || isOfKind,
      credentials: isOfApp,
      label: configured.has(canonical) ? canonical : labelOf(domain),
    };
  };
};

const ALLOWED_HEADERS = 'Authorization, Content-Type, Last-Event-ID';
/** A browser asks again after this; a domain that is taken off the list is refused from then on, by its token at once. */
const MAX_AGE_SECONDS = 600;

/** Headers of every answer under `/api`. `origin` is repeated as it came: it is one by the rule, so it holds nothing else. */
export const corsHeaders = (
  origin: string | undefined,
  standing: { readonly granted: boolean; readonly credentials: boolean },
): Record<string, string> => ({
  Vary: 'Origin',
  ...(origin !== undefined && standing.granted
    ? {
        'Access-Control-Allow-Origin': origin,
        'Access-Control-Expose-Headers': 'Retry-After',
        ...(standing.credentials ? { 'Access-Control-Allow-Credentials': 'true' } : {}),
      }
    : {}),
});

/** What a preflight is told besides; `methods` as `Allow` has them. */
export const preflightHeaders = (methods: string): Record<string, string> => ({
  'Access-Control-Allow-Methods': methods,
  'Access-Control-Allow-Headers': ALLOWED_HEADERS,
  'Access-Control-Max-Age': String(MAX_AGE_SECONDS),
});
