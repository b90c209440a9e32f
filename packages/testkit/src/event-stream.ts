import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import type { ReceivedFrame } from './client.js';
import { until } from './wait.js';

export interface EventStreamOptions {
  /** With the path, `http://127.0.0.1:8080/api/site/dialogs/d/events`; may hold a query. */
  readonly url: string;
  readonly token?: string;
  readonly origin?: string;
  readonly lastEventId?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One server-sent event whose data is a frame. */
export interface ReceivedEvent {
  readonly id?: string;
  readonly frame: ReceivedFrame;
}

/** Parses what a stream of events brings; the last part of an event that is not whole is kept. */
const eventsOf = (
  text: string,
): { readonly events: ReceivedEvent[]; readonly comments: number; readonly rest: string } => {
  const blocks = text.split('\n\n');
  const rest = blocks.pop() ?? '';
  let comments = 0;
  const events: ReceivedEvent[] = [];
  for (const block of blocks) {
    const fields = block.split('\n').filter((line) => line !== '');
    comments += fields.filter((line) => line.startsWith(':')).length;
    const value = (name: string) => fields.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
    const [id, data] = [value('id'), value('data')];
    if (data === undefined) continue;
    events.push({ ...(id === undefined ? {} : { id }), frame: JSON.parse(data) as ReceivedFrame });
  }
  return { events, comments, rest };
};

/** A reader of server-sent events that records what it gets. */
export class EventStreamClient {
  readonly events: ReceivedEvent[] = [];
  comments = 0;
  /** Of the answer; 0 before it has come. */
  status = 0;
  headers: IncomingMessage['headers'] = {};
  /** Of an answer that is no stream. */
  body = '';
  /** How it ended: `end` in an orderly way, `cut` without a last chunk. Undefined while it lives. */
  ended: 'end' | 'cut' | undefined;
  readonly #request: ClientRequest;
  #response: IncomingMessage | undefined;

  constructor({ url, token, origin, lastEventId, headers = {} }: EventStreamOptions) {
    this.#request = request(url, {
      agent: false,
      headers: {
        accept: 'text/event-stream',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(origin === undefined ? {} : { origin }),
        ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
        ...headers,
      },
    });
    this.#request.on('response', (response) => this.#receive(response));
    this.#request.on('error', () => {
      this.ended ??= 'cut';
    });
    this.#request.end();
  }

  get frames(): ReceivedFrame[] {
    return this.events.map(({ frame }) => frame);
  }

  messages(): ReceivedFrame[] {
    return this.frames.filter(({ type }) => type === 'message');
  }

  /** Id of the last event that had one: where to resume. */
  get lastEventId(): string | undefined {
    return this.events.findLast(({ id }) => id !== undefined)?.id;
  }

  /** The first frame that matches, among those that have arrived or will. */
  async waitFor(match: string | ((frame: ReceivedFrame) => boolean)): Promise<ReceivedFrame> {
    const test = typeof match === 'string' ? ({ type }: ReceivedFrame) => type === match : match;
    return await until(() => this.frames.find(test), {
      what: typeof match === 'string' ? `the frame ${match}` : 'a matching frame',
      everyMs: 5,
    });
  }

  /** Resolves when the stream has ended, for whatever reason. */
  async end(): Promise<'end' | 'cut'> {
    return await until(() => this.ended, { what: 'the stream to end', everyMs: 5 });
  }

  pauseReading(): void {
    this.#response?.pause();
  }

  resumeReading(): void {
    this.#response?.resume();
  }

  /** Drops the connection. */
  abort(): void {
    this.#request.destroy();
  }

  #receive(response: IncomingMessage): void {
    this.#response = response;
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    const isStream = String(response.headers['content-type']).startsWith('text/event-stream');
    let text = '';
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      if (!isStream) {
        this.body += chunk;
        return;
      }
      const parsed = eventsOf(text + chunk);
      text = parsed.rest;
      this.comments += parsed.comments;
      this.events.push(...parsed.events);
    });
    response.on('end', () => {
      this.ended ??= 'end';
    });
    response.on('error', () => {
      this.ended ??= 'cut';
    });
  }
}

/** Opens a stream of events and waits for `connected`, or for the answer that refuses it. */
export const openEvents = async (options: EventStreamOptions): Promise<EventStreamClient> => {
  const client = new EventStreamClient(options);
  await until(() => client.ended !== undefined || client.frames.length > 0, {
    what: 'the stream to begin',
    everyMs: 5,
  });
  return client;
};
