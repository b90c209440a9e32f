import { readFileSync } from 'node:fs';
import { DomainIndex, isOriginAllowed } from '@replyx/core';
import { describe, expect, it } from 'vitest';
import { corsHeaders, createOriginJudge, preflightHeaders } from '../src/public/cors.js';

const data = JSON.parse(readFileSync(new URL('../../core/test/data/origins.json', import.meta.url), 'utf8')) as {
  domains: string[];
  site: [string, boolean][];
};

const origins = { cors: ['https://app.example'], widget: [] as string[] };
const site = { kind: 'site', host: 'chat.example' } as const;
const widget = { kind: 'widget', host: 'chat.example' } as const;

const judge = (directory: 'strict' | 'open', domains: readonly string[], widgetOrigins: readonly string[] = []) => {
  const index = new DomainIndex();
  index.put('bot', domains);
  return createOriginJudge({ directory, domains: index, origins: { ...origins, widget: widgetOrigins } });
};

describe('where assistants are registered', () => {
  it.each(data.site)('%j may ask for a site: %s, as its token would be judged', (origin, allowed) => {
    expect(judge('strict', data.domains)(origin, site).known).toBe(allowed);
  });

  it('nobody may ask where no assistant has a domain', () => {
    expect(judge('strict', [])('https://victim.com', site).known).toBe(false);
  });
});

describe('where they need not be', () => {
  it.each(data.site)('%j may ask for a site whenever a token may allow it: %s', (origin, allowed) => {
    const { known } = judge('open', [])(origin, site);
    if (allowed) expect(known).toBe(true);
  });

  it.each(['null', '', 'https://a.example/', 'https://a.example@b.example', 'file://', 'ftp://a.example'])(
    '%j may not: it is no origin',
    (origin) => {
      expect(judge('open', [])(origin, site).known).toBe(false);
    },
  );
});

describe('the hosted page', () => {
  it.each([
    ['https://chat.example', []],
    ['http://chat.example:8080', []],
    ['https://victim.com', []],
    ['https://w.example', ['https://w.example']],
    ['https://chat.example', ['https://w.example']],
  ] as const)('%s with %j may ask whenever its requests are allowed', (origin, widgetOrigins) => {
    const { known } = judge('strict', ['victim.com'], widgetOrigins)(origin, widget);
    expect(known).toBe(
      isOriginAllowed({ ...widget, origin, domains: [], appOrigins: [], widgetOrigins: [...widgetOrigins] }),
    );
  });
});

describe('credentials', () => {
  it("are for the main app's origins only", () => {
    const judged = judge('strict', ['victim.com', 'app.example']);
    expect(judged('https://app.example', site)).toMatchObject({ known: true, credentials: true });
    expect(judged('https://APP.example:443', widget)).toMatchObject({ known: true, credentials: true });
    for (const origin of ['https://victim.com', 'http://app.example', 'https://sub.app.example'])
      expect(judged(origin, site)).toMatchObject({ known: true, credentials: false });
  });
});

describe('labels', () => {
  it('are registered domains and configured origins, and `other` for the rest', () => {
    const judged = judge('strict', ['victim.com'], ['https://w.example']);
    expect(judged('https://a.b.victim.com:8443', site).label).toBe('victim.com');
    expect(judged('https://app.example', site).label).toBe('https://app.example');
    expect(judged('https://W.example', widget).label).toBe('https://w.example');
    for (const origin of ['https://evil.example', 'null', undefined]) expect(judged(origin, site).label).toBe('other');
  });

  it('are bounded, however many domains are registered', () => {
    const judged = judge(
      'strict',
      Array.from({ length: 2_000 }, (_, i) => `d${i}.example`),
    );
    const labels = Array.from({ length: 2_000 }, (_, i) => judged(`https://d${i}.example`, site).label);
    expect(new Set(labels).size).toBe(501);
    expect(judged('https://d0.example', site)).toMatchObject({ known: true, label: 'd0.example' });
    expect(judged('https://d1999.example', site)).toMatchObject({ known: true, label: 'other' });
  });
});

describe('100,000 origins', () => {
  it.each(['strict', 'open'] as const)('that nobody registered are one label (%s)', (directory) => {
    const judged = judge(directory, ['victim.com']);
    const labels = new Set<string>();
    for (let i = 0; i < 100_000; i += 1) {
      const origin = i % 2 === 0 ? `https://o${i}.example` : `http://s${i}.victim.com:${i % 60_000}`;
      labels.add(judged(origin, i % 3 === 0 ? widget : site).label);
    }
    expect(labels).toEqual(new Set(['other', 'victim.com']));
  });
});

describe('headers', () => {
  it('name exactly the origin, and only where it is allowed', () => {
    expect(corsHeaders('https://a.example', { granted: true, credentials: false })).toEqual({
      Vary: 'Origin',
      'Access-Control-Allow-Origin': 'https://a.example',
      'Access-Control-Expose-Headers': 'Retry-After',
    });
    expect(corsHeaders('https://a.example', { granted: true, credentials: true })).toMatchObject({
      'Access-Control-Allow-Credentials': 'true',
    });
    expect(corsHeaders('https://a.example', { granted: false, credentials: true })).toEqual({ Vary: 'Origin' });
    expect(corsHeaders(undefined, { granted: true, credentials: false })).toEqual({ Vary: 'Origin' });
  });

  it('of a preflight name what a widget sends', () => {
    expect(preflightHeaders('GET, POST, OPTIONS')).toEqual({
      'Access-Control-Allow-Methods': 'GET, POST, OPTIONS',
      'Access-Control-Allow-Headers': 'Authorization, Content-Type, Last-Event-ID',
      'Access-Control-Max-Age': '600',
    });
  });
});
