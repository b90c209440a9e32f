import { type ClientAddress, clientAddress, isTrustedPeer, parseNetworks } from '@replyx/core';
import type { PageRequest } from './foreign-origin.js';

/** What a request shows of where it comes from. */
export interface PeerRequest {
  /** The socket's peer, 4 or 16 bytes. */
  readonly peer: Uint8Array;
  /** What the PROXY protocol said; empty where it said nothing. Asked for only where it counts. */
  readonly proxied: () => Uint8Array;
  /** All `X-Forwarded-For` lines joined with a comma, and `X-Real-IP`: asked for only where they count. */
  readonly forwarded: () => { readonly forwardedFor: string | undefined; readonly realIp: string | undefined };
  /** Asked for only where an address that is refused already is held to account. */
  readonly page: () => PageRequest;
}

export type ClientAddressOf = (request: Omit<PeerRequest, 'page'>) => ClientAddress;

export interface ClientAddressOptions {
  /** As the configuration holds them: canonical addresses and networks. */
  readonly trustedProxies: readonly string[];
  /** Believes the PROXY protocol of a trusted peer. */
  readonly proxyProtocol: boolean;
}

/** Addresses whose texts are kept ready; a flood from few addresses then costs one look-up an attempt. */
const CACHED = 4_096;

export const createClientAddresses = (options: ClientAddressOptions): ClientAddressOf => {
  const trusted = parseNetworks(options.trustedProxies);
  const cache = new Map<string, ClientAddress | 'trusted'>();
  const remember = (key: string, value: ClientAddress | 'trusted'): void => {
    if (cache.size >= CACHED) cache.clear();
    cache.set(key, value);
  };

  return ({ peer, proxied, forwarded }) => {
    const key = Buffer.from(peer.buffer, peer.byteOffset, peer.byteLength).toString('latin1');
    const cached = cache.get(key);
    if (cached !== undefined && cached !== 'trusted') return cached;
    if (cached === undefined && !isTrustedPeer(peer, trusted)) {
      const address = clientAddress({ peer, forwardedFor: undefined, realIp: undefined }, []);
      remember(key, address);
      return address;
    }
    if (cached === undefined) remember(key, 'trusted');
    // A trusted peer: the PROXY header names the peer that it took the connection from.
    const told = options.proxyProtocol ? proxied() : peer;
    return clientAddress({ peer: told.byteLength > 0 ? told : peer, ...forwarded() }, trusted);
  };
};
