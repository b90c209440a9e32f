import { BackplaneUnavailable } from '@replyx/core';
import { BOUNDS } from '@replyx/protocol';
import type { HttpAnswer, HttpCall, HttpRoute } from '../http/http.js';
import { Problem, problemAnswer } from '../http/problem.js';
import type { HttpRequest, HttpResponse, TemplatedApp } from './module.js';

export interface HttpAppOptions {
  readonly routes: readonly HttpRoute[];
  /** Judges the `Authorization` of a route that is not open. */
  readonly authorized: (authorization: string | undefined) => boolean;
  /** For a caller that is authorized: what was counted against its key. Throws `Problem`. */
  readonly limit?: (authorization: string | undefined) => Promise<void>;
  readonly onAnswer: (route: string, status: number) => void;
  readonly onBug: (error: unknown) => void;
}

const STATUS_TEXT: Readonly<Record<number, string>> = {
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  204: 'No Content',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  413: 'Payload Too Large',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

/**
 * Answers in one write. `close` ends the connection after it: `end` alone leaves it open, for a refused peer to use again.
 * The response must not have been aborted.
 */
export const writeAnswer = (res: HttpResponse, answer: HttpAnswer, close = false): void => {
  res.cork(() => {
    res.writeStatus(`${answer.status} ${STATUS_TEXT[answer.status] ?? 'Unknown'}`);
    if (answer.type !== '') res.writeHeader('Content-Type', answer.type);
    const headers = { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff', ...answer.headers };
    for (const [name, value] of Object.entries(headers)) res.writeHeader(name, value);
    // Where it closes, the module writes `Connection: close` by itself; a length of `undefined` would be a very large one.
    if (answer.status !== 204) res.end(answer.body, close);
    else if (close) res.endWithoutBody(0, true);
    else res.endWithoutBody();
  });
};

/** Collects a body up to the bound; `undefined`: the bound was passed. Not told at all where the peer went. */
export const readAll = (res: HttpResponse, maxBytes: number, done: (body: Uint8Array | undefined) => void): void => {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  res.onData((chunk, isLast) => {
    if (bytes > maxBytes) return;
    bytes += chunk.byteLength;
    if (bytes > maxBytes) {
      done(undefined);
      return;
    }
    // The chunk's buffer is taken away when this handler returns.
    chunks.push(new Uint8Array(chunk.slice(0)));
    if (isLast) done(Buffer.concat(chunks));
  });
};

export const copyRequest = (req: HttpRequest, parameterCount: number): Omit<HttpCall, 'body' | 'gone'> => {
  const headers = new Map<string, string>();
  req.forEach((name, value) => {
    const earlier = headers.get(name);
    headers.set(name, earlier === undefined ? value : `${earlier}, ${value}`);
  });
  return {
    method: req.getMethod(),
    path: req.getUrl(),
    parameters: Array.from({ length: parameterCount }, (_, index) => req.getParameter(index) ?? ''),
    query: new URLSearchParams(req.getQuery()),
    header: (name) => headers.get(name),
  };
};

/** Puts routes on an app, with a 404 for everything else. Every handler's failure becomes an answer. */
export const serveHttp = (app: TemplatedApp, options: HttpAppOptions): void => {
  for (const route of options.routes) {
    const parameterCount = route.path.split('/:').length - 1;
    app[route.method](route.path, (res, req) => {
      let aborted = false;
      const gone = new AbortController();
      res.onAborted(() => {
        aborted = true;
        gone.abort();
      });
      const finish = (answer: HttpAnswer, close = false): void => {
        if (aborted) return;
        aborted = true;
        options.onAnswer(route.path, answer.status);
        writeAnswer(res, answer, close);
      };
      const failed = (error: unknown): void => {
        if (error instanceof Problem) finish(problemAnswer(error));
        else if (error instanceof BackplaneUnavailable) finish(problemAnswer(new Problem('unavailable')));
        else {
          options.onBug(error);
          finish(problemAnswer(new Problem('internal')));
        }
      };
      try {
        const copied = copyRequest(req, parameterCount);
        if (route.open !== true && !options.authorized(copied.header('authorization'))) {
          finish({ ...problemAnswer(new Problem('unauthorized')), headers: { 'WWW-Authenticate': 'Bearer' } }, true);
          return;
        }
        const run = (body: Uint8Array): void => {
          Promise.resolve()
            .then(() => (route.open === true ? undefined : options.limit?.(copied.header('authorization'))))
            .then(() => route.handle({ ...copied, body, gone: gone.signal }))
            .then((answer) => finish(answer), failed);
        };
        if (route.method === 'get') run(new Uint8Array());
        else
          readAll(res, BOUNDS.apiBodyBytes, (body) => {
            if (body === undefined) finish(problemAnswer(new Problem('too_large')), true);
            else run(body);
          });
      } catch (error) {
        failed(error);
      }
    });
  }
  app.any('/*', (res) => {
    options.onAnswer('other', 404);
    writeAnswer(res, problemAnswer(new Problem('not_found')), true);
  });
};
