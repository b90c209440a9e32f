import { CommandFailure, type CommandIo, parseOptions, readNamedFile, UsageError } from '../command.js';
import {
  formatBytes,
  formatMs,
  formatNumber,
  parseBytes,
  parseCount,
  parseDuration,
  parseNumber,
} from '../quantity.js';
import { type Capacity, type Demand, type Means, MOST, PARTITIONS, plan, type Resource } from './capacity.js';
import { measuredCosts, UNIT_COSTS, type UnitCosts, withCosts } from './unit-costs.js';

export const planHelp = `Usage: replyx-load plan --connections <n> --rate <n/s> [options]

Says how many nodes (one process on one core each) and Redis shards a load needs, what of them gives out first, and why.

  --connections <n>          sockets open at once
  --rate <n/s>               messages a second, in all dialogs
  --per-dialog <n>           sockets of a dialog (2)
  --session <time>           life of a dialog and of its connections (30m); connects a second follow from it
  --connects <n/s>           connects a second, where they are known
  --refusals <n/s>           refused attempts a second (0)
  --text <bytes>             length of a message (200)
  --history-size <n>, --history-ttl <time>, --idempotency-ttl <time>   as the nodes are configured (1000, 7d, 10m)
  --node-cpu <share>         share of its core that a node may use (0.6)
  --redis-cpu <share>        share of its core that a shard may use (0.6)
  --node-memory <bytes>      memory of a node (2GiB)
  --redis-memory <bytes>     memory of a shard that data may take (8GiB)
  --node-connections <n>     WS_MAX_TOTAL_CONNECTIONS (50000)
  --spare <n>                nodes that may be away (1)
  --costs <file.json>        unit costs of your own, {"node_connect": 300}, in place of the measured ones
  --show-costs               print the unit costs and how they were measured
  --json                     print all of it

Exit code: 0, 1 a file that is no list of costs, 2 usage.
`;

const amount = ({ unit }: Resource, value: number): string =>
  unit === 'bytes' ? formatBytes(value) : `${formatNumber(value, unit === 'cores' ? 2 : 0)} ${unit}`;

const partsText = ({ parts, total }: Resource): string =>
  Object.entries(parts)
    .filter(([, part]) => part >= total * 0.005)
    .sort(([, a], [, b]) => b - a)
    .map(([name, part]) => `${name} ${Math.round((part / Math.max(1e-12, total)) * 100)} %`)
    .join(', ');

/** The resource that asks for the most, and what it is used for. */
const becauseText = (resources: readonly Resource[], of: 'node' | 'Redis'): string => {
  const [most] = resources
    .filter(({ name }) => name.startsWith(of))
    .sort((a, b) => b.needed - a.needed || b.used - a.used);
  const [cause] = Object.entries(most?.parts ?? {}).sort(([, a], [, b]) => b - a)[0] ?? [];
  return `${most?.name} (${cause})`;
};

const firstText = ({ first }: Capacity): string => {
  const [cause = 'it'] = Object.entries(first.parts).sort(([, a], [, b]) => b - a)[0] ?? [];
  const share = Math.round((Math.max(...Object.values(first.parts)) / Math.max(1e-12, first.total)) * 100);
  return `${first.name} gives out first: ${Math.round(first.used * 100)} % of what may be used, ${share} % of it for ${cause}`;
};

export const planText = (capacity: Capacity, { spareNodes }: Means): string => {
  const { nodes, shards, resources, holders, nodeEgress, redisEgress, recoverySeconds } = capacity;
  const rows = resources.map((one) => [
    `  ${one.name}`,
    amount(one, one.total),
    String(one.needed),
    `${Math.round(one.used * 100)} %`,
    partsText(one),
  ]);
  const all = [['', 'used', 'needs', 'of means', 'for'], ...rows];
  const widths = [0, 1, 2, 3].map((i) => Math.max(...all.map((row) => row[i]?.length ?? 0)));
  return [
    `${nodes} node${nodes === 1 ? '' : 's'}${spareNodes > 0 ? ` (${spareNodes} of them to spare)` : ''}, ${shards} Redis shard${shards === 1 ? '' : 's'}${shards > PARTITIONS ? `, of which only ${PARTITIONS} can be used` : ''}`,
    firstText(capacity),
    `The nodes are as many because of ${becauseText(resources, 'node')}; the shards because of ${becauseText(resources, 'Redis')}`,
    '',
    ...all.map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    ),
    '',
    `A dialog is held by ${formatNumber(holders, 2)} nodes on average. Nodes send ${formatBytes(nodeEgress)}/s to clients, Redis ${formatBytes(redisEgress)}/s to nodes.`,
    `The clients of a dead node need ${formatMs(recoverySeconds * 1000)} of the others' free CPU to recover; their backoff spreads them wider.`,
    ...(shards > PARTITIONS
      ? [
          `There are ${PARTITIONS} partitions, and more shards than that stand idle: keep less (WS_HISTORY_TTL_SECONDS, WS_HISTORY_SIZE), or give a shard more memory.`,
        ]
      : []),
    '',
  ].join('\n');
};

const costsText = (costs: UnitCosts, given: readonly string[]): string =>
  `${Object.entries(UNIT_COSTS)
    .map(([name, { unit, says, how }]) => {
      const from = given.includes(name) ? 'given by --costs' : `measured: ${how}`;
      return `  ${name.padEnd(20)}${formatNumber(costs[name as keyof UnitCosts], 1).padStart(12)} ${unit.padEnd(6)} ${says} (${from})`;
    })
    .join('\n')}\n`;

const readCosts = (io: CommandIo, path: string | undefined): { costs: UnitCosts; given: readonly string[] } => {
  if (path === undefined) return { costs: measuredCosts(), given: [] };
  const text = readNamedFile(io, '--costs', path);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new CommandFailure('the file of --costs is no JSON');
  }
  const read = withCosts(json);
  if (!read.ok) throw new CommandFailure(`the file of --costs: ${read.why}`);
  return read;
};

/** Whether all of it are numbers that a cluster may have. */
const isPlan = ({ nodes, shards, resources, recoverySeconds, nodeEgress, redisEgress }: Capacity): boolean =>
  nodes <= MOST &&
  shards <= MOST &&
  [recoverySeconds, nodeEgress, redisEgress, ...resources.map(({ total }) => total)].every(Number.isFinite);

const TEXT = { type: 'string' } as const;

export const planCommand = (args: readonly string[], io: CommandIo): number => {
  const { values } = parseOptions(args, {
    connections: TEXT,
    rate: TEXT,
    'per-dialog': TEXT,
    session: TEXT,
    connects: TEXT,
    refusals: TEXT,
    text: TEXT,
    'history-size': TEXT,
    'history-ttl': TEXT,
    'idempotency-ttl': TEXT,
    'node-cpu': TEXT,
    'redis-cpu': TEXT,
    'node-memory': TEXT,
    'redis-memory': TEXT,
    'node-connections': TEXT,
    spare: TEXT,
    costs: TEXT,
    'show-costs': { type: 'boolean' },
    json: { type: 'boolean' },
  });
  const { costs, given } = readCosts(io, values.costs);
  if (values['show-costs'] === true && values.connections === undefined) {
    io.out(costsText(costs, given));
    return 0;
  }
  if (values.connections === undefined || values.rate === undefined) {
    throw new UsageError('plan needs --connections and --rate');
  }
  const connections = parseCount('--connections', values.connections, [1, 1e12]);
  const sessionSeconds = parseDuration('--session', values.session ?? '30m') / 1000;
  if (sessionSeconds <= 0) throw new UsageError('--session takes more than 0');
  const share = (option: 'node-cpu' | 'redis-cpu'): number =>
    parseNumber(`--${option}`, values[option] ?? '0.6', [0.01, 1]);
  const demand: Demand = {
    connections,
    rate: parseNumber('--rate', values.rate, [0, 1e12]),
    perDialog: parseCount('--per-dialog', values['per-dialog'] ?? '2', [1, 1e9]),
    connectsPerSecond:
      values.connects === undefined
        ? connections / sessionSeconds
        : parseNumber('--connects', values.connects, [0, 1e12]),
    refusalsPerSecond: parseNumber('--refusals', values.refusals ?? '0', [0, 1e12]),
    textBytes: parseBytes('--text', values.text ?? '200'),
    sessionSeconds,
    historySize: parseCount('--history-size', values['history-size'] ?? '1000', [1, 1e9]),
    historyTtlSeconds: parseDuration('--history-ttl', values['history-ttl'] ?? '7d') / 1000,
    idempotencyTtlSeconds: parseDuration('--idempotency-ttl', values['idempotency-ttl'] ?? '10m') / 1000,
  };
  const means: Means = {
    nodeCpu: share('node-cpu'),
    redisCpu: share('redis-cpu'),
    nodeMemoryBytes: parseBytes('--node-memory', values['node-memory'] ?? '2GiB'),
    redisMemoryBytes: parseBytes('--redis-memory', values['redis-memory'] ?? '8GiB'),
    nodeConnections: parseCount('--node-connections', values['node-connections'] ?? '50000', [1, 1e9]),
    spareNodes: parseCount('--spare', values.spare ?? '1', [0, 1e6]),
  };
  if (means.nodeMemoryBytes <= costs.node_base) {
    throw new UsageError(
      `--node-memory is less than a node takes before its first connection (${formatBytes(costs.node_base)})`,
    );
  }
  const idleShare = costs.node_itself / 1e6;
  if (means.nodeCpu <= idleShare) {
    throw new UsageError(
      `--node-cpu is no more than a node uses without work (${formatNumber(idleShare, 4)} of a core)`,
    );
  }
  if (means.redisMemoryBytes <= 0) throw new UsageError('--redis-memory takes more than 0');
  const capacity = plan(demand, means, costs);
  if (!isPlan(capacity))
    throw new UsageError(`this takes more than ${formatNumber(MOST)} nodes or shards: it has no plan`);
  if (values.json === true) io.out(`${JSON.stringify({ demand, means, costs, capacity })}\n`);
  else {
    io.out(planText(capacity, means));
    if (values['show-costs'] === true) io.out(`\n${costsText(costs, given)}`);
  }
  return 0;
};
