import { timingSafeEqual } from 'node:crypto';

export interface PageRequest {
  readonly method: string;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** `Sec-Fetch-Site`; absent from programs that are no browser. */
  readonly fetchSite: string | undefined;
  /** `Sec-Fetch-Mode`. */
  readonly fetchMode: string | undefined;
  /** The control key that came with the request. */
  readonly key: string | undefined;
}

export interface PageSecrets {
  readonly port: number;
  readonly key: string;
}

/** Names under which a browser on this machine may reach the page. Any other is another site's name for our address. */
export const pageHosts = (port: number): string[] => [`127.0.0.1:${port}`, `localhost:${port}`];

const sameKey = (given: string, key: string): boolean => {
  const [a, b] = [Buffer.from(given), Buffer.from(key)];
  return a.byteLength === b.byteLength && timingSafeEqual(a, b);
};

/**
 * The status that refuses a request; `undefined` lets it in. `Host` keeps out a page of another site that has rebound its name
 * to our address; the origin and the key keep out its requests, which a browser sends without asking us first.
 */
export const refusal = (request: PageRequest, { port, key }: PageSecrets): 403 | 421 | undefined => {
  const { method, host, origin, fetchSite, fetchMode } = request;
  const hosts = pageHosts(port);
  if (host === undefined || !hosts.includes(host)) return 421;
  if (method === 'GET' || method === 'HEAD') {
    // `none` is the address bar. A link on another site may lead here: it shows the page and reads nothing of it.
    const isOurs = fetchSite === undefined || fetchSite === 'same-origin' || fetchSite === 'none';
    return isOurs || fetchMode === 'navigate' ? undefined : 403;
  }
  if (fetchSite !== undefined && fetchSite !== 'same-origin') return 403;
  if (origin !== undefined && origin !== `http://${host}`) return 403;
  return request.key !== undefined && sameKey(request.key, key) ? undefined : 403;
};
