import { formatBytes, formatNumber } from '../quantity.js';
import { MEASURED } from './measured-costs.js';
import { planCommand } from './plan-command.js';
import { measuredCosts, messageCost, UNIT_COSTS } from './unit-costs.js';

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

const micros = (value: number): string => `${formatNumber(value, value < 10 ? 1 : 0)} µs`;
const off = (says: number, measured: number): string =>
  `${says >= measured ? '+' : '−'}${Math.abs(Math.round((says / measured - 1) * 100))} %`;

const costTable = (): string =>
  table(
    ['cost', 'value', 'what for', 'measured by'],
    Object.entries(UNIT_COSTS).map(([name, { value, unit, says, how }]) => [
      `\`${name}\``,
      unit === 'us' ? micros(value) : formatBytes(value),
      says,
      how,
    ]),
  );

const messageTable = (): string =>
  table(
    ['nodes that hold the dialog', 'its sockets', 'node CPU', 'by the costs', 'Redis CPU', 'by the costs', 'commands'],
    MEASURED.messages.map(({ nodes, sockets, server, redis, commands }) => {
      const says = messageCost(measuredCosts(), { nodes, sockets });
      return [
        String(nodes),
        String(sockets),
        micros(server),
        `${micros(says.node)} (${off(says.node, server)})`,
        micros(redis),
        `${micros(says.redis)} (${off(says.redis, redis)})`,
        formatNumber(commands, 1),
      ];
    }),
  );

const idleTable = (): string => {
  const costs = measuredCosts();
  return table(
    [
      'idle connections on a node',
      'node CPU a second',
      'by the costs',
      'Redis CPU a second',
      'commands a second',
      'resident',
    ],
    MEASURED.idle.map(({ connections, server, redis, commands, memory }) => {
      const says = costs.node_itself + (connections * costs.node_idle_hour) / 3_600;
      return [
        formatNumber(connections, 0),
        micros(server),
        `${micros(says)} (${off(says, server)})`,
        micros(redis),
        formatNumber(commands, 0),
        formatBytes(memory),
      ];
    }),
  );
};

const loadTable = (): string => {
  const costs = measuredCosts();
  return table(
    ['nodes', 'dialogs', 'connections', 'messages', 'node cores', 'by the costs', 'Redis cores', 'by the costs'],
    MEASURED.loads.map(({ nodes, sockets, dialogs, rate, nodeCores, redisCores }) => {
      const connections = dialogs * sockets;
      const message = messageCost(costs, { nodes, sockets });
      const node =
        (rate * message.node + nodes * costs.node_itself + (connections * costs.node_idle_hour) / 3_600) / 1e6;
      const redis =
        (rate * message.redis + nodes * costs.redis_node + (connections * costs.redis_idle_hour) / 3_600) / 1e6;
      return [
        String(nodes),
        formatNumber(dialogs, 0),
        formatNumber(connections, 0),
        `${formatNumber(rate, 0)}/s`,
        formatNumber(nodeCores, 2),
        `${formatNumber(node, 2)} (${off(node, nodeCores)})`,
        formatNumber(redisCores, 2),
        `${formatNumber(redis, 2)} (${off(redis, redisCores)})`,
      ];
    }),
  );
};

const dialogText = (): string => {
  const { redis_dialog, redis_connection, redis_subscription } = MEASURED.costs;
  const { messages, bytes } = MEASURED.written;
  return [
    `Measured on ${MEASURED.machine}.`,
    `A dialog in which nobody has written keeps ${formatBytes(redis_dialog)} in Redis, one with ${messages} messages of 200 bytes ${formatBytes(bytes)};`,
    `an idle connection in its own dialog ${formatBytes(redis_connection + redis_subscription)} more while it is open: ${formatBytes(redis_connection)} its registration, ${formatBytes(redis_subscription)} the subscription.`,
  ].join(' ');
};

/** What the command prints for these arguments, as a block. */
const planBlock = (args: readonly string[]): string => {
  let text = '';
  const unused = (): never => {
    throw new Error('the calculator needs no files');
  };
  planCommand(args, {
    env: {},
    readFile: unused,
    checkWritable: unused,
    writeFile: unused,
    isTerminal: false,
    out: (more) => {
      text += more;
    },
    err: unused,
  });
  return `\`\`\`text\n$ npx replyx-load plan ${args.join(' ')}\n${text.trimEnd()}\n\`\`\``;
};

/** What of docs/capacity.md comes from the measured costs, by its marker. */
export const CAPACITY_PARTS: Readonly<Record<string, () => string>> = {
  machine: dialogText,
  costs: costTable,
  messages: messageTable,
  idle: idleTable,
  loads: loadTable,
  million: () => planBlock(['--connections', '1000000', '--rate', '20k']),
  day: () => planBlock(['--connections', '1000000', '--rate', '20k', '--history-ttl', '1d']),
};

/** The page with its current parts. Throws where it has no place for one. */
export const withCapacityParts = (page: string): string =>
  Object.entries(CAPACITY_PARTS).reduce((text, [marker, part]) => {
    const [begin, end] = [`<!-- ${marker}:begin -->\n`, `<!-- ${marker}:end -->`];
    const from = text.indexOf(begin);
    const to = text.indexOf(end, from);
    if (from === -1 || to === -1) throw new Error(`docs/capacity.md has no place for ${marker}`);
    return `${text.slice(0, from + begin.length)}${part()}\n${text.slice(to)}`;
  }, page);
