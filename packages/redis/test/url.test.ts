import { describe, expect, test } from 'vitest';
import { describeAddress, InvalidRedisUrl, parseRedisUrl } from '../src/index.js';

describe('the Redis URL', () => {
  test.each<[string, object]>([
    ['redis://localhost', { mode: 'standalone', tls: false, hosts: [{ host: 'localhost', port: 6379 }], db: 0 }],
    ['rediss://h:7000/3', { mode: 'standalone', tls: true, hosts: [{ host: 'h', port: 7000 }], db: 3 }],
    [
      'redis://:p%40ss@h:1/',
      { mode: 'standalone', tls: false, hosts: [{ host: 'h', port: 1 }], db: 0, password: 'p@ss' },
    ],
    [
      'redis://me:a:b@[::1]:1?db=2',
      { mode: 'standalone', tls: false, hosts: [{ host: '::1', port: 1 }], db: 2, username: 'me', password: 'a:b' },
    ],
    [
      'redis+sentinel://:pw@a:1,b/mymaster?db=1&sentinel_password=s%26p',
      {
        mode: 'sentinel',
        tls: false,
        hosts: [
          { host: 'a', port: 1 },
          { host: 'b', port: 26379 },
        ],
        master: 'mymaster',
        db: 1,
        password: 'pw',
        sentinelPassword: 's&p',
      },
    ],
    [
      'rediss+cluster://u:p@a:1,b:2,c',
      {
        mode: 'cluster',
        tls: true,
        hosts: [
          { host: 'a', port: 1 },
          { host: 'b', port: 2 },
          { host: 'c', port: 6379 },
        ],
        db: 0,
        username: 'u',
        password: 'p',
      },
    ],
  ])('%s', (url, address) => expect(parseRedisUrl(url)).toEqual(address));

  test.each([
    '',
    'http://secret@h',
    'redis://',
    'redis://secret@h:0',
    'redis://secret@h:99999',
    'redis://secret@h:x',
    'redis://secret@a,b',
    'redis://secret@h/name',
    'redis://:%zzsecret@h',
    'redis+sentinel://secret@h',
    'redis+cluster://secret@h/1',
  ])('%j is refused without repeating it', (url) => {
    expect(() => parseRedisUrl(url)).toThrow(InvalidRedisUrl);
    try {
      parseRedisUrl(url);
    } catch (error) {
      expect(String(error)).not.toContain('secret');
    }
  });

  test('is shown without the login', () => {
    expect(describeAddress(parseRedisUrl('redis://u:secret@h:1'))).toBe('h:1');
    expect(describeAddress(parseRedisUrl('redis+sentinel://:secret@a:1,[::1]:2/m'))).toBe('a:1,[::1]:2 (master m)');
  });
});
