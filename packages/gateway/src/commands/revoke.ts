import { API_BODIES } from '@replyx/protocol/schemas';
import { CONTROL_HELP, CONTROL_OPTIONS, openControl, type Row } from '../client/control-client.js';
import { parseDuration } from '../client/duration.js';
import { jsonLine, printable } from '../client/printable.js';
import { moment, textTable } from '../client/text-table.js';
import { type CommandIo, parseOptions, UsageError } from './command.js';

export const summary = 'revoke tokens, list and lift revocations';

const PATH = '/v1/revocations';

export const help = `Usage: replyx revoke --jti <id>
       replyx revoke --sub <id> [--tenant <id>] [--issued-before <time>]
       replyx revoke --assistant <id> --below-version <n>
       replyx revoke --dialog <id>
       replyx revoke --list | --lift <id>

Revokes tokens on every node of a cluster: connections that use them are closed with 4005 within a second, and nobody comes in
with them. A token falls with the one that it was minted from. Prints the id of the revocation, which --lift takes.

  --jti              one token
  --sub              tokens of a user, without --tenant in every tenant
  --issued-before    those issued at or before: seconds since 1970 or 2027-01-31T12:00:00Z (now)
  --assistant        site and visitor tokens of an assistant with a widget version below --below-version
  --dialog           everything that opens a dialog
  --ttl <time>       how long it lasts: 90d, 12h, 30m or seconds; at least as long as tokens live, which is the default
  --json             print what the API answers
${CONTROL_HELP}
Examples:
  REPLYX_API_KEY_FILE=key.txt replyx revoke --sub alice --tenant acme
  replyx revoke --assistant bot --below-version 7
  replyx revoke --list --json | jq '.revocations[] | select(.by == "subject")'

Exit code: 0 done, 1 refused or unreachable, 2 usage.
`;

const FIELDS = {
  jti: 'jti',
  sub: 'sub',
  tenant: 'tenant',
  'issued-before': 'issued_before',
  assistant: 'assistant_id',
  'below-version': 'below_version',
  dialog: 'dialog_id',
  ttl: 'ttl_seconds',
} as const;

type Option = keyof typeof FIELDS;
const text = { type: 'string' } as const;
const OPTIONS = Object.fromEntries(Object.keys(FIELDS).map((name) => [name, text])) as Record<Option, typeof text>;

const seconds = (given: string): number | undefined => {
  if (/^\d{1,11}(\.\d{1,3})?$/.test(given)) return Number(given);
  const ms = /^\d{4}-\d{2}-\d{2}T/.test(given) ? Date.parse(given) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms / 1_000;
};

const READ: Partial<Record<Option, (given: string) => number | undefined>> = {
  'issued-before': seconds,
  'below-version': (given) => (/^\d{1,15}$/.test(given) ? Number(given) : undefined),
  ttl: parseDuration,
};

const bodyOf = (values: Readonly<Record<string, string | boolean | undefined>>): Row => {
  const body: Record<string, unknown> = {};
  for (const [option, field] of Object.entries(FIELDS) as [Option, string][]) {
    const given = values[option];
    if (typeof given !== 'string') continue;
    const value = (READ[option] ?? ((same: string) => same))(given);
    if (value === undefined) throw new UsageError(`--${option} is not valid`);
    body[field] = value;
  }
  if (!API_BODIES.revocation.safeParse(body).success) {
    throw new UsageError(
      'revoke takes one of --jti, --sub (with --tenant, --issued-before), --assistant with --below-version, --dialog; --list; or --lift',
    );
  }
  return body;
};

const shown = (value: unknown): string => printable(String(value));

const whatOf = (row: Row): string => {
  switch (row['by']) {
    case 'jti':
      return `token ${shown(row['jti'])}`;
    case 'subject': {
      const tenant = row['tenant'] === undefined ? 'every tenant' : shown(row['tenant']);
      const before = typeof row['issued_before'] === 'number' ? moment(row['issued_before'] * 1_000) : '-';
      return `user ${shown(row['sub'])} of ${tenant}, issued up to ${before}`;
    }
    case 'assistant':
      return `assistant ${shown(row['assistant_id'])} below version ${shown(row['below_version'])}`;
    default:
      return `dialog ${shown(row['dialog_id'])}`;
  }
};

export const run = async (args: readonly string[], io: CommandIo): Promise<number> => {
  const { values } = parseOptions(args, { ...OPTIONS, ...CONTROL_OPTIONS });
  const { list, lift, json } = values;
  const asked = Object.keys(OPTIONS).filter((name) => values[name as Option] !== undefined);
  if ((list === true || lift !== undefined) && (asked.length > 0 || (list === true && lift !== undefined))) {
    throw new UsageError(`${list === true ? '--list' : '--lift'} stands alone`);
  }
  if (list === true) {
    const rows = await openControl(values, io).list(PATH, 'revocations');
    const cells = rows.map((row) => [shown(row['id']), moment(row['expires_at']), whatOf(row)]);
    if (json === true) io.out(jsonLine({ revocations: rows }));
    else if (rows.length > 0) io.out(textTable(['id', 'until', 'what'], cells));
  } else if (lift !== undefined) {
    await openControl(values, io).lift(PATH, lift);
    io.out(json === true ? jsonLine({ lifted: lift }) : `${lift}\n`);
  } else {
    const body = bodyOf(values);
    const answer = await openControl(values, io).call({ method: 'POST', path: PATH, body });
    io.out(json === true ? jsonLine(answer) : `${shown(answer['id'])}\n`);
  }
  return 0;
};
