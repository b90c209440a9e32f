import { isIP } from 'node:net';

/** About what one address holds towards one destination before its ports run out. */
export const CONNECTIONS_PER_ADDRESS = 28_000;
/** A node admits 100 connects a minute from one address unless it is told otherwise. */
const CONNECTS_PER_ADDRESS = 100;
const MAX_ADDRESSES = 60_000;

/** Whether a target is this machine by its address; names other than `localhost` are not resolved. */
export const isLoopback = (url: string): boolean => {
  const { hostname } = new URL(url);
  return hostname === 'localhost' || (isIP(hostname) === 4 && hostname.startsWith('127.'));
};

/** How many addresses of 127.0.0.0/8 there are to connect from: 127.1.0.1 up to 127.254.255.254, without .0 and .255. */
const LOOPBACK_ADDRESSES = 254 * 256 * 254;

/** The n-th of them, from 0; past the last it begins anew. */
export const loopbackAddress = (n: number): string =>
  `127.${1 + (Math.floor(n / (254 * 256)) % 254)}.${Math.floor(n / 254) % 256}.${1 + (n % 254)}`;

/**
 * Where to connect from. Towards this machine by default as many addresses of 127.0.0.0/8 as keep each below the connects and
 * ports of one address (on Linux every one of them exists), from a place that `random` (0 to 1) chooses: those of an earlier run may
 * have used up their connects. Towards another machine those that are given, else the system's choice.
 */
export const sourceAddresses = (
  urls: readonly string[],
  connects: number,
  wanted: {
    readonly given?: readonly string[] | undefined;
    readonly count?: number | undefined;
    readonly random: number;
  },
): readonly string[] => {
  if (wanted.given !== undefined) return wanted.given;
  if (!urls.every(isLoopback)) return [];
  const count = wanted.count ?? Math.min(MAX_ADDRESSES, Math.max(1, Math.ceil(connects / CONNECTS_PER_ADDRESS)));
  const first = Math.floor(wanted.random * LOOPBACK_ADDRESSES);
  return Array.from({ length: count }, (_, n) => loopbackAddress(first + n));
};
