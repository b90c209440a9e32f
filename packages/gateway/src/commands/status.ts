import { parseAddresses } from '../client/addresses.js';
import { type ApiAnswer, apiKeyOf, callInternal } from '../client/internal-api.js';
import { jsonLine, printable } from '../client/printable.js';
import { moment, textTable } from '../client/text-table.js';
import { CommandFailure, type CommandIo, parseOptions, UsageError } from './command.js';

export const summary = 'show the nodes of a cluster';

const DEFAULT_INTERNAL = 'http://127.0.0.1:9091';
const DEADLINE_MS = 5_000;

export const help = `Usage: replyx status [--internal http://host:port,http://...] [--json]

Asks each node's internal listener whether it is ready, and prints the nodes of the cluster as the first that answers sees them.

  --internal <list>  internal addresses of nodes (${DEFAULT_INTERNAL})
  --key <key>        API key; better REPLYX_API_KEY or REPLYX_API_KEY_FILE: other users of the machine can read the list of
                     processes
  --json             print {"ok", "asked": [{"internal", "ready", "reasons", "problem"}], "nodes"}

Examples:
  REPLYX_API_KEY_FILE=key.txt replyx status
  replyx status --internal http://10.0.0.1:9090,http://10.0.0.2:9090 --json | jq '.nodes[] | select(.draining)'

Exit code: 0 every node that was asked is ready, 1 one is not or can't be reached, 2 usage.
`;

interface Asked {
  readonly internal: string;
  readonly ready: boolean;
  readonly reasons: readonly string[];
  /** Why it did not tell. */
  readonly problem?: string;
}

type Row = Readonly<Record<string, unknown>>;

const isText = (value: unknown): value is string => typeof value === 'string';
const isRow = (value: unknown): value is Row => typeof value === 'object' && value !== null;

const problemOf = (answer: ApiAnswer, statuses: readonly number[]): string | undefined => {
  if (answer.status === 'unreachable') return `can't be reached (${answer.why})`;
  if (statuses.includes(answer.http)) return undefined;
  return answer.http === 401 ? 'does not accept the API key' : `is no internal listener (HTTP ${answer.http})`;
};

const ask = async (
  internal: string,
  key: string,
  io: CommandIo,
): Promise<{ asked: Asked; nodes: readonly Row[] | undefined }> => {
  const [readiness, cluster] = await Promise.all([
    callInternal(io, internal, { method: 'GET', path: '/readyz', deadlineMs: DEADLINE_MS }),
    callInternal(io, internal, { method: 'GET', path: '/v1/cluster', key, deadlineMs: DEADLINE_MS }),
  ]);
  const problem = problemOf(readiness, [200, 503]) ?? problemOf(cluster, [200]);
  if (problem !== undefined || readiness.status !== 'answered' || cluster.status !== 'answered') {
    return { asked: { internal, ready: false, reasons: [], problem: problem ?? 'failed' }, nodes: undefined };
  }
  const { reasons } = readiness.body;
  const { nodes } = cluster.body;
  return {
    asked: { internal, ready: readiness.http === 200, reasons: Array.isArray(reasons) ? reasons.filter(isText) : [] },
    nodes: Array.isArray(nodes) ? nodes.filter(isRow) : [],
  };
};

const cell = (value: unknown): string => printable(isText(value) ? value : String(value ?? '-'));
const lag = (value: unknown): string => (typeof value === 'number' ? `${value.toFixed(1)} ms` : '-');

const COLUMNS: readonly (readonly [string, (row: Row) => string])[] = [
  ['node', (row) => cell(row['id'])],
  ['version', (row) => cell(row['version'])],
  ['up since', (row) => moment(row['started_at'])],
  ['connections', (row) => cell(row['connections'])],
  ['dialogs', (row) => cell(row['dialogs'])],
  ['subscriptions', (row) => cell(row['subscriptions'])],
  ['lag', (row) => lag(row['lag_ms'])],
  ['draining', (row) => (row['draining'] === true ? 'yes' : 'no')],
];

const tableOf = (nodes: readonly Row[]): string =>
  textTable(
    COLUMNS.map(([title]) => title),
    nodes.map((node) => COLUMNS.map(([, show]) => show(node))),
  );

const stateOf = ({ ready, reasons }: Asked): string =>
  ready ? 'ready' : `not ready: ${printable(reasons.join(', '))}`;

export const run = async (args: readonly string[], io: CommandIo): Promise<number> => {
  const { values } = parseOptions(args, {
    internal: { type: 'string', default: DEFAULT_INTERNAL },
    key: { type: 'string' },
    json: { type: 'boolean' },
  });
  const addresses = parseAddresses('--internal', values.internal, ['http:', 'https:']);
  if (new Set(addresses).size < addresses.length) throw new UsageError('--internal names an address twice');
  const key = apiKeyOf(values.key, io);
  const answers = await Promise.all(addresses.map((internal) => ask(internal, key, io)));
  const asked = answers.map((answer) => answer.asked);
  const nodes = [...(answers.find((answer) => answer.nodes !== undefined)?.nodes ?? [])].sort((a, b) =>
    cell(a['id']).localeCompare(cell(b['id'])),
  );
  const ok = asked.every(({ ready }) => ready);
  if (values.json === true) io.out(jsonLine({ ok, asked, nodes }));
  else if (nodes.length > 0) {
    io.out(`${tableOf(nodes)}\n`);
    for (const one of asked) if (one.problem === undefined) io.out(`${one.internal}  ${stateOf(one)}\n`);
  }
  const failed = asked
    .filter(({ ready }) => !ready)
    .map((one) => `${one.internal} ${one.problem ?? `is ${stateOf(one)}`}`);
  if (failed.length > 0) throw new CommandFailure(failed.join('; '));
  return 0;
};
