import ipaddr from 'ipaddr.js';

/** Who can reach a host as far as its name tells: `name` is a host name that may be anybody's. */
export type AddressKind = 'loopback' | 'private' | 'public' | 'wildcard' | 'name';

const PRIVATE_RANGES: ReadonlySet<string> = new Set(['private', 'linkLocal', 'uniqueLocal', 'carrierGradeNat']);
const PRIVATE_NAME = /^[^.]+$|\.(internal|local|localdomain|lan|svc|home\.arpa|cluster\.local)$/i;

/** Of a host as a URL or a listener names it, with or without brackets. */
export const addressKind = (host: string): AddressKind => {
  const text = host.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  if (!ipaddr.isValid(text)) {
    if (/^(.+\.)?localhost$/i.test(text)) return 'loopback';
    return PRIVATE_NAME.test(text) ? 'private' : 'name';
  }
  const range = ipaddr.process(text).range();
  if (range === 'loopback') return 'loopback';
  if (range === 'unspecified') return 'wildcard';
  return PRIVATE_RANGES.has(range) ? 'private' : 'public';
};
