import ipaddr from 'ipaddr.js';

/** An address as limits and bans are keyed by it. */
export interface ClientAddress {
  /** Canonical text: IPv4 in four parts, IPv6 in RFC 5952 form; a mapped or translated IPv4 address is the IPv4 one. */
  readonly text: string;
  /** What is counted: the IPv4 address, or the /64 of an IPv6 address. */
  readonly key: string;
}

export type Address = ipaddr.IPv4 | ipaddr.IPv6;
export type Network = readonly [Address, number];

const IPV4 = /^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/;
/** 64:ff9b::/96, the translators' prefix. */
const NAT64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96');
/** Hops that are looked at; a longer chain is somebody's invention. */
const MAX_HOPS = 32;

const unwrap = (address: Address): Address => {
  if (!(address instanceof ipaddr.IPv6)) return address;
  if (address.isIPv4MappedAddress()) return address.toIPv4Address();
  if (address.match(NAT64)) return ipaddr.fromByteArray(address.toByteArray().slice(12));
  return address;
};

const parse = (text: string): Address | undefined => {
  // Four decimal parts only: the library also reads `1.2.3` and `0x7f.1`.
  if (IPV4.test(text)) return ipaddr.IPv4.isValidFourPartDecimal(text) ? ipaddr.IPv4.parse(text) : undefined;
  if (!text.includes(':') || text.includes('%') || !ipaddr.IPv6.isValid(text)) return undefined;
  const embedded = /:([^:]*\.[^:]*)$/.exec(text)?.[1];
  if (embedded !== undefined && !IPV4.test(embedded)) return undefined;
  return unwrap(ipaddr.IPv6.parse(text));
};

/** One hop of a header: an address, an address with a port, or a bracketed IPv6 address with or without one. */
const parseHop = (hop: string): Address | undefined => {
  const text = hop.trim();
  const bracketed = /^\[([^\]]+)\](:\d{1,5})?$/.exec(text);
  if (bracketed !== null) return parse(bracketed[1] ?? '');
  const withPort = /^([\d.]+):\d{1,5}$/.exec(text);
  return parse(withPort?.[1] ?? text);
};

const describe = (address: Address): ClientAddress => {
  const text = address.toString();
  if (!(address instanceof ipaddr.IPv6)) return { text, key: text };
  const network = ipaddr.fromByteArray([...address.toByteArray().slice(0, 8), 0, 0, 0, 0, 0, 0, 0, 0]);
  return { text, key: `${network.toString()}/64` };
};

/** An address as text, or as the 4 or 16 bytes of a socket's peer; `undefined` where it is none. */
export const readAddress = (source: string | Uint8Array): Address | undefined => {
  if (typeof source === 'string') return parse(source);
  return source.length === 4 || source.length === 16 ? unwrap(ipaddr.fromByteArray([...source])) : undefined;
};

/** What an address is counted and banned by. */
export const addressKeyOf = (address: Address): string => describe(address).key;

/**
 * Networks in CIDR notation, or single addresses; `undefined` for an entry that is neither. A network of mapped addresses is the
 * IPv4 one, as its members are; one that reaches past them is none.
 */
export const parseNetwork = (text: string): Network | undefined => {
  const [base = '', prefix, ...rest] = text.trim().split('/');
  const address = parse(base);
  if (address === undefined || rest.length > 0) return undefined;
  const bits = address instanceof ipaddr.IPv6 ? 128 : 32;
  if (prefix === undefined) return [address, bits];
  if (!/^(0|[1-9]\d{0,2})$/.test(prefix)) return undefined;
  const unwrapped = base.includes(':') && bits === 32;
  const length = unwrapped ? Number(prefix) - 96 : Number(prefix);
  return length >= 0 && length <= bits ? [address, length] : undefined;
};

/** Those of the texts that are networks. */
export const parseNetworks = (texts: readonly string[]): Network[] =>
  texts.map(parseNetwork).filter((network) => network !== undefined);

/** By bits, never by text: 172.217.x is not in 172.16.0.0/12. */
const isIn = (address: Address, networks: readonly Network[]): boolean =>
  networks.some(([base, bits]) => address.kind() === base.kind() && address.match(base as never, bits));

/**
 * An address, or an address key with its prefix; what can't be read is in none. A key is in a network that holds a part of it: what
 * is counted together is spared together.
 */
export const isInNetworks = (text: string, networks: readonly Network[]): boolean => {
  const address = parse(text.replace(/\/64$/, ''));
  if (address === undefined) return false;
  const wide = text.endsWith('/64') ? networks.map(([base, bits]): Network => [base, Math.min(bits, 64)]) : networks;
  return isIn(address, wide);
};

/** Whether an address, or an address key, belongs to the public internet: neither private nor loopback, link-local or reserved. */
export const isPublicAddress = (text: string): boolean => {
  const address = parse(text.replace(/\/64$/, ''));
  return address !== undefined && address.range() === 'unicast';
};

export interface AddressSources {
  /** The socket's peer, 4 or 16 bytes. */
  readonly peer: Uint8Array;
  /** All `X-Forwarded-For` lines joined with a comma. */
  readonly forwardedFor: string | undefined;
  readonly realIp: string | undefined;
}

/** The 4 or 16 bytes of an address, mapped or not. */
export const isTrustedPeer = (peer: Uint8Array, trusted: readonly Network[]): boolean =>
  trusted.length > 0 && isIn(unwrap(ipaddr.fromByteArray([...peer])), trusted);

/**
 * The client's address. The peer itself, unless it is a trusted proxy: then the first untrusted hop of X-Forwarded-For from
 * the right. A malformed hop, or a chain of trusted hops only, falls back to the last good one: never to no address at all.
 * X-Real-IP counts from a trusted peer only, and only where there is no X-Forwarded-For.
 */
export const clientAddress = (sources: AddressSources, trusted: readonly Network[]): ClientAddress => {
  const peer = unwrap(ipaddr.fromByteArray([...sources.peer]));
  if (!isIn(peer, trusted)) return describe(peer);
  if (sources.forwardedFor === undefined) {
    const real = sources.realIp === undefined ? undefined : parseHop(sources.realIp);
    return describe(real ?? peer);
  }
  let last: Address = peer;
  for (const hop of sources.forwardedFor.split(',').slice(-MAX_HOPS).reverse()) {
    const address = parseHop(hop);
    if (address === undefined) break;
    last = address;
    if (!isIn(address, trusted)) break;
  }
  return describe(last);
};
