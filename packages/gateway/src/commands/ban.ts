import { readBanNetwork } from '@replyx/core';
import { API_BODIES } from '@replyx/protocol/schemas';
import { CONTROL_HELP, CONTROL_OPTIONS, openControl, type Row } from '../client/control-client.js';
import { parseDuration } from '../client/duration.js';
import { jsonLine, printable } from '../client/printable.js';
import { moment, textTable } from '../client/text-table.js';
import { type CommandIo, parseOptions, UsageError } from './command.js';

export const summary = 'ban addresses, list and lift bans';

const PATH = '/v1/bans';

export const help = `Usage: replyx ban <address|network> --ttl <time> [--reason <text>]
       replyx ban --list | --lift <id>

Bans an address or a network on every node of a cluster. An IPv6 address is banned with its /64; the widest network is a /8, in
IPv6 a /16. Prints the id of the ban, which --lift takes. The list also has the bans by threat score.

  --ttl <time>       how long: 1h, 30m, 7d or seconds
  --reason <text>    why, for those who read the list
  --json             print what the API answers
${CONTROL_HELP}
Examples:
  REPLYX_API_KEY_FILE=key.txt replyx ban 198.51.100.7 --ttl 1h --reason 'guesses tokens'
  replyx ban 2001:db8::/32 --ttl 7d
  replyx ban --list

Exit code: 0 done, 1 refused or unreachable, 2 usage.
`;

const shown = (value: unknown): string => (value === undefined ? '' : printable(String(value)));

const bodyOf = (network: string, ttl: string | undefined, reason: string | undefined): Row => {
  const read = readBanNetwork(network);
  if (!read.ok) throw new UsageError(`the network ${read.why}`);
  const ttl_seconds = ttl === undefined ? undefined : parseDuration(ttl);
  if (ttl_seconds === undefined) throw new UsageError('ban needs --ttl, such as 1h, 30m or 7d');
  const body = { network, ttl_seconds, ...(reason === undefined ? {} : { reason }) };
  const parsed = API_BODIES.ban.safeParse(body);
  if (!parsed.success) {
    throw new UsageError(`--${parsed.error.issues[0]?.path[0] === 'reason' ? 'reason' : 'ttl'} is not valid`);
  }
  return body;
};

export const run = async (args: readonly string[], io: CommandIo): Promise<number> => {
  const { values, positionals } = parseOptions(
    args,
    { ttl: { type: 'string' }, reason: { type: 'string' }, ...CONTROL_OPTIONS },
    true,
  );
  const { list, lift, json, ttl, reason } = values;
  const [network, ...more] = positionals;
  const asks = [network, ttl, reason].some((given) => given !== undefined);
  if ((list === true || lift !== undefined) && (asks || (list === true && lift !== undefined))) {
    throw new UsageError(`${list === true ? '--list' : '--lift'} stands alone`);
  }
  if (list === true) {
    const rows = await openControl(values, io).list(PATH, 'bans');
    const cells = rows.map((row) => [
      shown(row['id']),
      shown(row['network']),
      moment(row['expires_at']),
      shown(row['source']),
      shown(row['reason']),
    ]);
    if (json === true) io.out(jsonLine({ bans: rows }));
    else if (rows.length > 0) io.out(textTable(['id', 'network', 'until', 'by', 'reason'], cells));
  } else if (lift !== undefined) {
    await openControl(values, io).lift(PATH, lift);
    io.out(json === true ? jsonLine({ lifted: lift }) : `${lift}\n`);
  } else {
    if (network === undefined || more.length > 0)
      throw new UsageError('ban takes one address or network; --list; or --lift');
    const body = bodyOf(network, ttl, reason);
    const answer = await openControl(values, io).call({ method: 'POST', path: PATH, body });
    io.out(json === true ? jsonLine(answer) : `${shown(answer['id'])}\n`);
  }
  return 0;
};
