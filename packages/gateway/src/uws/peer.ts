import type { AddressRefusal } from '../admission/address-guard.js';
import type { PeerRequest } from '../admission/client-addresses.js';
import type { HttpRequest, HttpResponse } from './module.js';

/** All header lines of a name joined with a comma: `getHeader` gives the first of repeated ones only. */
const joinedHeader = (req: HttpRequest, wanted: string): string | undefined => {
  let joined: string | undefined;
  req.forEach((name, value) => {
    if (name === wanted) joined = joined === undefined ? value : `${joined},${value}`;
  });
  return joined;
};

/** Where a request comes from; `undefined` where the peer has gone already and has no address any more. */
export const peerOf = (res: HttpResponse, req: HttpRequest): PeerRequest | undefined => {
  const peer = new Uint8Array(res.getRemoteAddress());
  if (peer.byteLength === 0) return undefined;
  return {
    peer,
    proxied: () => new Uint8Array(res.getProxiedRemoteAddress()),
    forwarded: () => ({
      forwardedFor: joinedHeader(req, 'x-forwarded-for'),
      realIp: joinedHeader(req, 'x-real-ip'),
    }),
    page: () => ({
      origin: joinedHeader(req, 'origin'),
      host: joinedHeader(req, 'host'),
      fetchSite: joinedHeader(req, 'sec-fetch-site'),
    }),
  };
};

const FLOOD_STATUS = { 403: '403 Forbidden', 429: '429 Too Many Requests' } as const;

/** No body, no frills: this is what an attack is answered. Ends the connection. */
export const refuseFlood = (res: HttpResponse, refusal: AddressRefusal): void => {
  res.cork(() => {
    res.writeStatus(FLOOD_STATUS[refusal.status]);
    if (refusal.status === 429) res.writeHeader('Retry-After', String(Math.ceil(refusal.retryAfterMs / 1000)));
    res.end('', true);
  });
};
