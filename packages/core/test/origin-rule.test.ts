import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { frameAncestors, isOriginAllowed, parseOrigin } from '../src/origin-rule.js';

const data = JSON.parse(readFileSync(new URL('./data/origins.json', import.meta.url), 'utf8')) as {
  domains: string[];
  site: [string, boolean][];
};
const none = { domains: data.domains, appOrigins: [], widgetOrigins: [], host: undefined };

describe('the origin of a script on a customer page', () => {
  it.each(data.site)('%j is allowed: %s', (origin, allowed) => {
    expect(isOriginAllowed({ ...none, kind: 'site', origin })).toBe(allowed);
  });

  it('must be there', () => {
    expect(isOriginAllowed({ ...none, kind: 'site', origin: undefined })).toBe(false);
    expect(isOriginAllowed({ ...none, kind: 'widget', origin: undefined })).toBe(false);
  });

  it('matches nothing where the token has no domains', () => {
    expect(isOriginAllowed({ ...none, domains: [], kind: 'site', origin: 'https://victim.com' })).toBe(false);
  });

  it('of enormous length is refused unread', () => {
    expect(parseOrigin(`https://${'a.'.repeat(50_000)}victim.com`)).toBeUndefined();
  });
});

describe('the origin of the hosted page', () => {
  const rows: readonly [string, string | undefined, readonly string[], boolean][] = [
    ['https://chat.example', 'chat.example', [], true],
    ['https://chat.example', 'chat.example:443', [], true],
    ['https://chat.example', 'CHAT.example.', [], true],
    ['https://victim.com', 'chat.example', [], false],
    ['https://sub.chat.example', 'chat.example', [], false],
    ['https://chat.example', undefined, [], false],
    ['https://w.example', 'chat.example', ['https://w.example'], true],
    ['https://w.example:8443', 'chat.example', ['https://w.example'], false],
    ['http://w.example', 'chat.example', ['https://w.example'], false],
    ['https://chat.example', 'chat.example', ['https://w.example'], false],
  ];
  it.each(rows)('%s at the host %s with %j: %s', (origin, host, widgetOrigins, allowed) => {
    expect(isOriginAllowed({ ...none, kind: 'widget', origin, host, widgetOrigins })).toBe(allowed);
  });
});

describe('the origin of an operator', () => {
  const rows: readonly [string | undefined, boolean][] = [
    [undefined, true],
    ['https://app.example', true],
    ['https://app.example:443', true],
    ['https://APP.example', true],
    ['http://app.example', false],
    ['https://sub.app.example', false],
    ['https://victim.com', false],
    ['null', false],
  ];
  it.each(rows)('%s: %s', (origin, allowed) => {
    expect(isOriginAllowed({ ...none, kind: 'operator', origin, appOrigins: ['https://app.example'] })).toBe(allowed);
  });
});

describe('frame-ancestors', () => {
  it('names the same domains, with any port and their subdomains', () => {
    expect(frameAncestors(['Victim.com.'])).toBe(
      'http://victim.com:* https://victim.com:* http://*.victim.com:* https://*.victim.com:*',
    );
    expect(frameAncestors(['localhost', '10.0.0.7'])).toBe(
      'http://localhost:* https://localhost:* http://10.0.0.7:* https://10.0.0.7:*',
    );
  });

  it("is 'none' where there are none, and lets nothing of an entry into the header", () => {
    for (const domains of [
      [],
      ['*'],
      [''],
      ["x; script-src 'unsafe-inline'"],
      ['a b'],
      ['a.example,b.example'],
      ['x;sandbox'],
      ['a\r\nb'],
    ]) {
      expect(frameAncestors(domains)).toBe("'none'");
    }
  });
});
