import type { RouteDescription } from './route-table.js';

/** One HTTP request as handlers see it: bounded, complete, and still valid after an await. */
export interface HttpCall {
  readonly method: string;
  readonly path: string;
  /** The path's parameters in order, percent-decoding left undone: ids need none. */
  readonly parameters: readonly string[];
  readonly query: URLSearchParams;
  /** Value of a header; its lines joined with a comma. */
  header(name: string): string | undefined;
  readonly body: Uint8Array;
  /** Aborted when the caller has gone before its answer. */
  readonly gone: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A route cannot be without its description: the served documents are made from it. */
export interface HttpRoute extends RouteDescription {
  handle(call: HttpCall): Promise<HttpAnswer> | HttpAnswer;
}

export const json = (status: number, value: unknown, headers?: HttpAnswer['headers']): HttpAnswer => ({
  status,
  type: 'application/json',
  body: JSON.stringify(value),
  ...(headers === undefined ? {} : { headers }),
});

export const NO_CONTENT: HttpAnswer = { status: 204, type: '', body: '' };
