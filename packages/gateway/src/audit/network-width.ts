import ipaddr from 'ipaddr.js';
import { addressKind } from './address-kind.js';

const partsOf = (network: string): { readonly base: string; readonly bits: number; readonly whole: number } => {
  const [base = '', prefix] = network.split('/');
  const whole = ipaddr.isValid(base) && ipaddr.parse(base).kind() === 'ipv6' ? 128 : 32;
  return { base, bits: prefix === undefined ? whole : Number(prefix), whole };
};

/** Whether a network in CIDR notation is, but for a rest, everybody: 0.0.0.0/0, and 128.0.0.0/1 too. */
export const isEverybody = (network: string): boolean => partsOf(network).bits <= 3;

/** Whether it is wider than any proxy's: the widest that content networks publish are a /12 and a /29. */
export const isWide = (network: string): boolean => {
  const { base, bits, whole } = partsOf(network);
  if (isEverybody(network)) return false;
  const kind = addressKind(base);
  if (kind === 'private' || kind === 'loopback') return false;
  return bits < (whole === 32 ? 10 : 20);
};
