import { CONTROL_HELP, DEFAULT_INTERNAL, openControl } from '../client/control-client.js';
import { CommandFailure, type CommandIo, parseOptions, UsageError } from './command.js';

export const summary = 'have a node leave without loss';

export const help = `Usage: replyx drain <node> [--wait]

Has a node of the cluster leave as by SIGTERM, whichever node is asked: it turns not ready, waits WS_DRAIN_WAIT_SECONDS, closes its
sockets at a pace so that they resume elsewhere, and exits 0. Whatever supervises it may start it again.

  --wait             return when the node is gone
${CONTROL_HELP}
Example:
  REPLYX_API_KEY_FILE=key.txt replyx drain node-2 --wait

Exit code: 0 told (with --wait: gone), 1 refused, unreachable or still there, 2 usage.
`;

const LOOK_MS = 500;
/** Longer than any grace that a supervisor gives. */
const MOST_WAIT_MS = 600_000;

export const run = async (args: readonly string[], io: CommandIo): Promise<number> => {
  const { values, positionals } = parseOptions(
    args,
    { internal: { type: 'string', default: DEFAULT_INTERNAL }, key: { type: 'string' }, wait: { type: 'boolean' } },
    true,
  );
  const [nodeId, ...more] = positionals;
  if (nodeId === undefined || more.length > 0) throw new UsageError('drain takes the id of one node');
  const control = openControl(values, io);
  const incarnations = async (): Promise<unknown[]> => {
    const { nodes } = await control.call({ method: 'GET', path: '/v1/cluster' });
    return (Array.isArray(nodes) ? nodes : []).flatMap((node: Record<string, unknown>) =>
      node['id'] === nodeId ? [node['incarnation']] : [],
    );
  };
  const meant = values.wait === true ? await incarnations() : [];
  await control.call({ method: 'POST', path: '/v1/drain', body: { node_id: nodeId } });
  io.out(`${nodeId} is draining\n`);
  if (values.wait !== true) return 0;
  const untilMs = io.clock.monotonicMs() + MOST_WAIT_MS;
  // Another life of the node may be there already: its supervisor was quick.
  while ((await incarnations()).some((incarnation) => meant.includes(incarnation))) {
    if (io.clock.monotonicMs() > untilMs) throw new CommandFailure(`${nodeId} is still there`);
    await new Promise<void>((resolve) => io.clock.schedule(LOOK_MS, resolve));
  }
  io.out(`${nodeId} is gone\n`);
  return 0;
};
