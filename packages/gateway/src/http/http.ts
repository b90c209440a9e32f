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
}

export interface HttpAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface HttpRoute {
  readonly method: 'get' | 'post' | 'put' | 'del';
  /** `:name` marks a parameter. */
  readonly path: string;
  /** Whether the caller must present an API key. */
  readonly open?: boolean;
  handle(call: HttpCall): Promise<HttpAnswer> | HttpAnswer;
}

export const json = (status: number, value: unknown, headers?: HttpAnswer['headers']): HttpAnswer => ({
  status,
  type: 'application/json',
  body: JSON.stringify(value),
  ...(headers === undefined ? {} : { headers }),
});

export const NO_CONTENT: HttpAnswer = { status: 204, type: '', body: '' };
