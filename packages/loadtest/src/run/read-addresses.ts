import { isIP } from 'node:net';
import { UsageError } from '../command.js';
import type { ServerSource } from './server-watch.js';

const MAX_ADDRESSES = 256;

/** Addresses of an option, each given alone or with commas, without trailing slashes. Throws `UsageError`. */
export const readUrls = (
  option: string,
  given: readonly string[] | undefined,
  protocols: readonly [string, string],
): string[] => {
  const items = (given ?? []).flatMap((text) => text.split(',')).map((text) => text.trim());
  const urls = items.map((item) => {
    const url = URL.canParse(item) ? new URL(item) : undefined;
    // An address is printed: it must hold no credential.
    if (
      url === undefined ||
      !protocols.includes(url.protocol) ||
      url.username + url.password + url.search + url.hash !== ''
    ) {
      throw new UsageError(`${option} takes an address ${protocols[0]}//host:port or ${protocols[1]}//host:port`);
    }
    // `localhost` may mean ::1, from which no address of 127.0.0.0/8 can connect.
    const host = url.host.replace(/^localhost(?=:|$)/, '127.0.0.1');
    return `${url.protocol}//${host}${url.pathname.replace(/\/+$/, '')}`;
  });
  if (urls.length > MAX_ADDRESSES) throw new UsageError(`${option} takes at most ${MAX_ADDRESSES} addresses`);
  return urls;
};

export const readIps = (option: string, given: readonly string[] | undefined): string[] | undefined => {
  if (given === undefined) return undefined;
  const items = given.flatMap((text) => text.split(',')).map((text) => text.trim());
  const wrong = items.find((item) => isIP(item) === 0);
  if (wrong !== undefined) throw new UsageError(`${option} takes IP addresses, not ${JSON.stringify(wrong)}`);
  return items;
};

export const readPid = (option: string, text: string): number => {
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new UsageError(`${option} takes a process id, not ${JSON.stringify(text)}`);
  return Number(text);
};

/** `1234` or `name=1234`. */
export const readServers = (pids: readonly string[] | undefined, metricsUrls: readonly string[]): ServerSource[] => [
  ...(pids ?? []).map((text): ServerSource => {
    const [, name, pid = ''] = /^(?:([\w.:-]{1,40})=)?(.*)$/.exec(text) ?? [];
    return { name: name ?? `pid ${pid}`, pid: readPid('--pid', pid) };
  }),
  ...metricsUrls.map((metricsUrl): ServerSource => ({ name: new URL(metricsUrl).host, metricsUrl })),
];

const LOCAL_NODES = 16;

/** The nodes of a cluster on this machine, at the ports that `replyx cluster` takes unless told otherwise, as far as they answer. */
export const findLocal = async (): Promise<{ urls: string[]; internalUrls: string[] }> => {
  const alive = await Promise.all(
    Array.from({ length: LOCAL_NODES }, async (_, n) => {
      const internal = `http://127.0.0.1:${9091 + n}`;
      const answer = await fetch(`${internal}/livez`, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined);
      return answer?.ok === true ? [{ url: `ws://127.0.0.1:${8081 + n}`, internal }] : [];
    }),
  );
  const found = alive.flat();
  return { urls: found.map(({ url }) => url), internalUrls: found.map(({ internal }) => internal) };
};
