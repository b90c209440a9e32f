import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { CommandFailure } from './command.js';

/** A node's internal listener, as far as a load needs it. The key is sent and never shown. */
export interface InternalApi {
  /** Resolves the status; the answer's body is not read. */
  call(method: 'PUT' | 'DELETE', path: string, body?: unknown): Promise<number>;
  close(): void;
}

const DEADLINE_MS = 10_000;
const AGENT = { keepAlive: true, maxSockets: 32 };

/**
 * Calls go to the addresses in turn, and on to the next where one gives no answer (once more where there is one only: it may have
 * closed a connection that was idle). Rejects with `CommandFailure` when none answers.
 */
export const internalApi = (urls: readonly string[], key: string): InternalApi => {
  const agents = { 'http:': new HttpAgent(AGENT), 'https:': new HttpsAgent(AGENT) };
  let turn = 0;
  const callOne = (url: URL, method: string, body: string | undefined): Promise<number> =>
    new Promise((resolve, reject) => {
      const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
        method,
        agent: agents[url.protocol as keyof typeof agents],
        timeout: DEADLINE_MS,
        headers: {
          authorization: `Bearer ${key}`,
          ...(body === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
        },
      });
      request.on('response', (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode ?? 0));
        response.on('error', reject);
      });
      request.on('timeout', () => request.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })));
      request.on('error', reject);
      request.end(body);
    });
  return {
    call: async (method, path, body) => {
      let why = 'it has no address';
      for (let tried = 0; tried <= urls.length; tried += 1) {
        const base = urls[turn % urls.length] ?? '';
        turn += 1;
        try {
          return await callOne(
            new URL(`${base}${path}`),
            method,
            body === undefined ? undefined : JSON.stringify(body),
          );
        } catch (error) {
          why = `${base} can't be reached (${(error as NodeJS.ErrnoException).code ?? 'no answer'})`;
        }
      }
      throw new CommandFailure(why);
    },
    close: () => {
      for (const agent of Object.values(agents)) agent.destroy();
    },
  };
};

/** Runs `work` over the numbers below `count`, at most `width` at once; the first failure is the outcome. */
export const inParallel = async (count: number, width: number, work: (n: number) => Promise<void>): Promise<void> => {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const n = next;
      next += 1;
      await work(n);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, worker));
};
