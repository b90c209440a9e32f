import { describe, expect, it } from 'vitest';
import { BanList, readBanNetwork } from '../src/ban-list.js';
import { clientAddress, parseNetworks } from '../src/client-address.js';
import type { Ban } from '../src/control-port.js';

const NOW_MS = 1_000;

const ban = (network: string, expiresMs = NOW_MS + 1): Ban => ({
  kind: 'ban',
  id: `ban of ${network}`,
  network,
  source: 'api',
  createdMs: 0,
  expiresMs,
});

describe('the network of a ban', () => {
  it.each([
    ['198.51.100.7', '198.51.100.7', 'ban_198-51-100-7'],
    ['198.51.100.7/32', '198.51.100.7', 'ban_198-51-100-7'],
    ['198.51.100.0/24', '198.51.100.0/24', 'ban_198-51-100-0_24'],
    ['10.0.0.0/8', '10.0.0.0/8', 'ban_10-0-0-0_8'],
    ['2001:DB8::', '2001:db8::/64', 'ban_2001-db8--_64'],
    ['2001:db8:0:0:1:2:3:4', '2001:db8::/64', 'ban_2001-db8--_64'],
    ['2001:db8::1/128', '2001:db8::/64', 'ban_2001-db8--_64'],
    ['2001:db8::/64', '2001:db8::/64', 'ban_2001-db8--_64'],
    ['2001:db8::/32', '2001:db8::/32', 'ban_2001-db8--_32'],
    ['2001::/16', '2001::/16', 'ban_2001--_16'],
    ['::ffff:198.51.100.7', '198.51.100.7', 'ban_198-51-100-7'],
    ['64:ff9b::c633:6407', '198.51.100.7', 'ban_198-51-100-7'],
  ])('%s is %s', (text, network, id) => {
    expect(readBanNetwork(text)).toEqual({ ok: true, network, id });
    expect(readBanNetwork(network)).toEqual({ ok: true, network, id });
  });

  it.each([
    ['', 'is not an address'],
    ['1.2.3', 'is not an address'],
    ['0x7f.0.0.1', 'is not an address'],
    ['1.2.3.4/33', 'is not an address'],
    ['1.2.3.4/', 'is not an address'],
    [' 1.2.3.4', 'is not an address'],
    ['fe80::1%eth0', 'is not an address'],
    ['0.0.0.0/0', 'is wider than /8'],
    ['8.0.0.0/7', 'is wider than /8'],
    ['::/0', 'is wider than /16'],
    ['2000::/15', 'is wider than /16'],
    ['198.51.100.7/24', 'has bits set past its prefix (198.51.100.0/24?)'],
    ['2001:db8::1/64', 'has bits set past its prefix (2001:db8::/64?)'],
    ['::ffff:198.51.0.0/16', 'is an IPv4 network written as IPv6'],
  ])('%j is refused: %s', (text, why) => {
    expect(readBanNetwork(text)).toMatchObject({ ok: false, why: expect.stringContaining(why) });
  });
});

describe('BanList', () => {
  const listOf = (...networks: readonly string[]): BanList => {
    const list = new BanList(100);
    for (const network of networks) expect(list.add(ban(network))).toBe(true);
    return list;
  };

  it.each<[string, string | Uint8Array, boolean]>([
    ['198.51.100.7', '198.51.100.7', true],
    ['198.51.100.7', '198.51.100.8', false],
    ['198.51.100.7', '::ffff:198.51.100.7', true],
    ['198.51.100.7', '::ffff:c633:6407', true],
    ['198.51.100.7', new Uint8Array([198, 51, 100, 7]), true],
    ['198.51.100.7', new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 198, 51, 100, 7]), true],
    ['2001:db8::/64', '2001:db8::9', true],
    ['2001:db8::/64', '2001:db8::/64', true],
    ['2001:db8::/64', '2001:db8:0:1::9', false],
    ['172.16.0.0/12', '172.31.255.255', true],
    ['172.16.0.0/12', '172.217.0.1', false],
    ['2001:db8::/32', '2001:db8:9::/64', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['10.0.0.0/8', '2001:db8::1', false],
    ['10.0.0.0/8', 'nonsense', false],
    ['10.0.0.0/8', new Uint8Array(3), false],
  ])('%s against %s', (network, address, isBanned) => {
    expect(listOf(network).match(address, NOW_MS) !== undefined).toBe(isBanned);
  });

  it('finds the key of an address as it finds the address', () => {
    const peer = Uint8Array.of(127, 0, 0, 1);
    for (const networks of [
      ['198.51.100.7', '2001:db8::/64'],
      ['198.51.100.0/24', '2001:db8::/32'],
    ]) {
      const list = listOf(...networks);
      for (const text of ['198.51.100.7', '2001:db8::9', '203.0.113.1', '2001:db9::1']) {
        const { key } = clientAddress({ peer, forwardedFor: undefined, realIp: text }, parseNetworks(['127.0.0.1']));
        expect([key, list.matchKey(key, NOW_MS)]).toEqual([key, list.match(text, NOW_MS)]);
        expect(list.matchKey(key, NOW_MS + 1)).toBeUndefined();
      }
    }
  });

  it('finds nothing that is over, nor what was removed', () => {
    const list = listOf('198.51.100.7', '10.0.0.0/8');
    expect(list.match('198.51.100.7', NOW_MS + 1)).toBeUndefined();
    expect(list.match('10.1.1.1', NOW_MS + 1)).toBeUndefined();
    list.remove(ban('198.51.100.7'));
    list.remove(ban('10.0.0.0/8'));
    expect(list.size).toBe(0);
    expect(list.match('10.1.1.1', NOW_MS)).toBeUndefined();
  });

  it('knows of each change for a source that was asked for before', () => {
    const list = listOf('192.0.2.0/24');
    const found = () => ['10.1.1.1', '2001:db8:0:1::/64'].map((source) => list.match(source, NOW_MS)?.network);
    expect(found()).toEqual([undefined, undefined]);
    list.add(ban('10.0.0.0/8'));
    list.add(ban('2001:db8::/32'));
    expect(found()).toEqual(['10.0.0.0/8', '2001:db8::/32']);
    list.add(ban('10.1.1.1'));
    expect(found()).toEqual(['10.1.1.1', '2001:db8::/32']);
    list.remove(ban('10.1.1.1'));
    list.remove(ban('2001:db8::/32'));
    expect(found()).toEqual(['10.0.0.0/8', undefined]);
  });

  it('finds the wider ban where the narrower one is over, for a source that both hold', () => {
    const list = new BanList(10);
    list.add(ban('10.1.1.1', NOW_MS + 1));
    list.add(ban('10.0.0.0/8', NOW_MS + 5));
    const found = [0, 1, 5].map((laterMs) => list.match('10.1.1.1', NOW_MS + laterMs)?.network);
    expect(found).toEqual(['10.1.1.1', '10.0.0.0/8', undefined]);
  });

  it('finds bans of more sources than it keeps found', () => {
    const list = listOf('10.0.0.0/8');
    for (let i = 0; i < 9_000; i += 1) {
      const source = `${10 + (i & 1)}.0.${(i >> 8) & 255}.${i & 255}`;
      expect(list.match(source, NOW_MS)?.network).toBe((i & 1) === 0 ? '10.0.0.0/8' : undefined);
    }
  });

  it('is bounded, counts what it does not take, and takes one of a network that it has', () => {
    const list = new BanList(2);
    expect(['1.1.1.1', '2.2.2.2', '3.3.3.3', 'x'].map((network) => list.add(ban(network)))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(list.add(ban('2.2.2.2', NOW_MS + 9))).toBe(true);
    expect([list.size, list.refused]).toEqual([2, 2]);
    expect(list.match('2.2.2.2', NOW_MS + 5)).toBeDefined();
  });

  it('compares not more than a thousand networks one by one', () => {
    const list = new BanList(100_000);
    for (let i = 0; i < 1_500; i += 1) list.add(ban(`10.${i >> 6}.${(i & 63) * 4}.0/24`));
    expect([list.size, list.refused]).toEqual([1_000, 500]);
    expect(list.add(ban('1.1.1.1'))).toBe(true);
  });
});
