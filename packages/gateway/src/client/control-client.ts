import { BOUNDS, isId } from '@replyx/protocol';
import { CommandFailure, type CommandIo, UsageError } from '../commands/command.js';
import { parseAddresses } from './addresses.js';
import { type ApiAnswer, type ApiCall, apiKeyOf, callInternal } from './internal-api.js';
import { printable } from './printable.js';

export const DEFAULT_INTERNAL = 'http://127.0.0.1:9091';
const DEADLINE_MS = 5_000;
/** Most entries that a list shows. */
const MAX_LISTED = 100_000;

export const CONTROL_OPTIONS = {
  internal: { type: 'string', default: DEFAULT_INTERNAL },
  key: { type: 'string' },
  list: { type: 'boolean' },
  lift: { type: 'string' },
  json: { type: 'boolean' },
} as const;

export const CONTROL_HELP = `  --internal <list>  internal addresses of nodes, tried in turn (${DEFAULT_INTERNAL})
  --key <key>        API key; better REPLYX_API_KEY or REPLYX_API_KEY_FILE: other users of the machine can read the list of
                     processes
`;

export type Row = Readonly<Record<string, unknown>>;

const isRow = (value: unknown): value is Row => typeof value === 'object' && value !== null;

const refusalOf = ({ http, body }: Extract<ApiAnswer, { status: 'answered' }>): string => {
  if (http === 401) return 'does not accept the API key';
  const { code, detail, title } = body;
  const words = [detail, title].find((text): text is string => typeof text === 'string');
  return typeof code === 'string'
    ? printable(`refused: ${code}: ${words ?? ''}`)
    : `is no internal listener (HTTP ${http})`;
};

export interface ControlClient {
  /** The answer's body. Throws `CommandFailure`, in one line. */
  call(call: Pick<ApiCall, 'method' | 'path' | 'body'>): Promise<Row>;
  /** All entries of a list, page by page. */
  list(path: string, field: string): Promise<Row[]>;
  lift(path: string, id: string): Promise<void>;
}

/** Calls nodes of a cluster about revocations and bans; what they answer is the same on each. */
export const openControl = (
  options: { readonly internal: string; readonly key?: string | undefined },
  io: CommandIo,
): ControlClient => {
  const addresses = parseAddresses('--internal', options.internal, ['http:', 'https:']);
  const key = apiKeyOf(options.key, io);
  const call: ControlClient['call'] = async (request) => {
    const failures: string[] = [];
    for (const address of addresses) {
      const answer = await callInternal(io, address, { ...request, key, deadlineMs: DEADLINE_MS });
      if (answer.status === 'answered' && answer.http < 300) return answer.body;
      // Every call may be repeated: what it asks for is the same once and twice.
      const isFinal = answer.status === 'answered' && answer.http < 500;
      failures.push(
        `${address} ${answer.status === 'answered' ? refusalOf(answer) : `can't be reached (${answer.why})`}`,
      );
      if (isFinal) break;
    }
    throw new CommandFailure(failures.join('; '));
  };
  return {
    call,
    list: async (path, field) => {
      const rows: Row[] = [];
      let after = '';
      while (rows.length < MAX_LISTED) {
        const body = await call({ method: 'GET', path: `${path}?limit=${BOUNDS.controlPage}${after}` });
        const { [field]: page, next } = body;
        rows.push(...(Array.isArray(page) ? page.filter(isRow) : []));
        if (typeof next !== 'string') break;
        after = `&after=${encodeURIComponent(next)}`;
      }
      return rows;
    },
    lift: async (path, id) => {
      if (!isId(id)) throw new UsageError('--lift takes an id as --list shows it');
      await call({ method: 'DELETE', path: `${path}/${id}` });
    },
  };
};
