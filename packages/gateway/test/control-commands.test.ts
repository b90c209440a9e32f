import { describe, expect, it } from 'vitest';
import { main } from '../src/cli.js';
import type { Env } from '../src/config/setting-reader.js';
import { ManualClock } from './auth-fixtures.js';
import { countingBytes, files } from './config-fixtures.js';

const KEY: Env = { REPLYX_API_KEY: 'key' };

interface Request {
  readonly url: string;
  readonly method: string;
  readonly body: unknown;
}

type Answer = readonly [number, unknown] | 'refused';

/** Runs a command line against an API that answers so, in turn. */
const replyx = async (args: readonly string[], answers: readonly Answer[] = [], env = KEY) => {
  const requests: Request[] = [];
  let out = '';
  let err = '';
  const code = await main(args, {
    env,
    readFile: files({}),
    clock: new ManualClock(),
    random: { bytes: countingBytes(), float: () => 0 },
    fetch: async (url, init) => {
      const { method = '', body } = init ?? {};
      requests.push({ url: String(url), method, body: body === undefined ? undefined : JSON.parse(String(body)) });
      const answer = answers[requests.length - 1] ?? 'refused';
      if (answer === 'refused') throw Object.assign(new Error('no'), { code: 'ECONNREFUSED' });
      return new Response(answer[0] === 204 ? null : JSON.stringify(answer[1]), { status: answer[0] });
    },
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    readInput: async () => '',
  });
  return { code, out, err, requests };
};

const AT = 'http://127.0.0.1:9091';
const revoked = { id: 'rev_1', by: 'jti', jti: 'j\u001b[1m', created_at: 0, expires_at: 1_798_761_600_000 };
const banned = { id: 'ban_1-2-3-4', network: '1.2.3.4', source: 'score', created_at: 0, expires_at: 1_798_761_600_000 };

describe('a mistake of the user is one line', () => {
  it.each<[number, string, readonly string[]]>([
    [2, 'revoke takes one of --jti', ['revoke']],
    [2, 'revoke takes one of --jti', ['revoke', '--jti', 'a', '--sub', 'b']],
    [2, 'revoke takes one of --jti', ['revoke', '--assistant', 'a']],
    [2, '--below-version is not valid', ['revoke', '--assistant', 'a', '--below-version', 'x']],
    [2, '--issued-before is not valid', ['revoke', '--sub', 'a', '--issued-before', 'yesterday']],
    [2, '--ttl is not valid', ['revoke', '--sub', 'a', '--ttl', '1w']],
    [2, '--list stands alone', ['revoke', '--list', '--sub', 'a']],
    [2, '--lift stands alone', ['revoke', '--lift', 'rev_1', '--ttl', '1h']],
    [2, '--lift takes an id', ['revoke', '--lift', '../x']],
    [2, 'ban takes one address', ['ban']],
    [2, 'ban takes one address', ['ban', '1.2.3.4', '5.6.7.8', '--ttl', '1h']],
    [2, 'the network is wider than /8', ['ban', '0.0.0.0/0', '--ttl', '1h']],
    [2, 'the network has bits set past its prefix', ['ban', '1.2.3.4/8', '--ttl', '1h']],
    [2, 'ban needs --ttl', ['ban', '1.2.3.4']],
    [2, 'ban needs --ttl', ['ban', '1.2.3.4', '--ttl', '0']],
    [2, '--reason is not valid', ['ban', '1.2.3.4', '--ttl', '1h', '--reason', 'a\nb']],
    [2, '--list stands alone', ['ban', '--list', '--lift', 'x']],
    [1, "can't be reached (connection refused)", ['revoke', '--jti', 'a']],
    [1, "can't be reached (connection refused)", ['ban', '--list']],
  ])('%d %s', async (code, message, args) => {
    const ran = await replyx(args);
    expect(ran).toMatchObject({ code, out: '' });
    expect(ran.err).toContain(message);
    expect(ran.err.trimEnd().split('\n')).toHaveLength(1);
  });

  it('also where the API refuses, or there is no key', async () => {
    expect((await replyx(['revoke', '--jti', 'a'], [[401, {}]])).err).toContain('does not accept the API key');
    const refused = [403, { code: 'not_allowed', detail: 'No\nway.' }] as const;
    expect((await replyx(['revoke', '--jti', 'a'], [refused])).err).toBe(
      `replyx: ${AT} refused: not_allowed: No\\nway.\n`,
    );
    expect((await replyx(['ban', '--list'], [], {})).err).toContain('there is no API key');
  });
});

describe('replyx revoke', () => {
  it.each<[readonly string[], object]>([
    [['--jti', 'j'], { jti: 'j' }],
    [['--sub', 's', '--tenant', 't'], { sub: 's', tenant: 't' }],
    [['--sub', 's', '--issued-before', '1767225600'], { sub: 's', issued_before: 1_767_225_600 }],
    [['--sub', 's', '--issued-before', '2026-01-01T00:00:00Z'], { sub: 's', issued_before: 1_767_225_600 }],
    [['--assistant', 'a', '--below-version', '7'], { assistant_id: 'a', below_version: 7 }],
    [['--dialog', 'd', '--ttl', '90d'], { dialog_id: 'd', ttl_seconds: 7_776_000 }],
  ])('%j', async (args, body) => {
    const ran = await replyx(['revoke', ...args], [[201, revoked]]);
    expect(ran).toMatchObject({ code: 0, err: '', out: 'rev_1\n' });
    expect(ran.requests).toEqual([{ url: `${AT}/v1/revocations`, method: 'POST', body }]);
  });

  it('lists page by page, in a form that drives no terminal', async () => {
    const answers = [
      [200, { revocations: [revoked], next: '5.rev_1' }],
      [
        200,
        {
          revocations: [{ ...revoked, id: 'rev_2', by: 'subject', sub: 's', issued_before: 1_767_225_600 }],
          next: null,
        },
      ],
    ] as const;
    const ran = await replyx(['revoke', '--list'], answers);
    expect(ran.out.split('\n')).toEqual([
      'id     until                 what',
      'rev_1  2027-01-01T00:00:00Z  token j\\u001b[1m',
      'rev_2  2027-01-01T00:00:00Z  user s of every tenant, issued up to 2026-01-01T00:00:00Z',
      '',
    ]);
    expect(ran.requests.map(({ url }) => url)).toEqual([
      `${AT}/v1/revocations?limit=1000`,
      `${AT}/v1/revocations?limit=1000&after=5.rev_1`,
    ]);
    const json = await replyx(['revoke', '--list', '--json'], answers);
    expect(JSON.parse(json.out).revocations).toHaveLength(2);
    expect((await replyx(['revoke', '--list'], [[200, { revocations: [], next: null }]])).out).toBe('');
  });

  it('lifts', async () => {
    const ran = await replyx(['revoke', '--lift', 'rev_1', '--json'], [[204, undefined]]);
    expect(ran).toMatchObject({ code: 0, out: '{"lifted":"rev_1"}\n' });
    expect(ran.requests).toEqual([{ url: `${AT}/v1/revocations/rev_1`, method: 'DELETE', body: undefined }]);
  });
});

describe('replyx ban', () => {
  it('bans, trying one node after the other', async () => {
    const args = ['ban', '1.2.3.4', '--ttl', '1h', '--reason', 'why', '--internal', 'http://a:1,http://b:2', '--json'];
    const ran = await replyx(args, ['refused', [201, banned]]);
    expect(JSON.parse(ran.out)).toEqual(banned);
    const body = { network: '1.2.3.4', ttl_seconds: 3_600, reason: 'why' };
    expect(ran.requests).toEqual([
      { url: 'http://a:1/v1/bans', method: 'POST', body },
      { url: 'http://b:2/v1/bans', method: 'POST', body },
    ]);
  });

  it('lists, and lifts', async () => {
    const ran = await replyx(['ban', '--list'], [[200, { bans: [banned], next: null }]]);
    expect(ran.out.split('\n')[1]).toBe('ban_1-2-3-4  1.2.3.4  2027-01-01T00:00:00Z  score');
    expect(await replyx(['ban', '--lift', 'ban_1-2-3-4'], [[204, undefined]])).toMatchObject({ out: 'ban_1-2-3-4\n' });
    expect((await replyx(['ban', '--lift', 'x'], [[404, { code: 'not_found', title: 'None.' }]])).err).toContain(
      'not_found',
    );
  });
});
