import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { CHECKS } from '../src/audit/checks.js';
import { main } from '../src/cli.js';
import type { Env } from '../src/config/setting-reader.js';
import { REDIS_PASSWORD, REFERENCE_ENV, SECRET_FILES } from './audit-fixtures.js';
import { ManualClock } from './auth-fixtures.js';
import { API_KEY, countingBytes, files, KEY_A, KEY_B, KEY_C } from './config-fixtures.js';

const run = async (
  args: readonly string[],
  env: Env = REFERENCE_ENV,
  contents: Readonly<Record<string, string>> = SECRET_FILES,
  asked: string[] = [],
) => {
  let out = '';
  let err = '';
  const code = await main(['audit', ...args], {
    env,
    readFile: files(contents),
    clock: new ManualClock(),
    random: { bytes: countingBytes(), float: () => 0 },
    fetch: async (url) => {
      asked.push(url);
      throw new TypeError('fetch failed');
    },
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    readInput: async () => '',
  });
  return { code, out, err };
};

const offline = (args: readonly string[] = [], env?: Env, contents?: Readonly<Record<string, string>>) =>
  run(['--offline', ...args], env, contents);

describe('replyx audit', () => {
  it('ends with 0 where nothing is high, and with 1 where something is', async () => {
    expect(await offline()).toMatchObject({ code: 0, err: '' });
    expect((await offline([], { ...REFERENCE_ENV, WS_TRUSTED_PROXIES: '52.0.0.0/8' })).code).toBe(0);
    expect((await offline([], { ...REFERENCE_ENV, WS_DIRECTORY: 'open' })).code).toBe(1);
  });

  it.each([
    ['--format must be one of text, json, sarif', ['--format', 'xml']],
    ['--url takes up to 16 addresses', ['--url', 'chat.example.com']],
    ['--internal-url takes up to 16 addresses', ['--internal-url', 'http://user:pass@node:9090']],
    ['--offline asks nobody', ['--offline', '--url', 'http://node:9090']],
    ["Unexpected argument 'now'", ['now']],
  ])('a mistake is one line and 2: %s', async (says, args) => {
    const { code, out, err } = await run(args);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(says);
    expect(err.trim().split('\n')).toHaveLength(1);
    expect(err).not.toContain('pass@');
  });

  it('asks wss:// addresses by https://, and tells what is away in one line', async () => {
    const asked: string[] = [];
    const env = { ...REFERENCE_ENV, REDIS_URL_FILE: undefined };
    const { code, out } = await run(['--url', 'wss://chat.example.com/'], env, SECRET_FILES, asked);
    expect(asked).toEqual(['https://chat.example.com/']);
    expect(code).toBe(1);
    expect(out).toContain(
      "high    RX901  The public address does not answer: https://chat.example.com can't be reached",
    );
    expect(out).not.toMatch(/ at .*\(|node:internal/);
  });

  it('reads a file in place of the environment', async () => {
    const lines = Object.entries({ ...REFERENCE_ENV, WS_DIRECTORY: 'open' }).map(
      ([name, value]) => `${name}="${value}"`,
    );
    const env = { WS_DIRECTORY: 'nonsense' };
    const contents = { ...SECRET_FILES, 'production.env': `# a comment\n${lines.join('\n')}\n` };
    const { out } = await offline(['--env-file', 'production.env', '--format', 'json'], env, contents);
    const { findings } = JSON.parse(out) as { findings: { id: string; severity: string }[] };
    expect(findings.filter(({ severity }) => severity === 'high').map(({ id }) => id)).toEqual(['RX206']);
    expect(await offline(['--env-file', 'nowhere'])).toMatchObject({ code: 1, out: '' });
  });

  it('sorts by severity, and explains a check once', async () => {
    const env = { ...REFERENCE_ENV, WS_RATE_LIMIT_PER_IP: '0', WS_RATE_LIMIT_FRAMES: '0', LOG_LEVEL: 'debug' };
    const { out } = await offline([], env);
    const order = [...out.matchAll(/^(high|medium|low|info) /gm)].map(([, severity]) => severity);
    expect(order).toEqual(
      [...order].sort(
        (a, b) =>
          ['high', 'medium', 'low', 'info'].indexOf(a ?? '') - ['high', 'medium', 'low', 'info'].indexOf(b ?? ''),
      ),
    );
    expect(out.match(/RX302/g)).toHaveLength(2);
    expect(out.match(/One address can exhaust a node/g)).toHaveLength(1);
    expect(out).toMatch(/\n2 high, 0 medium, 1 low, \d+ info\.\n$/);
  });

  it('holds no secret in any format, wherever the secrets are and whatever is wrong with them', async () => {
    const direct = {
      ENVIRONMENT: 'production',
      SECRET_KEY: `${KEY_A},${KEY_B}`,
      SITE_SECRET: KEY_B,
      API_KEYS: `${API_KEY},${API_KEY}`,
      PUBLIC_ID_SECRET: KEY_C.slice(0, 20),
      REDIS_URL: `redis://gateway:${REDIS_PASSWORD}@redis.example.com,b`,
      WS_LOCK_REDIS_URLS: `redis://:${REDIS_PASSWORD}@a,redis://:${REDIS_PASSWORD}@b`,
    };
    const secrets = [KEY_A, KEY_B, KEY_C.slice(0, 20), API_KEY, REDIS_PASSWORD];
    for (const format of ['text', 'json', 'sarif']) {
      for (const env of [REFERENCE_ENV, direct, { ...direct, ENVIRONMENT: 'test' }]) {
        const { out, err } = await offline(['--format', format], env);
        for (const secret of secrets) expect(out + err).not.toContain(secret);
      }
    }
  });

  it('shows what others wrote in a form that drives no terminal', async () => {
    const env = { ...REFERENCE_ENV, 'WS_\u001b[31mRED': 'x' };
    for (const format of ['text', 'json', 'sarif']) {
      const { out } = await offline(['--format', format], env);
      expect(out).toContain('WS_');
      expect(out).not.toContain('\u001b');
    }
  });
});

describe('the JSON report', () => {
  it('counts by severity and says what was looked at', async () => {
    const { out } = await offline(['--format', 'json'], { ...REFERENCE_ENV, WS_DIRECTORY: 'open' });
    expect(JSON.parse(out)).toMatchObject({
      ok: false,
      counts: { high: 1, medium: 0, low: 0 },
      looked_at: ['the configuration'],
      findings: expect.arrayContaining([
        {
          id: 'RX206',
          severity: 'high',
          subject: 'WS_DIRECTORY',
          detail: 'is open',
          title: expect.any(String),
          why: expect.any(String),
          remedy: expect.any(String),
        },
      ]),
    });
  });
});

const text = {
  type: 'object',
  required: ['text'],
  additionalProperties: false,
  properties: { text: { type: 'string', minLength: 1 } },
};
const level = { enum: ['none', 'note', 'warning', 'error'] };
const bag = { type: 'object', properties: { tags: { type: 'array', uniqueItems: true, items: { type: 'string' } } } };

/** What SARIF 2.1.0 says of the parts that are used, closed so that a part it does not know is found. */
const SARIF = {
  type: 'object',
  required: ['version', 'runs'],
  additionalProperties: false,
  properties: {
    $schema: { type: 'string', pattern: '^https://' },
    version: { const: '2.1.0' },
    runs: {
      type: 'array',
      items: {
        type: 'object',
        required: ['tool'],
        additionalProperties: false,
        properties: {
          tool: {
            type: 'object',
            required: ['driver'],
            additionalProperties: false,
            properties: {
              driver: {
                type: 'object',
                required: ['name'],
                additionalProperties: false,
                properties: {
                  name: { type: 'string' },
                  version: { type: 'string' },
                  rules: {
                    type: 'array',
                    uniqueItems: true,
                    items: {
                      type: 'object',
                      required: ['id'],
                      additionalProperties: false,
                      properties: {
                        id: { type: 'string' },
                        shortDescription: text,
                        fullDescription: text,
                        help: text,
                        defaultConfiguration: { type: 'object', additionalProperties: false, properties: { level } },
                        properties: bag,
                      },
                    },
                  },
                },
              },
            },
          },
          invocations: {
            type: 'array',
            items: {
              type: 'object',
              required: ['executionSuccessful'],
              additionalProperties: false,
              properties: { executionSuccessful: { type: 'boolean' } },
            },
          },
          results: {
            type: 'array',
            items: {
              type: 'object',
              required: ['message'],
              additionalProperties: false,
              properties: {
                ruleId: { type: 'string' },
                ruleIndex: { type: 'integer', minimum: 0, maximum: CHECKS.length - 1 },
                level,
                message: text,
                locations: {
                  type: 'array',
                  items: {
                    type: 'object',
                    additionalProperties: false,
                    properties: {
                      logicalLocations: {
                        type: 'array',
                        uniqueItems: true,
                        items: {
                          type: 'object',
                          additionalProperties: false,
                          properties: { name: { type: 'string' }, kind: { type: 'string' } },
                        },
                      },
                    },
                  },
                },
                partialFingerprints: { type: 'object', additionalProperties: { type: 'string' } },
              },
            },
          },
        },
      },
    },
  },
};

interface SarifLog {
  readonly runs: readonly [
    {
      readonly tool: { readonly driver: { readonly rules: readonly { readonly id: string }[] } };
      readonly results: readonly {
        readonly ruleId: string;
        readonly ruleIndex: number;
        readonly level: string;
        readonly message: { readonly text: string };
      }[];
    },
  ];
}

describe('the SARIF report', () => {
  const env = { ...REFERENCE_ENV, WS_DIRECTORY: 'open', WS_BAN_SCORE: '0', LOG_LEVEL: 'debug' };
  const written = async (): Promise<SarifLog> =>
    JSON.parse((await offline(['--format', 'sarif'], env)).out) as SarifLog;

  it('is SARIF 2.1.0', async () => {
    const ajv = new Ajv({ strict: true, allErrors: true });
    const validate = ajv.compile(SARIF);
    validate(await written());
    expect(validate.errors).toBeNull();
  });

  it('has every check as a rule, and results that point at theirs', async () => {
    const [{ tool, results }] = (await written()).runs;
    expect(tool.driver.rules.map(({ id }) => id)).toEqual(CHECKS.map(({ id }) => id));
    for (const { ruleId, ruleIndex } of results) expect(tool.driver.rules[ruleIndex]?.id).toBe(ruleId);
    const levels = Object.fromEntries(results.map(({ ruleId, level }) => [ruleId, level]));
    expect(levels).toMatchObject({ RX206: 'error', RX304: 'warning', RX501: 'note', RX307: 'note' });
  });
});
