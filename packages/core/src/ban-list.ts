import ipaddr from 'ipaddr.js';
import { type Address, addressKeyOf, type Network, parseNetwork, readAddress } from './client-address.js';
import type { Ban } from './control-port.js';

export type BanNetworkResult =
  | {
      readonly ok: true;
      /** Canonical: an IPv4 address, or a network in CIDR notation; IPv6 no narrower than its /64. */
      readonly network: string;
      /** Names the ban; fit for a path. */
      readonly id: string;
    }
  | { readonly ok: false; readonly why: string };

/** A mistyped prefix must not shut out a continent. */
const WIDEST = { ipv4: 8, ipv6: 16 } as const;

const maskedBy = (address: Address, bits: number): Address =>
  ipaddr.fromByteArray(
    address.toByteArray().map((byte, i) => byte & (0xff & (0xff00 >> Math.min(8, Math.max(0, bits - 8 * i))))),
  );

/**
 * Reads the network of a ban strictly: four decimal parts, no bits past the prefix, not wider than /8 or /16. An IPv6 address, as
 * everything narrower than a /64, is banned as its /64: addresses are counted so.
 */
export const readBanNetwork = (text: string): BanNetworkResult => {
  if (text.includes('.') && text.includes(':') && text.includes('/')) {
    return { ok: false, why: 'is an IPv4 network written as IPv6: write its four decimal parts' };
  }
  const parsed = text === text.trim() ? parseNetwork(text) : undefined;
  if (parsed === undefined) return { ok: false, why: 'is not an address or a network in CIDR notation' };
  const [address, bits] = parsed;
  const kind = address.kind();
  if (bits < WIDEST[kind]) return { ok: false, why: `is wider than /${WIDEST[kind]}` };
  const base = maskedBy(address, bits);
  if (base.toString() !== address.toString()) {
    return { ok: false, why: `has bits set past its prefix (${base.toString()}/${bits}?)` };
  }
  const shown = shownNetwork(kind === 'ipv6' && bits > 64 ? [maskedBy(address, 64), 64] : [base, bits]);
  return { ok: true, network: shown, id: `ban_${shown.replaceAll(/[.:]/g, '-').replace('/', '_')}` };
};

const shownNetwork = ([base, bits]: Network): string =>
  base.kind() === 'ipv4' && bits === 32 ? base.toString() : `${base.toString()}/${bits}`;

interface CidrBan {
  readonly ban: Ban;
  readonly network: Network;
}

/** Networks that are compared one by one. */
const MAX_CIDRS = 1_000;

/** Sources whose networks are kept found; a flood from few addresses then costs one look-up an attempt. */
const MAX_FOUND = 4_096;
const NONE: readonly Ban[] = [];

/**
 * Bans by network: single addresses (IPv6: /64) by a look-up, wider networks one by one. Bounded: what is too much is not taken,
 * and counted. Expiry is the caller's, but for `match`, which finds nothing that is over.
 */
export class BanList {
  /** Bans that were not taken. */
  refused = 0;
  private readonly most: number;
  private readonly exact = new Map<string, Ban>();
  private readonly cidrs = new Map<string, CidrBan>();
  /** By source text: its bans, those that are over too. Emptied with every change. */
  private readonly found = new Map<string, readonly Ban[]>();

  constructor(most: number) {
    this.most = most;
  }

  get size(): number {
    return this.exact.size + this.cidrs.size;
  }

  /** Whether it was taken. */
  add(ban: Ban): boolean {
    const network = parseNetwork(ban.network);
    if (network === undefined) return this.refuse();
    const [base, bits] = network;
    const isExact = bits >= (base.kind() === 'ipv4' ? 32 : 64);
    const list: ReadonlyMap<string, unknown> = isExact ? this.exact : this.cidrs;
    const key = isExact ? addressKeyOf(base) : ban.network;
    if (!list.has(key) && (this.size >= this.most || (!isExact && this.cidrs.size >= MAX_CIDRS))) return this.refuse();
    this.found.clear();
    if (isExact) this.exact.set(key, ban);
    else this.cidrs.set(key, { ban, network });
    return true;
  }

  remove(ban: Ban): void {
    const network = parseNetwork(ban.network);
    if (network === undefined) return;
    this.found.clear();
    const key = addressKeyOf(network[0]);
    if (this.exact.get(key)?.id === ban.id) this.exact.delete(key);
    if (this.cidrs.get(ban.network)?.ban.id === ban.id) this.cidrs.delete(ban.network);
  }

  /** `source`: bytes of a peer, an address as text, or the key of a `ClientAddress`. */
  match(source: string | Uint8Array, nowMs: number): Ban | undefined {
    if (this.size === 0) return undefined;
    for (const ban of this.bansOf(source)) if (ban.expiresMs > nowMs) return ban;
    return undefined;
  }

  /** As `match`, for the key of a `ClientAddress`: where all bans are of single addresses, a look-up. */
  matchKey(addressKey: string, nowMs: number): Ban | undefined {
    const exact = this.exact.get(addressKey);
    if (exact !== undefined && exact.expiresMs > nowMs) return exact;
    return this.cidrs.size === 0 ? undefined : this.match(addressKey, nowMs);
  }

  private bansOf(source: string | Uint8Array): readonly Ban[] {
    if (typeof source !== 'string') return this.find(source);
    const known = this.found.get(source);
    if (known !== undefined) return known;
    const bans = this.find(source.endsWith('/64') ? source.slice(0, -3) : source);
    if (this.found.size >= MAX_FOUND) this.found.clear();
    this.found.set(source, bans);
    return bans;
  }

  /** The ban of the address itself first. */
  private find(source: string | Uint8Array): readonly Ban[] {
    const address = readAddress(source);
    if (address === undefined) return NONE;
    const bans: Ban[] = [];
    const exact = this.exact.get(addressKeyOf(address));
    if (exact !== undefined) bans.push(exact);
    for (const { ban, network } of this.cidrs.values()) {
      const [base, bits] = network;
      if (address.kind() === base.kind() && address.match(base as never, bits)) bans.push(ban);
    }
    return bans.length === 0 ? NONE : bans;
  }

  private refuse(): false {
    this.refused += 1;
    return false;
  }
}
