import { BOUNDS, FRAME_ID_PATTERN, isId, isSubject, type Track } from '@replyx/protocol';
import { parseAddresses } from '../client/addresses.js';
import { sendAsBackend } from '../client/backend-sender.js';
import { CREDENTIAL_HELP, CREDENTIAL_OPTIONS, openCredential } from '../client/credential.js';
import { apiKeyOf } from '../client/internal-api.js';
import { jsonLine } from '../client/printable.js';
import { type Outgoing, type SendResult, sendOnSocket } from '../client/socket-sender.js';
import { CommandFailure, type CommandIo, parseOptions, UsageError } from './command.js';

export const summary = 'write one message to a dialog';

const DEFAULT_URL = 'ws://127.0.0.1:8081';
const DEFAULT_INTERNAL = 'http://127.0.0.1:9091';
const DEFAULT_TIMEOUT_SECONDS = 10;
const MAX_TIMEOUT_SECONDS = 3_600;

export const help = `Usage: replyx send <dialog> <text>|- [--url ws://host:port,ws://...] [--note] [--json]
       replyx send <dialog> <text>|- --as assistant|manager|system --id <sender> [--internal http://host:port,...]

Writes one message, from standard input with "-", and prints its offset when the gateway has acknowledged it. What may pass by
itself (a node that went away, a limit, a Redis that is away) is tried again with the same id, which never makes a second
message.

  --note               a note, which operators alone see
  --id-key <id>        id of the message (random): a second call with it, by the same sender, sends nothing
  --timeout <seconds>  how long to try, 1 to ${MAX_TIMEOUT_SECONDS} (${DEFAULT_TIMEOUT_SECONDS})
  --json               print {"id", "track", "offset", "duplicate"}

Over a socket, as an operator or a visitor:
  --url <list>         addresses of nodes, tried in turn (${DEFAULT_URL})

${CREDENTIAL_HELP}

Through the internal listener, as a backend does, with the API key of REPLYX_API_KEY, of REPLYX_API_KEY_FILE or of --key:
  --as assistant|manager|system, --id <sender>, --name <name>
  --internal <list>    internal addresses of nodes, tried in turn (${DEFAULT_INTERNAL})

Examples:
  REPLYX_TOKEN_FILE=token.txt replyx send d1 'Hello'
  replyx send d1 'Hello' --tenant acme --as visitor --assistant bot
  REPLYX_API_KEY_FILE=key.txt replyx send d1 'How can I help?' --as assistant --id bot
  date | replyx send d1 - --tenant acme --note
  replyx send d1 --tenant acme -- '--a text that begins with dashes'

Exit code: 0 acknowledged, 1 refused, unreachable or out of time, 2 usage.
`;

const OPTIONS = {
  ...CREDENTIAL_OPTIONS,
  url: { type: 'string' },
  internal: { type: 'string' },
  key: { type: 'string' },
  id: { type: 'string' },
  'id-key': { type: 'string' },
  note: { type: 'boolean' },
  timeout: { type: 'string', default: String(DEFAULT_TIMEOUT_SECONDS) },
  json: { type: 'boolean' },
} as const;

const BACKEND_ROLES = ['assistant', 'manager', 'system'] as const;
type BackendRole = (typeof BACKEND_ROLES)[number];

const isBackendRole = (role: string | undefined): role is BackendRole => BACKEND_ROLES.some((known) => known === role);

const textOf = async (given: string, io: CommandIo): Promise<string> => {
  // The last line's end belongs to the terminal, not to the message.
  const text = given === '-' ? (await io.readInput()).replace(/\r?\n$/, '') : given;
  if (text === '') throw new UsageError('the text is empty');
  if (text.length > BOUNDS.textUnits) throw new UsageError(`the text is longer than ${BOUNDS.textUnits} UTF-16 units`);
  if (!text.isWellFormed()) throw new UsageError('the text is not well-formed Unicode');
  return text;
};

const timeoutMsOf = (text: string): number => {
  const seconds = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (seconds < 1 || seconds > MAX_TIMEOUT_SECONDS)
    throw new UsageError(`--timeout takes 1 to ${MAX_TIMEOUT_SECONDS} seconds`);
  return seconds * 1000;
};

const parse = (args: readonly string[]) => parseOptions(args, OPTIONS, true);
type Values = ReturnType<typeof parse>['values'];

const refuseOptions = (values: Values, names: readonly (keyof Values)[], why: string): void => {
  const given = names.find((name) => values[name] !== undefined);
  if (given !== undefined) throw new UsageError(`--${given} ${why}`);
};

const sendWith = async (outgoing: Outgoing, values: Values, io: CommandIo): Promise<SendResult> => {
  const { as } = values;
  if (isBackendRole(as)) {
    refuseOptions(
      values,
      ['url', 'token', 'origin', 'tenant', 'sub', 'role', 'assistant'],
      `does not go with --as ${as}`,
    );
    if (!isSubject(values.id)) throw new UsageError(`--as ${as} needs --id, the sender's id`);
    if (values.name !== undefined && !isSubject(values.name)) throw new UsageError('--name is not valid');
    return sendAsBackend(
      {
        ...outgoing,
        sender: { role: as, id: values.id, ...(values.name === undefined ? {} : { name: values.name }) },
        addresses: parseAddresses('--internal', values.internal ?? DEFAULT_INTERNAL, ['http:', 'https:']),
        key: apiKeyOf(values.key, io),
      },
      io,
    );
  }
  if (as !== undefined && as !== 'operator' && as !== 'visitor') {
    throw new UsageError('--as takes operator, visitor, assistant, manager or system');
  }
  refuseOptions(values, ['internal', 'key', 'id'], 'goes with --as assistant, manager or system');
  const urls = parseAddresses('--url', values.url ?? DEFAULT_URL, ['ws:', 'wss:']);
  return sendOnSocket({ ...outgoing, urls, credential: await openCredential(outgoing.dialogId, values, io) }, io);
};

export const run = async (args: readonly string[], io: CommandIo): Promise<number> => {
  const { values, positionals } = parse(args);
  const [dialogId, given, ...rest] = positionals;
  if (!isId(dialogId) || given === undefined || rest.length > 0) {
    throw new UsageError('send takes the id of a dialog and one text, in quotes, or "-" for standard input');
  }
  const id = values['id-key'] ?? Buffer.from(io.random.bytes(16)).toString('base64url');
  if (!FRAME_ID_PATTERN.test(id) || !id.isWellFormed()) {
    throw new UsageError(`--id-key takes 1 to ${BOUNDS.frameIdChars} characters, no control characters`);
  }
  const timeoutMs = timeoutMsOf(values.timeout);
  const track: Track = values.note === true ? 'internal' : 'main';
  const result = await sendWith({ dialogId, id, text: await textOf(given, io), track, timeoutMs }, values, io);
  if (result.status === 'refused') throw new CommandFailure(`refused: ${result.why}`);
  if (result.status === 'timeout') {
    const unknown = result.mayBeStored
      ? `; whether it was stored is not known, --id-key ${id} makes it safe to send again`
      : '';
    throw new CommandFailure(`not acknowledged within ${timeoutMs / 1000} s: ${result.why}${unknown}`);
  }
  const { offset, duplicate } = result;
  io.out(values.json === true ? jsonLine({ id, track, offset, duplicate }) : `${offset}\n`);
  return 0;
};
