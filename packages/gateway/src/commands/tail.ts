import {
  type ConnectedFrame,
  isId,
  type Position,
  type PublicationFrame,
  parsePosition,
  type Track,
} from '@replyx/protocol';
import { parseAddresses } from '../client/addresses.js';
import { CREDENTIAL_HELP, CREDENTIAL_OPTIONS, openCredential } from '../client/credential.js';
import { DialogClient, type DialogOutcome, trackOf } from '../client/dialog-client.js';
import { jsonLine, printable } from '../client/printable.js';
import { endingWords } from '../client/reconnect.js';
import { CommandFailure, type CommandIo, parseOptions, UsageError } from './command.js';

export const summary = 'follow a dialog';

const DEFAULT_URL = 'ws://127.0.0.1:8081';

export const help = `Usage: replyx tail <dialog> [--url ws://host:port,ws://...] [--from epoch:offset] [--notes] [--json]

Prints each message of a dialog with its offset and sender as it is published, until Ctrl-C. When its node goes away it
resumes from where it stood on the next address, so that nothing is lost or repeated; what happened is said on standard error.

  --url <list>                 addresses of nodes, tried in turn (${DEFAULT_URL})
  --from <epoch:offset>        what was published since that position first; <epoch>:0 is everything that is kept
  --notes                      operators' notes too
  --notes-from <epoch:offset>  the same position for notes
  --json                       print each as one JSON object, with "epoch" and "offset" to resume from

${CREDENTIAL_HELP}

Examples:
  REPLYX_TOKEN_FILE=token.txt replyx tail d1 --url wss://gateway.example
  replyx tail d1 --tenant acme --url ws://127.0.0.1:8081,ws://127.0.0.1:8082 --notes
  replyx tail d1 --tenant acme --json | jq -r .text

Control characters in texts are shown as \\u escapes. Exit code: 0 stopped, 1 refused for good or unreachable, 2 usage.
`;

const positionOf = (option: string, text: string | undefined): Position | undefined => {
  if (text === undefined) return undefined;
  const [epoch, offset, ...rest] = text.split(':');
  const position = rest.length === 0 ? parsePosition(epoch, offset) : 'malformed';
  if (position === undefined || position === 'malformed') throw new UsageError(`${option} takes epoch:offset`);
  return position;
};

const lineOf = (frame: PublicationFrame): string => {
  const { role, id, name } = frame.sender;
  const who = `${role} ${id}${name === undefined ? '' : ` (${name})`}`;
  return printable(
    `${String(frame.offset).padStart(6)}  ${frame.type === 'note' ? 'note, ' : ''}${who}: ${frame.text}`,
  );
};

const written = ({ epoch, offset }: Position): string => `${epoch}:${offset}`;
const WHAT: Readonly<Record<Track, string>> = { main: 'message', internal: 'note' };
const counted = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

/** What became of one track on joining: the reader must know whether the lines above and below are continuous. */
const joinedWords = (
  track: Track,
  place: Pick<ConnectedFrame, 'epoch' | 'offset' | 'head' | 'recovered'>,
  from: Position | undefined,
): string => {
  if (from === undefined) return `${WHAT[track]}s from ${written(place)} on`;
  if (place.recovered) return `recovered ${counted(Math.max(0, place.head - place.offset), WHAT[track])}`;
  return `${WHAT[track]}s are not continuous: those between ${written(from)} and ${written(place)} are not shown`;
};

const connectedWords = (
  frame: ConnectedFrame,
  tracks: readonly Track[],
  from: Readonly<Partial<Record<Track, Position>>>,
): string =>
  tracks
    .flatMap((track) => {
      const place = track === 'main' ? frame : frame.internal;
      return place === undefined ? [] : joinedWords(track, place, from[track]);
    })
    .join(', ');

const failureOf = (outcome: Exclude<DialogOutcome, { status: 'stopped' }>): CommandFailure =>
  new CommandFailure(
    outcome.status === 'refused'
      ? `${outcome.url} refused for good: ${endingWords(outcome.ending)}`
      : `no node can be reached: ${outcome.tried.map(({ url, ending }) => `${url} (${endingWords(ending)})`).join(', ')}`,
  );

export const run = async (args: readonly string[], io: CommandIo): Promise<number> => {
  const { values, positionals } = parseOptions(
    args,
    {
      ...CREDENTIAL_OPTIONS,
      url: { type: 'string', default: DEFAULT_URL },
      from: { type: 'string' },
      notes: { type: 'boolean' },
      'notes-from': { type: 'string' },
      json: { type: 'boolean' },
    },
    true,
  );
  const [dialogId, ...rest] = positionals;
  if (!isId(dialogId) || rest.length > 0) throw new UsageError('tail takes the id of one dialog');
  const urls = parseAddresses('--url', values.url, ['ws:', 'wss:']);
  const main = positionOf('--from', values.from);
  const internal = positionOf('--notes-from', values['notes-from']);
  const tracks: readonly Track[] = values.notes === true || internal !== undefined ? ['main', 'internal'] : ['main'];
  const credential = await openCredential(dialogId, values, io);

  const say = (text: string): void => io.err(`replyx: ${printable(text)}\n`);
  let before = false;
  const client = new DialogClient({
    urls,
    dialogId,
    credential,
    tracks,
    from: { ...(main === undefined ? {} : { main }), ...(internal === undefined ? {} : { internal }) },
    failFast: true,
    clock: io.clock,
    random: io.random,
    onConnected: (frame, url, from) => {
      if (!before && tracks.includes('internal') && frame.internal === undefined) say('visitors get no notes');
      say(`${before ? 'reconnected' : 'connected'} to ${url} as ${frame.role}, ${connectedWords(frame, tracks, from)}`);
      before = true;
    },
    onPublication: (frame, epoch) => {
      io.out(values.json === true ? jsonLine({ epoch, track: trackOf(frame), ...frame }) : `${lineOf(frame)}\n`);
    },
    onReset: (frame, at) => {
      const since = at === undefined ? '' : `, and what followed ${written(at)} may be lost`;
      say(`reset (${frame.reason}): ${WHAT[frame.track]}s continue from ${written(frame)}${since}`);
    },
    onLost: (ending, url, next) => {
      const wait = next.delayMs === 0 ? 'at once' : `in ${(next.delayMs / 1000).toFixed(1)} s`;
      say(`lost ${url} (${endingWords(ending)}); trying ${next.url} ${wait}`);
    },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => client.stop());
  const outcome = await client.run();
  if (outcome.status !== 'stopped') throw failureOf(outcome);
  return 0;
};
