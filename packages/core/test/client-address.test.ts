import { describe, expect, it } from 'vitest';
import {
  type AddressSources,
  clientAddress,
  isInNetworks,
  isPublicAddress,
  type Network,
  parseNetwork,
} from '../src/client-address.js';

const bytes = (text: string): Uint8Array =>
  text.includes(':')
    ? Uint8Array.from(expand(text).flatMap((group) => [group >> 8, group & 0xff]))
    : Uint8Array.from(text.split('.').map(Number));
const expand = (text: string): number[] => {
  const [head = '', tail] = text.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  return tail === undefined
    ? before
    : [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
};
const networks = (...texts: string[]) => texts.map((text) => parseNetwork(text) as Network);
const TRUSTED = networks('10.0.0.0/8', '172.16.0.0/12', 'fd00::/8', '192.0.2.1');
const from = (peer: string, forwardedFor?: string, realIp?: string): AddressSources => ({
  peer: bytes(peer),
  forwardedFor,
  realIp,
});

describe('the client address', () => {
  const rows: readonly [string, AddressSources, string][] = [
    [
      'a peer that is no proxy is the client, whatever it claims',
      from('203.0.113.9', '1.1.1.1', '2.2.2.2'),
      '203.0.113.9',
    ],
    ['172.217.x is not in 172.16.0.0/12', from('172.217.0.1', '1.1.1.1'), '172.217.0.1'],
    ['behind one proxy', from('10.1.2.3', '203.0.113.9'), '203.0.113.9'],
    [
      'the first untrusted hop from the right, not the leftmost',
      from('10.1.2.3', '1.1.1.1, 203.0.113.9'),
      '203.0.113.9',
    ],
    ['trusted hops are skipped', from('10.1.2.3', '203.0.113.9, 10.9.9.9, 172.20.0.1'), '203.0.113.9'],
    ['a chain of trusted hops only ends at its leftmost', from('10.1.2.3', '10.5.5.5, 10.9.9.9'), '10.5.5.5'],
    ['a malformed hop falls back to the last good one', from('10.1.2.3', '203.0.113.9, rubbish, 10.9.9.9'), '10.9.9.9'],
    ['nothing but rubbish falls back to the peer', from('10.1.2.3', 'rubbish'), '10.1.2.3'],
    ['an empty header falls back to the peer', from('10.1.2.3', ''), '10.1.2.3'],
    ['1.2.3 is malformed', from('10.1.2.3', '1.2.3'), '10.1.2.3'],
    ['0x7f.1 is malformed', from('10.1.2.3', '0x7f.1'), '10.1.2.3'],
    ['leading zeros are malformed', from('10.1.2.3', '010.1.1.1'), '10.1.2.3'],
    ['256 is malformed', from('10.1.2.3', '256.1.1.1'), '10.1.2.3'],
    ['a port is dropped', from('10.1.2.3', '203.0.113.9:5555'), '203.0.113.9'],
    ['a bracketed IPv6 address with a port', from('10.1.2.3', '[2001:db8::1]:443'), '2001:db8::1'],
    ['a zone is malformed', from('10.1.2.3', 'fe80::1%eth0'), '10.1.2.3'],
    ['a mapped peer is the IPv4 proxy', from('::ffff:a01:203', '203.0.113.9'), '203.0.113.9'],
    ['a mapped hop is the IPv4 address', from('10.1.2.3', '::ffff:203.0.113.9'), '203.0.113.9'],
    ['a mapped trusted hop is skipped', from('10.1.2.3', '203.0.113.9, ::ffff:10.9.9.9'), '203.0.113.9'],
    ['a translated address is the IPv4 one', from('10.1.2.3', '64:ff9b::203.0.113.9'), '203.0.113.9'],
    ['X-Real-IP from a trusted peer', from('10.1.2.3', undefined, '203.0.113.9'), '203.0.113.9'],
    ['X-Real-IP loses to X-Forwarded-For', from('10.1.2.3', '203.0.113.9', '1.1.1.1'), '203.0.113.9'],
    ['X-Real-IP that is rubbish', from('10.1.2.3', undefined, 'rubbish'), '10.1.2.3'],
    ['an IPv6 proxy', from('fd00::1', '203.0.113.9'), '203.0.113.9'],
    ['a single trusted address', from('192.0.2.1', '203.0.113.9'), '203.0.113.9'],
    ['its neighbour is not trusted', from('192.0.2.2', '203.0.113.9'), '192.0.2.2'],
  ];
  it.each(rows)('%s', (_name, sources, text) => {
    expect(clientAddress(sources, TRUSTED).text).toBe(text);
  });

  it('is keyed by its /64 where it is IPv6, and one bucket for every spelling', () => {
    const key = (address: string) => clientAddress(from('10.1.2.3', address), TRUSTED).key;
    expect(key('2001:db8:1:2::1')).toBe('2001:db8:1:2::/64');
    expect(key('2001:db8:1:2:ffff:ffff:ffff:ffff')).toBe('2001:db8:1:2::/64');
    expect(key('2001:db8:1:3::1')).not.toBe('2001:db8:1:2::/64');
    expect(new Set(['203.0.113.9', '::ffff:203.0.113.9', '::ffff:cb00:7109', '64:ff9b::cb00:7109'].map(key))).toEqual(
      new Set(['203.0.113.9']),
    );
  });

  it('costs no more for a chain of a thousand hops', () => {
    expect(clientAddress(from('10.1.2.3', `${'10.9.9.9,'.repeat(1_000)}10.9.9.8`), TRUSTED).text).toBe('10.9.9.9');
  });
});

describe('networks', () => {
  const rows: readonly [string, boolean][] = [
    ['10.0.0.0/8', true],
    ['10.0.0.1', true],
    ['::/0', true],
    ['fd00::/8', true],
    ['10.0.0.0/33', false],
    ['10.0.0/8', false],
    ['10.0.0.0/8/8', false],
    ['10.0.0.0/-1', false],
    ['example.com', false],
    ['', false],
    ['::ffff:10.0.0.0/104', true],
    ['::ffff:10.0.0.0/8', false],
    ['::ffff:10.0.0.0/95', false],
  ];
  it.each(rows)('%j is one: %s', (text, valid) => {
    expect(parseNetwork(text) !== undefined).toBe(valid);
  });

  it('are compared by bits', () => {
    expect(isInNetworks('172.31.255.255', TRUSTED)).toBe(true);
    expect(isInNetworks('172.32.0.0', TRUSTED)).toBe(false);
    expect(isInNetworks('::ffff:10.1.1.1', TRUSTED)).toBe(true);
    expect(isInNetworks('rubbish', TRUSTED)).toBe(false);
    expect(isInNetworks('10.9.9.9', networks('::ffff:10.0.0.0/104'))).toBe(true);
    expect(isInNetworks('11.0.0.1', networks('::ffff:10.0.0.0/104'))).toBe(false);
    expect(isInNetworks('2001:db8:1:2::/64', networks('2001:db8::/32'))).toBe(true);
  });

  it.each([
    ['8.8.8.8', true],
    ['2001:4860:4860::/64', true],
    ['10.1.1.1', false],
    ['127.0.0.1', false],
    ['169.254.1.1', false],
    ['192.168.0.9', false],
    ['100.64.0.1', false],
    ['::1', false],
    ['fe80::/64', false],
    ['fd00::/64', false],
    ['rubbish', false],
  ])('%s is of the public internet: %s', (text, isPublic) => {
    expect(isPublicAddress(text)).toBe(isPublic);
  });
});
