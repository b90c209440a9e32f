import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

export type NetworkResult =
  | { readonly ok: true; readonly network: string; readonly everyone: boolean }
  | { readonly ok: false; readonly why: string };

/** ipaddr.js reads `::ffff:0x7f.1.1.1`; node:net does not, but takes a zone. Both must agree, and no zone is taken. */
const isAddress = (text: string): boolean =>
  text.includes(':') ? isIPv6(text) && !text.includes('%') : isIPv4(text) && ipaddr.IPv4.isValidFourPartDecimal(text);

/** An address or a network in CIDR notation: four decimal parts, no bits past the prefix. Written back canonically. */
export const parseNetwork = (text: string): NetworkResult => {
  const [address = '', prefix, ...rest] = text.split('/');
  if (rest.length > 0 || !isAddress(address))
    return { ok: false, why: 'is not an address or a network in CIDR notation' };
  const parsed = ipaddr.parse(address);
  const bits = parsed.kind() === 'ipv4' ? 32 : 128;
  if (prefix === undefined) return { ok: true, network: parsed.toString(), everyone: false };
  if (!/^(0|[1-9]\d{0,2})$/.test(prefix) || Number(prefix) > bits) {
    return { ok: false, why: `has no prefix length of 0 to ${bits}` };
  }
  const canonical = `${parsed.toString()}/${prefix}`;
  const network =
    parsed.kind() === 'ipv4'
      ? ipaddr.IPv4.networkAddressFromCIDR(canonical).toString()
      : ipaddr.IPv6.networkAddressFromCIDR(canonical).toString();
  if (network !== parsed.toString()) return { ok: false, why: `has bits set past its prefix (${network}/${prefix}?)` };
  return { ok: true, network: canonical, everyone: prefix === '0' };
};
