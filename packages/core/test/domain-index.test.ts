import { seededRandom } from '@replyx/testkit';
import { describe, expect, it } from 'vitest';
import { DomainIndex } from '../src/domain-index.js';
import { matchesDomains, parseOrigin } from '../src/origin-rule.js';

describe('DomainIndex', () => {
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
      for (const list of lists) index.add(list);
      const gone = lists.pop() as string[];
      index.remove(gone);
      for (let i = 0; i < 30; i += 1) {
        const host = parseOrigin(`https://${random.float() < 0.2 ? pick(odd) : name()}`)?.host;
        if (host === undefined) continue;
        const expected = lists.some((list) => matchesDomains(host, list));
        expect([lists, host, index.has(host)]).toEqual([lists, host, expected]);
      }
    }
  });

  it('keeps a domain until the last list with it is gone', () => {
    const index = new DomainIndex();
    index.add(['a.example']);
    index.add(['A.example.', 'b.example']);
    index.remove(['a.example']);
    expect(index.has('x.a.example')).toBe(true);
    index.remove(['a.example', 'b.example']);
    expect([index.has('a.example'), index.has('b.example')]).toEqual([false, false]);
  });
});
