import { randomBytes } from 'node:crypto';
import { cpus } from 'node:os';
import { isId } from '@replyx/protocol';
import { type Assertion, parseAssertion } from '../assertion.js';
import { CommandFailure, type CommandIo, parseOptions, UsageError } from '../command.js';
import { ATTEMPT_KINDS, type AttemptKind, heldSockets, type LoadPlan, type Scenario } from '../load-plan.js';
import { formatMs, formatNumber, parseBytes, parseCount, parseDuration, parseNumber } from '../quantity.js';
import { isLoopback, sourceAddresses } from '../source-addresses.js';
import { checkRunning, childWarnings } from './check-processes.js';
import { LOAD_OPTIONS } from './options.js';
import { descriptorLimit } from './process-stat.js';
import { findLocal, readIps, readPid, readServers, readUrls } from './read-addresses.js';
import { readApiKey, readSigningKey, readTokens } from './read-secrets.js';
import type { RollingStep } from './rolling-steps.js';
import type { LoadRun } from './run-load.js';
import { DEFAULTS, driversFor, sizesOf } from './scenario-defaults.js';
import { tokenLifeSeconds } from './token-life.js';

/** A load as it was asked for, checked. */
export interface LoadRequest {
  readonly run: LoadRun;
  readonly internalUrls: readonly string[];
  readonly apiKey: string | undefined;
  readonly ownAssistant: boolean;
  readonly assertions: readonly Assertion[];
  readonly tolerateFaults: boolean;
  /** What the caller should know before the load. */
  readonly warnings: readonly string[];
  readonly json: string | undefined;
  readonly html: string | undefined;
  readonly quietly: boolean;
  readonly keep: boolean;
}

const MAX_SOCKETS = 5_000_000;
const DESCRIPTORS_SPARE = 200;
const COUNT = [1, MAX_SOCKETS] as const;
const RATE = [0.01, 1_000_000] as const;

const readAttempts = (text: string): AttemptKind[] =>
  text.split(',').map((item) => {
    const kind = item.trim();
    if (!Object.hasOwn(ATTEMPT_KINDS, kind)) {
      throw new UsageError(`--attempts takes ${Object.keys(ATTEMPT_KINDS).join(', ')}, not ${JSON.stringify(kind)}`);
    }
    return kind as AttemptKind;
  });

/** The steps in the order of the command line, whichever option each came with. */
const readSteps = (args: readonly string[]): RollingStep[] => {
  const steps: RollingStep[] = [];
  for (let i = 0; i < args.length; i += 1) {
    const [, name, joined] = /^--(exec|drain|kill)(?:=(.*))?$/s.exec(args[i] ?? '') ?? [];
    if (name === undefined) continue;
    const value = joined ?? args[i + 1] ?? '';
    if (name === 'exec') steps.push({ kind: 'command', command: value });
    else steps.push({ kind: name as 'drain' | 'kill', pid: readPid(`--${name}`, value) });
  }
  return steps;
};

const readOrigin = (text: string): string => {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol) || new URL(text).origin !== text) {
    throw new UsageError(`--origin takes an origin such as https://shop.example, not ${JSON.stringify(text)}`);
  }
  return text;
};

const readId = (option: string, text: string): string => {
  if (!isId(text)) throw new UsageError(`${option} takes an id: letters, digits, _ and -, at most 128`);
  return text;
};

const titleOf = (plan: LoadPlan): string => {
  const sockets = formatNumber(heldSockets(plan));
  const rate = formatNumber(plan.rate, 2);
  const span = formatMs(plan.durationMs);
  switch (plan.scenario) {
    case 'idle':
      return `${sockets} connections, idle for ${span}`;
    case 'hot':
      return `one dialog of ${sockets} sockets, ${rate} messages/s for ${span}`;
    case 'storm':
      return `${formatNumber(plan.dialogs * (plan.perDialog - 1))} readers cut ${plan.waves === 1 ? 'once' : `${plan.waves} times`}, each missing ${plan.missed} messages`;
    case 'connects':
      return `${rate} connects/s for ${span}`;
    case 'flood':
      return `${formatNumber(plan.attemptRate)} refused attempts/s (${plan.attempts.join(', ')}) for ${span}, ${rate} messages/s besides`;
    default:
      return `${formatNumber(plan.dialogs)} dialogs, ${sockets} sockets, ${rate} messages/s for ${span}`;
  }
};

/** Reads a command line. Throws `UsageError` or `CommandFailure`, which repeat no secret. */
export const readLoad = async (scenario: Scenario, args: readonly string[], io: CommandIo): Promise<LoadRequest> => {
  const { values } = parseOptions(args, LOAD_OPTIONS);
  const count = (
    option: 'connections' | 'dialogs' | 'per-dialog' | 'missed' | 'waves' | 'drivers' | 'source-addresses',
  ) => (values[option] === undefined ? undefined : parseCount(`--${option}`, values[option], COUNT));
  const span = (option: 'duration' | 'ramp' | 'settle' | 'spread' | 'quiet' | 'every', preset: number) =>
    values[option] === undefined ? preset : parseDuration(`--${option}`, values[option]);
  const rateOf = (option: 'rate' | 'connect-rate' | 'churn' | 'attempt-rate', preset: number) =>
    values[option] === undefined ? preset : parseNumber(`--${option}`, values[option], RATE);

  const defaults = DEFAULTS[scenario];
  const assertions = (values.assert ?? []).map(parseAssertion);
  const local = values.local === true ? await findLocal() : { urls: [], internalUrls: [] };
  const urls = [...readUrls('--url', values.url, ['ws:', 'wss:']), ...local.urls];
  const internalUrls = [
    ...readUrls('--internal-url', values['internal-url'], ['http:', 'https:']),
    ...local.internalUrls,
  ];
  if (urls.length === 0) {
    throw new UsageError(
      values.local === true ? '--local: no node answers at ports 9091 and up' : 'a load needs --url (or --local)',
    );
  }

  const steps = readSteps(args);
  if (scenario === 'rolling' && steps.length === 0) {
    throw new UsageError('rolling needs steps: --exec <command>, --drain <pid>, --kill <pid>');
  }
  if (scenario !== 'rolling' && steps.length > 0) throw new UsageError('--exec, --drain and --kill belong to rolling');
  const everyMs = span('every', 10_000);

  if (values.as !== undefined && values.as !== 'visitor' && values.as !== 'operator') {
    throw new UsageError(`--as takes visitor or operator, not ${JSON.stringify(values.as)}`);
  }
  const role = values.as ?? (scenario === 'hot' ? 'operator' : 'visitor');
  if (role === 'operator' && scenario === 'flood') throw new UsageError('the clients of a flood are visitors');
  const tokens = values.tokens === undefined ? undefined : readTokens(io, values.tokens);
  if (tokens !== undefined && (scenario === 'connects' || scenario === 'flood')) {
    throw new UsageError(`${scenario} makes its own tokens: give it --site-secret-file`);
  }
  const key =
    tokens === undefined
      ? readSigningKey(io, role, values[role === 'visitor' ? 'site-secret-file' : 'secret-key-file'])
      : undefined;

  const asked = { connections: count('connections'), dialogs: count('dialogs'), perDialog: count('per-dialog') };
  const given = tokens === undefined ? undefined : new Set(tokens.map(({ dialogId }) => dialogId)).size;
  const { dialogs, perDialog } = given === undefined ? sizesOf(scenario, asked) : { dialogs: given, perDialog: 1 };
  if (scenario === 'storm' && tokens === undefined && perDialog < 2) {
    throw new UsageError('a storm needs --per-dialog 2 or more: one socket stays and writes');
  }
  const rate = scenario === 'idle' ? 0 : rateOf('rate', defaults.rate);
  const durationMs = span('duration', scenario === 'rolling' ? everyMs * (steps.length + 1) : defaults.durationMs);
  const askedRampMs = span('ramp', 0);
  const attempts = scenario === 'flood' ? readAttempts(values.attempts ?? 'bad-token') : [];
  const deniedAddresses = readIps('--denied-address', values['denied-address']) ?? [];
  if (attempts.includes('denied') && deniedAddresses.length === 0) {
    throw new UsageError('--attempts denied needs --denied-address: an address that the nodes have banned');
  }

  const sockets = tokens?.length ?? dialogs * perDialog;
  const isIdle = scenario === 'idle';
  const connectRate = isIdle && askedRampMs > 0 ? (sockets * 1000) / askedRampMs : rateOf('connect-rate', 500);
  const attemptRate = rateOf('attempt-rate', 500);
  const waves = count('waves') ?? 1;
  const connects =
    scenario === 'connects'
      ? (rate * durationMs) / 1000
      : sockets * (scenario === 'storm' ? 1 + waves : 1) +
        (scenario === 'flood' ? (attemptRate * durationMs) / 1000 : 0);
  const run = randomBytes(4).readUInt32BE().toString(36).padStart(7, '0');
  const localAddresses = readIps('--local-address', values['local-address']);
  if (values['source-addresses'] !== undefined && !urls.every(isLoopback)) {
    throw new UsageError('--source-addresses are of 127.0.0.0/8: give --local-address for a target elsewhere');
  }
  const drivers = Math.min(
    count('drivers') ?? driversFor(scenario, { sockets, rate, deliveries: rate * perDialog, cpus: cpus().length }),
    scenario === 'hot' ? perDialog : dialogs,
  );
  const limit = descriptorLimit();
  const perDriver = Math.ceil(sockets / drivers);
  if (limit !== undefined && scenario !== 'connects' && perDriver + DESCRIPTORS_SPARE > limit) {
    throw new CommandFailure(
      `each driver would hold ${perDriver} sockets, and a process here may have ${limit} descriptors: raise ulimit -n, or give more --drivers`,
    );
  }

  const spans = {
    scenario,
    dialogs,
    rate,
    // Sockets that are opened, or cut, have no rate that could rise.
    rampMs: isIdle || scenario === 'storm' ? 0 : askedRampMs,
    durationMs,
    settleMs: span('settle', 10_000),
    connectRate,
    missed: count('missed') ?? 10,
    waves,
    spreadMs: span('spread', 0),
    quietMs: scenario === 'flood' ? span('quiet', 5_000) : 0,
  };
  const plan: LoadPlan = {
    ...spans,
    run,
    urls,
    origin: readOrigin(values.origin ?? 'https://load.example'),
    role,
    perDialog,
    textBytes: values.text === undefined ? 200 : parseBytes('--text', values.text),
    churn: scenario !== 'soak' || values.churn === '0' ? 0 : rateOf('churn', 1),
    attempts,
    attemptRate,
    deniedAddresses,
    sourceAddresses: sourceAddresses(urls, connects, {
      given: localAddresses,
      count: count('source-addresses'),
      random: Math.random(),
    }),
    tenant: readId('--tenant', values.tenant ?? 'load'),
    assistantId: readId('--assistant', values.assistant ?? `load-${run}`),
    key,
    tokenLifeSeconds: tokenLifeSeconds(spans, { sockets, steps: steps.length, everyMs }),
    tokens,
    insecure: values.insecure === true,
    drivers,
  };
  if (plan.textBytes < 1 || plan.textBytes > 10_000) throw new UsageError('--text takes 1 to 10000');
  const metricsUrls =
    values['metrics-url'] === undefined
      ? values.pid === undefined
        ? internalUrls.map((base) => `${base}/metrics`)
        : []
      : readUrls('--metrics-url', values['metrics-url'], ['http:', 'https:']);
  const servers = readServers(values.pid, metricsUrls);
  checkRunning(servers);
  const apiKey = readApiKey(io, values['api-key-file']);
  if (internalUrls.length > 0 && apiKey === undefined && tokens === undefined) {
    throw new UsageError('--internal-url needs --api-key-file (or REPLYX_API_KEY, REPLYX_API_KEY_FILE)');
  }
  return {
    run: {
      plan,
      title: titleOf(plan),
      settings: {
        scenario,
        urls,
        dialogs,
        connections: heldSockets(plan),
        rate,
        duration_ms: plan.durationMs,
        ramp_ms: askedRampMs,
        text_bytes: plan.textBytes,
        drivers,
        source_addresses: plan.sourceAddresses.length,
        ...(scenario === 'flood' ? { attempts, attempt_rate: attemptRate } : {}),
        ...(scenario === 'storm' ? { missed: plan.missed, waves, spread_ms: plan.spreadMs } : {}),
      },
      servers,
      steps,
      stepEveryMs: everyMs,
    },
    internalUrls,
    apiKey,
    ownAssistant: values.assistant === undefined,
    assertions,
    warnings: childWarnings(servers),
    tolerateFaults: values['tolerate-faults'] === true,
    json: values.json,
    html: values.html,
    quietly: values.quietly === true,
    keep: values.keep === true,
  };
};
