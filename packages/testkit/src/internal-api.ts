import { sentTexts } from './sent-texts.js';
import { TEST_API_KEY } from './tokens.js';

export interface ApiAnswer {
  readonly status: number;
  /** Parsed where the answer is JSON (problem+json too), else the text; null where there is none. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read fields of answers whose shape they are checking
  readonly body: any;
  readonly headers: Headers;
}

/** The internal listener of a node, as a backend uses it. Paths begin with a slash: `/v1/dialogs/d1`. */
export interface InternalApi {
  get(path: string): Promise<ApiAnswer>;
  post(path: string, body?: unknown): Promise<ApiAnswer>;
  put(path: string, body?: unknown): Promise<ApiAnswer>;
  delete(path: string): Promise<ApiAnswer>;
}

/** `key`: the API key, default that of `startGateway`; null sends none. Calls reject after 30 s without an answer. */
export function internalApi(url: string, key: string | null = TEST_API_KEY): InternalApi {
  const call = async (method: string, path: string, body?: unknown): Promise<ApiAnswer> => {
    if (typeof body === 'object' && body !== null && 'text' in body) sentTexts.note(body.text);
    const headers: Record<string, string> = {};
    if (key !== null) headers['authorization'] = `Bearer ${key}`;
    if (body !== undefined) headers['content-type'] = 'application/json';
    const response = await fetch(new URL(path, url), {
      method,
      headers,
      signal: AbortSignal.timeout(30_000),
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = /[/+]json/.test(response.headers.get('content-type') ?? '');
    return {
      status: response.status,
      headers: response.headers,
      body: text === '' ? null : isJson ? JSON.parse(text) : text,
    };
  };
  return {
    get: (path) => call('GET', path),
    post: (path, body) => call('POST', path, body),
    put: (path, body) => call('PUT', path, body),
    delete: (path) => call('DELETE', path),
  };
}
