import { BOUNDS } from '@replyx/protocol';
import { parseJsonObject } from '@replyx/protocol/schemas';
import { CommandFailure, type CommandIo } from '../commands/command.js';
import { secretOf } from './secret-variable.js';
import { unreachableWords, wasNeverSent } from './unreachable.js';

export type ApiAnswer =
  | { readonly status: 'answered'; readonly http: number; readonly body: Readonly<Record<string, unknown>> }
  | { readonly status: 'unreachable'; readonly why: string; readonly neverSent: boolean };

export interface ApiCall {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly key?: string | undefined;
  readonly body?: unknown;
  readonly deadlineMs: number;
}

/** One call to a node's internal listener. Never rejects, and never tells the key. */
export const callInternal = async (io: Pick<CommandIo, 'fetch'>, base: string, call: ApiCall): Promise<ApiAnswer> => {
  try {
    const response = await io.fetch(`${base}${call.path}`, {
      method: call.method,
      redirect: 'manual',
      signal: AbortSignal.timeout(Math.max(1, Math.round(call.deadlineMs))),
      headers: {
        ...(call.key === undefined ? {} : { authorization: `Bearer ${call.key}` }),
        ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
    });
    const parsed = parseJsonObject(await response.text(), BOUNDS.frameDepth);
    return { status: 'answered', http: response.status, body: parsed.ok ? parsed.value : {} };
  } catch (error) {
    return { status: 'unreachable', why: unreachableWords(error), neverSent: wasNeverSent(error) };
  }
};

/** The API key of an option or of REPLYX_API_KEY. Throws `CommandFailure`, which never repeats it. */
export const apiKeyOf = (option: string | undefined, io: CommandIo): string => {
  const key = option ?? secretOf('REPLYX_API_KEY', io);
  if (key === undefined) {
    throw new CommandFailure('there is no API key: set REPLYX_API_KEY or REPLYX_API_KEY_FILE (or --key)');
  }
  // What no header can hold would be refused by `fetch` with a message that repeats it.
  if (!/^[\x21-\x7e]+$/.test(key)) throw new CommandFailure('the API key is not valid: it holds a blank or no ASCII');
  return key;
};
