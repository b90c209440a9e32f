import { readFileSync } from 'node:fs';
import { seededRandom } from '@replyx/testkit';
import { describe, expect, it } from 'vitest';
import { DomainIndex } from '../src/domain-index.js';
import { matchesDomains, originOfRequest, parseOrigin } from '../src/origin-rule.js';

const data = JSON.parse(readFileSync(new URL('./data/origins.json', import.meta.url), 'utf8')) as {
  domains: string[];
  site: [string, boolean][];
};
const hostOf = (origin: string): string => parseOrigin(origin)?.host ?? 'no origin';

describe('an index of domains', () => {
  it.each(data.site)('says of %j what the rule says: %s', (origin, allowed) => {
    const index = new DomainIndex();
    index.put('other', ['elsewhere.example']);
    index.put('a', data.domains);
    expect(index.match(hostOf(origin)) !== undefined).toBe(allowed);
  });

  it('names the longest domain, as hosts are compared', () => {
    const index = new DomainIndex();
    index.put('a', ['Shop.example.', 'eu.shop.example']);
    expect(index.match('shop.example')).toBe('shop.example');
    expect(index.match('x.us.shop.example')).toBe('shop.example');
    expect(index.match('x.eu.shop.example')).toBe('eu.shop.example');
  });

  it('says what the origin rule says of all lists together, whatever the lists and hosts', () => {
    const random = seededRandom(7);
    const pick = <T>(items: readonly T[]): T => items[Math.floor(random.float() * items.length)] as T;
    const labels = ['a', 'b', 'com', 'victim', 'bücher', 'localhost', 'io'];
    const odd = [
      '',
      '*',
      '*.com',
      '1.2.3.4',
      '[::1]',
      '[::2]',
      ' A.com ',
      'com.',
      'a..b',
      'a.com:8080',
      'https://a.com',
      '0x7f.1',
    ];
    const name = () => Array.from({ length: 1 + Math.floor(random.float() * 3) }, () => pick(labels)).join('.');
    const entry = () => (random.float() < 0.2 ? pick(odd) : name());
    for (let round = 0; round < 300; round += 1) {
      const lists = Array.from({ length: 4 }, () => Array.from({ length: 3 }, entry));
      const index = new DomainIndex();
      lists.forEach((list, owner) => {
        index.put(String(owner), list);
      });
      lists.pop();
      index.delete(String(lists.length));
      for (let i = 0; i < 30; i += 1) {
        const host = parseOrigin(`https://${random.float() < 0.2 ? pick(odd) : name()}`)?.host;
        if (host === undefined) continue;
        const expected = lists.some((list) => matchesDomains(host, list));
        expect([lists, host, index.match(host) !== undefined]).toEqual([lists, host, expected]);
      }
    }
  });

  it('keeps a domain for as long as one owner has it', () => {
    const index = new DomainIndex();
    index.put('a', ['shop.example', 'shop.example']);
    index.put('b', ['shop.example', 'b.example']);
    index.put('a', ['a.example']);
    expect(index.match('shop.example')).toBe('shop.example');
    index.delete('b');
    index.delete('b');
    expect(index.match('shop.example')).toBeUndefined();
    expect(index.match('a.example')).toBe('a.example');
    index.clear();
    expect(index.match('a.example')).toBeUndefined();
  });
});

describe('the origin of a request', () => {
  const none = { origin: undefined, fetchSite: undefined, host: 'chat.example', widgetOrigins: [] };
  it.each([
    ['is what it says', { ...none, origin: 'https://a.example', fetchSite: 'cross-site' }, 'https://a.example'],
    ['is what it says, whatever else it says', { ...none, origin: 'null', fetchSite: 'same-origin' }, 'null'],
    ['is its own host where the browser says so', { ...none, fetchSite: 'same-origin' }, 'https://chat.example'],
    [
      'is that of the hosted page on its own host',
      { ...none, fetchSite: 'same-origin', widgetOrigins: ['http://chat.example'] },
      'http://chat.example',
    ],
    ['is absent elsewhere', { ...none, fetchSite: 'cross-site' }, undefined],
    ['is absent where nothing says it', none, undefined],
    ['is absent without a host', { ...none, fetchSite: 'same-origin', host: undefined }, undefined],
    ['is absent where the host is none', { ...none, fetchSite: 'same-origin', host: 'a b/..' }, undefined],
  ])('%s', (_name, request, origin) => {
    expect(originOfRequest(request)).toBe(origin);
  });
});
