import { parseEnv } from 'node:util';
import { inspectRedis } from '@replyx/redis';
import { audit, CHECKS } from '../audit/checks.js';
import { collect } from '../audit/collect.js';
import type { AuditFacts } from '../audit/facts.js';
import { jsonReport, type Report, textReport } from '../audit/report.js';
import { sarifReport } from '../audit/sarif.js';
import { parseAddresses } from '../client/addresses.js';
import { apiKeyOf } from '../client/internal-api.js';
import { secretOf } from '../client/secret-variable.js';
import type { Env } from '../config/setting-reader.js';
import { packageVersion } from '../version.js';
import { CommandFailure, type CommandIo, parseOptions, UsageError } from './command.js';

export const summary = 'check a configuration, its Redis and running nodes for production';

export const help = `Usage: replyx audit [--env-file <file>] [--url <address>] [--internal-url <address>] [--format text|json|sarif]

Reads the configuration as \`replyx serve\` would, asks its Redis how it is set, and, with addresses, looks at running nodes.
Each finding says what is wrong, why it matters and what to do. Nothing is changed anywhere; values of secrets are never shown.

  --env-file <file>      a file of NAME=value lines in place of the environment
  --url <list>           public addresses as clients use them (https:// or wss://), or internal addresses of nodes
  --internal-url <list>  internal addresses of nodes; then those of --url are public
  --key <key>            API key for the nodes; better REPLYX_API_KEY or REPLYX_API_KEY_FILE: other users of the machine can read
                         the list of processes. Without one, the first of API_KEYS
  --offline              do not ask Redis; not with addresses
  --format <format>      text, json, or sarif (SARIF 2.1.0)

Examples:
  replyx audit --env-file production.env --offline --format sarif > audit.sarif
  replyx audit --url https://chat.example.com --internal-url http://10.0.0.1:9090,http://10.0.0.2:9090

Exit code: 0 no high finding, 1 a high finding, 2 usage.
`;

const FORMATS = ['text', 'json', 'sarif'] as const;

const formatOf = (text: string): (typeof FORMATS)[number] => {
  const format = FORMATS.find((known) => known === text);
  if (format === undefined) throw new UsageError(`--format must be one of ${FORMATS.join(', ')}`);
  return format;
};

const fileEnvironment = (path: string, io: CommandIo): Env => {
  // Not in Node before 20.12.
  if (parseEnv === undefined) throw new CommandFailure('--env-file needs Node 20.12 or newer');
  let text: string;
  try {
    text = io.readFile(path);
  } catch {
    throw new CommandFailure("the file of --env-file can't be read");
  }
  return parseEnv(text) as Env;
};

const addressesOf = (option: string, text: string | undefined): readonly string[] => {
  if (text === undefined) return [];
  // What a client writes as wss:// is asked by https://.
  const asked = text.split(',').map((item) => item.trim().replace(/^ws(?=s?:\/\/)/i, 'http'));
  return parseAddresses(option, asked.join(','), ['http:', 'https:']);
};

const lookedAt = (facts: AuditFacts): readonly string[] => [
  'the configuration',
  ...new Set(facts.redis.flatMap(({ inspections }) => inspections.map(({ server }) => `Redis ${server}`))),
  ...facts.nodes.map(({ url }) => `node ${url}`),
  ...facts.edges.map(({ url }) => `public address ${url}`),
];

const written = (format: (typeof FORMATS)[number], report: Report): string => {
  if (format === 'json') return jsonReport(report);
  return format === 'sarif' ? sarifReport(report, CHECKS) : textReport(report);
};

export const run = async (args: readonly string[], io: CommandIo): Promise<number> => {
  const { values } = parseOptions(args, {
    'env-file': { type: 'string' },
    url: { type: 'string' },
    'internal-url': { type: 'string' },
    key: { type: 'string' },
    offline: { type: 'boolean', default: false },
    format: { type: 'string', default: 'text' },
  });
  const format = formatOf(values.format);
  const urls = addressesOf('--url', values.url);
  const internalUrls = addressesOf('--internal-url', values['internal-url']);
  const asksNodes = urls.length + internalUrls.length > 0;
  if (values.offline && asksNodes)
    throw new UsageError('--offline asks nobody: it takes no --url and no --internal-url');
  const givesKey = values.key !== undefined || secretOf('REPLYX_API_KEY', io) !== undefined;
  const facts = await collect({
    env: values['env-file'] === undefined ? io.env : fileEnvironment(values['env-file'], io),
    readFile: io.readFile,
    clock: io.clock,
    fetch: io.fetch,
    inspect: values.offline ? undefined : inspectRedis,
    urls,
    internalUrls,
    key: asksNodes && givesKey ? apiKeyOf(values.key, io) : undefined,
  });
  const findings = audit(facts);
  io.out(written(format, { findings, lookedAt: lookedAt(facts), version: packageVersion() }));
  return findings.some(({ severity }) => severity === 'high') ? 1 : 0;
};
