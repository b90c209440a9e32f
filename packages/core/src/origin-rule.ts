import { remembering } from './remembering.js';

/**
 * The one rule for who may use a domain's widget: sockets, CORS and `frame-ancestors` all ask here.
 *
 * An origin is exactly a scheme (http or https), a host and an optional port, nothing else. The port is ignored, the host
 * lower-cased, one trailing dot removed, IDN compared as punycode.
 */
export interface ParsedOrigin {
  /** Lower case, punycode, without a trailing dot; an IPv6 address in brackets. */
  readonly host: string;
  /** As the browser writes it: without the scheme's own port. */
  readonly canonical: string;
}

const SHAPE = /^(https?):\/\/([^\s/?#@\\%:*[\]]+|\[[0-9a-f:.]+\])(:\d{1,5})?$/iu;
/** What a host is made of once it is canonical: nothing that could end its place in a header or in a list. */
const HOST = /^([a-z0-9._-]+|\[[0-9a-f:.]+\])$/;
const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/;
const MAX_CHARS = 300;
/** The pages and domains of a deployment are far fewer than the requests that name them. */
const REMEMBERED = { most: 1_024, maxChars: MAX_CHARS };

const withoutDot = (host: string): string => (host.endsWith('.') ? host.slice(0, -1) : host);

/** A host as a URL has it; `undefined` where it is none, or another spelling of an address (`0x7f.1`). */
const canonicalHost = remembering((host): string | undefined => {
  try {
    const { hostname } = new URL(`http://${host}`);
    const plain = withoutDot(hostname);
    if (!HOST.test(plain) || plain.split('.').includes('')) return undefined;
    // The URL parser reads numbers as addresses; a browser never sends them so.
    if (IPV4.test(plain) && plain !== withoutDot(host)) return undefined;
    return plain;
  } catch {
    return undefined;
  }
}, REMEMBERED);

/** `undefined` for anything that is not exactly an origin: `null`, a path, credentials, another scheme. */
export const parseOrigin = remembering((text): ParsedOrigin | undefined => {
  if (text.length > MAX_CHARS) return undefined;
  const match = SHAPE.exec(text);
  if (match === null) return undefined;
  const [, scheme = '', rawHost = '', port = ''] = match;
  if (port !== '' && Number(port.slice(1)) > 65_535) return undefined;
  const host = canonicalHost(rawHost);
  if (host === undefined) return undefined;
  return {
    host,
    canonical: new URL(`${scheme}://${host}${port}`).origin,
  };
}, REMEMBERED);

/** A domain of a token, in the form in which hosts are compared; `undefined` matches nothing. */
export const parseDomain = (entry: string): string | undefined => {
  const text = entry.trim();
  if (text === '' || text.length > MAX_CHARS || /[\s/?#@\\%*]/.test(text)) return undefined;
  if (/:/.test(text) && !/^\[[0-9a-f:.]+\]$/i.test(text)) return undefined;
  return canonicalHost(text);
};

/** A name of one label and an address have no subdomains that could be meant. */
export const hasSubdomains = (domain: string): boolean =>
  domain.includes('.') && !IPV4.test(domain) && !domain.startsWith('[');

/** Equal to a domain of the list, or a subdomain of one. */
export const matchesDomains = (host: string, domains: readonly string[]): boolean =>
  domains.some((entry) => {
    const domain = parseDomain(entry);
    return domain !== undefined && (host === domain || (hasSubdomains(domain) && host.endsWith(`.${domain}`)));
  });

/** Whether an `Origin` header names a page of these domains. */
export const isOfDomains = (origin: string | undefined, domains: readonly string[]): boolean => {
  const parsed = origin === undefined ? undefined : parseOrigin(origin);
  return parsed !== undefined && matchesDomains(parsed.host, domains);
};

/** The value of `frame-ancestors` that lets exactly these domains embed the hosted page. */
export const frameAncestors = (domains: readonly string[]): string => {
  const sources = domains.flatMap((entry) => {
    const domain = parseDomain(entry);
    if (domain === undefined) return [];
    const hosts = hasSubdomains(domain) ? [domain, `*.${domain}`] : [domain];
    return hosts.flatMap((host) => [`http://${host}:*`, `https://${host}:*`]);
  });
  return sources.length === 0 ? "'none'" : [...new Set(sources)].join(' ');
};

export interface OriginQuestion {
  readonly kind: 'operator' | 'site' | 'widget';
  /** The `Origin` header; `undefined` where there is none. */
  readonly origin: string | undefined;
  /** The token's domains. */
  readonly domains: readonly string[];
  /** Origins of the main app, for operators; canonical, as `parseOrigin` writes them. */
  readonly appOrigins: readonly string[];
  /** Origins of the hosted page, canonical; empty: the host that the request itself names. */
  readonly widgetOrigins: readonly string[];
  /** The request's `Host`. */
  readonly host: string | undefined;
}

/** The host of a `Host` header, which may carry a port. */
const hostOf = (header: string | undefined): string | undefined =>
  header === undefined ? undefined : parseOrigin(`http://${header}`)?.host;

/**
 * The origin of a request. A browser leaves `Origin` out of a GET to the page's own origin; `Sec-Fetch-Site`, which no page can
 * write, then says that it was one, and the request's own host is where the page is.
 */
export const originOfRequest = (request: {
  readonly origin: string | undefined;
  /** `Sec-Fetch-Site`. */
  readonly fetchSite: string | undefined;
  readonly host: string | undefined;
  readonly widgetOrigins: readonly string[];
}): string | undefined => {
  const { origin, fetchSite, host, widgetOrigins } = request;
  if (origin !== undefined || fetchSite !== 'same-origin' || host === undefined) return origin;
  // Which scheme the browser used is not known here: a balancer may end TLS.
  const candidates = [`https://${host}`, `http://${host}`].flatMap((text) => parseOrigin(text)?.canonical ?? []);
  return candidates.find((candidate) => widgetOrigins.includes(candidate)) ?? candidates[0];
};

/**
 * A visitor without an Origin is refused. An operator without one is no browser and is admitted by its token; with one, it must
 * be of the main app. The hosted page runs on our own origin: the customer's domains bind it by `frame-ancestors`.
 */
export const isOriginAllowed = (question: OriginQuestion): boolean => {
  const { kind, origin } = question;
  if (origin === undefined) return kind === 'operator';
  if (kind === 'site') return isOfDomains(origin, question.domains);
  const parsed = parseOrigin(origin);
  if (parsed === undefined) return false;
  if (kind === 'operator') return question.appOrigins.includes(parsed.canonical);
  return question.widgetOrigins.length > 0
    ? question.widgetOrigins.includes(parsed.canonical)
    : parsed.host === hostOf(question.host);
};
