import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadFailureLine, main } from '../src/cli.js';
import { configTable } from '../src/config/config-table.js';
import type { Env } from '../src/config/setting-reader.js';
import { FakeIssuer, hs256, ManualClock, NOW_S, operator, visitor } from './auth-fixtures.js';
import { countingBytes, files, KEY_A, KEY_B, PRODUCTION } from './config-fixtures.js';

const bin = fileURLToPath(new URL('../bin/replyx.js', import.meta.url));
const ENV: Env = { SECRET_KEY: KEY_A, SITE_SECRET: KEY_B };

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const replyx = async (args: readonly string[], env: Env = ENV, input = ''): Promise<Ran> => {
  let out = '';
  let err = '';
  const code = await main(args, {
    env,
    readFile: files({ '/secret': `${KEY_A}\n` }),
    clock: new ManualClock(),
    random: { bytes: countingBytes(), float: () => 0 },
    fetch: new FakeIssuer().fetch,
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    readInput: async () => input,
  });
  return { code, out, err };
};

const OPERATOR = ['token', 'operator', '--sub', 'alice', '--tenant', 'acme', '--role', 'agent'];
const VISITOR = [
  'token',
  'visitor',
  '--sub',
  'v',
  '--tenant',
  'acme',
  '--assistant',
  'b',
  '--dialog',
  'd',
  '--kind',
  'site',
];
const SITE = ['token', 'site', '--tenant', 'acme', '--assistant', 'b'];

const claimsOf = (token: string): unknown => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());

describe('a mistake of the user is one line with an exit code', () => {
  const rows: readonly (readonly [number, string, readonly string[], Env?])[] = [
    [2, 'there is no command "serv"', ['serv']],
    [2, 'token takes operator', ['token']],
    [2, 'not "admin"', ['token', 'admin']],
    [2, 'operator tokens need --role', ['token', 'operator', '--sub', 'a', '--tenant', 't']],
    [2, 'site tokens take no --role', [...SITE, '--role', 'x']],
    [2, '--kind is not valid', [...VISITOR.slice(0, -1), 'popup']],
    [2, '--tenant is not valid', ['token', 'site', '--tenant', 'a:b', '--assistant', 'b']],
    [2, '--ttl is not valid', [...OPERATOR, '--ttl', '0']],
    [2, '--ttl is not valid', [...OPERATOR, '--ttl', '1h']],
    [2, "Unknown option '--admin'", [...OPERATOR, '--admin']],
    [2, "Unexpected argument 'x'", [...OPERATOR, 'x']],
    [2, 'inspect takes one token', ['token', 'inspect']],
    [2, '--environment must be one of', ['gen-config', '--environment', 'prod']],
    [1, '--ttl is more than WS_TOKEN_MAX_LIFE_SECONDS', [...OPERATOR, '--ttl', '9999999']],
    [1, 'SECRET_KEY is not set', OPERATOR, {}],
    [1, 'SITE_SECRET is not set', SITE, { SECRET_KEY: KEY_A }],
    [1, 'CONFIG_INVALID SECRET_KEY: is shorter than 32 bytes', OPERATOR, { SECRET_KEY: 'x' }],
  ];
  it.each(rows.map(([code, message, args, env]) => ({ code, message, args, env: env ?? ENV })))(
    '$code $message',
    async ({ code, message, args, env }) => {
      const ran = await replyx(args, env);
      expect(ran).toMatchObject({ code, out: '' });
      expect(ran.err).toContain(message);
      expect(ran.err.trimEnd().split('\n')).toHaveLength(1);
    },
  );
});

describe('help', () => {
  it('lists every command', async () => {
    const { code, out } = await replyx(['--help']);
    expect(code).toBe(0);
    for (const verb of ['serve', 'cluster', 'token', 'check-config', 'config-docs', 'gen-config'])
      expect(out).toContain(`  ${verb} `);
  });

  it('is shown as a usage error without a command', async () => {
    expect(await replyx([])).toMatchObject({ code: 2, out: '' });
  });

  it.each(['token', 'check-config', 'config-docs', 'gen-config'])('of %s says how it is used', async (verb) => {
    const { code, out } = await replyx([verb, '--help']);
    expect([code, out.startsWith(`Usage: replyx ${verb}`)]).toEqual([0, true]);
  });

  it('--version prints the version alone', async () => {
    expect((await replyx(['--version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('token', () => {
  it('mints each type', async () => {
    const made = await replyx([...OPERATOR, '--assistants', 'a, b', '--public-id', 'op', '--ttl', '60', '--jti', 'j']);
    expect(claimsOf(made.out)).toEqual({
      ...{ type: 'operator', iat: NOW_S, exp: NOW_S + 60, jti: 'j', sub: 'alice', tenant: 'acme', role: 'agent' },
      ...{ assistants: ['a', 'b'], public_id: 'op' },
    });
    expect(
      claimsOf((await replyx([...VISITOR, '--domains', 'a.test,b.test', '--widget-version', '3'])).out),
    ).toMatchObject({
      ...{ type: 'visitor', exp: NOW_S + 900, kind: 'site', allowed_domains: ['a.test', 'b.test'], widget_version: 3 },
    });
    expect(claimsOf((await replyx(SITE)).out)).not.toHaveProperty('exp');
  });

  it('takes its secret from a file, and prints JSON', async () => {
    const { out } = await replyx([...OPERATOR, '--json'], { SECRET_KEY_FILE: '/secret' });
    const printed = JSON.parse(out) as { token: string };
    expect(printed).toMatchObject({ type: 'operator', expires_in: 3600, expires_at: '2027-01-15T09:00:00.000Z' });
    expect((await replyx(['token', 'inspect', printed.token])).code).toBe(0);
  });

  it.each([
    ['valid', hs256(operator(), KEY_A), 0, { status: 'valid', claims: operator() }],
    ['expired', hs256(operator({ exp: NOW_S - 60 }), KEY_A), 1, { status: 'expired' }],
    ['forged', hs256(operator(), 'x'), 1, { status: 'refused', reason: 'not_genuine', claims: operator() }],
    ['of another key', hs256(visitor(), KEY_A), 1, { status: 'refused', reason: 'wrong_type' }],
    ['nonsense', 'nonsense', 1, { status: 'refused', reason: 'malformed', header: null, claims: null }],
  ])('inspects one that is %s', async (_, token, code, printed) => {
    const ran = await replyx(['token', 'inspect', '-'], ENV, `${token}\n`);
    expect(ran.code).toBe(code);
    expect(JSON.parse(ran.out)).toMatchObject(printed);
  });
});

describe('check-config', () => {
  it('lists everything at once; an unknown name is an error', async () => {
    const { code, out } = await replyx(['check-config'], {
      PORT: 'x',
      WS_FOO: '1',
      WS_SERVICE_HOST: '1',
    });
    expect(code).toBe(1);
    expect(out.trimEnd().split('\n')).toEqual([
      'error    PORT must be a whole number from 0 to 65535, not "x"',
      'error    WS_FOO is not known',
      'error    WS_SERVICE_HOST is not known',
      'The configuration is not valid (3 errors, 0 warnings).',
    ]);
  });

  it('accepts a sound one, also as JSON', async () => {
    expect(await replyx(['check-config'], PRODUCTION)).toMatchObject({ code: 0 });
    const { out } = await replyx(['check-config', '--json'], PRODUCTION);
    expect(JSON.parse(out)).toEqual({ ok: true, problems: [], warnings: [] });
  });
});

it('config-docs prints the table', async () => {
  expect((await replyx(['config-docs'])).out).toBe(configTable());
});

it('gen-config prints fresh secrets that differ', async () => {
  const { out } = await replyx(['gen-config', '--environment', 'staging']);
  const secrets = [...out.matchAll(/^(?:SECRET_KEY|SITE_SECRET|API_KEYS|PUBLIC_ID_SECRET)=(.+)$/gm)].map(
    ([, value]) => value,
  );
  expect(new Set(secrets).size).toBe(4);
  expect(out).toContain('ENVIRONMENT=staging\n');
});

describe('a module that does not load', () => {
  it('is one line for uWebSockets.js', () => {
    const line = loadFailureLine(
      new Error('This version of uWS.js supports only Node.js versions 16\n\nError: GLIBC_2.38 not found'),
    );
    expect(line).toContain(`Node ${process.versions.node}, ${process.platform} ${process.arch}: use Node 20, 22 or 24`);
    expect(line).toContain('glibc');
    expect(line).not.toContain('\n');
  });

  it('is no line for a bug', () => {
    expect(loadFailureLine(new TypeError('x is undefined'))).toBeUndefined();
  });
});

describe('bin/replyx.js', () => {
  it('says that nothing is built', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'replyx-bin-'));
    try {
      cpSync(bin, join(folder, 'bin/replyx.mjs'));
      const ran = await new Promise<{ code: unknown; err: string }>((resolve) => {
        execFile(process.execPath, [join(folder, 'bin/replyx.mjs')], (error, _, err) =>
          resolve({ code: error?.code, err }),
        );
      });
      expect(ran).toEqual({ code: 1, err: 'replyx: REPLYX is not built: run npm run build\n' });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('parses on this Node', () => {
    expect(execFileSync(process.execPath, ['--check', bin]).toString()).toBe('');
  });
});
