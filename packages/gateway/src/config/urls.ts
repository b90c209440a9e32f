const HOST = String.raw`(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?`;
const CREDENTIALS = String.raw`(?:[^\s/?#@]*@)?`;

const ONE_HOST = new RegExp(String.raw`^rediss?:\/\/${CREDENTIALS}${HOST}(?:\/\d{0,5})?(?:\?[^\s#]*)?$`);
const CLUSTER = new RegExp(String.raw`^redis\+cluster:\/\/${CREDENTIALS}${HOST}(?:,${HOST})*\/?(?:\?[^\s#]*)?$`);
/** `redis+sentinel://host:port,host:port/<master name>[/<database>]`. */
const SENTINEL = new RegExp(
  String.raw`^redis\+sentinel:\/\/${CREDENTIALS}${HOST}(?:,${HOST})*\/[A-Za-z0-9._-]+(?:\/\d{1,5})?(?:\?[^\s#]*)?$`,
);

const portsAreValid = (url: string): boolean =>
  [
    ...url
      .replace(/^[^/]*\/\/(?:[^/@]*@)?/, '')
      .replace(/[/?].*$/, '')
      .matchAll(/:(\d+)(?=,|$)/g),
  ].every(([, port]) => Number(port) >= 1 && Number(port) <= 65_535);

/** Why a Redis URL is refused; undefined when it is well formed. Never repeats the URL: it may hold a password. */
export const redisUrlProblem = (url: string, allowed: 'any' | 'oneHost'): string | undefined => {
  if (ONE_HOST.test(url)) return portsAreValid(url) ? undefined : 'has a port outside 1 to 65535';
  if (allowed === 'oneHost') return 'must be redis://host[:port] or rediss://host[:port]';
  if (CLUSTER.test(url) || SENTINEL.test(url)) return portsAreValid(url) ? undefined : 'has a port outside 1 to 65535';
  if (/^redis\+sentinel:/.test(url)) return 'must be redis+sentinel://host:port[,host:port]/master-name';
  return 'must be redis://, rediss://, redis+sentinel:// or redis+cluster:// with a host';
};

/** A JWKS address: https, or http outside production; no credentials and no fragment. */
export const httpUrlProblem = (text: string, httpsOnly: boolean): string | undefined => {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return 'is not a URL';
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'must be an https:// URL';
  if (url.protocol === 'http:' && httpsOnly) return 'must be an https:// URL in production';
  if (url.username !== '' || url.password !== '' || url.hash !== '') return 'must have no credentials and no fragment';
  return undefined;
};
